"""What a function's process runs: the handler under awslambdaric, until the server is gone.

Started with `python -SP`, so that only the standard library, the function's folder, its layers and
the runtime's own folder can be imported. Imports nothing of this project.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def end_with_server(alive: Path) -> None:
    """Kill this process as soon as the server, which locks `alive` for its life, has ended."""
    with alive.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
    os.kill(os.getpid(), signal.SIGKILL)


def with_freezes(wait: Callable[[Any], Any], settings: Path) -> Callable[[Any], Any]:
    """Wait for an invocation; where that took too long, what connections there are have died.

    freezes.py says what is in `settings`, and which documentation of AWS this follows.
    """

    def wait_frozen(client: Any) -> Any:
        begun = time.monotonic()
        invocation = wait(client)
        longest = json.loads(settings.read_text())
        if longest is not None and time.monotonic() - begun >= longest:
            end_connections()
        return invocation

    return wait_frozen


def end_connections() -> None:
    """Put a dead connection in the place of each that this process has, but the Runtime API's."""
    runtime_api = int(os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")[2])
    for name in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # some are closed by now, some sockets not connected
            number = int(name.name)
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as kept:
                over_ip = kept.family in (socket.AF_INET, socket.AF_INET6)
                if over_ip and kept.getpeername()[1] != runtime_api:
                    end_connection(number)


def end_connection(kept: int) -> None:
    """Let the file descriptor be of a connection that looks alive, and resets at its next use."""
    dead, peer = socket.socketpair()
    with dead:
        os.set_blocking(dead.fileno(), os.get_blocking(kept))
        os.dup2(dead.fileno(), kept, inheritable=False)
    threading.Thread(target=reset, args=(peer,), daemon=True).start()


def reset(peer: socket.socket) -> None:
    """Close a connection as soon as something comes, which stays unread: so it is a reset."""
    with peer:
        peer.recv(1, socket.MSG_PEEK)


def main() -> None:
    """Serve invocations from the Runtime API that the environment names."""
    alive, freezes = map(Path, sys.argv[1:3])
    # Not prctl's signal on the parent's death: that comes when the *thread* that forked us ends.
    threading.Thread(target=end_with_server, args=(alive,), daemon=True).start()
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    sys.argv[:] = ["bootstrap", os.environ["_HANDLER"]]
    from awslambdaric.__main__ import main as serve_invocations  # noqa: PLC0415 - needs the path above
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient  # noqa: PLC0415

    wait = LambdaRuntimeClient.wait_next_invocation
    LambdaRuntimeClient.wait_next_invocation = with_freezes(wait, freezes)
    serve_invocations(sys.argv)


if __name__ == "__main__":
    main()
