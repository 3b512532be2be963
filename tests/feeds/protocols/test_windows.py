"""Windows of keyed feeds: no gap, no overlap, and no delivery above the row limit."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import profile
from pipelines.feeds.feed import Request, TooLarge
from pipelines.feeds.protocols.windows import deliveries, windows

KOREA = profile.load("korea")
START = datetime(2026, 1, 1, tzinfo=UTC)


def request(hours: float, days: int | None = None) -> Request:
    source = KOREA.feeds["police_112"].model_copy(update={"window_days": days})
    return Request("", None, source, KOREA, START, START + timedelta(hours=hours))


def test_windows_cover_the_time_without_gap_or_overlap() -> None:
    spans = list(windows(request(240, 4)))
    assert [(end - start).days for start, end in spans] == [4, 4, 2]
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@given(st.lists(st.integers(0, 24 * 3600 - 1), max_size=40, unique=True), st.integers(1, 5))
def test_a_window_with_too_many_rows_is_halved_until_every_delivery_is_within_the_limit(
    at: list[int], most: int
) -> None:
    instants = [START + timedelta(seconds=second) for second in at]

    def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
        inside = [instant for instant in instants if start <= instant < end]
        if len(inside) > most:
            raise TooLarge("too many", len(inside))
        return tuple(instant.isoformat().encode() for instant in inside)

    split = list(deliveries(request(24), read))
    assert sorted(part.decode() for delivery in split for part in delivery.parts) == sorted(
        i.isoformat() for i in instants
    )
    assert all(before.window_end == after.window_start for before, after in pairwise(split))
    assert (split[0].window_start, split[-1].window_end) == (START, START + timedelta(hours=24))


def test_a_single_second_with_too_many_rows_is_rejected() -> None:
    def read(start: datetime, end: datetime) -> tuple[bytes, ...]:
        raise TooLarge("9 rows in one second", 9)

    with pytest.raises(TooLarge, match="one second"):
        list(deliveries(request(1 / 60), read))
