"""`make bench` and `make bench-quick`: every target of what a run may cost, measured."""

import importlib
import json
import sys
import time
from dataclasses import asdict

from local.process import shown
from local.stack import LOCAL
from tests.bench.row import Row, show

MEASUREMENTS = (
    "detection",
    "events",
    "cost",
    "monthly",
    "cold_start",
    "memory",
    "tables",
    "listing",
    "throughput",
    "scale",
)  # modules here, each with `rows(quick=…)`
SLOW = ("scale",)  # left out by --quick
RESULTS = LOCAL / "bench.json"


def main() -> int:
    """Measure, show one table, write it down; return 1 where a target is missed."""
    quick = "--quick" in sys.argv
    began = time.monotonic()
    rows: list[Row] = []
    for name in MEASUREMENTS:
        if quick and name in SLOW:
            continue
        print(
            f"{time.monotonic() - began:6.1f} s  measuring: {name} …", file=sys.stderr, flush=True
        )
        rows += importlib.import_module(f"tests.bench.{name}").rows(quick=quick)
    LOCAL.mkdir(exist_ok=True)
    document = [asdict(row) for row in rows]
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    status = show(rows)
    print(f"{time.monotonic() - began:6.1f} s  written to {shown(RESULTS)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
