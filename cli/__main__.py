"""`python cli`: the command `stp`, with the package of layers/ beside it."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "layers"))

try:
    from stp.app import main
except KeyboardInterrupt:  # before anything was begun
    sys.exit(130)

sys.exit(main(sys.argv[1:]))
