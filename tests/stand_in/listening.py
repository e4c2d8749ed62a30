"""Where a process listens."""

import re
from pathlib import Path


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
