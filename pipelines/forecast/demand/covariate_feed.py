"""Covariates of the nightly run: what a file of archived forecasts says at an instant, and what it lacks.

A covariate that is not known for every hour ahead is left out and named: it never stops a run.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.forecast.demand import series
from pipelines.forecast.demand.models import covariates as known_ahead
from pipelines.forecast.demand.series import SeriesError


def usable(covariates: pl.DataFrame, as_of: datetime, days: int, zone: ZoneInfo) -> tuple[pl.DataFrame, str | None]:
    """Return the covariates that can be used at ``as_of``, and why others cannot; nothing that became known later.

    Args:
        covariates: As from ``covariate_rows.read``, of the whole region.
        as_of: The instant of issue, UTC.
        days: Days whose hours must be known.
        zone: Time zone of ``ds`` and ``known_at``.

    Raises:
        SeriesError: They have no ``known_at``, or are of single series.
    """
    if "known_at" not in covariates.columns:
        raise SeriesError("the covariates lack known_at, so what past forecasts could know is unknown")
    if "unique_id" in covariates.columns:
        raise SeriesError("the covariates have a unique_id; give values of the whole region")
    now = _local(as_of, zone)
    known = covariates.filter(pl.col("known_at") <= now)
    ahead = known_ahead.joined(series.hours_ahead(as_of, days, zone).select("ds"), known_ahead.at(known, now, "h"))
    lacking = [name for name in known_ahead.names(known) if ahead[name].null_count()]
    if not lacking:
        return known, None
    newest = known.select(pl.col("known_at").max()).item()
    since = f"newest of {newest:%Y-%m-%d %H:%M}" if newest else "none yet"
    return known.drop(lacking), f"forecast without {', '.join(lacking)}: not known for every hour ahead ({since})"


def seen(covariates: pl.DataFrame | None, as_of: datetime, cutoffs: pl.Series, zone: ZoneInfo) -> pl.DataFrame | None:
    """Return covariates with ``known_at`` as the first origin that knew it.

    An origin is the end of its counts, and the night that used it came as much later as this one does.

    Args:
        covariates: As from ``usable``; none: none.
        as_of: The instant of issue, UTC.
        cutoffs: The newest origins, local time.
        zone: Time zone of ``known_at``.
    """
    if covariates is None:
        return None
    newest: datetime = cutoffs.max()  # type: ignore[assignment]
    return covariates.with_columns(pl.col("known_at") - (_local(as_of, zone) - newest))


def _local(as_of: datetime, zone: ZoneInfo) -> datetime:
    return as_of.astimezone(zone).replace(tzinfo=None)
