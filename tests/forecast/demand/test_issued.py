"""Issued forecasts are scored with the published distribution, including recalibrated levels."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.forecast.demand import issued, tables
from pipelines.forecast.demand.evaluation import calibration
from pipelines.forecast.demand.evaluation.negative_binomial import Floats

AS_OF = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)
HOUR = AS_OF.replace(minute=0)
KOREA = profiles.load("korea")
HOURS = 48
STAMP = pl.Datetime("us", "UTC")


def curve(power: float) -> Floats:
    """Levels covered too rarely (power over 1) or too often, rounded to four digits as in ``method``."""
    lower = (0.5 * (2 * calibration.GRID[: calibration.MIDDLE]) ** power).round(4)
    return np.hstack([lower, 0.5, 1 - lower[::-1]])


CURVES = np.vstack([calibration.IDENTITY, curve(0.6), curve(1.5)])


@pytest.fixture(scope="module")
def published() -> pl.DataFrame:
    """Hours of a rare, a usual and a busy service whose levels stay, widen or narrow in turn, with observed values."""
    starts = [HOUR + timedelta(hours=i) for i in range(1, HOURS + 1)]
    hours = pl.DataFrame({"target_start": starts}, {"target_start": STAMP}).with_row_index("hour")
    services = pl.DataFrame({"service": ["ems", "fire", "rescue"], "mean": [0.7, 6.0, 50.0], "scale": [0.5, 3.0, 9.0]})
    fixed = {
        "reference_at": AS_OF, "known_at": HOUR, "frequency": "h", "hierarchy": "admin",
        "area_level": "district", "area_id": "11010", "measure": "calls", "shift": None, "model": "regression",
        "is_baseline": False, "is_calibrated": True, "dispersion": 0.2, "degraded": None, "failure": None,
        "method": None, "is_reconciled": False,
    }  # fmt: skip
    texts = ("shift", "degraded", "failure", "method")
    frame = services.join(hours, how="cross").with_columns(
        *[pl.lit(value, pl.String if name in texts else None).alias(name) for name, value in fixed.items()],
        (pl.col("target_start") + pl.duration(hours=1)).alias("target_end"),
        curve=pl.col("hour") % 3,
        centre=pl.col("mean"),
        y=pl.Series(np.random.default_rng(4).poisson(np.repeat([0.7, 6.0, 50.0], HOURS)).astype(float)),
    )
    return calibration.with_quantiles(frame, CURVES)


def scores(stored: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """Scores of a table as issued, two days later."""
    keys = ["frequency", "area_id", "service", "measure", "shift"]
    outcomes = issued.Outcomes(
        published.select(*keys, "area_level", "target_start", "y"), published.select(*keys, "scale").unique()
    )
    return issued.score_issued(stored, outcomes, AS_OF + timedelta(hours=HOURS + 1), KOREA, {})


def test_recalibrated_levels_are_scored_as_before_writing(published: pl.DataFrame) -> None:
    before = tables.scores(published.with_columns(cutoff="reference_at"), CURVES, "issued").sort("service")
    after = scores(tables.issued(published, CURVES), published).sort("service")
    assert after["targets"].to_list() == [HOURS] * 3
    for name in ("expected_coverage_80", "crps", "coverage_80", "scaled_pinball", "wis", "mae"):
        assert after[name].to_list() == pytest.approx(before[name].to_list(), rel=1e-9), name


def test_a_score_without_recalibration_would_differ(published: pl.DataFrame) -> None:
    stored = tables.issued(published, CURVES)
    forgot = stored.with_columns(calibration_map=pl.lit(None, pl.List(pl.Float64)))
    single, two = (scores(frame, published).sort("service") for frame in (stored, forgot))
    for name in ("expected_coverage_80", "crps"):
        assert ((single[name] - two[name]).abs() > 0.001).all(), name
