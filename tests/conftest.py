"""The order of all tests, and what holds for each."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes an example slow, and no example wrong; what was found before lies in no cache
# that a fresh clone has not.
settings.register_profile(
    "calm", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("calm")

# Begun last, one of these would go on alone while the other workers have nothing left.
LONGEST = ("tests/storm/", "tests/kills/test_kill_points.py", "tests/build/test_make_up.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files be begun first, the others in their random order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
