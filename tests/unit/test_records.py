"""What is known of a run is kept for as long as somebody may come back to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from straight_through.queue.records import Records, record_key
from straight_through.queue.table import Table

NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
NAMES_ARE_KEPT = timedelta(days=90)  # in which Step Functions takes no second execution of a name
REDRIVEN = timedelta(days=14)  # after its end, an execution may be


def test_a_record_outlives_the_name_of_its_execution_and_every_redrive(table: Table) -> None:
    Records(table).note("may", NOW, route="claims")
    item = table.get(record_key("may"))
    assert item
    forgotten = datetime.fromtimestamp(item["expires_at"], UTC)
    assert forgotten == NOW + timedelta(days=180)
    assert forgotten > NOW + NAMES_ARE_KEPT + REDRIVEN


def test_what_became_of_an_execute_is_noted_once_whoever_finds_out_first(table: Table) -> None:
    # Given two runs whose Execute is open
    records = Records(table)
    posts: list[Any] = [
        {"id": f"p-{run}", "run": run, "organisation_id": "c", "pipeline_id": "p"}
        for run in ("may", "june")
    ]
    may, june = posts
    for post in posts:
        table.update(record_key(post["run"]), "SET #posted = :post", post=post)
    made: Any = {"execution_id": "e-7", "run_number": 7}
    # When one finds out what it has made, and others that it made nothing, or that nobody can tell
    assert records.executed(may, made)
    assert not records.not_executed(may)
    assert not records.uncertain(may, "Nobody can tell.")
    # Then what was noted first stays
    known = records.get("may")
    assert (known["execution"], known["posted"]["id"]) == (made, "p-may")
    assert "uncertain" not in known
    # And of the other one a person is to say what it has made
    assert records.uncertain(june, "Nobody can tell.")
    assert not records.not_executed(june)
    other: Any = {"execution_id": "e-8", "run_number": 8}
    records.executed(june, other)
    assert (records.get("june")["uncertain"], "execution" in records.get("june")) == (
        "Nobody can tell.",
        False,
    )
