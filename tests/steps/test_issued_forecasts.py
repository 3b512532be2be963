"""Issued forecasts: which issue is scored, which score is used, what a rebuild restores."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import polars as pl
import pytest

from pipelines.config.environment import Environment
from pipelines.config.settings import Settings
from pipelines.forecast.demand import tables
from pipelines.forecast.risk import issued
from pipelines.forecast.risk import nightly as risk
from pipelines.steps import forecast, rebuild, score
from pipelines.store import issues, ledger, records, warehouse

TABLES = (
    "demand", "demand_scores", "demand_selections", "calendar_effects", "risk", "risk_scores", "risk_curves",
    "risk_calibration", "risk_slots", "risk_slots_scores", "patrol_areas", "patrol_area_scores",
)  # fmt: skip


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """One process: so few series are forecast before other processes have started."""
    return settings.model_copy(update={"environment": Environment(processes=1)})


@pytest.fixture
def con(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with two services in one district, thefts in one of four cells, and every feed read to as_of."""
    with warehouse.connect(settings) as con:
        con.execute("""
            create table marts.demand_hourly as
            select 'admin' as hierarchy, area_level, area_id, service, hour_start_at,
                (hour_start_at + interval 9 hour)::date as local_date,
                hour(hour_start_at + interval 9 hour)::integer as local_hour,
                (hash(hour_start_at, service) % 3)::bigint as calls, null::bigint as dispatches,
                calls as releasable_calls, dispatches as releasable_dispatches
            from (values ('11', 'province'), ('11010', 'district')) areas (area_id, area_level),
                (values ('ems'), ('fire')) services (service),
                (select unnest(generate_series(
                    timestamptz '2026-01-10', timestamptz '2026-03-02 19:00:00Z', interval 1 hour
                )) as hour_start_at);
            create table marts.demand_delays (
                agency varchar, service varchar, hour_start_at timestamptz, delay_hours bigint, calls bigint
            );
            create table marts.demand_changes (
                area_id varchar, service varchar, hour_start_at timestamptz, known_at timestamptz, calls bigint,
                dispatches bigint
            );
            create table marts.crime_daily as
            select 'a' as cell_id, 'theft' as category, day::date as occurrence_date, 2::bigint as incidents
            from generate_series(date '2026-02-01', date '2026-03-01', interval 1 day) d (day);
            create table marts.crime_points as
            select 'a' as cell_id, 'theft' as category, occurrence_date, occurrence_date::timestamptz as occurred_at,
                null::timestamptz as occurred_until, (occurrence_date + 1)::timestamptz as known_at,
                null::timestamptz as superseded_at
            from marts.crime_daily, range(2);
            create table core.patrols (cell_id varchar, slot_start_at timestamptz, patrol_minutes double);
            create table marts.feed_status as
            select 'calls' as feed, 'police' as agency, false as is_stale, null::varchar as stale_reason,
                timestamptz '2026-03-02 20:15:00Z' as complete_through_at;
            create table marts.observation_windows (
                feed varchar, service varchar, category varchar, area_id varchar, observation_state varchar,
                from_at timestamptz, until_at timestamptz
            );
            create table marts.crime_gaps (category varchar, area_id varchar, from_date date, until_date date);
            create table marts.region (area_id varchar);
            create table reference.areas as
            select * from (values ('11', null), ('11010', '11')) areas (area_id, parent_area_id);
            create table reference.cells as
            select * from (values ('a', 100, 0, 0), ('b', 100, 100, 0), ('c', 100, 0, 100), ('d', 100, 100, 100))
            cells (cell_id, cell_metres, x_m, y_m), (select '11010' as admin_area_id, 'P-11010' as police_area_id);
            create table reference.feeds as select 'calls' as feed, 'police' as agency, 0 as delay_seconds;
            create table reference.feed_services as select 'calls' as feed, unnest(['ems', 'fire']) as service;
            create table reference.demand_services as
            select service, service as demand_service, null::varchar as priority from reference.feed_services;
            insert into ops.cursors values ('calls', '2026-03-02 20:15:00Z');
        """)
        yield con


def at(settings: Settings, days_ago: float) -> Settings:
    return settings.model_copy(update={"as_of": settings.as_of - timedelta(days=days_ago)})


def stamp(settings: Settings) -> str:
    return f"{settings.as_of:%Y%m%dT%H%MZ}"


