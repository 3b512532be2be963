"""A span of simulated days as Parquet files: one per agency, month and province, written by several processes.

A chunk (a month of a province) is simulated, written and released, so memory does not grow with the span or the number
of provinces. Truth that spans chunks is collected from the few rows that each chunk returns.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from pipelines.config.profile import Profile
from pipelines.simulator.agencies import provinces
from pipelines.simulator.clock import months
from pipelines.simulator.rates import share_of_seoul
from pipelines.simulator.truth import injected, kept, linked, of_province


@dataclass(frozen=True, slots=True)
class Written:
    """Progress of an archive: ``share`` of the work done (0 to 1), ``rows`` written so far."""

    share: float
    rows: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    province: str
    first: date
    last: date

    @property
    def weight(self) -> float:
        return share_of_seoul(self.province) * (self.last - self.first).days


def archive(profile: Profile, folder: Path, start: date, end: date, processes: int) -> Iterator[Written]:
    """Write the local days [start, end) of all agencies and the truth behind them; yield the progress.

    ``<agency's feed>/month=YYYY-MM/<province>.parquet`` contains the versions of the records received in a month, and
    ``truth_police/…`` their truth; the other truths (`truth.linked`, `truth.injected`) are one file each.
    """
    pending = [_Chunk(p, *days) for p in provinces(profile) for days in months(start, end)]
    pending.sort(key=lambda chunk: chunk.weight, reverse=True)
    whole = sum(chunk.weight for chunk in pending)
    share, rows = 0.0, 0
    calls: list[pl.DataFrame] = []
    joint: list[pl.DataFrame] = []
    # Polars' threads do not survive a fork, so the processes are spawned.
    with ProcessPoolExecutor(min(processes, len(pending)), mp_context=get_context("spawn")) as pool:
        chunks = {pool.submit(_write, profile, folder, chunk): chunk for chunk in pending}
        for done in as_completed(chunks):
            count, linkable, alarms = done.result()
            calls.append(linkable)
            joint.append(alarms)
            share, rows = share + chunks[done].weight / whole, rows + count
            yield Written(share, rows)
    small = {**linked(pl.concat(calls), pl.concat(joint)), **injected(profile, start, end)}
    for name, frame in small.items():
        _place(profile, frame.sort(frame.columns[0], *frame.columns[1:2]), folder / f"{name}.parquet")
        rows += frame.height
    yield Written(1.0, rows)


def _write(profile: Profile, folder: Path, chunk: _Chunk) -> tuple[int, pl.DataFrame, pl.DataFrame]:
    """Write one chunk; return its row count, and the rows that `linked` needs."""
    frames = of_province(profile, chunk.province, chunk.first, chunk.last)
    alarms = frames.pop("joint_calls")
    for name, frame in frames.items():
        _place(profile, frame, folder / name / f"month={chunk.first:%Y-%m}" / f"{chunk.province}.parquet")
    return sum(frame.height for frame in frames.values()), kept(frames["truth_police"]), alarms


def _place(profile: Profile, frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    frame.write_parquet(aside, compression="zstd", compression_level=1, metadata={"notice": profile.notice})
    aside.replace(path)
