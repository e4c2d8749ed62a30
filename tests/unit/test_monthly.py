"""The months, quotas and requests of docs/costs.md are what the bench computes."""

import pytest

from tests.bench.monthly import (
    DAYS,
    FAST_PARAMETER,
    FILES_A_DAY,
    LOG_BYTES,
    REQUESTS,
    dollars,
    quotas,
    tables,
)
from tests.unit.conftest import ROOT

COSTS = (ROOT / "docs" / "costs.md").read_text("utf-8")


@pytest.mark.parametrize("line", [line for line in tables().splitlines() if line])
def test_the_document_has_each_line_of_the_tables(line: str) -> None:
    assert f"\n{line}\n" in COSTS


def test_what_the_document_tells_to_raise_is_what_comes_near_its_quota() -> None:
    # Given the quotas of which more than half is needed
    near = {
        files: [quota.name for quota in quotas() if quota.needed(files) > quota.default / 2]
        for files in FILES_A_DAY
    }
    # Then they are those that the document names
    assert near[100] == near[10_000] == []
    assert near[100_000] == [
        "Parameter Store: GetParameters a second",
        "Step Functions: open executions, if no turn comes for 30 days",
    ]
    # And what the first costs when it is raised
    requests = 100_000 * DAYS * REQUESTS["ssm GetParameters"]
    assert f"${requests * FAST_PARAMETER:.0f} a month" in COSTS


def test_the_document_tells_the_bytes_of_a_files_log_lines() -> None:
    assert f"{LOG_BYTES:,} bytes a file" in COSTS


def test_a_month_grows_with_its_files() -> None:
    few, many = dollars(100), dollars(10_000)
    assert many["logs"] == pytest.approx(100 * few["logs"])
    # The key alone has a price of its own
    assert few["table's key"] <= many["table's key"] < 2 * few["table's key"]