def issue_risk(settings: Settings, selected: str) -> str:
    """Store a week's risk that selects one cell; return the record's path."""
    start = settings.as_of.replace(hour=15, minute=0)
    columns = {
        "reference_at": settings.as_of, "cell_metres": 100, "category": "theft", "target_start": start,
        "target_end": start + timedelta(days=7), "model": "stack", "window": "week", "ranking_method": "boosting",
        "expected": 1.0, "baseline_expected": 1.0, "data_as_of": settings.as_of, "degraded_reason": None,
    }  # fmt: skip
    rows = [
        {**columns, "cell_id": cell, "rank": rank + 1, "is_selected": cell == selected}
        for rank, cell in enumerate("abcd")
    ]
    frame = pl.DataFrame(rows, schema_overrides=risk.FORECAST_COLUMNS)
    return records.write(settings, "risk_forecasts", stamp(settings), frame.select(*risk.FORECAST_COLUMNS))


def risk_score(reference_at: datetime, hit_rate: float, origin_kind: str = "issued") -> pl.DataFrame:
    row = {
        "reference_at": reference_at, "origin_kind": origin_kind, "category": "theft", "model": "stack",
        "window": "week", "is_baseline": False, "area_share": 0.25, "origins": 1, "incidents": 10, "hits": 1,
        "hit_rate": hit_rate, "pai": 1.0,
    }  # fmt: skip
    return pl.DataFrame([row], schema=risk.SCORE_COLUMNS)


def scored(settings: Settings) -> pl.DataFrame:
    scores = records.read(settings, "risk_scores")
    assert scores is not None
    return scores.filter(~pl.col("is_baseline"))


