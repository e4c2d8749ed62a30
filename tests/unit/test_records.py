"""What is known of a run is kept for as long as somebody may come back to it."""

from datetime import UTC, datetime, timedelta

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
