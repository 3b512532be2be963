"""A simulated month gives the same result however it is read. Slow.

The month has late records, reclassifications and withdrawals.
"""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from pipelines import simulator
from pipelines.config import profile
from pipelines.config.settings import Settings
from pipelines.steps.backfill import backfill
from pipelines.steps.build import build
from pipelines.steps.fetch import feed_names
from pipelines.steps.load import load
from pipelines.steps.run import ingest
from pipelines.steps.run_settings import settings_for
from pipelines.store import warehouse

pytestmark = pytest.mark.slow

FIRST, LAST = date(2026, 1, 31), date(2026, 3, 2)
DAYS = (LAST - FIRST).days
LISTS = "police_112_keys"
LAG_DAYS = 3
"""The longest lag of a feed: the first run reads this many days, so that no later run reads further back."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, date], Settings]:
    """A home for a small city whose first run reads this many days back."""

    def home_of(history_days: int, day: date) -> Settings:
        folder = tmp_path_factory.mktemp("month")
        text = (profile.SHIPPED / "korea.toml").read_text("utf-8")
        text = text.replace("scale = 0.05\nhistory_days = 400", f"scale = 0.01\nhistory_days = {history_days}")
        (folder / "small.toml").write_text(text, "utf-8")
        return settings_for(folder / "home", str(folder / "small.toml"), day.isoformat())

    return home_of


@pytest.fixture(scope="module")
def day_by_day(home: Callable[[int, date], Settings]) -> Settings:
    """The month as run day by day."""
    settings = home(LAG_DAYS, FIRST + timedelta(days=LAG_DAYS))
    for day in range(LAG_DAYS, DAYS + 1):
        settings = settings_for(settings.home, None, (FIRST + timedelta(days=day)).isoformat())
        assert ingest(settings) == []
    build(settings)
    return settings


def hashes(settings: Settings) -> dict[str, str]:
    with warehouse.connect(settings) as con:
        return warehouse.hashes(con, "raw", "reference", "staging", "core", "marts")


def without_the_unrepeatable(settings: Settings) -> dict[str, str]:
    """Hashes without data that cannot be requested afterwards.

    That is a day's list of keys, and calls that vanished at the source.
    """
    truth = simulator.tables(settings.profile, FIRST - timedelta(days=60), LAST)
    with warehouse.connect(settings) as con:
        con.register("_vanished", truth["truth_vanished"].to_arrow())
        con.execute(f"delete from raw.{LISTS}")
        con.execute("delete from raw.police_112 where incident_no in (select incident_no from _vanished)")
        con.unregister("_vanished")
    build(settings)
    return hashes(settings)


def test_the_month_contains_the_difficult_cases(day_by_day: Settings) -> None:
    with warehouse.connect(day_by_day) as con:
        late, versions, withdrawn = con.execute(
            """
            select
                count(*) filter (where updated_at::timestamptz - reported_at::timestamptz > interval 7 day),
                count(*) - count(distinct incident_no),
                count(*) filter (where is_withdrawn)
            from raw.police_112 where try_cast(reported_at as timestamptz) is not null
            """
        ).fetchall()[0]
    assert late > 20
    assert versions > 1000
    assert withdrawn > 5


def test_a_month_replayed_from_landing_equals_the_month_as_it_was_run(day_by_day: Settings) -> None:
    before = hashes(day_by_day)
    day_by_day.warehouse.unlink()
    assert ingest(day_by_day, steps={"load": load}) == []
    build(day_by_day)
    assert hashes(day_by_day) == before


def test_a_month_run_day_by_day_equals_the_month_read_at_once(
    day_by_day: Settings, home: Callable[[int, date], Settings]
) -> None:
    at_once = home(DAYS, LAST)
    assert ingest(at_once) == []
    assert without_the_unrepeatable(at_once) == without_the_unrepeatable(day_by_day)


def test_a_month_backfilled_afterwards_adds_nothing_new(day_by_day: Settings) -> None:
    before = without_the_unrepeatable(day_by_day)
    for feed in {*feed_names(day_by_day)} - {LISTS}:
        counts = backfill(day_by_day, feed, FIRST + timedelta(days=1), LAST)
        assert counts["received"] == counts["unchanged"] + counts["quarantined"] > 0
    assert without_the_unrepeatable(day_by_day) == before