def issue(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """The forecast step on an open warehouse."""
    outputs = forecast.demand_models(forecast.DemandInputs.read(con, settings), settings)
    outputs |= forecast.risk_models(forecast.RiskInputs.read(con, settings), settings)
    forecast.record(settings, outputs)
    forecast.write_tables(con, settings, outputs)


def score_past(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """The score step on an open warehouse."""
    observed = score.Observed.read(con, settings)
    for kind, scores in score.scored(score.due_issues(settings), observed, settings).items():
        records.write(settings, kind, issues.stamp(settings.as_of), scores)


def reload(con: duckdb.DuckDBPyConnection, settings: Settings) -> bool:
    """The rebuild's handling of the forecasts of this as_of; returns whether it has all of them."""
    if (issued_forecasts := rebuild.issued_forecasts(settings)) is None:
        return False
    forecast.write_tables(con, settings, issued_forecasts)
    return True


def hashes(con: duckdb.DuckDBPyConnection) -> list[str]:
    return [warehouse.logical_hash(con, "forecast", table) for table in TABLES]


def test_between_selections_a_night_keeps_the_backtest_and_a_rebuild_finds_it(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    issue(con, at(settings, 1))
    issue(con, settings)
    before, now = (issues.newest(run, "demand_backtests") for run in (at(settings, 1), settings))
    assert before is not None and now is not None and not now.is_empty()
    assert now.drop("reference_at").equals(before.drop("reference_at"))
    stored = issues.newest(settings, "risk_choices")
    assert stored is not None and stored["category"].to_list() == ["theft"]
    earlier = forecast.RiskInputs.read(con, settings).kept
    assert earlier is not None and earlier.fits(stored["fingerprint"][0]), "both nights have the same months"
    written = hashes(con)
    assert reload(con, settings) and hashes(con) == written


def test_the_first_issue_is_scored_and_a_later_one_is_only_kept(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    then = at(settings, 9)
    issue_risk(then, "b")
    issue_risk(then, "a")  # more accurate, but too late
    score_past(con, settings)
    assert scored(settings)["hit_rate"].to_list() == [0.0]
    assert len(records.entries(settings, "risk_forecasts")) == 2


def test_a_first_run_has_nothing_to_score_and_opens_no_warehouse(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score.warehouse, "connect", pytest.fail)
    score.score(settings)
    assert records.entries(settings, "demand_scores") == []


def test_scores_are_split_by_patrol_if_patrols_are_recorded(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    then = at(settings, 9)
    issue_risk(then, "a")
    score_past(con, settings)
    assert scored(settings).select("patrolled", "patrol_minutes").rows() == [("all", None)]
    con.execute("insert into core.patrols values ('a', ?, 30), ('a', ?, 5)", [then.as_of + timedelta(days=2)] * 2)
    score_past(con, settings)
    issue(con, settings)
    hits = con.execute(
        "select patrolled, hits, patrol_minutes from forecast.risk_scores "
        "where origin_kind = 'issued' and not is_baseline order by all"
    ).fetchall()
    assert hits == [("all", 14, 35.0), ("true", 14, 35.0)]


def test_a_first_issue_without_any_forecast_is_not_replaced_by_a_later_one(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    silent = at(settings, 9)
    records.write(settings, "risk_forecasts", stamp(silent), pl.DataFrame(schema=risk.FORECAST_COLUMNS))
    issue_risk(silent, "a")
    issue_risk(at(settings, 10), "a")
    score_past(con, settings)
    assert scored(settings)["reference_at"].to_list() == [at(settings, 10).as_of]


def test_scoring_opens_nothing_older_than_the_horizon_nothing_newer_and_no_second_issue(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    issue_risk(at(settings, 9), "a")
    unneeded = [issue_risk(at(settings, 9), "b"), *(issue_risk(at(settings, days), "a") for days in (92, 0, -1))]
    for path in unneeded:
        (settings.records / path).unlink()
    score_past(con, settings)
    assert scored(settings)["hit_rate"].to_list() == [1.0]


def test_issues_are_in_memory_one_at_a_time(
    con: duckdb.DuckDBPyConnection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (9, 10, 11):
        issue_risk(at(settings, days), "a")
    seen = []
    score_issued = issued.score_issued

    def watched(forecasts: pl.DataFrame, *rest: object) -> pl.DataFrame:
        seen.append(forecasts["reference_at"].n_unique())
        return score_issued(forecasts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(issued, "score_issued", watched)
    score_past(con, settings)
    assert seen == [1, 1, 1]


def test_demand_issued_on_several_days_is_scored_by_issue(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    for days in (2, 1):
        issue(con, at(settings, days))
    score_past(con, settings)
    scores = records.read(settings, "demand_scores")
    assert scores is not None
    hours = scores.filter(pl.col("frequency") == "h", pl.col("area_level") == "region", ~pl.col("is_baseline"))
    assert hours.group_by("reference_at").agg(pl.col("targets").unique().first()).sort("reference_at").rows() == [
        (at(settings, 2).as_of, 47),
        (at(settings, 1).as_of, 23),
    ]


def test_issues_whose_hours_have_all_passed_are_scored_once_a_week(settings: Settings) -> None:
    entries = [{"name": stamp(at(settings, days))} for days in range(1, 30)]
    due = [score.is_scored_today(entry, settings.as_of) for entry in entries]  # type: ignore[arg-type]
    assert [day + 1 for day, is_due in enumerate(due) if is_due] == [*range(1, 9), 14, 21, 28]


def test_of_several_scores_the_newest_up_to_as_of_is_used(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    issued_at = at(settings, 9).as_of
    for days, hit_rate in ((-1, 0.9), (0, 0.4), (0, 0.5), (1, 0.3)):  # the run of yesterday was repeated last
        run = at(settings, days)
        records.write(settings, "risk_scores", stamp(run), risk_score(issued_at, hit_rate))
    other = at(settings, 20).as_of
    records.write(settings, "risk_scores", stamp(at(settings, 5)), risk_score(other, 0.7))
    issue(con, settings)
    issued = con.execute(
        "select reference_at, hit_rate from forecast.risk_scores where origin_kind = 'issued' order by all"
    ).fetchall()
    assert issued == [(other, 0.7), (issued_at, 0.5)]


def test_a_reload_gives_the_same_tables_as_the_forecast(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    issue(con, at(settings, 8))
    score_past(con, settings)
    issue(con, settings)
    before, entries = hashes(con), len(ledger.read(settings.ledger))
    assert con.execute("select count(distinct origin_kind) from forecast.demand_scores").fetchall() == [(2,)]
    for table in TABLES:
        con.execute(f"drop table forecast.{table}")
    con.execute("delete from marts.demand_hourly; delete from marts.crime_daily; delete from marts.crime_points")
    assert reload(con, settings)
    assert hashes(con) == before
    assert len(ledger.read(settings.ledger)) == entries


def test_scores_from_before_a_measure_was_added_have_it_null(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    issue(con, at(settings, 2))
    score_past(con, settings)
    issue(con, settings)
    added = [
        "scaled_pinball",
        "crps",
        "rmsse",
        "bias",
        "brier_capacity",
        "skill",
        "skill_low",
        "skill_high",
        "worse_share",
    ]
    for kind, run in (("demand_scores", settings), ("demand_backtests", settings)):
        stored = records.read(settings, kind)
        assert stored is not None
        newest = stored.filter(pl.col("_issue") == pl.col("_issue").max())
        records.write(settings, kind, stamp(run), newest.drop(*added, "_issue", "_name"))
    assert reload(con, settings)
    rows = con.execute("select distinct origin_kind, crps from forecast.demand_scores order by all").fetchall()
    assert rows == [("backtest", None), ("issued", None)]


def test_the_tables_of_views_contain_the_newest_issue_only(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    for run in (at(settings, 1), settings):
        issue(con, run)
        for table in ("demand", "risk", "risk_slots", "patrol_areas"):
            issues = con.execute(f"select distinct reference_at from forecast.{table}").pl()["reference_at"]
            assert issues.to_list() == [run.as_of], table


def selected_at(con: duckdb.DuckDBPyConnection) -> list[datetime]:
    """The instants at which models competed for the newest demand forecast."""
    return con.execute("select distinct selected_at from forecast.demand_selections").pl()["selected_at"].to_list()


def test_a_run_and_its_repetition_reuse_the_selection_of_an_earlier_run_of_the_week(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    earlier = at(settings, 3)
    issue(con, earlier)
    of_then = con.execute("select * exclude reference_at from forecast.demand_selections order by all").fetchall()
    for _ in range(2):
        issue(con, settings)
        assert selected_at(con) == [earlier.as_of]
        again = con.execute("select * exclude reference_at from forecast.demand_selections order by all").fetchall()
        assert again == of_then
    assert len(records.entries(settings, "demand_selections")) == 2


def test_the_newest_selection_of_an_earlier_run_is_read(settings: Settings) -> None:
    for days, name in ((0, "same"), (-1, "later")):
        records.write(settings, "demand_selections", stamp(at(settings, days)), pl.DataFrame({"models": [name]}))
    assert issues.before(settings, "demand_selections") is None
    for days, name in ((1, "newer"), (1, "newer, again"), (2, "older")):
        records.write(settings, "demand_selections", stamp(at(settings, days)), pl.DataFrame({"models": [name]}))
    selection = issues.before(settings, "demand_selections")
    assert selection is not None and selection["models"].to_list() == ["newer, again"]


def test_a_reload_takes_the_newest_issue(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    results = []
    for calls in ("calls", "calls + 1", "calls - 1"):  # the third is the first again
        con.execute(f"update marts.demand_hourly set calls = {calls}, releasable_calls = {calls}")
        issue(con, settings)
        results.append(hashes(con))
    assert results[0] == results[2] != results[1]
    assert reload(con, settings)
    assert hashes(con) == results[2]


@pytest.mark.parametrize("seconds", [24 * 3600, 1])
def test_a_reload_needs_an_issue_for_that_very_as_of(
    con: duckdb.DuckDBPyConnection, settings: Settings, seconds: int
) -> None:
    assert not reload(con, settings)
    issue(con, settings)
    later = settings.model_copy(update={"as_of": settings.as_of + timedelta(seconds=seconds)})
    assert not reload(con, later)
    assert reload(con, settings)


def test_a_forecast_without_its_backtest_is_not_reloaded(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    for name, columns in (("demand", tables.FORECAST_COLUMNS), ("risk", risk.FORECAST_COLUMNS)):
        records.write(settings, f"{name}_forecasts", stamp(settings), pl.DataFrame(schema=dict.fromkeys(columns)))
    assert not reload(con, settings)
    assert not warehouse.exists(con, "forecast", "demand")


def test_without_police_data_there_is_no_risk_also_after_a_reload(
    con: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    con.execute("delete from marts.crime_daily; delete from marts.crime_points")
    issue(con, settings)
    before = hashes(con)
    assert con.execute("select count(*) from forecast.risk").fetchall() == [(0,)]
    assert reload(con, settings)
    assert hashes(con) == before
