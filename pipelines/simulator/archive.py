"""A span of simulated days as Parquet files: one per agency, month and province, written by several processes.

A piece (a month of a province) is made, written and forgotten, so memory does not grow with the span or the number of
provinces. Truth that joins pieces is gathered from the few rows that each piece hands back.
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
    """How far an archive is: ``share`` of the work done (0 to 1), ``rows`` written so far."""

    share: float
    rows: int


@dataclass(frozen=True, slots=True)
class _Piece:
    province: str
    first: date
    last: date

    @property
    def weight(self) -> float:
        return share_of_seoul(self.province) * (self.last - self.first).days


def archive(profile: Profile, folder: Path, start: date, end: date, processes: int) -> Iterator[Written]:
    """Write the local days [start, end) of all agencies and the truth behind them; tells how far it is.

    ``<agency's feed>/month=YYYY-MM/<province>.parquet`` holds the versions of the records received in a month,
    ``truth_police/…`` their truth; the other truths (`truth.linked`, `truth.injected`) are one file each.
    """
    pieces = [_Piece(p, *days) for p in provinces(profile) for days in months(start, end)]
    pieces.sort(key=lambda piece: piece.weight, reverse=True)
    whole = sum(piece.weight for piece in pieces)
    share, rows = 0.0, 0
    calls: list[pl.DataFrame] = []
    joint: list[pl.DataFrame] = []
    # Polars' threads do not survive a fork, so the processes start afresh.
    with ProcessPoolExecutor(min(processes, len(pieces)), mp_context=get_context("spawn")) as pool:
        asked = {pool.submit(_write, profile, folder, piece): piece for piece in pieces}
        for done in as_completed(asked):
            count, linkable, alarms = done.result()
            calls.append(linkable)
            joint.append(alarms)
            share, rows = share + asked[done].weight / whole, rows + count
            yield Written(share, rows)
    small = {**linked(pl.concat(calls), pl.concat(joint)), **injected(profile, start, end)}
    for name, frame in small.items():
        _place(profile, frame.sort(frame.columns[0], *frame.columns[1:2]), folder / f"{name}.parquet")
        rows += frame.height
    yield Written(1.0, rows)


def _write(profile: Profile, folder: Path, piece: _Piece) -> tuple[int, pl.DataFrame, pl.DataFrame]:
    """Write one piece; returns its rows, and what `linked` needs of it."""
    made = of_province(profile, piece.province, piece.first, piece.last)
    alarms = made.pop("joint_calls")
    for name, frame in made.items():
        _place(profile, frame, folder / name / f"month={piece.first:%Y-%m}" / f"{piece.province}.parquet")
    return sum(frame.height for frame in made.values()), kept(made["truth_police"]), alarms


def _place(profile: Profile, frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    frame.write_parquet(aside, compression="zstd", compression_level=1, metadata={"notice": profile.notice})
    aside.replace(path)
