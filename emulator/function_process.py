"""What a function's process runs: the handler under awslambdaric, until the server is gone.

Started with `python -SP`, so that only the standard library, the function's folder, its layers and
the runtime's own folder can be imported. Imports nothing of this project.
"""

import fcntl
import os
import signal
import sys
import threading
from pathlib import Path


def end_with_server(alive: Path) -> None:
    """Kill this process as soon as the server, which locks `alive` for its life, has ended."""
    with alive.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve invocations from the Runtime API that the environment names."""
    alive = Path(sys.argv[1])
    # Not prctl's signal on the parent's death: that comes when the *thread* that forked us ends.
    threading.Thread(target=end_with_server, args=(alive,), daemon=True).start()
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    sys.argv[:] = ["bootstrap", os.environ["_HANDLER"]]
    from awslambdaric.__main__ import main as serve_invocations  # noqa: PLC0415 - needs the path above

    serve_invocations(sys.argv)


if __name__ == "__main__":
    main()
