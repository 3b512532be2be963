"""Score: compare past forecasts with the observed values of targets that have passed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
import polars as pl

from pipelines.config.settings import Settings
from pipelines.forecast.demand import issued as demand
from pipelines.forecast.risk import issued as risk
from pipelines.forecast.risk.cell_hours import nightly as cell_hours
from pipelines.forecast.risk.patrol import issued as patrol
from pipelines.monitoring import run_log
from pipelines.steps import inputs
from pipelines.store import issues, ledger, records, warehouse

FORECASTS: Final = ("demand", "risk", "risk_slots", "patrol_area")
DAILY: Final = 8
"""Days for which an issue of demand is scored every day; after that once a week.

Twelve weeks of issues are open at once, and one more day of the far targets changes little.
"""


@dataclass(frozen=True, slots=True)
class Observed:
    """Observed values as known now, and up to when they are complete."""

    demand_hourly: pl.DataFrame
    crime_daily: pl.DataFrame
    crime_points: pl.DataFrame
    patrols: pl.DataFrame
    crime_gaps: pl.DataFrame
    services_complete_until: Mapping[str, datetime]
    police_complete_until: datetime

    @staticmethod
    def read(con: duckdb.DuckDBPyConnection, settings: Settings) -> "Observed":
        """Read what past issues of this home are compared with."""
        current = inputs.crime_versions(con).filter(pl.col("superseded_at").is_null())
        return Observed(
            demand_hourly=inputs.demand_hourly(con),
            crime_daily=inputs.crime_daily(con),
            crime_points=current.join(inputs.cells(con), on="cell_id", how="semi"),
            patrols=_patrols(con, issues.scored_since(settings)),
            crime_gaps=inputs.crime_gaps(con),
            services_complete_until=inputs.services_complete_until(con),
            police_complete_until=inputs.police_complete_until(con, settings),
        )


def score(settings: Settings) -> None:
    """Score issued forecasts whose targets have passed, and record the scores."""
    with run_log.recorded(settings, "score"):
        due = due_issues(settings)
        if not any(due.values()):
            return
        with warehouse.connect(settings) as con:
            observed = Observed.read(con, settings)
        for kind, scores in scored(due, observed, settings).items():
            records.write(settings, kind, issues.stamp(settings.as_of), scores)


def due_issues(settings: Settings) -> dict[str, list[ledger.Entry]]:
    """Past issues to score in this run, by forecast."""
    due = {forecast: issues.past(settings, forecast) for forecast in FORECASTS}
    return due | {"demand": [entry for entry in due["demand"] if is_scored_today(entry, settings.as_of)]}


def scored(
    due: Mapping[str, Sequence[ledger.Entry]], observed: Observed, settings: Settings
) -> dict[str, pl.DataFrame]:
    """Return the scores of the issues due, by kind of record; a kind without a passed target is left out."""
    scores = {}
    for forecast, score_issue in _scorers(observed, settings).items():
        frames = [score_issue(issue) for issue in issues.frames(settings, due[forecast])]
        if any(not frame.is_empty() for frame in frames):
            scores[f"{forecast}_scores"] = pl.concat(frames, how="vertical_relaxed")
    return scores


def is_scored_today(entry: ledger.Entry, as_of: datetime) -> bool:
    """Whether an issue of demand is scored in this run: daily while its hours pass, then once a week."""
    age = (as_of - issues.instant(entry["name"])).days
    return age <= DAILY or age % 7 == 0


def _scorers(observed: Observed, settings: Settings) -> Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]]:
    """How an issue of each forecast is scored."""
    profile, police, gaps = settings.profile, observed.police_complete_until, observed.crime_gaps
    outcomes = demand.Outcomes.of(observed.demand_hourly, issues.scored_since(settings), profile.demand.shifts)
    complete = observed.services_complete_until
    return {
        "demand": lambda issue: demand.score_issued(issue, outcomes, settings.as_of, profile, complete),
        "risk": lambda issue: risk.score_issued(issue, observed.crime_daily, police, profile, observed.patrols, gaps),
        "risk_slots": lambda issue: cell_hours.score_issued(issue, observed.crime_points, police, profile, gaps),
        "patrol_area": lambda issue: patrol.score_issued(issue, observed.crime_points, police, profile, gaps),
    }


def _patrols(con: duckdb.DuckDBPyConnection, since: datetime) -> pl.DataFrame:
    """Minutes of patrol by cell and slot; none where no agency reports them."""
    return con.execute(
        "select cell_id, slot_start_at, patrol_minutes from core.patrols where slot_start_at >= ? "
        "order by cell_id, slot_start_at",
        [since],
    ).pl()
