"""Both ends of a transfer, each a process of its own: an AWS and a Quantemplate that keep nothing.

The local AWS keeps objects in memory, and both local stand-ins hash and write what they receive:
at gigabytes, they and not the functions would be measured. These two send a file of any size from a
small piece of it, and forget what they receive as soon as they have counted it.

An object's key, a run's name and an output's id end in the number of bytes: `claims/1048576.csv`,
`run-1048576`, `o-1048576`. No signature and no token is looked at.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.process import ROOT

ROW = b'CL-26-00001,PR001074/26,"Northgate Timber, Ltd",2026-05-23,2026-06-01,Storm damage,GB,GBP,'
ROW += b"1234.56,0.00,1234.56,Open\n"
ROW = b" " * (128 - len(ROW)) + ROW
PIECE = 16 * 1024 * 1024  # bytes of the file, which is sent again and again
ROUTE = {"organisation_id": "c-broker", "dataset_id": "d-claims", "pipeline_id": "p-claims"}
BUCKET = "bench"


@dataclass(frozen=True)
class Ends:
    """Where the two servers are."""

    aws: str
    quantemplate: str


@contextmanager
def serving() -> Iterator[Ends]:
    """Serve both ends until the block is left."""
    with ExitStack() as stack:
        urls = []
        for _ in ("aws", "quantemplate"):
            command = [sys.executable, "-m", "tests.bench.endpoints"]
            server = stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(server.terminate)
            assert server.stdout
            urls.append(server.stdout.readline().strip())
        yield Ends(*urls)


class _Handler(BaseHTTPRequestHandler):
    """Answers both for AWS and for Quantemplate: their paths differ."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    piece: int  # a file's descriptor

    def do_GET(self) -> None:
        """Send a file of the size that its name tells, or one of the API's documents."""
        path = urlsplit(self.path).path
        if path.endswith("/executions"):
            self._send(b"[]", "application/json")
            return
        size = _size(path)
        if asked := re.fullmatch(r"bytes=0-(\d+)", self.headers.get("Range", "")):
            size = min(int(asked[1]) + 1, size)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", '"e"')
        self.end_headers()
        sent = 0
        while sent < size:
            place, left = sent % PIECE, size - sent
            sent += os.sendfile(
                self.connection.fileno(), self.piece, place, min(left, PIECE - place)
            )

    def do_PUT(self) -> None:
        """Take an object or a part of one."""
        self._forget()
        self._send(b"", "application/xml")

    def do_POST(self) -> None:
        """Take a dataset, an order of S3's multipart uploads, or a call of another AWS service."""
        target = urlsplit(self.path)
        if called := self.headers.get("X-Amz-Target"):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = _answer(called.rpartition(".")[2], asked)
            self._send(json.dumps(reply).encode(), "application/x-amz-json-1.0")
            return
        self._forget()
        if target.path == "/token":
            self._send(b'{"access_token": "t", "expires_in": 900}', "application/json")
        elif target.path.endswith("/executions"):
            self._send(b'{"id": "e-1", "runNumber": 1, "status": "Started"}', "application/json")
        elif "uploads" in parse_qs(target.query, keep_blank_values=True):
            self._send(_xml("InitiateMultipartUploadResult", "<UploadId>u</UploadId>"))
        elif "uploadId" in parse_qs(target.query):
            self._send(_xml("CompleteMultipartUploadResult", '<ETag>"e"</ETag>'))
        else:
            self._send(b"")

    def do_DELETE(self) -> None:
        """Abort a multipart upload."""
        self._send(b"")

    def _send(self, body: bytes, kind: str = "application/xml") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"e"')
        self.end_headers()
        self.wfile.write(body)

    def _forget(self) -> None:
        """Read the request's body into one place, again and again."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            self._skip(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            self._skip(size + 2)
        while self.rfile.readline().strip():
            pass

    def _skip(self, size: int) -> None:
        view = memoryview(self.server.waste)  # type: ignore[attr-defined]
        while size:
            read = self.rfile.readinto(view[: min(size, len(view))])
            if not read:
                raise ConnectionError
            size -= read

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    """Serves until it is ended."""

    daemon_threads = True
    request_queue_size = 64
    waste = bytearray(1024 * 1024)  # shared by all: nobody reads it

    def handle_error(self, *_args: object) -> None:
        """Say nothing of clients that leave."""


def _size(name: str) -> int:
    """Return the number of bytes that a name ends in."""
    return int(re.findall(r"\d+", name)[-1])


def _xml(name: str, content: str) -> bytes:
    """Return one of S3's documents."""
    return f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</{name}>'.encode()


def _answer(operation: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what an execution finds that holds the turn and whose file waits in S3."""
    match operation:
        case "GetSecretValue":
            return {"SecretString": '{"client_id": "c", "client_secret": "s"}'}
        case "GetParameters":
            return {"Parameters": [{"Name": asked["Names"][0], "Value": json.dumps(ROUTE)}]}
        case "UpdateItem":
            return {"Attributes": {"holder": {"M": {}}}}
        case "GetItem" if asked["Key"]["pk"]["S"].startswith("run#"):
            size = _size(asked["Key"]["pk"]["S"])
            texts = {"bucket": BUCKET, "key": f"claims/{size}.csv", "etag": "e", "version_id": "v"}
            texts |= {"dropped_at": "2026-05-04T08:15:30Z"}
            source: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
            return {"Item": {"source": {"M": source | {"size": {"N": str(size)}}}}}
        case "GetItem" if asked["Key"]["pk"]["S"] == "queues":
            until = {"M": {"until": {"S": "2026-05-04T08:30:30.000Z"}}}
            holder = {"kills": {"N": "0"}, "granted_at": {"S": "2026-05-04T08:15:30.000Z"}}
            return {"Item": {"holder": {"M": holder | {"mark": until}}}}
    return {}


def main() -> None:
    """Serve on a free port of loopback, and print where."""
    server = _Server(("127.0.0.1", 0), _Handler)
    with tempfile.TemporaryFile() as piece:
        piece.write(ROW * (PIECE // len(ROW)))
        piece.flush()
        _Handler.piece = piece.fileno()
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
