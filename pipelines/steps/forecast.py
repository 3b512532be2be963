"""Forecast: demand and place-based risk, in three tasks: read, fit, write.

Only `read` and `write` open the warehouse, so that nothing waits for its single writer while models run. They hand over
through Parquet in ``work/forecast/``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.forecast import parallel
from pipelines.forecast.demand import nightly as demand
from pipelines.forecast.demand.evaluation import scoring, selection_table
from pipelines.forecast.demand.outlook import Kept
from pipelines.forecast.demand.panel import Known
from pipelines.forecast.parallel import HERE, Workers
from pipelines.forecast.risk import nightly as risk
from pipelines.monitoring import run_log
from pipelines.steps import covariates, inputs
from pipelines.store import handover, issues, records, warehouse

TABLES: Final = {
    "demand_forecasts": "demand",
    "demand_backtests": "demand_scores",
    "demand_selections": "demand_selections",
    "calendar_effects": "calendar_effects",
    "risk_forecasts": "risk",
    "risk_backtests": "risk_scores",
    "risk_curves": "risk_curves",
    "risk_calibration": "risk_calibration",
    "risk_slots_forecasts": "risk_slots",
    "risk_slots_backtests": "risk_slots_scores",
    "patrol_area_forecasts": "patrol_areas",
    "patrol_area_backtests": "patrol_area_scores",
}
"""Kinds of record that the step writes, and the table of schema ``forecast`` that each fills."""
RECORDS: Final = tuple(TABLES)
CHOICES: Final = "risk_choices"
"""Kind of record that fills no table: the selections from the backtest of risk, for the nights that reuse it."""
PAST: Final = "demand_past_forecasts"
"""Likewise: forecasts at past origins, of nights at which models of demand competed."""
KEPT: Final = {
    "choices": CHOICES,
    "scores": "risk_backtests",
    "curves": "risk_curves",
    "calibration": "risk_calibration",
    "slots_scores": "risk_slots_backtests",
    "patrol_scores": "patrol_area_backtests",
}
"""Parts of `risk.Kept`, and the kind of record of each."""
SCORE_GRAIN: Final = ("reference_at", "frequency", "service", "measure", "category", "window", "area_level")


@dataclass(frozen=True, slots=True)
class DemandInputs:
    """Everything that the models of demand read.

    ``services``: ``service, complete_until_at, stale_reason`` per demand service; ``selections``, ``scores`` and
    ``past``: the parts of `demand.Kept`, as earlier runs recorded them, or none.
    """

    hourly: pl.DataFrame
    delays: pl.DataFrame
    changes: pl.DataFrame
    services: pl.DataFrame
    areas: pl.DataFrame
    selections: pl.DataFrame | None = None
    scores: pl.DataFrame | None = None
    past: pl.DataFrame | None = None

    @staticmethod
    def read(con: duckdb.DuckDBPyConnection, settings: Settings) -> "DemandInputs":
        """Read them from warehouse and records."""
        selections = issues.before(settings, "demand_selections")
        selected_at = selection_table.selected_at(selections, settings.as_of)
        return DemandInputs(
            hourly=inputs.demand_counts(con),
            delays=con.execute("from marts.demand_delays").pl(),
            changes=con.execute("from marts.demand_changes").pl(),
            services=_services(con),
            areas=inputs.areas(con),
            selections=selections,
            scores=issues.before(settings, "demand_backtests"),
            past=None if selected_at is None else issues.of_run(settings, PAST, selected_at),
        )

    @property
    def known(self) -> Known:
        """Return what is known of the services' records."""
        complete = dict(self.services.select("service", "complete_until_at").drop_nulls().iter_rows())
        stale = dict(self.services.select("service", "stale_reason").drop_nulls().iter_rows())
        return Known(complete, stale, self.delays, self.changes)

    @property
    def kept(self) -> Kept | None:
        """Return what earlier runs issued; None if a part is missing."""
        if self.selections is None or self.scores is None or self.past is None:
            return None
        return Kept(self.selections, self.scores, self.past)


