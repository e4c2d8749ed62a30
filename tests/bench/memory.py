"""How much a function's process grows with the file: `python -m tests.bench.memory [--quick]`.

The whole handler runs in a fresh process; its peak is what the kernel has counted (VmHWM).
"""

import statistics
import sys

from tests.bench.endpoints import serving
from tests.bench.functions import MIB, invoke
from tests.bench.row import Row, show

SMALL = 10 * MIB
TARGETS = {"upload_and_execute": 24, "download_output": 48}  # MiB


def rows(*, quick: bool = False) -> list[Row]:
    """Measure both functions: from 10 MiB to 2 GiB, quick to 256 MiB."""
    large, times = (256 * MIB, 1) if quick else (2048 * MIB, 3)
    measured = []
    with serving() as ends:
        for function, target in TARGETS.items():
            peaks = {
                size: statistics.median(
                    invoke(ends, function, size)["peak"] / 1024 for _ in range(times)
                )
                for size in (SMALL, large)
            }
            growth = peaks[large] - peaks[SMALL]
            measured.append(
                Row(
                    name=f"memory of {function}, 10 to {large // MIB:,} MiB",
                    target=f"grows <= {target} MiB",
                    measured=f"{growth:+.1f} MiB ({peaks[SMALL]:.0f} to {peaks[large]:.0f})",
                    holds=growth <= target,
                )
            )
    return measured


if __name__ == "__main__":
    sys.exit(show(rows(quick="--quick" in sys.argv)))
