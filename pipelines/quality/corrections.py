"""Corrections: known errors of a source, mended as its rows are read, each only while the wrong value is still there.

``expectations/corrections/<feed>.json`` lists them; README.md beside it tells how. Landing keeps the bytes as received,
so a feed is read again from there when its list changes (`version`). Where the source has mended its error itself, the
guard ``expect`` finds another value: the entry is then left alone and reported, and can go.
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
    """A corrections file cannot be read or does not fit its feed: which entry, and what to mend."""


class Correction(BaseModel):
    """One known error: which record and column, what must still stand there, what belongs there, why, who says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: Mapping[str, Value] = Field(min_length=1)
    column: str
    expect: Value
    value: Value
    reason: str = Field(min_length=1)
    source: str = Field(min_length=1)

    @property
    def name(self) -> str:
        """The key for people to read."""
        return ", ".join(f"{column}={value}" for column, value in self.key.items())


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    corrections: tuple[Correction, ...]


def version(feed: str) -> str:
    """A short hash of a feed's corrections, empty without any: when it changes, the feed's rows are read again."""
    path = _path(feed)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""


def read(feed: Feed) -> tuple[Correction, ...]:
    """The corrections of a feed, held against its declared columns and their types.

    Raises:
        CorrectionError: the file cannot be read, names a column that the feed lacks, gives a value that is not of its
            column's type, or mends one value twice.
    """
    path = _path(feed.name)
    if not path.is_file():
        return ()
    try:
        found = _File.model_validate_json(path.read_bytes()).corrections
    except ValidationError as error:
        raise CorrectionError(f"{path}: {error}") from error
    seen = set()
    for entry in found:
        if unknown := sorted({*entry.key, entry.column} - set(feed.columns)):
            raise CorrectionError(
                f"{path}: {entry.name}: {feed.name} has no column {unknown}; it has {[*feed.columns]}"
            )
        where = (tuple(sorted(entry.key.items(), key=str)), entry.column)
        if where in seen:
            raise CorrectionError(f"{path}: {entry.name}: {entry.column} is mended twice; keep one entry")
        seen.add(where)
    for _, groups in _by_column(found):
        for entries in groups:
            _table(feed, entries)
    return found


def apply(feed: Feed, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with every correction applied whose guard holds; columns and order of rows stay.

    Raises:
        CorrectionError: see `read`.
    """
    for column, groups in _by_column(read(feed)):
        for entries in groups:
            matched = frame.join(_table(feed, entries), on=list(entries[0].key), how="left", maintain_order="left")
            held = pl.col("_is_named") & pl.col(column).eq_missing(pl.col("_expect"))
            mended = matched.select(pl.when(held).then("_value").otherwise(column).alias(column))
            frame = frame.with_columns(mended[column])
    return frame


def report(feed: Feed, frame: pl.DataFrame) -> pl.DataFrame:
    """What became of each correction whose record is in the frame, as it is before `apply`.

    Columns ``key, column, applied, kept``: rows that were mended, and rows left alone because another value stands
    there. Records that the frame lacks are not told of: most batches lack most records.
    """
    counts = [pl.DataFrame(schema=REPORT)]
    for column, groups in _by_column(read(feed)):
        for entries in groups:
            named = frame.join(_table(feed, entries), on=list(entries[0].key), how="inner")
            held = pl.col(column).eq_missing(pl.col("_expect"))
            counts.append(
                named.group_by("_name", maintain_order=True)
                .agg(applied=held.sum().cast(pl.Int64), kept=(~held).sum().cast(pl.Int64))
                .select(key="_name", column=pl.lit(column), applied="applied", kept="kept")
            )
    return pl.concat(counts)


def _by_column(given: Iterable[Correction]) -> Iterable[tuple[str, list[list[Correction]]]]:
    """Corrections by the column that they mend, and in it by the columns that name the record."""
    entries = sorted(given, key=lambda entry: (entry.column, sorted(entry.key)))
    for column, found in groupby(entries, key=lambda entry: entry.column):
        yield column, [list(part) for _, part in groupby(found, key=lambda entry: sorted(entry.key))]


def _table(feed: Feed, entries: list[Correction]) -> pl.DataFrame:
    names, column = list(entries[0].key), entries[0].column
    given = {name: [entry.key[name] for entry in entries] for name in names}
    said = {"_expect": [entry.expect for entry in entries], "_value": [entry.value for entry in entries]}
    types = {name: feed.columns[name] for name in names} | dict.fromkeys(said, feed.columns[column])
    try:
        table = pl.DataFrame(given | said, schema=types, strict=True)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise CorrectionError(
            f"{_path(feed.name)}: a value for {column} is not of its type {feed.columns[column]}: {error}"
        ) from error
    return table.with_columns(_is_named=True, _name=pl.Series([entry.name for entry in entries]))


def _path(feed: str) -> Path:
    return paths.EXPECTATIONS / "corrections" / f"{feed}.json"
