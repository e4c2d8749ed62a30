"""Start the local AWS as its users do: as a process of its own."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def running_aws(log: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The endpoint and the process of a local AWS on a free port, which logs to `log`."""
    command = [sys.executable, "-m", "emulator", "--port", "0", *options]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line.startswith("local AWS ready on "), log.read_text()
        yield line.split()[-1], process
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def listening_addresses(process: int) -> set[str]:
    """Where a process listens, over IPv4 or IPv6, as address:port."""
    links = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
    own = {found[1] for link in links if (found := re.match(r"socket:\[(\d+)\]", link))}
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in own:
                host, port = fields[1].split(":")
                octets = [str(byte) for byte in reversed(bytes.fromhex(host))]
                addresses.add(f"{'.'.join(octets)}:{int(port, 16)}")
    return addresses
