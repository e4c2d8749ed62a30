"""AWS on this machine: `python -m emulator --port 4566`, until SIGTERM or SIGINT."""

import argparse
import asyncio
import os
import socket
import sys
import tempfile
from pathlib import Path

from emulator.freezes import seconds_of
from emulator.journal import Journal
from emulator.mounted import mount_from
from emulator.quotas import NAMED, Quotas, Settings
from emulator.scratch import Scratch
from emulator.seams import PinError, leave_out, require_pinned_versions

REGION = "eu-west-1"
ACCOUNT = "000000000000"
SETTINGS = {
    "AUTH": "true",  # a missing permission fails here, and not only in the cloud
    "BIND_HOST": "127.0.0.1",
    "MINISTACK_REGION": REGION,
    "MINISTACK_ACCOUNT_ID": ACCOUNT,
    "IOT_MTLS_ENABLED": "0",  # these two would listen on every address
    "SFTP_ENABLED": "0",
    "LAMBDA_ACCOUNT_CONCURRENCY": "1000",  # an account's limit on AWS
    "MINISTACK_WORKER_THREADS": "1000",  # those that wait must not starve those that run
    "LOG_LEVEL": "WARNING",
}


def main() -> int:
    """Serve; return the exit status: 2 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="0 takes any free one")
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help="of Wait states, retries and schedules"
    )
    parser.add_argument("--workers", type=int, default=8, help="processes a function may have")
    parser.add_argument(
        "--mount",
        type=mount_from,
        action="append",
        default=[],
        metavar="/PREFIX/=MODULE:APP",
        help="serve an ASGI application below a path, in the origin of AWS: for a page",
    )
    parser.add_argument(
        "--history-events", type=int, default=25_000, help="how long a history can grow"
    )
    parser.add_argument(
        "--transaction-ms", type=float, default=10.0, help="how long a write transaction takes"
    )
    parser.add_argument(
        "--quotas", choices=NAMED, default="none", help="how many requests a second may bring"
    )
    parser.add_argument(
        "--connection-seconds",
        type=lambda text: seconds_of(float(text)),
        default=350.0,
        help="what a function's connections outlive between two invocations",
    )
    parser.add_argument("--journal", type=Path, help="a file for what would be paid for on AWS")
    options = parser.parse_args()
    try:
        quotas = Quotas(
            Settings(
                history_events=options.history_events,
                transaction_ms=options.transaction_ms,
                rates=NAMED[options.quotas],
            )
        )
    except ValueError as error:
        parser.error(str(error))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        require_pinned_versions()
        listener.bind(("127.0.0.1", options.port))
        listener.listen(100)
    except OSError as error:
        print(f"local AWS: port {options.port} cannot be taken: {error.strerror}", file=sys.stderr)
        return 2
    except PinError as error:
        print(f"local AWS: {error}", file=sys.stderr)
        return 1
    scratch = Scratch("local-aws-")
    try:
        journal = Journal(options.journal) if options.journal else None
        set_environment(scratch.path, listener.getsockname()[1], options.time_scale)
        # moto's engine takes a list of words from there, with which would come all of EC2: half of
        # the time in which a local AWS starts.
        leave_out("moto.batch")
        from emulator.server import serve  # noqa: PLC0415 - ministack reads the environment

        scale, workers, mounts = options.time_scale, options.workers, options.mount
        kept = options.connection_seconds
        asyncio.run(serve(listener, scratch, scale, workers, quotas, mounts, journal, kept))
    finally:
        scratch.remove()
    return 0


def set_environment(root: Path, port: int, time_scale: float) -> None:
    """Replace this process's environment by ministack's settings, before ministack is imported.

    A failed asynchronous invocation is tried again after one minute, and after two:
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    path = os.environ.get("PATH", os.defpath)
    os.environ.clear()
    os.environ.update(
        SETTINGS,
        PATH=path,
        TMPDIR=str(root),
        HOME=str(root),
        STATE_DIR=f"{root}/state",
        S3_DATA_DIR=f"{root}/s3",
        GATEWAY_PORT=str(port),
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        DOCKER_HOST=f"unix://{root}/no-docker",
        LAMBDA_ASYNC_RETRY_BASE_SECONDS=str(60 * time_scale),
        LAMBDA_ASYNC_RETRY_MAX_SECONDS=str(120 * time_scale),
    )
    tempfile.tempdir = str(root)


if __name__ == "__main__":
    sys.exit(main())
