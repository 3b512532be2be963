"""The analyses of a run: frames out of the warehouse, through pure functions, back into it and into records.

Forecasts and scores are records: kept as issued, reloaded by a rebuild, never made again for the past. They are read
one issue at a time and no further back than a score needs, so that next year's run takes no more memory than today's.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl

from pipelines.config.profile import Profile
from pipelines.config.settings import Settings
from pipelines.store import ledger, records, warehouse

DEMAND, RISK, RISK_SLOTS = "demand", "risk", "risk_slots"
"""What is forecast. Each has three kinds of record, ``<name>_forecasts``, ``_backtests`` and ``_scores``, and the
tables ``forecast.<name>`` and ``forecast.<name>_scores``."""

BESIDE: Mapping[str, tuple[str, ...]] = {DEMAND: ("choices",), RISK: ("curves", "calibration"), RISK_SLOTS: ()}
"""What is told beside forecasts and scores: a kind of record and a table each, ``<name>_curves`` say."""

STAMP = "%Y%m%dT%H%MZ"
"""Name of a record: the instant of its run, UTC."""


def score(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Score issued forecasts whose targets have come to pass, and keep the scores."""
    from pipelines.forecast.demand import issued
    from pipelines.forecast.risk import issued as risk

    profile, as_of = settings.profile, settings.as_of
    if past := [entry for entry in _past(settings, DEMAND) if _is_scored_today(entry, as_of)]:
        since = as_of - _horizon(settings)
        through, outcomes = _through(con), issued.Outcomes.of(_demand(con), since, profile.demand.shifts)
        scored = (issued.score_issued(one, outcomes, as_of, profile, through) for one in _frames(settings, past))
        _keep_scores(settings, DEMAND, scored)
    if past := _past(settings, RISK):
        known, crime, patrols = _police_through(con) or as_of, _crime(con), _patrols(con, settings)
        scored = (risk.score_issued(one, crime, known, profile, patrols) for one in _frames(settings, past))
        _keep_scores(settings, RISK, scored)
    if past := _past(settings, RISK_SLOTS):
        from pipelines.forecast.risk import slot_week

        known, points = _police_through(con) or as_of, _states(con).filter(pl.col("superseded_at").is_null())
        points = points.join(_cells(con), on="cell_id", how="semi")
        scored = (slot_week.score_issued(one, points, known, profile) for one in _frames(settings, past))
        _keep_scores(settings, RISK_SLOTS, scored)


