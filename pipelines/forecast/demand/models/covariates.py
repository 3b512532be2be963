"""Values known ahead of a forecast, such as events or a weather forecast: one frame for every model that can use it.

A frame of covariates has ``ds`` (local time, the start of an hour or of a day), numeric columns, and ``unique_id`` if a
value belongs to one series. A day's row applies to all its hours, and a day has the mean of its hours. With
``known_at`` (local time) it has archived forecasts: of several rows of one step each origin reads the newest one known
at it, for the past as for the steps ahead. Without it past origins read the only row, as if observed weather had been
known.
"""

from datetime import datetime

import polars as pl

from pipelines.forecast.demand.series import Frequency

KEYS = ("unique_id", "ds")
UNUSUAL = 2.0
"""Standard deviations from its mean beyond which a value is unusual: an event on less than a fifth of the days."""


def names(covariates: pl.DataFrame | None) -> list[str]:
    """Return the columns with values."""
    return [] if covariates is None else [name for name in covariates.columns if name not in (*KEYS, "known_at")]


def at(covariates: pl.DataFrame | None, cutoff: datetime, freq: Frequency) -> pl.DataFrame | None:
    """Return covariates as an origin at ``cutoff`` knew them, without ``known_at``; for days hours are averaged."""
    if covariates is not None and "known_at" in covariates.columns:
        keys = [key for key in KEYS if key in covariates.columns]
        known = covariates.filter(pl.col("known_at") <= cutoff).sort("known_at", maintain_order=True)
        covariates = known.unique(keys, keep="last", maintain_order=True).drop("known_at")
    return by_day(covariates) if freq == "D" else covariates


def joined(rows: pl.DataFrame, covariates: pl.DataFrame | None) -> pl.DataFrame:
    """Join the covariates of each row's hour, or of its day, to ``rows`` (``unique_id, ds, …``); null if unknown."""
    if covariates is None:
        return rows
    by = [key for key in KEYS if key in covariates.columns]
    values = covariates.with_columns(pl.col("ds").cast(pl.Datetime("us")), pl.col(names(covariates)).cast(pl.Float64))
    if "unique_id" in by:
        values = values.with_columns(pl.col("unique_id").cast(rows.schema["unique_id"]))
    if values.filter(pl.col("ds") != pl.col("ds").dt.truncate("1d")).height:
        return rows.join(values, on=by, how="left", maintain_order="left")
    by_day = values.rename({"ds": "_day"})
    return (
        rows.with_columns(pl.col("ds").dt.truncate("1d").alias("_day"))
        .join(by_day, on=[*by[:-1], "_day"], how="left", maintain_order="left")
        .drop("_day")
    )


def by_day(covariates: pl.DataFrame | None) -> pl.DataFrame | None:
    """Return covariates as means of local days."""
    if covariates is None:
        return None
    keys = [key for key in KEYS if key in covariates.columns]
    days = covariates.with_columns(pl.col("ds").cast(pl.Datetime("us")).dt.truncate("1d"))
    return days.group_by(keys, maintain_order=True).agg(pl.col(names(covariates)).cast(pl.Float64).mean())


def unusual_days(covariates: pl.DataFrame) -> pl.DataFrame:
    """Return ``day``, and ``unique_id`` if a value belongs to one series, on which any covariate is unusual.

    A count far above the usual on such a day is what the covariate is for, and not a slip.
    """
    keys = [key for key in KEYS if key in covariates.columns]
    values = [pl.col(name).cast(pl.Float64) for name in names(covariates)]
    groups = [pl.col(key) for key in keys[:-1]] or [pl.lit(1)]
    far = [(value - value.mean().over(groups)).abs() > UNUSUAL * value.std(ddof=0).over(groups) for value in values]
    days = covariates.filter(pl.any_horizontal(far)).with_columns(day=pl.col("ds").dt.date())
    return days.select(*keys[:-1], "day").unique(maintain_order=True)


def usable(rows: pl.DataFrame, covariates: pl.DataFrame | None) -> tuple[list[str], str | None]:
    """Return the columns known for all rows to forecast, and text about the others: the model does without them."""
    known = [name for name in names(covariates) if rows[name].null_count() == 0]
    missing = [name for name in names(covariates) if name not in known]
    return known, f"forecast without {', '.join(missing)}: not known for every step ahead" if missing else None
