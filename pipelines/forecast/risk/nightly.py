"""The nightly risk forecast: expected reported incidents per cell and category in the coming days, ranked.

Only what may enter risk comes in (``marts.crime_daily``): categories of the allow-list, known not to be found by
patrol, not located by caller look-up. Places only, never persons.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from pipelines.forecast.demand.series import midnight
from pipelines.forecast.risk import rolling, scoring
from pipelines.forecast.risk.models import BASELINE, MODEL, MODELS, Events, Grid
from pipelines.forecast.risk.selection import ranks
from pipelines.profile import Profile

DAYS: Final = 7
ORIGINS: Final = 12

FORECAST_COLUMNS: Final = (
    "reference_at", "cell_id", "cell_metres", "category", "target_start", "target_end", "model", "expected",
    "baseline_expected", "rank", "is_selected", "data_as_of", "degraded_reason",
)  # fmt: skip
SCORE_COLUMNS: Final = ("reference_at", "origin_kind", "category", "model", "is_baseline", *scoring.SCORES)

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class RiskForecast:
    """Frames with the columns of ``forecast.risk`` and ``forecast.risk_scores``."""

    forecasts: pl.DataFrame
    scores: pl.DataFrame


def forecast_risk(
    crime_daily: pl.DataFrame,
    cells: pl.DataFrame,
    as_of: datetime,
    profile: Profile,
    known_through: datetime | None = None,
    degraded: str | None = None,
) -> RiskForecast:
    """Forecast the seven local days after the day of ``as_of``, and score twelve past weeks.

    Args:
        crime_daily: ``marts.crime_daily``: ``cell_id, category, local_date, incidents``. Incidents in a cell that is
            not in ``cells`` (its centre lies outside the region) have no place in the ranking and are left out.
        cells: ``reference.cells`` of any grid; the risk grid is taken.
        as_of: The instant (UTC) of issue.
        profile: Grid, time zone, selected share of the area.
        known_through: Up to when (UTC) records are complete; days that end later are not read. None: ``as_of``.
        degraded: A reason written into every row, or None.
    """
    grid_cells = _risk_cells(cells, profile)
    metres = profile.grid.cell_metres
    grid = Grid.of(grid_cells["x_m"].to_numpy(), grid_cells["y_m"].to_numpy(), metres)
    edge = min(known_through or as_of, as_of)
    until = _day(edge.astimezone(profile.zone).date())
    today = as_of.astimezone(profile.zone).date()
    selected = int(profile.risk_area_share * grid.size + 1e-9)
    span = (midnight(today + timedelta(days=1), profile.zone), midnight(today + timedelta(days=1 + DAYS), profile.zone))
    forecasts, windows = [], []
    for category, events in _by_category(crime_daily, grid_cells, until).items():
        expected = MODELS[MODEL](events, grid, until) * DAYS
        rank = ranks(expected, category, today.isoformat())
        forecasts.append(
            grid_cells.select("cell_id").with_columns(
                pl.lit(category).alias("category"),
                pl.Series("expected", expected),
                pl.Series("baseline_expected", MODELS[BASELINE](events, grid, until) * DAYS),
                pl.Series("rank", rank),
                pl.Series("is_selected", rank <= selected),
            )
        )
        origins = [until - DAYS * (i + 1) for i in range(ORIGINS) if until - DAYS * (i + 1) > events.first_day]
        windows.append(rolling.windows(events, grid, origins, DAYS, selected, category))
    stamp = pl.lit(as_of, pl.Datetime("us", "UTC")).alias("reference_at")
    if not forecasts:
        return RiskForecast(_none(FORECAST_COLUMNS), _none(SCORE_COLUMNS))
    issued = (
        pl.concat(forecasts)
        .with_columns(
            stamp,
            pl.lit(metres, pl.Int32).alias("cell_metres"),
            pl.lit(span[0], pl.Datetime("us", "UTC")).alias("target_start"),
            pl.lit(span[1], pl.Datetime("us", "UTC")).alias("target_end"),
            pl.lit(MODEL).alias("model"),
            pl.lit(edge, pl.Datetime("us", "UTC")).alias("data_as_of"),
            pl.lit(degraded, pl.String).alias("degraded_reason"),
        )
        .select(FORECAST_COLUMNS)
        .sort("category", "rank")
    )
    share = pl.lit(selected / max(grid.size, 1)).alias("area_share")
    scores = scoring.score(
        pl.concat(windows).with_columns(share, stamp), ["reference_at", "category", "model", "is_baseline"]
    )
    return RiskForecast(issued, scores.with_columns(pl.lit("backtest").alias("origin_kind")).select(SCORE_COLUMNS))


def score_issued(
    forecasts: pl.DataFrame, crime_daily: pl.DataFrame, known_through: datetime, profile: Profile
) -> pl.DataFrame:
    """Score issued risk whose window has wholly come to pass.

    Args:
        forecasts: ``forecast.risk`` rows, all cells, of any number of ``reference_at``.
        crime_daily: ``marts.crime_daily`` as now known.
        known_through: Up to when (UTC) records are complete.
        profile: Time zone.

    Returns:
        ``forecast.risk_scores`` with ``origin_kind`` ``issued``: what was selected, and as many cells by the baseline.
    """
    keys = ["reference_at", "category"]
    due = forecasts.filter(pl.col("target_end") <= known_through).sort(*keys, "rank")
    if due.is_empty():
        return _none(SCORE_COLUMNS)
    first, last = (
        pl.col(name).dt.convert_time_zone(profile.zone.key).dt.date().alias(name)
        for name in ("target_start", "target_end")
    )
    outcomes = (
        due.select(*keys, first, last)
        .unique()
        .join(crime_daily, on="category")
        .filter(pl.col("local_date") >= pl.col("target_start"), pl.col("local_date") < pl.col("target_end"))
        .group_by(*keys, "cell_id")
        .agg(pl.col("incidents").sum())
    )
    known = (
        due.join(outcomes, on=[*keys, "cell_id"], how="left", maintain_order="left")
        .with_columns(pl.col("incidents").fill_null(0), pl.col("is_selected").sum().over(keys).alias("k"))
        # Issued ranks break the baseline's ties too, at random and for ever the same.
        .sort(*keys, "baseline_expected", "rank", descending=[False, False, True, False])
        .with_columns((pl.int_range(pl.len()).over(keys) < pl.col("k")).alias("is_plain"))
    )
    windows = [
        known.group_by(keys, maintain_order=True)
        .agg(
            (pl.col("k").first() / pl.len()).alias("area_share"),
            pl.col("incidents").filter(chosen).sum().alias("hits"),
            pl.col("incidents").sum(),
        )
        .with_columns(pl.lit(name).alias("model"), pl.lit(name == BASELINE).alias("is_baseline"))
        for name, chosen in ((MODEL, "is_selected"), (BASELINE, "is_plain"))
    ]
    scores = scoring.score(pl.concat(windows), [*keys, "model", "is_baseline"])
    return scores.with_columns(pl.lit("issued").alias("origin_kind")).select(SCORE_COLUMNS)


def _risk_cells(cells: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    return (
        cells.filter(pl.col("cell_metres") == profile.grid.cell_metres).select("cell_id", "x_m", "y_m").sort("cell_id")
    )


def _by_category(crime_daily: pl.DataFrame, cells: pl.DataFrame, until: int) -> dict[str, Events]:
    """Incidents of known days in cells of the grid, per category; knowledge begins for all on the same day."""
    placed = (
        crime_daily.with_columns(pl.col("local_date").cast(pl.Date).cast(pl.Int32).cast(pl.Int64).alias("day"))
        .filter(pl.col("day") < until)
        .join(cells.select("cell_id").with_row_index("cell"), on="cell_id")
        .sort("category", "day", "cell")
    )
    if placed.is_empty():
        return {}
    # The first percent of records may reach back decades (late reports of old crime): no start of knowledge.
    first = int(placed["day"].quantile(0.01, "lower") or 0)
    return {
        str(key[0]): Events(
            frame["cell"].to_numpy().astype("int64"),
            frame["day"].to_numpy(),
            frame["incidents"].to_numpy().astype(float),
            first,
        )
        for key, frame in placed.partition_by("category", as_dict=True, maintain_order=True).items()
    }


def _day(day: date) -> int:
    return (day - _EPOCH).days


_INSTANT: Final = pl.Datetime("us", "UTC")
_TYPES: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "reference_at": _INSTANT, "cell_id": pl.String, "cell_metres": pl.Int32, "category": pl.String,
    "target_start": _INSTANT, "target_end": _INSTANT, "model": pl.String, "expected": pl.Float64,
    "baseline_expected": pl.Float64, "rank": pl.Int64, "is_selected": pl.Boolean, "data_as_of": _INSTANT,
    "degraded_reason": pl.String, "origin_kind": pl.String, "is_baseline": pl.Boolean, "area_share": pl.Float64,
    "incidents": pl.Int64, "hits": pl.Int64, "hit_rate": pl.Float64, "pai": pl.Float64,
}  # fmt: skip


def _none(columns: tuple[str, ...]) -> pl.DataFrame:
    return pl.DataFrame(schema={name: _TYPES[name] for name in columns})
