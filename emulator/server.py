"""Serve ministack, with the local AWS's own parts in it. The environment must be set before."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Sequence

from hypercorn.asyncio import serve as serve_http
from hypercorn.config import Config

from emulator import parts
from emulator.freezes import Freezes
from emulator.function_host import FunctionHost
from emulator.journal import Journal
from emulator.mounted import Mount
from emulator.quotas import Quotas
from emulator.scratch import Scratch


async def serve(
    listener: socket.socket,
    scratch: Scratch,
    time_scale: float,
    workers: int,
    quotas: Quotas,
    mounts: Sequence[Mount],
    journal: Journal | None,
    connection_seconds: float,
) -> None:
    """Serve AWS on `listener` until a signal, with all that touches the disk in `scratch`."""
    port = listener.getsockname()[1]
    freezes = Freezes(scratch.path, connection_seconds)
    host = FunctionHost(scratch.path, os.environ["AWS_ENDPOINT_URL"], workers, freezes, journal)
    served = parts.install(host, time_scale, quotas, mounts)
    logging.getLogger("emulator").setLevel(logging.INFO)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    serving = asyncio.create_task(serve_http(served, config, shutdown_trigger=stop.wait))
    answering = asyncio.create_task(answers(port))
    await asyncio.wait({serving, answering}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()  # says why it could not start
    gc.collect()
    gc.freeze()  # else each search for garbage goes through all that was imported
    print(f"local AWS ready on http://127.0.0.1:{port}", flush=True)
    await stop.wait()  # and not for `serving`, which waits for the functions that are running
    await asyncio.to_thread(host.forks.end)
    scratch.remove()
    # Executions and invocations that are still under way have threads that nothing else would end.
    os._exit(0)


async def answers(port: int) -> None:
    """Return once the server answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /_ministack/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    await reader.readline()
    writer.close()
