"""Handover: frames passed from one task to the next, as Parquet under ``work/``."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from pipelines.config.errors import BongsuError


class HandoverError(BongsuError):
    """Report that the previous task did not run: which one to run."""


def save(folder: Path, frames: Mapping[str, pl.DataFrame]) -> None:
    """Write frames into a folder that appears completely or not at all."""
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
        HandoverError: Nothing was saved there.
    """
    if not folder.is_dir():
        raise HandoverError(f"{folder} does not exist: run the task before this one, or the whole step")
    return {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def discard(folder: Path) -> None:
    """Remove a folder of frames: they may contain records that are being destroyed."""
    shutil.rmtree(folder, ignore_errors=True)
