"""The fixtures of the unit tests that these need."""

from tests.unit.conftest import aws, session, states, table

__all__ = ["aws", "session", "states", "table"]
