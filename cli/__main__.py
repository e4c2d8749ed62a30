"""`python cli`: the command `stp`, with the package of layers/ beside it."""

try:
    import signal
    import sys
    from pathlib import Path

    sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "layers"))
    from stp.app import main

    code = main(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is done, and has said how
except KeyboardInterrupt:  # before anything was begun
    code = 130

raise SystemExit(code)
