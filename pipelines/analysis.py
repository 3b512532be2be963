"""The analyses of a run: frames out of the warehouse, through pure functions, back into it and into records.

Forecasts and scores are records: kept as issued, reloaded by a rebuild, never made again for the past.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl

from pipelines import records, warehouse
from pipelines.settings import Settings

DEMAND, RISK, DEMAND_SCORES, RISK_SCORES = "demand_forecasts", "risk_forecasts", "demand_scores", "risk_scores"


def score(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Score issued forecasts whose targets have come to pass, and keep the scores."""
    from pipelines.forecast.demand import issued
    from pipelines.forecast.risk import nightly as risk

    profile = settings.profile
    demand, places = _past(settings, DEMAND), _past(settings, RISK)
    if demand is not None:
        scored = issued.score_issued(demand, _demand(con), settings.as_of, profile, _through(con))
        _keep(settings, DEMAND_SCORES, scored)
    if places is not None:
        through = _police_through(con) or settings.as_of
        _keep(settings, RISK_SCORES, risk.score_issued(places, _crime(con), through, profile))


def patterns(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Hot spots of reported crime on map cells over the last year."""
    from pipelines.patterns import hot_spots

    today = settings.as_of.astimezone(settings.profile.zone).date()
    found = hot_spots.hot_spots(_crime(con), _cells(con), settings.profile.grid.map_metres, today)
    warehouse.write_frame(con, "patterns", "hot_spots", found)


def forecast(con: duckdb.DuckDBPyConnection, settings: Settings, progress: Callable[[str], None]) -> None:
    """Forecast demand and risk, keep both as issued, and lay the newest beside all scores in ``forecast``."""
    from pipelines.forecast.demand import nightly

    profile = settings.profile
    made = nightly.forecast_demand(
        _demand(con),
        settings.as_of,
        profile,
        nightly.Known(_through(con), _degraded(con)),
        settings.max_processes,
        lambda done, total: progress(f"forecast: {done} of {total} Prophet fits"),
    )
    records.write(settings, DEMAND, _stamp(settings.as_of), made.forecasts)
    warehouse.write_frame(con, "forecast", "demand", made.forecasts)
    warehouse.write_frame(con, "forecast", "demand_scores", _all_scores(settings, DEMAND_SCORES, made.scores))
    _forecast_risk(con, settings)


def dispatch(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Units required for the newest demand forecast."""
    from pipelines.dispatch import staffing, workload

    sent = con.execute(
        "select dispatches.incident_id, demand_services.demand_service as service, dispatched_at, available_at "
        "from core.dispatches join core.incidents using (incident_id) "
        "join reference.demand_services on demand_services.service = incidents.service "
        "and incidents.priority is not distinct from coalesce(demand_services.priority, incidents.priority)"
    ).pl()
    demand = settings.profile.demand
    minutes = workload.service_minutes(sent, demand.service_minutes)
    needing = [name for name, service in demand.services.items() if service.needs_units]
    planned = staffing.staffing(
        con.execute("from forecast.demand").pl(),
        minutes.filter(pl.col("service").is_in(needing)),
        demand.max_wait_probability,
    )
    warehouse.write_frame(con, "dispatch", "staffing", planned)


def _forecast_risk(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Risk of the coming week per cell and category, beside the plain count, with its rolling-origin scores."""
    from pipelines.forecast.risk import nightly

    stale = con.execute(
        "select string_agg(feed || ' is stale: ' || stale_reason, '; ' order by feed) "
        "from marts.feed_status where agency = 'police' and is_stale"
    ).fetchall()[0][0]
    made = nightly.forecast_risk(
        _crime(con), _cells(con), settings.as_of, settings.profile, _police_through(con), stale
    )
    records.write(settings, RISK, _stamp(settings.as_of), made.forecasts)
    warehouse.write_frame(con, "forecast", "risk", made.forecasts)
    warehouse.write_frame(con, "forecast", "risk_scores", _all_scores(settings, RISK_SCORES, made.scores))


def _all_scores(settings: Settings, kind: str, backtest: pl.DataFrame) -> pl.DataFrame:
    """The backtest of today and the newest score of every issue."""
    kept = records.read(settings, kind)
    if kept is None:
        return backtest
    grain = [
        c
        for c in ("reference_at", "origin_kind", "frequency", "service", "category", "area_level", "model")
        if c in kept
    ]
    newest = kept.sort("_issue").group_by(grain, maintain_order=True).agg(pl.all().last())
    return pl.concat([newest.select(backtest.columns), backtest], how="vertical_relaxed")


def _past(settings: Settings, kind: str) -> pl.DataFrame | None:
    """The last issue of every forecast that may still come due, without our bookkeeping; None where there is none."""
    kept = records.read(settings, kind)
    if kept is None:
        return None
    last = pl.col("_issue") == pl.col("_issue").max().over("reference_at")
    horizon = timedelta(days=settings.profile.horizons.daily_days + 7)
    is_due = pl.col("reference_at").is_between(settings.as_of - horizon, settings.as_of, closed="left")
    past = kept.filter(last & is_due).drop("_issue", "_name")
    return None if past.is_empty() else past


def _keep(settings: Settings, kind: str, scored: pl.DataFrame) -> None:
    if not scored.is_empty():
        records.write(settings, kind, _stamp(settings.as_of), scored)


def _demand(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return con.execute("from marts.demand_hourly order by service, area_id, hour_start_at").pl()


def _crime(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return con.execute("from marts.crime_daily order by category, cell_id, local_date").pl()


def _cells(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return con.execute("from reference.cells order by cell_metres, cell_id").pl()


def _through(con: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """Per demand service, up to when its records are complete: what lies after is unknown, never zero."""
    return _complete_through(con, "demand_services.demand_service")


def _police_through(con: duckdb.DuckDBPyConnection) -> datetime | None:
    """Up to when police records are complete; None where no police feed is declared."""
    return _complete_through(con, "feeds.agency").get("police")


def _complete_through(con: duckdb.DuckDBPyConnection, by: str) -> dict[str, datetime]:
    """The earliest instant that a group's feeds were read through, less each feed's declared delay."""
    rows = con.execute(
        f"""
        select {by}, min(epoch(
            least(coalesce(cursors.fetched_through_at, 'epoch'::timestamptz), getvariable('as_of')::timestamptz)
            - to_seconds(feeds.delay_seconds)
        ))
        from reference.feeds
        join reference.feed_services on feed_services.feed = feeds.feed
        left join reference.demand_services on demand_services.service = feed_services.service
        left join ops.cursors on cursors.feed = feeds.feed
        where {by} is not null
        group by 1 order by 1
        """
    ).fetchall()
    return {group: datetime.fromtimestamp(epoch, UTC) for group, epoch in rows}


def _degraded(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Per demand service, which of its feeds is stale and why."""
    rows = con.execute(
        "select demand_services.demand_service, "
        "string_agg(distinct feed || ' is stale: ' || stale_reason, '; ' "
        "order by feed || ' is stale: ' || stale_reason) "
        "from marts.feed_status join reference.feed_services using (feed) "
        "join reference.demand_services on demand_services.service = feed_services.service "
        "where is_stale group by 1 order by 1"
    ).fetchall()
    return dict(rows)


def _stamp(as_of: datetime) -> str:
    return f"{as_of:%Y%m%dT%H%MZ}"
