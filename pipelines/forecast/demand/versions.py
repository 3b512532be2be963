"""Versions of counts that became known later: the newest of each hour or day, and what past origins knew."""

from datetime import timedelta

import polars as pl

from pipelines.forecast.demand.series import History

KEYS = ["unique_id", "ds"]


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the version of each series and step that became known last; an empty ``known_at`` comes first.

    Args:
        rows: ``unique_id, ds``, optionally ``known_at`` (local times), further columns kept.
    """
    if "known_at" not in rows.columns:
        return rows
    return rows.sort("known_at", nulls_last=False, maintain_order=True).unique(KEYS, keep="last").sort(KEYS)


def history(rows: pl.DataFrame, step: timedelta, ends: pl.DataFrame | None = None) -> History:
    """Return the newest counts, and what each past origin did not know of them yet.

    Args:
        rows: ``unique_id, ds, y``, optionally ``known_at``; without it a count is known at the end of its step.
        step: Length of a step.
        ends: ``unique_id, cutoff``: an origin from which everything is known, such as that of a forecast to issue.
    """
    counts = newest(rows).select(*KEYS, "y")
    if "known_at" not in rows.columns:
        return History(counts, counts.clear().select(*KEYS, seen_from="ds", y="y", row=pl.lit(0, pl.UInt32)))
    seen = rows.select(*KEYS, "y", seen_from=pl.max_horizontal("known_at", pl.col("ds") + step)).sort(
        *KEYS, "seen_from"
    )
    if ends is not None:
        capped = pl.min_horizontal("seen_from", "cutoff")
        seen = seen.join(ends, on="unique_id", maintain_order="left").with_columns(seen_from=capped).drop("cutoff")
    # Before its first version a count is unknown, which is not zero.
    change = (pl.col("y") - pl.col("y").shift().over(KEYS)).fill_null(float("nan"))
    return History.of(counts, seen.with_columns(y=change).filter(pl.col("seen_from") > pl.col("ds") + step))
