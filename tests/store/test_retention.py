"""Retention: a year of daily batches under a limit of 180 days loses what is older, everywhere, and nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from pipelines import feeds
from pipelines.cli import main as cli
from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.continuity import replicas
from pipelines.ingest import load
from pipelines.monitoring import status as monitoring
from pipelines.quality import suites
from pipelines.release import publish
from pipelines.schema.delivery import Delivery
from pipelines.steps.destroy import expire, expired
from pipelines.steps.status import current_release
from pipelines.store import landing, ledger, warehouse
from pipelines.transform import build
from tests import places
from tests.conftest import AS_OF
from tests.feeds.test_police_112 import call
from tests.feeds.test_police_112_keys import accept_all

DAY = timedelta(days=1)
KEPT_DAYS = 180


def batch_of(day: int) -> Delivery:
    """One call reported on each day before ``AS_OF``; the call of the oldest day is changed on the youngest."""
    end = AS_OF - day * DAY
    dated = {"occurred_at": None, "reported_at": f"{end - DAY / 2:%Y-%m-%dT%H:%M:%S}+00:00"}
    number = f"{end:%Y%m%d}-000001"
    rows = [call(incident_no=number, **dated, updated_at=f"{end - DAY / 4:%Y-%m-%dT%H:%M:%S}+00:00")]
    if day == 0:
        first = AS_OF - 364 * DAY
        old = {"reported_at": f"{first - DAY / 2:%Y-%m-%dT%H:%M:%S}+00:00", "updated_at": rows[0]["updated_at"]}
        rows.append(call(incident_no=f"{first:%Y%m%d}-000001", category="폭력", **(dated | old)))
    blank = dict.fromkeys(feeds.police_112.FEED.columns)
    page = {"page": 1, "pages": 1, "total": len(rows), "incidents": [blank | row for row in rows]}
    return Delivery((orjson.dumps(page),), end - DAY, end)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home that may keep 112 calls for 180 days."""
    korea = profiles.load("korea")
    limited = {"police_112": korea.feeds["police_112"].model_copy(update={"retention_days": KEPT_DAYS})}
    monkeypatch.setattr(suites, "validate_rows", accept_all)
    return Settings(home=tmp_path / "home", profile=places.with_feeds(korea, limited), as_of=AS_OF)


def made_again(settings: Settings, *_: object) -> dict[str, str]:
    """The part of `rebuild` that records pass through, without the analyses."""
    landing.finish_destruction(settings)
    warehouse.discard(settings)
    registered = feeds.of(settings.profile)
    with warehouse.connect(settings) as con:
        for feed in registered:
            load.load_pending(con, settings, feed)
        build.write_reference(con, settings.profile, registered)
        build.stage(con, registered)
        for table in ("places", "joint_links"):
            columns = {"places": "lon double, lat double", "joint_links": "incident_id varchar"}[table]
            rest = {
                "places": "admin_area_id varchar, police_area_id varchar, fire_area_id varchar, cell_id varchar",
                "joint_links": "joint_incident_id varchar",
            }[table]
            con.execute(f"create or replace table reference.{table} ({columns}, {rest})")
        warehouse.run_models(con, "core", ["place_piles", "restricted_incidents", "incidents", "incident_changes"])
        return warehouse.hashes(con, "raw", "staging", "core")


def reported(settings: Settings, table: str) -> list[datetime]:
    with warehouse.connect(settings) as con:
        rows = con.execute(f"select reported_at::timestamptz from {table} order by 1").fetchall()
    return [at.astimezone(UTC) for (at,) in rows]


@pytest.mark.slow
def test_batches_past_retention_are_removed_from_keys_rows_and_rebuild(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in reversed(range(365)):
        landing.put(settings, "police_112", batch_of(day))
    made_again(settings)
    published: list[Settings] = []
    monkeypatch.setattr("pipelines.steps.destroy.rebuild", made_again)
    monkeypatch.setattr("pipelines.steps.destroy.publish", published.append)
    monkeypatch.setattr(publish, "prune_others", lambda _: None)
    assert len(reported(settings, "core.incidents")) == 365
    overdue = 365 - KEPT_DAYS
    assert expired(settings) == {"police_112": overdue}
    problem = f"{overdue} batches of police_112 are past their retention of {KEPT_DAYS} days: `bongsu expire`"
    assert problem in monitoring.status(settings, AS_OF, current_release(settings)).problems

    assert expire(settings) == {"police_112": overdue}

    kept = [batch for batch in landing.batches(settings) if not batch.is_destroyed]
    assert len(kept) == KEPT_DAYS and min(batch.window_end for batch in kept) > AS_OF - KEPT_DAYS * DAY
    assert len(list(settings.keys.glob("*.key"))) == KEPT_DAYS + 1, "one a batch, and the master key"
    for table in ("raw.police_112", "core.incidents"):
        first, *rest = reported(settings, table)
        assert first < AS_OF - 364 * DAY, "a record sent again recently is kept by its latest delivery"
        assert len(rest) == KEPT_DAYS and min(rest) > AS_OF - (KEPT_DAYS + 1) * DAY
    assert replicas.verify(settings)["batches"] == 365
    assert len(ledger.read(settings.ledger, "destroy")) == 1
    with warehouse.connect(settings) as con:
        before = warehouse.hashes(con, "raw", "staging", "core")
    assert made_again(settings) == before
    assert published == [settings]


def test_without_overdue_batches_nothing_is_rebuilt(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.put(settings, "police_112", batch_of(364))
    young = settings.model_copy(update={"as_of": AS_OF - 190 * DAY})
    monkeypatch.setattr("pipelines.steps.destroy.rebuild", lambda *_: pytest.fail("rebuilt"))
    assert expire(young) == {}


def test_status_shows_the_oldest_batch_and_the_limit(settings: Settings) -> None:
    for day in (0, 364):
        landing.put(settings, "police_112", batch_of(day))
    (row,) = monitoring.status(settings, AS_OF, current_release(settings)).feeds.iter_rows(named=True)
    oldest = (AS_OF - 364 * DAY).astimezone(settings.profile.zone)
    assert (row["oldest_batch"], row["retention_days"]) == (f"{oldest:%Y-%m-%d %H:%M}", KEPT_DAYS)


def test_expire_lists_what_it_would_destroy_and_destroys_only_when_confirmed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.put(settings, "police_112", batch_of(364))
    monkeypatch.setattr("pipelines.steps.run_settings.settings_of_last_run", lambda *_: settings)
    done: list[Settings] = []
    monkeypatch.setattr("pipelines.steps.destroy.expire", lambda chosen, _: done.append(chosen))
    output = CliRunner().invoke(cli.app, ["expire"]).output
    assert "police_112: 1 batches older than 180 days would be destroyed" in output and not done
    CliRunner().invoke(cli.app, ["expire", "--yes"])
    assert done == [settings]
