"""Requests as a browser, a careless client or an attacker sends them: byte for byte."""

import json
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

OWN = "127.0.0.1:{port}"  # the name and port by which a server is called

# Heads that no server of this machine may take, by what they are.
REFUSED = {
    "rebound": ["Host: evil.example:{port}"],
    "rebound without a port": ["Host: evil.example"],
    "a name that begins like ours": ["Host: 127.0.0.1.evil.example:{port}"],
    "localhost within another name": ["Host: localhost.evil.example"],
    "a name that ends like ours": ["Host: evillocalhost:{port}"],
    "a user before a name": ["Host: 127.0.0.1:{port}@evil.example"],
    "an address of every interface": ["Host: 0.0.0.0:{port}"],
    "an address of the network": ["Host: 192.168.0.7:{port}"],
    "a name below ours": ["Host: s3.localhost:{port}"],
    "an empty name": ["Host:"],
    "a page of another site": ["Host: 127.0.0.1:{port}", "Origin: https://evil.example"],
    "a page of nowhere": ["Host: 127.0.0.1:{port}", "Origin: null"],
    "an empty origin": ["Host: 127.0.0.1:{port}", "Origin:"],
    "a page of a name like ours": [
        "Host: 127.0.0.1:{port}",
        "Origin: http://127.0.0.1.evil.example:{port}",
    ],
    "a page of a name that ends like ours": [
        "Host: 127.0.0.1:{port}",
        "Origin: http://evillocalhost:{port}",
    ],
    "a page of a name below ours": [
        "Host: 127.0.0.1:{port}",
        "Origin: http://rebound.localhost:{port}",
    ],
    "our origin and another one": [
        "Host: 127.0.0.1:{port}",
        "Origin: http://127.0.0.1:{port}",
        "Origin: https://evil.example",
    ],
    "a page whose name was rebound": [
        "Host: evil.example:{port}",
        "Origin: http://evil.example:{port}",
    ],
    "a page of another site, in small letters": [
        "host: 127.0.0.1:{port}",
        "origin: https://evil.example",
    ],
    "an image on another site": ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: cross-site"],
    "an image on another port": ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: same-site"],
    "a link on another site": [
        "Host: 127.0.0.1:{port}",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
    ],
}
# Heads of programs, and of a person who types an address.
TAKEN = {
    "a program": ["Host: 127.0.0.1:{port}"],
    "by name": ["Host: localhost:{port}"],
    "by name, in capitals": ["HOST: LocalHost:{port}"],
    "by its whole name": ["Host: localhost.:{port}"],
    "by IPv6": ["Host: [::1]:{port}"],
    "through a tunnel": ["Host: 127.0.0.1:9000"],
    "typed by a person": ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: none"],
    "our own page": ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"],
    "our own page, with its origin": ["Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:{port}"],
    "our own page, by name": ["Host: localhost:{port}", "Origin: http://localhost:{port}"],
}


class Reply(NamedTuple):
    """What came back; names of headers in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)


def ask(
    url: str, lines: list[str], target: str = "/", method: str = "GET", version: str = "1.1"
) -> Reply:
    """Send exactly this head; `{port}` in it is the server's."""
    port = urlsplit(url).port
    assert port is not None
    head = [f"{method} {target} HTTP/{version}", *lines, "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("\r\n".join(head).replace("{port}", str(port)).encode())
        with connection.makefile("rb") as answer:
            first, *rest = answer.read().split(b"\r\n")
    text = b"\r\n".join(rest)
    fields, _, body = text.partition(b"\r\n\r\n")
    headers = [line.decode("latin-1").split(": ", 1) for line in fields.split(b"\r\n") if line]
    return Reply(int(first.split()[1]), {name.lower(): value for name, value in headers}, body)
