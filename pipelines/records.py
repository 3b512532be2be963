"""Records, the second system of record: what landing cannot make again, as Parquet, written once.

Forecasts as issued, their scores and the outcomes of runs. Each file has a line with its SHA-256 in the ledger;
a reader checks it, since Parquet itself does not notice a flipped bit.
"""

import hashlib
import io

import polars as pl

from pipelines import ledger
from pipelines.settings import Settings


class RecordError(Exception):
    """A record is missing or altered."""


def write(settings: Settings, kind: str, name: str, frame: pl.DataFrame) -> str:
    """Keep a frame for ever under ``records/<kind>/<name>-<hash>.parquet``; the same content again changes nothing.

    Returns the path below ``records/``.
    """
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    relative = f"{kind}/{name}-{digest[:12]}.parquet"
    with ledger.locked(settings.ledger):
        if relative not in {entry["path"] for entry in ledger.read(settings.ledger, "record")}:
            ledger.write_durably(settings.records / relative, content)
            ledger.append_locked(
                settings.ledger,
                "record",
                {"record_kind": kind, "name": name, "path": relative, "sha256": digest},
            )
    return relative


def read(settings: Settings, kind: str) -> pl.DataFrame | None:
    """All records of a kind with ``_issue`` (their order in the ledger) and ``_name``; None where there is none.

    Raises:
        RecordError: a file is missing or altered.
    """
    frames = []
    for entry in ledger.read(settings.ledger, "record"):
        if entry["record_kind"] != kind:
            continue
        content = _content(settings, entry)
        frames.append(
            pl.read_parquet(io.BytesIO(content)).with_columns(_issue=pl.lit(entry["seq"]), _name=pl.lit(entry["name"]))
        )
    return pl.concat(frames, how="diagonal_relaxed") if frames else None


def verify(settings: Settings) -> int:
    """Check every record against the ledger; returns how many were checked."""
    entries = ledger.read(settings.ledger, "record")
    for entry in entries:
        _content(settings, entry)
    return len(entries)


def _content(settings: Settings, entry: ledger.Entry) -> bytes:
    path = settings.records / entry["path"]
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise RecordError(f"{path} is missing or altered: bring it back with `bongsu restore`")
    return content
