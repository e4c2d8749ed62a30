"""How a reply reaches the client: whole, or damaged as an order says."""

from __future__ import annotations

import gzip
import math
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from local.quantemplate.messages import PIECE, Reply
from local.quantemplate.trouble import Trouble

BLANKS = 8 << 20  # bytes unzipped in each member of a bomb


def badly_delivered(troubles: dict[str, Trouble], reply: Reply) -> Reply:
    """The reply, damaged on its way."""
    if order := troubles.get("relabel"):
        reply = replace(
            reply,
            status=order.status,
            content_type=order.content_type or reply.content_type,
            headers={**reply.headers, **(order.headers or {})},
        )
    if "gzip" in troubles:
        plain = reply.body if isinstance(reply.body, bytes) else reply.body.read_bytes()
        reply = _gzipped(reply, gzip.compress(plain, mtime=0))
    if order := troubles.get("bomb"):
        member = gzip.compress(b" " * BLANKS, mtime=0)
        reply = _gzipped(reply, member * math.ceil(order.size / BLANKS))
    if order := troubles.get("short"):
        reply = replace(reply, missing=min(order.missing, reply.size()))
    if order := troubles.get("trickle"):
        reply = replace(reply, bytes_per_second=order.bytes_per_second)
    if "unsized" in troubles:
        reply = replace(reply, sized=False)
    if order := troubles.get("endless"):
        reply = replace(reply, sized=False, endless=(order.body or "0" * 1000).encode())
    for how in ("stall", "reset"):
        if order := troubles.get(how):
            reply = replace(
                reply, stops_after=order.after_bytes, stops=how, pause=order.seconds or 0.0
            )
    return reply


def send(connection: BaseHTTPRequestHandler, reply: Reply, stopping: threading.Event) -> None:
    """Send a reply; what comes after a damaged one is the end of the connection."""
    if reply.missing or reply.stops or not reply.sized:
        connection.close_connection = True
    _send_head(connection, reply)
    if connection.command == "HEAD" or reply.status == 204:
        return
    left = reply.size() - reply.missing
    if reply.stops:
        left = min(left, reply.stops_after)
    if isinstance(reply.body, Path) and reply.bytes_per_second is None:
        with reply.body.open("rb") as file:
            if left:
                connection.connection.sendfile(file, count=left)
    else:
        for piece in _pieces(reply, left, stopping):
            connection.wfile.write(piece)
    while reply.endless and not stopping.is_set():
        connection.wfile.write(reply.endless * max(1, 65536 // len(reply.endless)))
    if reply.stops == "stall":
        stopping.wait(reply.pause or None)
    if reply.stops == "reset":
        _reset(connection.connection)


def _send_head(connection: BaseHTTPRequestHandler, reply: Reply) -> None:
    connection.send_response(reply.status)
    for name, value in reply.headers.items():
        connection.send_header(name, value)
    if reply.status != 204:
        connection.send_header("Content-Type", reply.content_type)
        if reply.sized:
            connection.send_header("Content-Length", str(reply.size()))
    if connection.close_connection:
        connection.send_header("Connection", "close")
    connection.end_headers()


def _pieces(reply: Reply, left: int, stopping: threading.Event) -> Iterator[bytes]:
    """The first `left` bytes of a body, in small pieces and slowly where it trickles."""
    content = reply.body.read_bytes() if isinstance(reply.body, Path) else reply.body
    speed, size = reply.bytes_per_second, PIECE
    if speed is not None:
        size = min(PIECE, max(1, int(speed / 20)))
    for start in range(0, left, size):
        piece = content[start : min(start + size, left)]
        if speed is not None and stopping.wait(len(piece) / speed):
            return
        yield piece


def _gzipped(reply: Reply, body: bytes) -> Reply:
    return replace(reply, body=body, headers={**reply.headers, "Content-Encoding": "gzip"})


def _reset(connection: socket.socket) -> None:
    """Close a connection with RST, as a machine that was switched off would."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # at once, whoever else has the socket open