@dataclass(frozen=True, slots=True)
class RiskInputs:
    """Everything that the models of risk read.

    ``police``: ``complete_until_at, stale_reason``, one row; the rest after ``cells``: the parts of `risk.Kept`, as the
    last earlier run recorded them, or none.
    """

    crime: pl.DataFrame
    gaps: pl.DataFrame
    police: pl.DataFrame
    cells: pl.DataFrame
    choices: pl.DataFrame | None = None
    scores: pl.DataFrame | None = None
    curves: pl.DataFrame | None = None
    calibration: pl.DataFrame | None = None
    slots_scores: pl.DataFrame | None = None
    patrol_scores: pl.DataFrame | None = None

    @staticmethod
    def read(con: duckdb.DuckDBPyConnection, settings: Settings) -> "RiskInputs":
        """Read them from warehouse and records."""
        return RiskInputs(
            crime=inputs.crime_versions(con),
            gaps=inputs.crime_gaps(con),
            police=_police(con, settings),
            cells=inputs.cells(con),
            **{part: issues.before(settings, kind) for part, kind in KEPT.items()},
        )

    @property
    def kept(self) -> risk.Kept | None:
        """Return the last run's backtest of risk; None if a part is missing."""
        parts = {part: getattr(self, part) for part in KEPT}
        return None if any(frame is None for frame in parts.values()) else risk.Kept(**parts)


def forecast(settings: Settings, progress: Progress = silent) -> None:
    """Forecast demand and risk, and record both as issued."""
    read(settings)
    fit(settings, progress)
    write(settings)


def read(settings: Settings) -> None:
    """Copy what the models read out of the warehouse."""
    with run_log.recorded(settings, "forecast_read"):
        with warehouse.connect(settings) as con:
            demand_inputs, risk_inputs = DemandInputs.read(con, settings), RiskInputs.read(con, settings)
        handover.discard(handed_over(settings))
        handover.save(_folder(settings) / "demand_inputs", _frames(demand_inputs))
        handover.save(_folder(settings) / "risk_inputs", _frames(risk_inputs))


def fit(settings: Settings, progress: Progress = silent) -> None:
    """Run the models; opens no warehouse. Those of risk begin once demand's frames have left memory."""
    folder = _folder(settings)
    with run_log.recorded(settings, "forecast_fit"), parallel.opened(settings.environment.processes) as workers:
        handover.save(
            folder / "demand_outputs",
            demand_models(DemandInputs(**handover.load(folder / "demand_inputs")), settings, workers, progress),
        )
        handover.save(
            folder / "risk_outputs",
            risk_models(RiskInputs(**handover.load(folder / "risk_inputs")), settings, progress),
        )


def write(settings: Settings) -> None:
    """Record the forecasts as issued, and fill the tables of schema ``forecast``."""
    with run_log.recorded(settings, "forecast_write"):
        outputs = handover.load(_folder(settings) / "demand_outputs") | handover.load(
            _folder(settings) / "risk_outputs"
        )
        record(settings, outputs)
        with warehouse.connect(settings) as con:
            write_tables(con, settings, outputs)
        handover.discard(handed_over(settings))


def record(settings: Settings, outputs: Mapping[str, pl.DataFrame]) -> None:
    """Keep every frame of the models as issued."""
    for kind in (*RECORDS, CHOICES, PAST):
        if kind != PAST or not outputs[PAST].is_empty():
            records.write(settings, kind, issues.stamp(settings.as_of), outputs[kind])


def handed_over(settings: Settings) -> Path:
    """The folder through which the tasks hand over; empty after `write`."""
    return settings.work / "forecast"


def demand_models(
    data: DemandInputs, settings: Settings, workers: Workers = HERE, progress: Progress = silent
) -> dict[str, pl.DataFrame]:
    """Run the models of demand; returns a frame per kind of record."""
    known_ahead, lacking = covariates.read(settings)
    calls = demand.forecast_demand(
        data.hourly,
        settings.as_of,
        settings.profile,
        data.known.degraded_by(lacking, settings.profile.demand.services),
        workers,
        progress,
        data.kept,
        data.areas,
        known_ahead,
    )
    return {
        "demand_forecasts": calls.forecasts,
        "demand_backtests": calls.scores,
        "demand_selections": calls.selections,
        "calendar_effects": calls.calendar_effects,
        PAST: calls.past,
    }


