"""What may mislead in series that can be used: each is noted, and no row is changed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from pipelines.forecast import names
from pipelines.forecast.demand import extremes, level_shifts
from pipelines.forecast.demand.series import STEP, Frequency, daily

LATE: Final = timedelta(days=28)
"""By how much a series may end before the newest one without a note."""
LONG: Final = timedelta(days=365)
"""How long a series may have no row without a note."""
SPARSE: Final = 0.2
"""Share of the steps that may be missing without a note, in a series without any zero."""
SHORT: Final = timedelta(days=14)
"""Time of known steps below which a series has little but its mean."""
LATE_SHARE: Final = 0.5
"""Share of the counts that may become known after the end of their series without a note."""
RECENT: Final = timedelta(days=56)
"""How long after a shift of the level it is noted."""
EXTREME: Final = 1000
"""How many times the second largest count the largest may be without a note."""


def notes(rows: pl.DataFrame, known: pl.DataFrame, freq: Frequency, fill_zeros: bool) -> tuple[str, ...]:
    """Return a sentence for each thing that may mislead, with the series and how often.

    Args:
        rows: The rows of the file: ``row, unique_id, y, is_unknown, y_text``.
        known: ``unique_id, ds, y`` of the series that can be used, sorted, a row for each step; optionally
            ``known_at``.
        freq: ``h`` or ``D``.
        fill_zeros: Whether steps without a row will be zeros.
    """
    spans = _spans(known, freq)
    empty = rows.filter("is_unknown")
    single = extremes.extremes(known, freq)
    days, of_days = (known, single) if freq == "D" else (daily(known), extremes.extremes(daily(known), "D"))
    texts = [
        *_of_extremes(spans, single),
        *_of_shifts(spans, level_shifts.level_shifts(days, of_days)),
        *_of_values(spans, rows),
        *_of_spans(spans, freq, fill_zeros),
    ]
    if empty.height:
        texts.insert(
            0, f"rows with an empty y: {empty.height} (first: row {empty['row'][0]}); these counts are unknown"
        )
    if alike := names.note(known["unique_id"], "series"):
        texts.append(alike)
    counts = rows.filter(~pl.col("is_unknown"))
    if counts["y_text"].str.contains(",", literal=True).all():
        texts.append(
            f"every y has a comma (first '{counts['y_text'][0]}'), which is read as a separator of thousands; write "
            "decimals with a point"
        )
    return tuple(texts)


def _spans(known: pl.DataFrame, freq: Frequency) -> pl.DataFrame:
    """Return the first and last step of each series, and what its rows are like."""
    apart = pl.col("ds").diff()
    known_at = pl.col("known_at") if "known_at" in known.columns else pl.lit(None, pl.Datetime("us"))
    late = known_at > pl.col("ds").max() + STEP[freq]
    spans = known.group_by("unique_id", maintain_order=True).agg(
        late=late.sum(),
        first=pl.col("ds").min(),
        last=pl.col("ds").max(),
        rows=pl.len(),
        has_zero=(pl.col("y") == 0).any(),
        apart=apart.median(),
        longest=apart.max(),
        gap_ends=pl.col("ds").get(apart.arg_max(), null_on_oob=True),
        largest=pl.col("y").max(),
        largest_at=pl.col("ds").get(pl.col("y").arg_max(), null_on_oob=True),
        second=pl.col("y").top_k(2).min(),
        has_fractions=(pl.col("y") != pl.col("y").round()).any(),
    )
    steps = ((pl.col("last") - pl.col("first")) / STEP[freq] + 1).cast(pl.Int64)
    return spans.with_columns(steps=steps).with_columns(missing=pl.col("steps") - pl.col("rows"))


def _of_extremes(spans: pl.DataFrame, counts: pl.DataFrame) -> Iterator[str]:
    if (single := counts.unique("unique_id", keep="last", maintain_order=True)).height:
        row = single.row(0, named=True)
        yield (
            f"{_series(single)}: y {row['y']:g} at {row['ds']:%Y-%m-%d %H:%M} is far above the usual {row['usual']:g}; "
            "it is left out of the mean and limited in the ranges, unless a holiday or a covariate explains it"
        )
    early = spans.join(single, on="unique_id", how="anti", maintain_order="left")
    if (extreme := early.filter(pl.col("largest") > EXTREME * pl.max_horizontal("second", 1.0))).height:
        row = extreme.row(0, named=True)
        yield (
            f"{_series(extreme)}: y {row['largest']:g} at {row['largest_at']:%Y-%m-%d %H:%M} is more than {EXTREME} "
            "times any other; check whether it means that the count is unknown"
        )


def _of_shifts(spans: pl.DataFrame, shifts: pl.DataFrame) -> Iterator[str]:
    recent = shifts.join(spans.select("unique_id", "last"), on="unique_id", maintain_order="left").filter(
        pl.col("known_on") > pl.col("last") - RECENT
    )
    for (is_up,), shifted in recent.group_by("is_up", maintain_order=True):
        series = shifted.unique("unique_id", keep="last", maintain_order=True)
        yield (
            f"{_series(series)}: the level {'rose' if is_up else 'fell'} about {series['since'][0]:%Y-%m-%d}; "
            "forecasts follow within weeks"
        )


def _of_values(spans: pl.DataFrame, rows: pl.DataFrame) -> Iterator[str]:
    if (fractions := spans.filter("has_fractions")).height:
        is_fraction = (pl.col("unique_id") == fractions["unique_id"][0]) & (pl.col("y") != pl.col("y").round())
        first = rows.filter(is_fraction).row(0, named=True)
        yield (
            f"{_series(fractions)}: y has fractions (first: '{first['y_text']}' in row {first['row']}), since a point "
            "is decimal; the models are for counts, and quantiles are whole numbers"
        )
    if (late := spans.filter(pl.col("late") > LATE_SHARE * pl.col("rows"))).height:
        row = late.row(0, named=True)
        yield (
            f"{_series(late)}: {row['late']} of {row['rows']} counts became known (known_at) only after its last row, "
            "so past origins, on which models are selected, do not know them"
        )


def _of_spans(spans: pl.DataFrame, freq: Frequency, fill_zeros: bool) -> Iterator[str]:
    newest: datetime = spans["last"].max()  # type: ignore[assignment]
    if (coarse := spans.filter(pl.col("apart") > STEP[freq], pl.col("rows") > 2)).height:
        apart = length(coarse["apart"][0])
        yield f"{_series(coarse)}: rows are mostly {apart} apart; check that --freq {freq} is meant"
    if (short := spans.filter(pl.col("rows") * STEP[freq] < SHORT)).height:
        rows = short["rows"][0]
        yield f"{_series(short)}: only {rows} row{'' if rows == 1 else 's'}; its forecast is little more than a mean"
    too_many = pl.col("missing") > SPARSE * pl.col("steps")
    if (sparse := spans.filter(too_many, ~pl.col("has_zero"), ~pl.lit(fill_zeros))).height:
        row, unit = sparse.row(0, named=True), "hours" if freq == "h" else "days"
        yield (
            f"{_series(sparse)}: {row['missing']} of {row['steps']} {unit} have no row and none is zero, so they count "
            "as unknown; if they were zero, use --fill-zeros"
        )
    if (gaps := spans.filter(pl.col("longest") > LONG)).height:
        row = gaps.row(0, named=True)
        begins = row["gap_ends"] - row["longest"]
        yield f"{_series(gaps)}: no row between {begins:%Y-%m-%d} and {row['gap_ends']:%Y-%m-%d}; check these dates"
    if (old := spans.filter(pl.col("last") < newest - LATE)).height:
        yield f"{_series(old)}: ends on {old['last'][0]:%Y-%m-%d}, long before the newest series ({newest:%Y-%m-%d})"


def length(span: timedelta) -> str:
    """Return days, or hours of less than a day, in words."""
    days, hours = span / timedelta(days=1), span / timedelta(hours=1)
    number, unit = (days, "day") if days >= 1 else (hours, "hour")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def _series(spans: pl.DataFrame) -> str:
    more = f" and {spans.height - 1} more" if spans.height > 1 else ""
    return f"series {spans['unique_id'][0]}{more}"
