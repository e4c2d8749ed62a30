"""The files of a storm: which are dropped where, in which order, and what is in them."""

import hashlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.quantemplate import Control
from tests.storm.stack import Stack

QUEUES = 5
AT_ONCE = 8  # connections of the client that drops
OVERWRITTEN = 0.15  # share of drops that overwrite an earlier key
LATE = 0.1  # share of keys whose events come late
LONGEST = 60_000  # bytes; so long that a slow reader makes an upload take seconds
LATE_SUFFIX = ".late.csv"


@dataclass(frozen=True)
class File:
    """One drop: `content` is unlike that of every other."""

    queue: str
    key: str
    content: bytes


@dataclass(frozen=True)
class Version:
    """A version that lies in the inbox."""

    file: File
    version_id: str

    @property
    def sha256(self) -> str:
        """The fingerprint of its bytes, by which it is known everywhere."""
        return hashlib.sha256(self.file.content).hexdigest()


def planned(count: int, seed: int) -> list[File]:
    """The drops of one storm, in their order."""
    dice = random.Random(f"files {seed}")  # noqa: S311 - dice, not keys
    return list(_planned(count, dice))


def _planned(count: int, dice: random.Random) -> Iterator[File]:
    keys: list[str] = []
    for number in range(count):
        if keys and dice.random() < OVERWRITTEN:
            key = dice.choice(keys)
        else:
            suffix = LATE_SUFFIX if dice.random() < LATE else ".csv"
            key = f"storm{dice.randrange(QUEUES)}/file-{number}{suffix}"
            keys.append(key)
        row = f"{number},{dice.randbytes(20).hex()}\n"
        rows = dice.choice([1, 10, 100, LONGEST // len(row)])
        yield File(key.split("/")[0], key, ("number,amount\n" + row * rows).encode())


def make_queues(stack: Stack, stand_in: Control) -> None:
    """A pipeline of its own for each queue; it gives the file back."""
    for queue in (f"storm{number}" for number in range(QUEUES)):
        dataset, pipeline = f"d-{queue}", f"p-{queue}"
        stand_in.define_dataset(dataset)
        stand_in.define_pipeline(pipeline, kind="copy", datasets=[dataset], outputs=["Copy"])
        stack.route_to(dataset, pipeline, queue)


def dropped(stack: Stack, files: list[File]) -> list[Version]:
    """Drop the files as fast as it goes; the versions of one key follow one another."""
    in_order: dict[str, threading.Lock] = {file.key: threading.Lock() for file in files}

    def drop(file: File) -> Version:
        with in_order[file.key]:
            return Version(file, stack.drop(file.key, file.content))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(drop, files))