def risk_models(data: RiskInputs, settings: Settings, progress: Progress = silent) -> dict[str, pl.DataFrame]:
    """Run the models of risk; returns a frame per kind of record."""
    ((complete_until, stale_reason),) = data.police.iter_rows()
    crime = risk.forecast_risk(
        data.crime,
        data.cells,
        settings.as_of,
        settings.profile,
        complete_until,
        stale_reason,
        settings.environment.threads,
        progress,
        data.kept,
        data.gaps,
    )
    return {
        "risk_forecasts": crime.forecasts,
        "risk_backtests": crime.scores,
        "risk_curves": crime.curves,
        "risk_calibration": crime.calibration,
        "risk_slots_forecasts": crime.slots.forecasts,
        "risk_slots_backtests": crime.slots.scores,
        "patrol_area_forecasts": crime.patrol.forecasts,
        "patrol_area_backtests": crime.patrol.scores,
        CHOICES: crime.choices,
    }


def write_tables(con: duckdb.DuckDBPyConnection, settings: Settings, issued: Mapping[str, pl.DataFrame]) -> None:
    """Fill the tables of schema ``forecast``: the newest issue, and its backtest with the scores of every past one."""
    tables = {table: issued[kind] for kind, table in TABLES.items()}
    tables["demand_scores"] = scoring.complete(tables["demand_scores"])
    for name in ("demand", "risk", "risk_slots", "patrol_area"):
        tables[f"{name}_scores"] = _with_past_scores(settings, name, tables[f"{name}_scores"])
    for table, frame in tables.items():
        warehouse.write_frame(con, "forecast", table, frame)


def _with_past_scores(settings: Settings, name: str, backtest: pl.DataFrame) -> pl.DataFrame:
    """The backtest after the newest score of every past issue.

    Newest is the score of the latest run, and of that run's the last written: all models of an issue at once, since
    they are scored on the same targets.
    """
    grain = [column for column in SCORE_GRAIN if column in backtest.columns]
    newest = backtest.clear()
    for scores in issues.frames(settings, issues.scores(settings, name)):
        older = newest.join(scores, on=grain, how="anti", nulls_equal=True, maintain_order="left")
        newest = pl.concat([older, scores], how="diagonal_relaxed").select(backtest.columns)
    return pl.concat([newest, backtest], how="vertical_relaxed")


_STALE: Final = """
    select feed, null as service, feed || ' is stale: ' || stale_reason as reason from marts.feed_status where is_stale
    union all
    select
        feed,
        service,
        feed || ' has no record' || coalesce(' of ' || service, '') || ' since '
            || strftime(timezone('UTC', from_at), '%Y-%m-%d %H:%M UTC') || ', taken as an outage'
    from marts.observation_windows as windows
    join marts.feed_status using (feed)
    where observation_state = 'outage' and until_at >= complete_through_at and category is null and area_id is null
"""
"""Feeds, and services of one, that depend on records which are late or have stopped, and why."""


def _services(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Per demand service, up to when its records are complete, and which of its feeds is stale and why."""
    complete = pl.DataFrame(
        list(inputs.services_complete_until(con).items()),
        schema={"service": pl.String, "complete_until_at": pl.Datetime("us", "UTC")},
        orient="row",
    )
    stale = con.execute(
        "select demand_services.demand_service as service, "
        "string_agg(distinct reason, '; ' order by reason) as stale_reason "
        f"from ({_STALE}) as stale "
        "join reference.feed_services using (feed) "
        "join reference.demand_services on demand_services.service = feed_services.service "
        "where coalesce(stale.service, demand_services.service) = demand_services.service group by 1 order by 1"
    ).pl()
    return complete.join(stale, on="service", how="full", coalesce=True)


def _police(con: duckdb.DuckDBPyConnection, settings: Settings) -> pl.DataFrame:
    """Up to when police records are complete, and which of the feeds is stale and why."""
    stale = con.execute(
        f"select string_agg(distinct reason, '; ' order by reason) as stale_reason from ({_STALE}) as stale "
        "join reference.feeds using (feed) where agency = 'police' and stale.service is null"
    ).pl()
    until = pl.lit(inputs.police_complete_until(con, settings), pl.Datetime("us", "UTC"))
    return stale.select(until.alias("complete_until_at"), "stale_reason")


def _frames(data: DemandInputs | RiskInputs) -> dict[str, pl.DataFrame]:
    """The frames by name, without missing ones."""
    named = {field.name: getattr(data, field.name) for field in fields(data)}
    return {name: frame for name, frame in named.items() if frame is not None}


def _folder(settings: Settings) -> Path:
    return handed_over(settings) / issues.stamp(settings.as_of)
