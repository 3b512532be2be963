"""The hash-chained ledger: one JSON line per batch, load, record, destruction. Append-only.

Each line has its own hash and that of the previous line, so `verify` detects a line that was edited, and one that was
removed, inserted or moved before the end. It cannot detect lines cut off the end, or a chain that was written again
from the start: that takes a head (`head_of`) stored elsewhere, as in every copy of a home. A last line cut by a crash
was never acknowledged and is removed before the next append.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from pipelines.config.errors import BongsuError

GENESIS = "0" * 64

Entry = dict[str, Any]


class LedgerError(BongsuError):
    """Report that the ledger's chain is broken: where, and what to do."""


def read(path: Path, *kinds: str) -> list[Entry]:
    """Return the complete entries in order, all or of the given kinds. A missing ledger is empty."""
    entries = _parsed(snapshot(path), path)
    return [entry for entry in entries if not kinds or entry["kind"] in kinds]


def snapshot(path: Path) -> bytes:
    """Return the bytes of the complete lines at this moment; none if the ledger is missing."""
    return complete(path.read_bytes()) if path.exists() else b""


def complete(content: bytes) -> bytes:
    """Return a ledger's bytes without a truncated last line."""
    return content[: content.rfind(b"\n") + 1]


def parse(content: bytes) -> list[Entry]:
    """Return the entries of complete lines."""
    return [orjson.loads(line) for line in content.splitlines()]


def head_of(content: bytes) -> tuple[int, str]:
    """Return sequence number and hash of the last of these complete lines; (-1, `GENESIS`) without any.

    Stored elsewhere, they show if the end is cut off.
    """
    last: Entry = parse(content[content.rfind(b"\n", 0, -1) + 1 :])[0] if content else {"seq": -1, "hash": GENESIS}
    return last["seq"], last["hash"]


def append(path: Path, kind: str, **content: Any) -> Entry:
    """Add one entry and force it to disk; return it with its sequence number, instant and hash."""
    with locked(path):
        return append_locked(path, kind, content)


def append_locked(path: Path, kind: str, content: Mapping[str, Any]) -> Entry:
    """Run `append` for a caller that already holds `locked`."""
    existing = path.read_bytes() if path.exists() else b""
    whole = complete(existing)
    seq, previous = head_of(whole)
    body = {
        "seq": seq + 1,
        "at": datetime.now(UTC).isoformat(),
        "kind": kind,
        **content,
        "prev": previous,
    }
    entry = {**body, "hash": _digest(body)}
    with path.open("r+b" if existing else "wb") as file:
        file.truncate(len(whole))
        file.seek(len(whole))
        file.write(orjson.dumps(entry) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if not existing:
        sync_folder(path.parent)
    return entry


def verify(path: Path) -> int:
    """Check every line against its own hash and the line before; return the number of entries.

    Raises:
        LedgerError: A line was edited, or one before the end was removed, inserted or moved.
    """
    return len(verified(snapshot(path), path))


def verified(content: bytes, place: Path | str) -> list[Entry]:
    """Return the entries of complete lines that are already read, each checked as in `verify`.

    ``place`` is where the bytes come from, for the message.

    Raises:
        LedgerError: As for `verify`.
    """
    previous = GENESIS
    entries = _parsed(content, place)
    for position, entry in enumerate(entries):
        body = {name: value for name, value in entry.items() if name != "hash"}
        try:
            digest = _digest(body)
        except TypeError:  # nested deeper than orjson writes, so not one of our lines
            digest = ""
        if entry.get("prev") != previous or entry.get("seq") != position or entry.get("hash") != digest:
            raise LedgerError(f"{place}: the chain breaks at entry {position}; restore the ledger from a replica")
        previous = entry["hash"]
    return entries


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the ledger's lock, across processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_durably(path: Path, content: bytes) -> None:
    """Write a file, accessible to its owner only, so that after a crash it is complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force a folder's own entries to disk: renames and removals are durable only after this."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parsed(content: bytes, place: Path | str) -> list[Entry]:
    try:
        entries = parse(content)
    except orjson.JSONDecodeError as error:
        raise LedgerError(f"{place}: a line is not an entry; restore the ledger from a replica") from error
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
            raise LedgerError(f"{place}: line {position + 1} is not an entry; restore the ledger from a replica")
    return entries


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
