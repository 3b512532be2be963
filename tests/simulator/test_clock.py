"""Times as text: equal to those of a calendar library, in any zone."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.simulator.clock import ISO, NONE, PACKED, midnight, months, written

INSTANTS = st.lists(st.integers(946_684_800, 1_893_456_000) | st.just(NONE), max_size=20)


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/Toronto", "Australia/Lord_Howe"])
@given(seconds=INSTANTS)
def test_instants_are_formatted_as_by_a_calendar_library(zone: str, seconds: list[int]) -> None:
    texts = written("at", np.array(seconds, dtype=np.int64), zone, ISO, offset=True)
    wanted = [None if s == NONE else datetime.fromtimestamp(s, ZoneInfo(zone)).isoformat() for s in seconds]
    assert texts.name == "at"
    assert texts.to_list() == wanted


def test_a_packed_instant_has_fourteen_digits() -> None:
    at = int(datetime(2025, 10, 31, 15, 0, 24, tzinfo=UTC).timestamp())
    assert written("at", np.array([at, NONE]), "Asia/Seoul", PACKED).to_list() == ["20251101000024", None]


def test_months_cover_a_span_without_a_gap() -> None:
    assert months(date(2025, 12, 30), date(2026, 2, 3)) == [
        (date(2025, 12, 30), date(2026, 1, 1)),
        (date(2026, 1, 1), date(2026, 2, 1)),
        (date(2026, 2, 1), date(2026, 2, 3)),
    ]
    assert months(date(2025, 12, 1), date(2025, 12, 1)) == []


def test_midnight_is_the_local_one() -> None:
    assert midnight(date(2025, 11, 1), "Asia/Seoul") == int(datetime(2025, 10, 31, 15, tzinfo=UTC).timestamp())