def patterns(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Every pattern table of reported crime, as known at ``as_of`` and up to where the records are complete."""
    from pipelines.patterns import nightly

    profile = settings.profile
    end = min(_police_through(con) or settings.as_of, settings.as_of).astimezone(profile.zone).date()
    crime = nightly.Crime(_points(con, profile), _crime(con), _cells(con), _areas(con), end, profile)
    for table, make in nightly.TABLES.items():
        warehouse.write_frame(con, "patterns", table, make(crime))


def forecast(con: duckdb.DuckDBPyConnection, settings: Settings, progress: Callable[[str], None]) -> None:
    """Forecast demand and risk, keep both as issued, and lay the newest beside all scores in ``forecast``."""
    from pipelines.forecast.demand import nightly
    from pipelines.forecast.demand.panel import Known

    profile = settings.profile
    made = nightly.forecast_demand(
        _demand(con),
        settings.as_of,
        profile,
        Known(
            _through(con),
            _degraded(con),
            con.execute("from marts.demand_delays").pl(),
            con.execute("from marts.demand_changes").pl(),
        ),
        settings.max_processes,
        lambda done, total: progress(f"forecast: {done} of {total} Prophet fits"),
        _choices(settings),
        _areas(con),
    )
    _issue(con, settings, DEMAND, made.forecasts, made.scores, choices=made.choices)
    _forecast_risk(con, settings, progress)


def reload(con: duckdb.DuckDBPyConnection, settings: Settings) -> bool:
    """Lay what ``forecast`` laid for this very ``as_of`` again from records, to the same logical hashes.

    The newest issue is taken: it is what was written last. Returns False, and writes nothing, where a part of it was
    never kept; then only ``forecast`` can make it.
    """
    found = {
        name: {kind: _newest(settings, f"{name}_{kind}") for kind in ("forecasts", "backtests", *beside)}
        for name, beside in BESIDE.items()
    }
    kept = {name: {kind: one for kind, one in kinds.items() if one is not None} for name, kinds in found.items()}
    if any(len(kept[name]) < len(kinds) for name, kinds in found.items()):
        return False
    for name, kinds in kept.items():
        _lay(con, settings, name, kinds.pop("forecasts"), kinds.pop("backtests"), **kinds)
    return True


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


def _forecast_risk(con: duckdb.DuckDBPyConnection, settings: Settings, progress: Callable[[str], None]) -> None:
    """Risk of the coming day, week and month per cell and category, beside the best count, with its scores."""
    from pipelines.forecast.risk import nightly

    stale = con.execute(
        "select string_agg(feed || ' is stale: ' || stale_reason, '; ' order by feed) "
        "from marts.feed_status where agency = 'police' and is_stale"
    ).fetchall()[0][0]
    made = nightly.forecast_risk(
        _states(con),
        _cells(con),
        settings.as_of,
        settings.profile,
        _police_through(con),
        stale,
        settings.threads,
        lambda done, total: progress(f"forecast: {done} of {total} months of risk tried"),
    )
    _issue(con, settings, RISK, made.forecasts, made.scores, curves=made.curves, calibration=made.calibration)
    _issue(con, settings, RISK_SLOTS, made.slots.forecasts, made.slots.scores)


def _issue(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    name: str,
    made: pl.DataFrame,
    backtest: pl.DataFrame,
    **beside: pl.DataFrame,
) -> None:
    """Keep a forecast, the backtest that taught it and what that tells beside its scores, and lay them all."""
    for kind, frame in {**beside, "backtests": backtest, "forecasts": made}.items():
        records.write(settings, f"{name}_{kind}", _stamp(settings.as_of), frame)
    _lay(con, settings, name, made, backtest, **beside)


def _lay(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    name: str,
    made: pl.DataFrame,
    backtest: pl.DataFrame,
    **beside: pl.DataFrame,
) -> None:
    warehouse.write_frame(con, "forecast", name, made)
    warehouse.write_frame(con, "forecast", f"{name}_scores", _all_scores(settings, name, backtest))
    for kind, frame in beside.items():
        warehouse.write_frame(con, "forecast", f"{name}_{kind}", frame)


def _all_scores(settings: Settings, name: str, backtest: pl.DataFrame) -> pl.DataFrame:
    """The backtest and, of every issue, the newest score made by ``as_of``.

    Newest is the score of the latest run, and of that run's the last made: all models of an issue at once, since they
    are scored on the same targets.
    """
    from pipelines.forecast.demand import scoring
    from pipelines.forecast.demand.issued import as_now

    if name == DEMAND:
        backtest = scoring.complete(backtest)
    made = records.entries(settings, f"{name}_scores", until=_stamp(settings.as_of))
    by = ("reference_at", "frequency", "service", "measure", "category", "window", "area_level")
    grain = [c for c in by if c in backtest.columns]
    newest = backtest.clear()
    for read in _frames(settings, sorted(made, key=_run_then_issue)):
        one = as_now(read) if "measure" in grain else read
        older = newest.join(one, on=grain, how="anti", nulls_equal=True, maintain_order="left")
        newest = pl.concat([older, one], how="diagonal_relaxed").select(backtest.columns)
    return pl.concat([newest, backtest], how="vertical_relaxed")


def _past(settings: Settings, name: str) -> list[ledger.Entry]:
    """The first issue of every earlier run whose forecasts may still come due, oldest first.

    What is scored is what stood when the day's release went out. Nothing here reads the clock, so that is taken to be
    the first issue for its ``reference_at``: a later one (a feed recovered the same day, newer code ran again) stays a
    record and is never scored, however much it knew.
    """
    now = _stamp(settings.as_of)
    first: dict[str, ledger.Entry] = {}
    for entry in records.entries(
        settings, f"{name}_forecasts", since=_stamp(settings.as_of - _horizon(settings)), until=now
    ):
        first.setdefault(entry["name"], entry)
    return [first[stamp] for stamp in sorted(first) if stamp < now]


def _is_scored_today(entry: ledger.Entry, as_of: datetime) -> bool:
    """Whether an issue of demand is scored in this run: daily while its hours come due, then once a week.

    Twelve weeks of issues lie open at once, and a day more of the far ones tells little.
    """
    age = (as_of - datetime.strptime(entry["name"], STAMP).replace(tzinfo=UTC)).days
    return age <= 8 or age % 7 == 0


def _horizon(settings: Settings) -> timedelta:
    """How old an issue may be whose last target has just come due, and some days for late records."""
    month = 28  # the longest window of risk
    return timedelta(days=max(settings.profile.horizons.daily_days, month + 1) + 7)


def _newest(settings: Settings, kind: str) -> pl.DataFrame | None:
    """The newest record for exactly this ``as_of``; a stamp counts minutes, so the frame itself is asked too."""
    now = _stamp(settings.as_of)
    made = [entry for entry in records.entries(settings, kind, since=now, until=now) if entry["name"] == now]
    for frame in _frames(settings, made[::-1]):
        if frame.filter(pl.col("reference_at") != settings.as_of).is_empty():
            return frame
    return None


def _choices(settings: Settings) -> pl.DataFrame | None:
    """The models that the newest earlier run chose or kept to; a run again of the same ``as_of`` finds the same."""
    now = _stamp(settings.as_of)
    earlier = [one for one in records.entries(settings, f"{DEMAND}_choices", until=now) if one["name"] < now]
    return records.frame_of(settings, max(earlier, key=_run_then_issue)) if earlier else None


def _frames(settings: Settings, entries: list[ledger.Entry]) -> Iterator[pl.DataFrame]:
    """The records one at a time: no two of them need be in memory."""
    return (records.frame_of(settings, entry) for entry in entries)


def _keep_scores(settings: Settings, name: str, scored: Iterator[pl.DataFrame]) -> None:
    scores = pl.concat(scored, how="vertical_relaxed")
    if not scores.is_empty():
        records.write(settings, f"{name}_scores", _stamp(settings.as_of), scores)


def _run_then_issue(entry: ledger.Entry) -> tuple[str, int]:
    return entry["name"], entry["seq"]


def _demand(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return con.execute(
        "select tree, level, area_id, service, hour_start_at, local_date, local_hour, calls, dispatches, listed_calls, "
        "listed_dispatches from marts.demand_hourly"
    ).pl()


def _crime(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return con.execute("from marts.crime_daily order by category, cell_id, local_date").pl()


def _patrols(con: duckdb.DuckDBPyConnection, settings: Settings) -> pl.DataFrame:
    """Minutes of patrol by cell and slot since the oldest issue that is scored; none where no agency tells of them."""
    return con.execute(
        "select cell_id, slot_start_at, patrol_minutes from core.patrols where slot_start_at >= ? "
        "order by cell_id, slot_start_at",
        [settings.as_of - _horizon(settings)],
    ).pl()


def _points(con: duckdb.DuckDBPyConnection, profile: Profile) -> pl.DataFrame:
    """What is known now of reported crime, with its place in the profile's metric CRS and its local times."""
    from pyproj import Transformer

    points = con.execute(
        "select incident_id, category, lon, lat, cell_id, admin_area_id, police_area_id, local_date, "
        "coalesce(timezone(getvariable('time_zone'), reported_at)::date, local_date) as reported_date, "
        "timezone(getvariable('time_zone'), occurred_at) as occurred_from, "
        "timezone(getvariable('time_zone'), occurred_until) as occurred_until "
        "from marts.crime_points where superseded_at is null order by category, local_date, incident_id"
    ).pl()
    moved = Transformer.from_crs("EPSG:4326", profile.crs, always_xy=True)
    x, y = moved.transform(points["lon"].to_numpy(), points["lat"].to_numpy())
    return points.drop("lon", "lat").with_columns(pl.Series("x_m", x, pl.Float64), pl.Series("y_m", y, pl.Float64))


def _states(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Every state of reported crime, so that past origins see what was known then."""
    return con.execute(
        "select category, cell_id, local_date, occurred_at, occurred_until, known_at, superseded_at "
        "from marts.crime_points order by all"
    ).pl()


def _areas(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return con.execute("from reference.areas order by area_id").pl()


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
    return as_of.strftime(STAMP)
