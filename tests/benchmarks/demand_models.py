"""Means of demand models at development origins: `python -m tests.benchmarks.demand_models PANEL [MODEL or PEER …]`.

PANEL: wales, san_francisco or montgomery; peers ("default Prophet", say) fit every series and take long. Prints, by
level, the errors of each model's mean over the same targets; where a model has no mean for a series the table is used
instead, and `served` is the share of targets for which it had one. The locked origins are not touched.
"""

import resource
import sys
import time
from collections.abc import Callable
from functools import partial

import polars as pl

from pipelines.forecast.demand.evaluation import scoring
from pipelines.forecast.demand.models import boosting, ets, hour_of_week, prophet, regression, seasonal_naive
from tests.benchmarks.demand_data import PANELS, Panel, targets
from tests.benchmarks.demand_peers import PEERS

Predict = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
KEYS = ["unique_id", "cutoff", "ds"]


def models(panel: Panel) -> dict[str, Predict]:
    """Every model of the mean, ready for the panel's frequency and what is known ahead."""
    freq, known = panel.freq, panel.covariates
    return {
        "table": partial(hour_of_week.predict, freq=freq),
        "seasonal_naive": partial(seasonal_naive.predict, freq=freq),
        "boosting": partial(boosting.predict, freq=freq, covariates=known),
        "regression": partial(regression.predict, freq=freq, covariates=known),
        "ets": partial(ets.predict, freq=freq),
        "prophet_mean": partial(prophet.predict, freq=freq, covariates=known),
    }


def errors(panel: Panel, forecasts: pl.DataFrame, origins_from: object) -> pl.DataFrame:
    """Errors of means by level: plain, and scaled by each series' own seasonal-naive MAE before the first origin.

    Args:
        panel: Series, history and levels.
        forecasts: ``unique_id, cutoff, ds, mean, model, served``.
        origins_from: The first cutoff: scales use only earlier data.
    """
    known = panel.history.filter(pl.col("ds") < origins_from)
    season = pl.col("y").diff().over("unique_id", pl.col("ds").dt.weekday(), pl.col("ds").dt.hour(), order_by="ds")
    scale = known.with_columns(season.alias("d")).group_by("unique_id").agg((pl.col("d") ** 2).mean().sqrt().alias("r"))
    scale = scale.join(scoring.season_errors(known, panel.freq), on="unique_id")
    miss = pl.col("mean") - pl.col("y")
    per_series = (
        forecasts.join(panel.history, on=["unique_id", "ds"])
        .join(panel.series, on="unique_id")
        .join(scale, on="unique_id")
        .group_by("level", "model", "unique_id", "scale", "r")
        .agg(
            pl.len().alias("targets"),
            pl.col("served").mean(),
            miss.abs().mean().alias("mae"),
            (miss**2).mean().sqrt().alias("rmse"),
            miss.mean().alias("bias"),
            pl.col("y").mean(),
            # The level beneath reads best by deviance: it asks for the mean, where absolute errors ask for the median.
            (2 * (_log_ratio() - (pl.col("y") - pl.col("mean")))).mean().alias("deviance"),
        )
    )
    finite = pl.col("scale") > 0
    return (
        per_series.group_by("level", "model")
        .agg(
            pl.col("targets").sum(),
            pl.col("served").mean().round(3),
            pl.col("mae").mean().round(4),
            (pl.col("rmse") ** 2).mean().sqrt().round(4).alias("rmse"),
            (pl.col("mae") / pl.col("scale")).filter(finite).mean().round(4).alias("mase"),
            (pl.col("rmse") / pl.col("r")).filter(finite).mean().round(4).alias("rmsse"),
            (pl.col("mae").sum() / pl.col("scale").sum()).round(4).alias("pooled"),
            pl.col("deviance").mean().round(4),
            (pl.col("bias").sum() / pl.col("y").sum()).round(4).alias("bias"),
        )
        .sort(pl.col("level").cast(pl.Enum(panel.series["level"].unique(maintain_order=True))), "deviance")
    )


def _processor_seconds() -> float:
    """Processor time of this process and its children that have ended: Prophet fits in a child."""
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + child.ru_utime + child.ru_stime


def _log_ratio() -> pl.Expr:
    """y · log(y / mean), 0 where y is 0."""
    y, mean = pl.col("y"), pl.max_horizontal("mean", pl.lit(1e-4))
    return pl.when(y > 0).then(y * (y / mean).log()).otherwise(0.0)


def run(panel: Panel, wanted: list[str]) -> pl.DataFrame:
    """Run the wanted models (none named: all of ours) at the development origins; print processor seconds a fit."""
    targets_ahead = targets(panel, panel.development)
    fits = targets_ahead.select("unique_id", "cutoff").unique().height
    table = hour_of_week.predict(panel.history, targets_ahead, panel.freq).rename({"mean": "table"})
    answers = []
    peers = {name: partial(peer, freq=panel.freq) for name, peer in PEERS.items()}
    ours = models(panel)
    for name in wanted or ours:
        predict = (ours | peers)[name]
        begin = _processor_seconds()
        forecasts = predict(panel.history, targets_ahead)
        took = _processor_seconds() - begin
        print(f"{name}: {took:.1f} s, {took / fits:.4f} s a series and origin", flush=True)
        answers.append(
            forecasts.join(table.select(*KEYS, "table"), on=KEYS).select(
                *KEYS,
                pl.coalesce("mean", "table").alias("mean"),
                pl.col("mean").is_not_null().alias("served"),
                pl.lit(name).alias("model"),
            )
        )
    together = pl.concat(answers)
    means = together.group_by(KEYS).agg(pl.col("mean").mean(), pl.col("served").mean() == 1, model=pl.lit("all, mean"))
    both = pl.concat([together, means.select(together.columns)]) if len(answers) > 1 else together
    return errors(panel, both, panel.development[0])


def main() -> None:
    """Print the table of one panel."""
    name, *wanted = sys.argv[1:]
    with pl.Config(
        tbl_rows=-1, tbl_width_chars=200, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True
    ):
        print(run(PANELS[name](), wanted))


if __name__ == "__main__":
    main()
