"""Users' own files: read as text, because only the caller knows what a column means, and only the wanted columns."""

import io
from collections.abc import Collection
from pathlib import Path
from typing import Final

import polars as pl

from pipelines.config.errors import BongsuError

ENCODINGS: Final = ("utf-8-sig", "cp949")
"""Encodings that are tried, in this order, unless one is stated."""
SEPARATORS: Final = (",", ";", "\t", "|")
TEXT: Final = (".csv", ".tsv", ".txt")


class OwnDataError(BongsuError, ValueError):
    """Report that own data cannot be read or used as given; the message states what to change."""


def read(path: Path, wanted: Collection[str] = (), encoding: str | None = None) -> pl.DataFrame:
    """Read the wanted columns of a Parquet or CSV file; a CSV's are text, blanks around it included.

    Args:
        path: Ends in .parquet, .csv, .tsv or .txt, in upper or lower case.
        wanted: Names of columns in lower case; the rest are left out. Empty: all columns.
        encoding: Of a CSV; without it UTF-8 and then CP949 are tried.

    Raises:
        OwnDataError: The file does not exist, is of another format, or cannot be decoded or parsed.
    """
    if not path.is_file():
        raise OwnDataError(f"{path} does not exist")
    suffix = path.suffix.lower()
    if suffix != ".parquet" and suffix not in TEXT:
        raise OwnDataError(f"cannot read {path.name}: give a .parquet or .csv file")
    try:
        frame = pl.read_parquet(path) if suffix == ".parquet" else _csv(path, encoding)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "it is empty"
        raise OwnDataError(f"cannot read {path.name}: {reason}") from None
    lower = {name.strip().lower(): name for name in frame.columns}
    return frame.select(pl.col(lower[name]).alias(name) for name in lower if not wanted or name in wanted)


def _csv(path: Path, encoding: str | None) -> pl.DataFrame:
    text = _decoded(path, encoding)
    header = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=header.count)
    return pl.read_csv(io.BytesIO(text.encode()), separator=separator, infer_schema=False)


def _decoded(path: Path, encoding: str | None) -> str:
    content = path.read_bytes()
    tried = (encoding,) if encoding else ENCODINGS
    for name in tried:
        try:
            return content.decode(name)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            failure = f"byte {content[error.start]:#x} in line {line}"
        except LookupError:
            raise OwnDataError(f"--encoding {name} is not known; try utf-8, cp949 or latin-1") from None
    raise OwnDataError(f"{path.name} is not text in {' or '.join(tried)} ({failure}); state its encoding by --encoding")
