"""Invoke one function once, in this process, and print its result and the process's peak size.

`python -P tests/bench/invoke.py upload_and_execute 1073741824`; the environment names both ends.
Imports nothing but what Lambda would have: the layer, its libraries and the function's folder.
"""

import json
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]


def event(function: str, size: int) -> dict[str, object]:
    """Return the function's sample event for a file of `size` bytes."""
    text = (ROOT / "events" / f"{function}.json").read_text("utf-8")
    given: dict[str, object] = json.loads(text.replace('"o-1"', f'"o-{size}"'))
    if function == "upload_and_execute":
        given["execution"]["Name"] = f"run-{size}"  # type: ignore[index]
    return given


def main(function: str, size: int) -> None:
    """Print the result and the peak resident size in KiB."""
    sys.path[:0] = [str(ROOT / "functions" / function), str(ROOT / "layers")]
    import app  # type: ignore[import-not-found] # noqa: PLC0415 - it is the function's folder that tells which

    context = SimpleNamespace(
        function_name=function,
        memory_limit_in_mb=512,
        invoked_function_arn="arn",
        aws_request_id="request",
        get_remaining_time_in_millis=lambda: 900_000,
    )
    given = event(function, size)
    began = time.perf_counter()
    result = app.handler(given, context)
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text("ascii")
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    print(json.dumps({"peak": int(peak), "seconds": seconds, "result": result}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
