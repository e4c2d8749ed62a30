"""Serve the stand-in: python -m local.quantemplate --port N [--time-scale S] [--page ORIGIN …]."""

from __future__ import annotations

import argparse
import errno
import logging
import signal
import sys
import threading

from local.quantemplate.browsers import origin_of_this_machine
from local.quantemplate.server import Server


def main() -> int:
    """Serve until SIGTERM or SIGINT; 2 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m local.quantemplate", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--time-scale", type=float, default=1.0, help="real seconds for a run's")
    parser.add_argument(
        "--page",
        type=page,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="whose pages may use it in a browser, as http://127.0.0.1:4566; else only its own may",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        server = Server(options.port, options.time_scale, options.page)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"port {options.port} is taken: choose another with --port", file=sys.stderr)
        return 2
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    print(f"stand-in Quantemplate ready on {server.url}", flush=True)
    ended.wait()
    server.stop()
    thread.join()
    return 0


def page(text: str) -> str:
    """An origin as an option."""
    try:
        return origin_of_this_machine(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
