"""From means to published forecasts, compared with simulated truth: nearly as accurate, with correct ranges."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.evaluation import calibration, combine, scoring
from pipelines.forecast.demand.evaluation.combine import Published
from pipelines.forecast.demand.evaluation.model_weights import CHOSEN
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS

START = datetime(2026, 1, 5)
STAMP = pl.Datetime("us")
WEIGHT = {"table": 0.5, "ets": 1.5, "boosting": 1.5}
PRIOR = pl.DataFrame(
    [(model, False, weight) for model, weight in WEIGHT.items()],
    schema={"model": pl.String, "is_young": pl.Boolean, "weight": pl.Float64},
    orient="row",
)
WARM_UP = 6


def predictions(alpha: float, series: int = 12, origins: int = 16, seed: int = 11) -> pl.DataFrame:
    """Weeks of hours (every third): ``ets`` knows the mean, ``boosting`` errs a little, the table by a fifth."""
    rng = np.random.default_rng(seed)
    keys = [(u, o, h) for u in range(series) for o in range(origins) for h in range(0, 168, 3)]
    frame = pl.DataFrame(keys, schema=["unique_id", "origin", "hour"], orient="row")
    level = np.geomspace(0.3, 40, series)[frame["unique_id"]]
    truth = level * (1 + 0.6 * np.sin(2 * np.pi * frame["hour"].to_numpy() / 24))
    y = rng.poisson(truth) if alpha == 0 else rng.negative_binomial(1 / alpha, 1 / (1 + alpha * truth))
    cutoff = START + pl.duration(hours=168 * pl.col("origin"))
    targets = frame.select(
        "unique_id",
        pl.lit("p").alias("pool"),
        pl.lit("l").alias("level"),
        cutoff.cast(STAMP).alias("cutoff"),
        (cutoff + pl.duration(hours="hour")).cast(STAMP).alias("ds"),
        pl.Series("y", y.astype(float)),
        pl.Series("truth", truth),
    )
    errors = {"table": 0.2, "ets": 1e-9, "boosting": 0.02, "naive": 0.6}
    return pl.concat(
        targets.with_columns(
            pl.lit(name).alias("model"),
            pl.Series("mean", truth * rng.lognormal(0, error, truth.size)),
            pl.lit(None, pl.String).alias("failure"),
        )
        for name, error in errors.items()
    ).with_columns(pl.col("mean").alias("centre"), is_young=pl.lit(False))


def published(frame: pl.DataFrame) -> Published:
    return combine.published(frame, PRIOR, "naive", "h")


def late(built: Published) -> pl.DataFrame:
    ranged = calibration.with_quantiles(built.forecasts.filter(pl.col("model") == CHOSEN), built.curves)
    return ranged.filter(pl.col("cutoff") >= START + timedelta(weeks=WARM_UP))


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.25])
def test_published_forecasts_are_within_one_percent_of_the_oracle_with_its_coverage(alpha: float) -> None:
    built = published(predictions(alpha))
    rows = late(built)
    oracle = calibration.with_quantiles(
        rows.drop(*COLUMNS, "curve").with_columns(pl.col("truth").alias("centre"), dispersion=pl.lit(alpha))
    )

    def stored(frame: pl.DataFrame, curves: np.ndarray) -> dict[str, float]:
        return scoring.score(frame.with_columns(mean="centre", scale=pl.lit(5.0)), ["model"], curves).row(0, named=True)

    ours, best = stored(rows, built.curves), stored(oracle, calibration.IDENTITY)
    assert ours["scaled_pinball"] < 1.01 * best["scaled_pinball"]
    assert ours["crps"] < 1.01 * best["crps"]
    assert ours["coverage_80"] == pytest.approx(best["coverage_80"], abs=0.02)


def test_every_published_quantile_is_whole_non_negative_and_never_falls() -> None:
    values = late(published(predictions(0.25, series=4))).select(COLUMNS).to_numpy()
    assert (values >= 0).all() and (values == np.round(values)).all() and (np.diff(values, axis=1) >= 0).all()


def test_one_row_is_published_per_target_next_to_every_models_row() -> None:
    frame = predictions(0.0, series=3, origins=5)
    rows = published(frame).forecasts
    assert dict(rows.group_by("model").len().iter_rows()) == dict.fromkeys(
        [CHOSEN, *WEIGHT, "naive"], frame.height // 4
    )
    assert rows.select("model", "unique_id", "cutoff", "ds").is_duplicated().sum() == 0


def test_data_from_an_origin_on_do_not_change_its_selection_or_forecast() -> None:
    frame = predictions(0.25, series=4, origins=9)
    cutoff = START + timedelta(weeks=7)
    corrected = frame.with_columns(y=pl.when(pl.col("ds") >= cutoff).then(pl.col("y") * 5 + 30).otherwise("y"))
    unknown = frame.with_columns(y=pl.when(pl.col("ds") < cutoff).then("y"))
    until = pl.col("cutoff") <= cutoff

    def stored(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        built = published(rows)
        ranged = calibration.with_quantiles(built.forecasts, built.curves)
        return ranged.filter(until).select("unique_id", "cutoff", "ds", "model", *COLUMNS), built.weights.filter(until)

    before = stored(frame)
    for other in (stored(corrected), stored(unknown)):
        assert before[0].equals(other[0]) and before[1].equals(other[1])


def test_the_weights_of_an_earlier_run_are_reused() -> None:
    frame = predictions(0.0, series=2, origins=6)
    kept = published(frame).weights.unique(["unique_id", "cutoff"]).with_columns(model=pl.lit("table"), weight=1.0)
    chosen, _, weights = combine.weighted(frame, PRIOR, "naive", "h", kept)
    assert weights.equals(kept)
    assert chosen["models"].unique().to_list() == ["table"]
