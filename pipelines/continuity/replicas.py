"""Copies of a home: replicate, restore. Any URL that fsspec supports: a folder, SFTP, S3.

The ledger is read first and determines what is copied: exactly the files that it lists. It is written last, so a copy's
ledger never lists a file that the copy lacks. A file already present is read and compared with the ledger's hash; a
file damaged here is never sent. A copy accepts only the ledger that continues its own, so neither another home nor one
that lost entries can damage it; nothing is removed except the keys of batches that the ledger lists as destroyed. The
master key is never copied: keep it elsewhere, or whoever steals a copy can read it.

A restore trusts no name in a copy. Paths are built from the verified ledger alone, only regular files are read, and
everything is checked in a folder next to the home, which replaces the home at the end or is removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from pipelines.config.profile import ProfileError
from pipelines.config.settings import Settings
from pipelines.continuity import source, staging
from pipelines.continuity.source import ContinuityError as ContinuityError
from pipelines.store import landing, ledger, records
from pipelines.store.home import COPY, RECORD, profile_of, protect, restored

MASTER_KEY = "keys/master.key"
LEDGER = "ledger.jsonl"
# Sequence number and hash of the copied ledger's last entry: shows whether the copy's ledger lost its end.
HEAD = "ledger.head"


def replicate(settings: Settings, url: str) -> int:
    """Copy to ``url`` what it lacks, read it back, and remove destroyed keys there; return the number of files copied.

    Raises:
        ContinuityError: The copy belongs to another home or is ahead of this home, a file is damaged here, or a file
            did not arrive as sent.
        LedgerError: This home's ledger is broken.
    """
    system, root = source.opened(url)
    system.makedirs(root, exist_ok=True)
    present = _listed(system, root)
    ledger.verify(settings.ledger)
    # Taken once, before any file: what is landed meanwhile belongs to the next copy.
    content = ledger.snapshot(settings.ledger)
    entries = ledger.parse(content)
    if not entries:
        raise ContinuityError(f"{settings.home} has no ledger, so there is nothing to copy; check --home")
    _check_continues(settings, system, root, content)
    landing.finish_destruction(settings)
    batches = landing.batches_in(entries)
    copied = 0
    for name, digest, batch in chain(_named(settings, entries, batches), _profile_files(settings)):
        if name in present and _digest(system.cat_file(f"{root}/{name}")) == digest:
            continue
        _put(system, f"{root}/{name}", _sound(settings, name, digest, batch))
        present.add(name)  # A record issued again is listed twice.
        copied += 1
    _put(system, f"{root}/{LEDGER}", content)
    seq, last = ledger.head_of(content)
    _put(system, f"{root}/{HEAD}", orjson.dumps({"seq": seq, "hash": last}))
    for batch in batches:
        name = _relative(settings, landing.key_path(settings, batch.batch_id))
        if batch.is_destroyed and name in present:
            system.rm_file(f"{root}/{name}")
    return copied


def restore(home: Path, url: str, master_key: Path) -> int:
    """Restore a home from a copy into a new or empty folder and verify it; return the number of files.

    Only files that the copy's verified ledger lists are taken, and the profile; other files in the copy are ignored.
    The home appears at the end, complete and checked; on failure, nothing is left behind.

    Raises:
        ContinuityError: The home is not empty, the copy cannot be read, is not a copy, lacks a file or lost the end of
            its ledger, a file in it is a link, or the master key is missing.
        LedgerError: The chain of the copy's ledger is broken.
        LandingError, RecordError: The ledger lists a path outside the home, or a file in the copy was altered.
        ProfileError: The copy's profile cannot be loaded.
    """
    home = home.resolve()
    staging.refuse_occupied(home)
    if not master_key.is_file():
        raise ContinuityError(f"{master_key} is missing: without the master key no batch can be read")
    system, root = source.opened(url)
    if not system.exists(f"{root}/{LEDGER}"):
        root = f"{root}/."  # `tar -cf copy.tar .` puts it before every name
    content, entries = _verified(system, root, url)
    with staging.staged(home) as folder:
        try:
            return _take(folder, system, root, content, entries, master_key.read_bytes())
        except (landing.LandingError, records.RecordError, ProfileError) as error:
            # The fault is in the copy, so the message names the file there.
            message = str(error).replace(f"{folder}/", "")
            raise type(error)(f"the copy at {url} is not restored: {message}") from error


def verify(settings: Settings) -> dict[str, int]:
    """Check the ledger's chain, every batch and every record; return the number of each."""
    landing.finish_destruction(settings)
    return {
        "ledger entries": ledger.verify(settings.ledger),
        "batches": landing.verify(settings),
        "records": records.verify(settings),
    }


def _verified(system: Any, root: str, url: str) -> tuple[bytes, list[ledger.Entry]]:
    """Return the ledger of a copy and its entries, verified before anything else in the copy is read."""
    content = _ledger(system, root)
    if not content:
        raise ContinuityError(f"{url} has no ledger, so it is not a copy of a home; check the URL")
    entries = ledger.verified(content, f"{url}/{LEDGER}")
    if not _reaches(content, _head(system, root)):
        raise ContinuityError(f"the ledger at {url} lost its end: run `bongsu replicate` again, or use another copy")
    return content, entries


