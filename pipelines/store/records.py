"""Records, the second system of record: data that cannot be rebuilt from landing, as Parquet, written once.

Issued forecasts, their scores and the outcomes of runs. Each file has a line with its SHA-256 in the ledger, which a
reader checks, because Parquet does not detect a flipped bit. Names begin with the stamp of the run's as_of, so that a
reader opens only the days it needs.
"""

import hashlib
import io
import re
from pathlib import Path

import polars as pl

from pipelines.config.errors import BongsuError
from pipelines.config.settings import Settings
from pipelines.store import ledger, record_upgrades

# They become parts of a path, whoever wrote the ledger from which they are read.
FORMS = {
    "record_kind": re.compile(r"[a-z][a-z0-9_]*"),
    "name": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
}


class RecordError(BongsuError):
    """Report that a record is missing or altered."""


def write(settings: Settings, kind: str, name: str, frame: pl.DataFrame) -> str:
    """Store a frame as ``records/<kind>/<name>-<hash>.parquet``; storing the newest content again changes nothing.

    A return to older content is a new issue: the newest issue of a name is always what was written last. Returns the
    path below ``records/``.
    """
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", metadata={"schema_version": str(record_upgrades.VERSION)})
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    relative = _relative(kind, name, digest)
    with ledger.locked(settings.ledger):
        issued = [entry["path"] for entry in entries(settings, kind, name, name) if entry["name"] == name]
        if issued[-1:] != [relative]:
            entry = {"record_kind": kind, "name": name, "path": relative, "sha256": digest}
            ledger.write_durably(path_of(settings, entry), content)
            ledger.append_locked(settings.ledger, "record", entry)
    return relative


def entries(settings: Settings, kind: str, since: str | None = None, until: str | None = None) -> list[ledger.Entry]:
    """Return the ledger's entries of a kind, in order of issue; no file is opened.

    ``since`` and ``until`` are prefixes of names (a stamp such as ``20261122T2015Z``, or a part of one), both
    inclusive: they are compared, as text, with as many characters of each name.
    """
    return [
        entry
        for entry in ledger.read(settings.ledger, "record")
        if entry["record_kind"] in (kind, record_upgrades.FORMER_KINDS.get(kind))
        and (since is None or entry["name"][: len(since)] >= since)
        and (until is None or entry["name"][: len(until)] <= until)
    ]


def path_of(settings: Settings, entry: ledger.Entry) -> Path:
    """Return the path of the record that a ledger entry names, built from its kind, name and SHA-256.

    Raises:
        RecordError: One of them is invalid, or the entry gives another path.
    """
    for field, form in FORMS.items():
        if not isinstance(entry.get(field), str) or not form.fullmatch(entry[field]):
            raise RecordError(
                f"ledger entry {entry.get('seq')}: {entry.get(field)!r} is not the {field} of a record; "
                "restore the ledger from an intact copy"
            )
    relative = _relative(entry["record_kind"], entry["name"], entry["sha256"])
    if entry.get("path") != relative:
        raise RecordError(
            f"ledger entry {entry.get('seq')}: the path of its record is {relative}, not {entry.get('path')!r}; "
            "restore the ledger from an intact copy"
        )
    return settings.records / relative


def frame_of(settings: Settings, entry: ledger.Entry) -> pl.DataFrame:
    """Return one record as it was written.

    Raises:
        RecordError: The file is missing or altered.
    """
    content = _content(settings, entry)
    version = int(pl.read_parquet_metadata(io.BytesIO(content)).get("schema_version", 1))
    return record_upgrades.upgraded(entry["record_kind"], version, pl.read_parquet(io.BytesIO(content)))


def read(settings: Settings, kind: str, since: str | None = None, until: str | None = None) -> pl.DataFrame | None:
    """Return records of a kind with ``_issue`` (their order in the ledger) and ``_name``; None if there is none.

    ``since`` and ``until`` as in ``entries``: other files are not opened.

    Raises:
        RecordError: A file is missing or altered.
    """
    frames = [
        frame_of(settings, entry).with_columns(_issue=pl.lit(entry["seq"]), _name=pl.lit(entry["name"]))
        for entry in entries(settings, kind, since, until)
    ]
    return pl.concat(frames, how="diagonal_relaxed") if frames else None


def verify(settings: Settings) -> int:
    """Check every record against the ledger; return how many were checked."""
    entries_of_records = ledger.read(settings.ledger, "record")
    for entry in entries_of_records:
        _content(settings, entry)
    return len(entries_of_records)


def _content(settings: Settings, entry: ledger.Entry) -> bytes:
    path = path_of(settings, entry)
    content = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise RecordError(f"{path} is missing or altered: run `bongsu restore` from an intact copy")
    return content


def _relative(kind: str, name: str, digest: str) -> str:
    return f"{kind}/{name}-{digest[:12]}.parquet"
