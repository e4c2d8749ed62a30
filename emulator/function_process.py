"""What a function's process runs: the handler under awslambdaric, until the server is gone.

Started with `python -SP`, so that only the standard library, the function's folder, its layers and
the runtime's own folder can be imported. What is started imports the libraries that are installed
there, and forks a process for each environment of a function: function_forks.py asks it to. Imports
nothing of this project.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

END_OF_LOG = "\0end of "  # and the id of the request, on what a function writes to


def end_with_server(alive: Path) -> None:
    """Kill this process as soon as the server, which locks `alive` for its life, has ended."""
    with alive.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
    os.kill(os.getpid(), signal.SIGKILL)


def with_freezes(wait: Callable[[Any], Any], settings: Path) -> Callable[[Any], Any]:
    """Wait for an invocation; where that took too long, what connections there are have died.

    freezes.py says what is in `settings`, and which documentation of AWS this follows. Before it
    waits, it marks the end of what the invocation before has written: functions.py looks for it.
    """
    last = ""

    def wait_frozen(client: Any) -> Any:
        nonlocal last
        if last:
            sys.stdout.flush()
            os.write(1, f"{END_OF_LOG}{last}\n".encode())
        begun = time.monotonic()
        invocation = wait(client)
        last = invocation.invoke_id
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


def import_libraries() -> None:
    """Import the libraries that are installed in the layers.

    Not the runtime, which reads its address as it is imported, nor what is no library: it may read
    what a function is told. What cannot be imported is left to the functions that need it.
    """
    names = set()
    for folder in map(Path, sys.path):
        for record in folder.glob("*.dist-info/RECORD"):
            for line in record.read_text("utf-8").splitlines():
                name, _, rest = line.partition(",")[0].partition("/")
                if rest == "__init__.py" or (not rest and name.endswith(".py")):
                    names.add(name.removesuffix(".py"))
    for name in sorted(names):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # collecting would write to the pages that the forks share


def fork_when_asked(control: socket.socket) -> None:
    """Fork a process for each request; return in the forked ones only, as what was asked for.

    Ends, by SystemExit, where nobody is there to ask.
    """
    died, dies = os.pipe()
    os.set_blocking(dies, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(dies)
    while True:
        ready, _, _ = select.select([control.fileno(), died], [], [])
        if died in ready:
            os.read(died, select.PIPE_BUF)
            tell_ends(control)
        if control.fileno() in ready:
            request, output = read_request(control)
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                for closed in (died, dies):
                    os.close(closed)
                become(request, output)
                return
            os.close(output)
            tell(control, {"forked": pid})


def read_request(control: socket.socket) -> tuple[dict[str, Any], int]:
    """A request, and where the process is to write. Raises SystemExit where none can come."""
    text, outputs, _, _ = socket.recv_fds(control, select.PIPE_BUF, 1)
    while text and not text.endswith(b"\n"):
        text += control.recv(select.PIPE_BUF)
    if not text:
        sys.exit()
    return json.loads(text), outputs[0]


def tell_ends(control: socket.socket) -> None:
    """Tell of each forked process that has ended."""
    with contextlib.suppress(ChildProcessError):  # there is none
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            tell(control, {"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def tell(control: socket.socket, what: dict[str, int]) -> None:
    """Tell the server something."""
    control.sendall(json.dumps(what).encode() + b"\n")


def become(request: dict[str, Any], output: int) -> None:
    """Take the environment, the folder and the output of a function's process."""
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])


def main() -> None:
    """Fork processes that serve invocations from the Runtime API that their environment names."""
    alive, freezes = map(Path, sys.argv[1:3])
    control = socket.socket(fileno=int(sys.argv[3]))
    import_libraries()
    fork_when_asked(control)
    serve(alive, freezes)


def serve(alive: Path, freezes: Path) -> None:
    """Serve invocations."""
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