def _take(
    folder: Path, system: Any, root: str, content: bytes, entries: Sequence[ledger.Entry], master_key: bytes
) -> int:
    """Copy what a verified ledger lists into an empty folder and check all of it; return the number of files."""
    for entry in entries:
        landing.check_names(entry)
    protect(folder)
    profiles = _take_profile(folder, system, root)
    # No check depends on as_of.
    settings = Settings(home=folder, profile=profile_of(folder, None), as_of=datetime.now(UTC))
    ledger.write_durably(settings.ledger, content)
    ledger.write_durably(folder / MASTER_KEY, master_key)
    batches = landing.batches_in(entries)
    named = {name: batch for name, _, batch in _named(settings, entries, batches)}
    source.refuse_linked_folders(system, root, named)
    for name, batch in named.items():
        file = source.read(system, root, name)
        if file is None:
            raise ContinuityError(f"{root}/{name} is missing, but the ledger names it; use another copy")
        ledger.write_durably(folder / name, file)
        if batch is not None:  # Its key came after its bytes.
            landing.check(settings, batch)
    for batch in batches:
        if batch.is_destroyed:
            landing.check(settings, batch)
    records.verify(settings)
    return len(named) + profiles + 1


def _take_profile(folder: Path, system: Any, root: str) -> int:
    """Copy the profile's files that a copy has; return their number. The ledger does not list them."""
    files = {name: source.read(system, root, name) for name in (RECORD, COPY)}
    for name, file in files.items():
        if file is not None:
            ledger.write_durably(folder / name, restored(file) if name == RECORD else file)
    return sum(file is not None for file in files.values())


def _check_continues(settings: Settings, system: Any, root: str, content: bytes) -> None:
    if not content.startswith(_ledger(system, root)) or not _reaches(content, _head(system, root)):
        raise ContinuityError(
            f"the ledger of {settings.home} does not continue that of the copy at {root}: the copy belongs to another "
            "home, "
            "or one of the two is damaged or lost entries. Nothing was changed there. If --home and the URL are right, "
            "restore the home from the copy with `bongsu restore --home` into a new folder, or, if this home "
            "passes `bongsu verify` and is complete, replicate to a new place"
        )


def _named(
    settings: Settings, entries: Sequence[ledger.Entry], batches: Sequence[landing.Batch]
) -> Iterator[tuple[str, str, landing.Batch | None]]:
    """Yield every file that the ledger lists, with its SHA-256; a key with its batch, because it has no hash there."""
    for batch in batches:
        yield _relative(settings, landing.blob_path(settings, batch.feed, batch.batch_id)), batch.sha256, None
        if not batch.is_destroyed:
            key = landing.key_path(settings, batch.batch_id)
            yield _relative(settings, key), _digest(_content(key)) if key.exists() else "", batch
    for entry in entries:
        if entry["kind"] == "record":
            yield _relative(settings, records.path_of(settings, entry)), entry["sha256"], None


def _profile_files(settings: Settings) -> Iterator[tuple[str, str, None]]:
    for name in (RECORD, COPY):
        if (settings.home / name).exists():
            yield name, _digest(_content(settings.home / name)), None


def _sound(settings: Settings, name: str, digest: str, batch: landing.Batch | None) -> bytes:
    """Return a file's bytes after checking them: a damaged file must not replace a good one in the copy."""
    content = _content(settings.home / name)
    if _digest(content) != digest:
        raise ContinuityError(
            f"{settings.home / name} is missing or altered and is not copied: restore it with `bongsu restore`"
        )
    if batch is not None:
        try:
            landing.check(settings, batch)
        except landing.LandingError as error:
            raise ContinuityError(f"{name} is not copied: {error}") from error
    return content


def _ledger(system: Any, root: str) -> bytes:
    return ledger.complete(source.read(system, root, LEDGER) or b"")


def _head(system: Any, root: str) -> tuple[int, str] | None:
    """Return the copy's head; None if it has none, or one that was cut while written (its ledger was complete then)."""
    try:
        head = orjson.loads(source.read(system, root, HEAD) or b"null")
    except orjson.JSONDecodeError:
        return None
    seq, last = (head.get("seq"), head.get("hash")) if isinstance(head, dict) else (None, None)
    return (seq, last) if isinstance(seq, int) and isinstance(last, str) else None


def _reaches(content: bytes, head: tuple[int, str] | None) -> bool:
    """Return whether a ledger contains the entry that a head names."""
    lines = content.splitlines(keepends=True)
    return head is None or (0 <= head[0] < len(lines) and ledger.head_of(lines[head[0]]) == head)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _relative(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.home).as_posix()


def _listed(system: Any, root: str) -> set[str]:
    system.invalidate_cache()
    return {name[len(root) :].lstrip("/") for name in system.find(root)}


def _put(system: Any, path: str, content: bytes) -> None:
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, content)
    if _digest(system.cat_file(path)) != _digest(content):
        raise ContinuityError(f"{path} did not arrive as sent; run `bongsu replicate` again")
