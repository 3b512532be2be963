"""Handover: frames that one task leaves for the next, as Parquet under ``work/``."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from pipelines.config.errors import BongsuError


class HandoverError(BongsuError):
    """The task before did not run: which to run."""


def save(folder: Path, frames: Mapping[str, pl.DataFrame]) -> None:
    """Write frames into a folder that appears whole or not at all."""
    partial = folder.with_name(f"{folder.name}.partial")
    for stale in (partial, folder):
        shutil.rmtree(stale, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, frame in frames.items():
        frame.write_parquet(partial / f"{name}.parquet", compression="zstd", compression_level=1)
    partial.rename(folder)


def load(folder: Path) -> dict[str, pl.DataFrame]:
    """Read the frames of a folder.

    Raises:
        HandoverError: nothing was saved there.
    """
    if not folder.is_dir():
        raise HandoverError(f"{folder} does not exist: run the task before this one, or the whole step")
    return {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def discard(folder: Path) -> None:
    """Remove a folder of frames: they hold what a destruction may not leave behind."""
    shutil.rmtree(folder, ignore_errors=True)
