"""Where results of users' own data are written: checked before the work, named in errors."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import polars as pl

from pipelines.steps.own_files import OwnDataError

TABLES: Final = (".csv", ".parquet")
"""Formats of `write_table`."""


def check_file(target: Path, *inputs: Path, formats: Collection[str] = (".parquet",)) -> None:
    """Check before the work that its result can be written.

    Raises:
        OwnDataError: The file's format is unknown, or its place is an input, a folder, below a file or cannot be
            written.
    """
    if target.suffix.lower() not in formats:
        raise OwnDataError(f"--out {target}: name a file that ends in {' or '.join(formats)}")
    if any(target.exists() and path.exists() and target.samefile(path) for path in inputs):
        raise OwnDataError(f"--out {target} is a file that is read: choose another name")
    if target.is_dir():
        raise OwnDataError(f"--out {target} is a folder: name a file in it")
    if target.exists() and not os.access(target, os.W_OK):
        raise OwnDataError(f"--out {target} cannot be written over: choose another name")
    check_folder(target.parent)


def write_table(frame: pl.DataFrame, target: Path) -> None:
    """Write a table as CSV (times as YYYY-MM-DD hh:mm) or Parquet, by the file's name.

    Raises:
        OwnDataError: It cannot be written.
    """
    with writing(target.parent):
        if target.suffix.lower() == ".csv":
            frame.write_csv(target, datetime_format="%Y-%m-%d %H:%M")
        else:
            frame.write_parquet(target)


def check_folder(folder: Path) -> None:
    """Check before the work that a folder can be made and written in.

    Raises:
        OwnDataError: It cannot.
    """
    existing = next(part for part in (folder, *folder.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise OwnDataError(f"--out: {existing} is a file, so no folder {folder} can be made: choose another place")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OwnDataError(f"--out: nothing can be written in {existing}: choose another place")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder for what is written.

    Raises:
        OwnDataError: It cannot be written, such as on a full disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OwnDataError(f"--out: nothing can be written in {folder} ({error.strerror or error})") from None
