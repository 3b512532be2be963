"""Times of planning files: local times or minutes from any start, and hours of service."""

import math
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.dispatch.posts import PlanError
from pipelines.forecast.demand.series import SeriesError
from pipelines.forecast.demand.series_checks import number, times

DAY: Final = 1440.0
"""Minutes of a day."""
LONG_AGO: Final = -1e12
_CLOCK: Final = r"^([01]?\d|2[0-4]):([0-5]\d)(?::00)?$"

Floats = NDArray[np.float64]
Midnight = datetime | None
"""What minute 0 is; None where times are minutes."""


def minutes_of(rows: pl.DataFrame, column: str, name: str) -> tuple[pl.Series, Midnight]:
    """Return times as minutes ``at``, null where unreadable: as given, or from the midnight before the first.

    Raises:
        PlanError: Times have an offset, or the order of day and month is not clear.
    """
    text = rows[column].cast(pl.String).str.strip_chars()
    plain = rows.select(number(pl.col(column)).alias("at")).to_series() if text.dtype == pl.String else text
    if not rows[column].dtype.is_temporal() and plain.is_not_null().any():
        return plain.replace([math.nan, math.inf, -math.inf], None), None
    try:
        stated = times(rows.with_columns(text.alias(f"{column}_text")), column)
    except SeriesError as error:
        raise PlanError(f"{name}, {error}") from None
    first = stated.min()
    if not isinstance(first, datetime):
        return pl.Series("at", [None] * rows.height, pl.Float64), None
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    return _since(stated, midnight).alias("at"), midnight


def written(minutes: pl.Series, midnight: Midnight) -> pl.Series:
    """Return minutes as users wrote them: times if they have a midnight."""
    if midnight is None:
        return minutes
    lit = pl.lit(midnight) + pl.duration(microseconds=(pl.col(minutes.name) * 60e6).round().cast(pl.Int64))
    return minutes.to_frame().select(lit.alias(minutes.name)).to_series()


def hours_of(listed: pl.DataFrame, midnight: Midnight, name: str) -> tuple[Floats, Floats, Floats]:
    """Return start, length and period of service per unit, in minutes; of infinite length where none is stated.

    Args:
        listed: ``row, from, to`` as text.
        midnight: What minute 0 of the calls is.
        name: Of the file, for messages.

    Raises:
        PlanError: Only one of both is stated, or one cannot be read or is not later than the other.
    """
    result = np.array([[LONG_AGO, math.inf, math.inf]] * listed.height)
    for place, (row, start, end) in enumerate(listed.select("row", "from", "to").iter_rows()):
        if not start and not end:
            continue
        if not start or not end:
            raise PlanError(f"{name}, row {row}: one of from and to is empty; give both, or neither")
        clocks = _clock(start), _clock(end)
        if clocks[0] is not None and clocks[1] is not None:
            # From 08:00 to 08:00 is a day, and 24:00 its end.
            result[place] = clocks[0] % DAY, (clocks[1] - clocks[0]) % DAY or DAY, DAY
            continue
        if clocks != (None, None):
            what, text = ("from", start) if clocks[0] is None else ("to", end)
            raise PlanError(f"{name}, row {row}: {what} '{text}' is not hh:mm, but the other is; write both alike")
        first, last = (
            _instant(text, midnight, f"{name}, row {row}: {what}") for text, what in ((start, "from"), (end, "to"))
        )
        if last <= first:
            raise PlanError(f"{name}, row {row}: to {end} is not later than from {start}")
        result[place] = first, last - first, math.inf
    return result[:, 0], result[:, 1], result[:, 2]


def _clock(text: str) -> float | None:
    """Return minutes after midnight of hh:mm; None for other text."""
    hour, minute = pl.select(
        pl.lit(text).str.extract(_CLOCK, 1).cast(pl.Float64).alias("hour"),
        pl.lit(text).str.extract(_CLOCK, 2).cast(pl.Float64).alias("minute"),
    ).row(0)
    return None if hour is None else 60 * hour + minute


def _instant(text: str, midnight: Midnight, where: str) -> float:
    """Return a time as minutes of the calls."""
    if midnight is None:
        try:
            return float(text)
        except ValueError:
            raise PlanError(f"{where} '{text}' is neither hh:mm nor minutes, as the calls have") from None
    try:
        stated = times(pl.DataFrame({"t": [text], "t_text": [text]}), "t")[0]
    except SeriesError as error:
        raise PlanError(f"{where}: {error}") from None
    if stated is None:
        raise PlanError(f"{where} '{text}' is neither hh:mm nor a date with a time")
    return float((stated - midnight) / timedelta(minutes=1))


def _since(stated: pl.Series, midnight: datetime) -> pl.Series:
    return (stated.cast(pl.Datetime("us")) - midnight).dt.total_microseconds() / 60e6
