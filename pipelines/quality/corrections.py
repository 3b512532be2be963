"""Corrections: known errors of a source, corrected as its rows are read, each only while the wrong value is present.

``expectations/corrections/<feed>.json`` lists them; the README.md next to it describes the format. Landing keeps the
bytes as received, so a feed is read again from there when its list changes (`version`). Once the source has corrected
its error, the guard ``expect`` finds another value: the entry is then not applied, is reported, and can be removed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.config import paths
from pipelines.config.errors import BongsuError
from pipelines.feeds.feed import Feed

Value = str | int | float | bool | None

REPORT = {"key": pl.String, "column": pl.String, "applied": pl.Int64, "kept": pl.Int64}


class CorrectionError(BongsuError):
    """Report that a corrections file cannot be read or does not fit its feed: which entry, and what to correct."""


class Correction(BaseModel):
    """One known error: the record and column, the wrong and the right value, the reason and who confirmed it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: Mapping[str, Value] = Field(min_length=1)
    column: str
    expect: Value
    value: Value
    reason: str = Field(min_length=1)
    source: str = Field(min_length=1)

    @property
    def name(self) -> str:
        """Return the key for messages."""
        return ", ".join(f"{column}={value}" for column, value in self.key.items())


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    corrections: tuple[Correction, ...]


def version(feed: str) -> str:
    """Return a short hash of a feed's corrections; empty without any.

    When it changes, the feed's rows are read again.
    """
    path = _path(feed)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""


def read(feed: Feed) -> tuple[Correction, ...]:
    """Read the corrections of a feed and check them against its declared columns and their types.

    Raises:
        CorrectionError: The file cannot be read, names a column that the feed lacks, has a value of the wrong type, or
            corrects one value twice.
    """
    path = _path(feed.name)
    if not path.is_file():
        return ()
    try:
        entries = _File.model_validate_json(path.read_bytes()).corrections
    except ValidationError as error:
        raise CorrectionError(f"{path}: {error}") from error
    seen = set()
    for entry in entries:
        if unknown := sorted({*entry.key, entry.column} - set(feed.columns)):
            raise CorrectionError(
                f"{path}: {entry.name}: {feed.name} has no column {unknown}; it has {[*feed.columns]}"
            )
        where = (tuple(sorted(entry.key.items(), key=str)), entry.column)
        if where in seen:
            raise CorrectionError(f"{path}: {entry.name}: {entry.column} is corrected twice; keep one entry")
        seen.add(where)
    for _, groups in _by_column(entries):
        for group in groups:
            _table(feed, group)
    return entries


def apply(feed: Feed, frame: pl.DataFrame) -> pl.DataFrame:
    """Apply every correction whose guard matches; columns and row order do not change.

    Raises:
        CorrectionError: See `read`.
    """
    for column, groups in _by_column(read(feed)):
        for entries in groups:
            matched = frame.join(_table(feed, entries), on=list(entries[0].key), how="left", maintain_order="left")
            is_guarded = pl.col("_is_named") & pl.col(column).eq_missing(pl.col("_expect"))
            corrected = matched.select(pl.when(is_guarded).then("_value").otherwise(column).alias(column))
            frame = frame.with_columns(corrected[column])
    return frame


def report(feed: Feed, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the outcome of each correction whose record is in the frame, in its state before `apply`.

    Columns ``key, column, applied, kept``: rows that were corrected, and rows left unchanged because they have another
    value. Records missing from the frame are not reported: most batches lack most records.
    """
    counts = [pl.DataFrame(schema=REPORT)]
    for column, groups in _by_column(read(feed)):
        for entries in groups:
            named = frame.join(_table(feed, entries), on=list(entries[0].key), how="inner")
            is_guarded = pl.col(column).eq_missing(pl.col("_expect"))
            counts.append(
                named.group_by("_name", maintain_order=True)
                .agg(applied=is_guarded.sum().cast(pl.Int64), kept=(~is_guarded).sum().cast(pl.Int64))
                .select(key="_name", column=pl.lit(column), applied="applied", kept="kept")
            )
    return pl.concat(counts)


def _by_column(corrections: Iterable[Correction]) -> Iterable[tuple[str, list[list[Correction]]]]:
    """Group corrections by the corrected column, and within it by the columns that identify the record."""
    entries = sorted(corrections, key=lambda entry: (entry.column, sorted(entry.key)))
    for column, of_column in groupby(entries, key=lambda entry: entry.column):
        yield column, [list(part) for _, part in groupby(of_column, key=lambda entry: sorted(entry.key))]


def _table(feed: Feed, entries: list[Correction]) -> pl.DataFrame:
    names, column = list(entries[0].key), entries[0].column
    keys = {name: [entry.key[name] for entry in entries] for name in names}
    values = {"_expect": [entry.expect for entry in entries], "_value": [entry.value for entry in entries]}
    types = {name: feed.columns[name] for name in names} | dict.fromkeys(values, feed.columns[column])
    try:
        table = pl.DataFrame(keys | values, schema=types, strict=True)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise CorrectionError(
            f"{_path(feed.name)}: a value for {column} is not of its type {feed.columns[column]}: {error}"
        ) from error
    return table.with_columns(_is_named=True, _name=pl.Series([entry.name for entry in entries]))


def _path(feed: str) -> Path:
    return paths.EXPECTATIONS / "corrections" / f"{feed}.json"
