"""The order of all tests, and what holds for each."""

import gc
from functools import cache

import botocore.session
import pytest
from botocore.loaders import create_loader
from hypothesis import HealthCheck, settings

from tests.end_to_end.stack import copy_route, local_aws, mailbox, road, stand_in

__all__ = ["copy_route", "local_aws", "mailbox", "road", "stand_in"]  # once for all folders

# A busy machine makes an example slow, and no example wrong; what was found before lies in no cache
# that a fresh clone has not.
settings.register_profile(
    "calm", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("calm")

# Services' descriptions never change, and reading them is most of what making a client takes.
botocore.session.create_loader = cache(create_loader)

# Begun last, one of these would go on alone while the other workers have nothing left.
LONGEST = (
    "tests/storm/",
    "tests/console/test_console.py",
    "tests/end_to_end/test_trouble.py",
    "tests/end_to_end/test_checks.py",
    "tests/end_to_end/test_turns.py",
    "tests/kills/test_kill_points.py",
    "tests/docs/test_ten_minutes.py",
    "tests/docs/test_tried.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files be begun first, the others in their random order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """Let garbage be looked for in what tests make, and not in all that was imported."""
    gc.freeze()
