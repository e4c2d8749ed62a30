"""The order of all tests."""

import pytest

# Begun last, one of these would go on alone while the other workers have nothing left.
LONGEST = ("tests/storm/", "tests/unit/test_kill_points.py", "tests/build/test_make_up.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files be begun first, the others in their random order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
