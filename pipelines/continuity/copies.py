"""Copies of a home elsewhere: replicate, restore. Any URL that fsspec knows: a folder, SFTP, S3.

The ledger is read first and decides what is copied: exactly the files that it names. It is written last, so a copy's
ledger never names what the copy lacks. A file already there is read and held against the ledger's hash; one that is
damaged here is never sent. A copy takes only the ledger that continues its own, so neither another home nor one that
lost entries can spoil it; nothing is removed but the keys of batches that the ledger says are destroyed.
The master key is never copied: keep it apart, or a copy's thief can read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import orjson

from pipelines import landing, ledger, records

if TYPE_CHECKING:
    from pipelines.settings import Settings

MASTER_KEY = "keys/master.key"
LEDGER = "ledger.jsonl"
# Sequence number and hash of the copied ledger's last entry: tells if the copy's ledger lost its end.
HEAD = "ledger.head"


class ContinuityError(Exception):
    """A copy cannot be made, checked or brought back: what, and what to do next."""


def replicate(settings: Settings, url: str) -> int:
    """Copy to ``url`` what it lacks, read it back, and remove destroyed keys there; returns the files copied.

    Raises:
        ContinuityError: the copy is another home's or further than this home, a file is damaged here, or a file did
            not arrive as it was sent.
        LedgerError: this home's ledger is broken.
    """
    system, root = _open(url)
    present = _listed(system, root)
    ledger.verify(settings.ledger)
    # Taken once, before any file: what is landed meanwhile belongs to the next copy.
    held = ledger.snapshot(settings.ledger)
    entries = ledger.parse(held)
    if not entries:
        raise ContinuityError(f"{settings.home} holds no ledger, so there is nothing to copy; is --home right?")
    _refuse_stranger(settings, system, root, present, held)
    landing.finish_destruction(settings)
    batches = landing.batches_in(entries)
    copied = 0
    for name, digest, batch in _named(settings, entries, batches):
        if name in present and _digest(system.cat_file(f"{root}/{name}")) == digest:
            continue
        _put(system, f"{root}/{name}", _sound(settings, name, digest, batch))
        present.add(name)  # A record issued again is named twice.
        copied += 1
    _put(system, f"{root}/{LEDGER}", held)
    seq, last = ledger.head_of(held)
    _put(system, f"{root}/{HEAD}", orjson.dumps({"seq": seq, "hash": last}))
    for batch in batches:
        name = _relative(settings, landing.key_path(settings, batch.batch_id))
        if batch.is_destroyed and name in present:
            system.rm_file(f"{root}/{name}")
    return copied


def restore(home: Path, url: str, master_key: Path) -> int:
    """Bring a home back from a copy into an empty folder; returns the files restored. Then `verify` it.

    Raises:
        ContinuityError: the home is not empty, the copy is not one or lost the end of its ledger, or the master key is
            missing.
    """
    if (home / LEDGER).exists():
        raise ContinuityError(f"{home} already holds a ledger; restore into an empty folder with --home")
    if not master_key.is_file():
        raise ContinuityError(f"{master_key} is missing: without the master key no batch can be read")
    system, root = _open(url)
    present = _listed(system, root)
    theirs = _ledger(system, root, present)
    if not theirs:
        raise ContinuityError(f"{url} holds no ledger, so it is no copy of a home")
    if not _reaches(theirs, _head(system, root, present)):
        raise ContinuityError(f"the ledger at {root} lost its end: run `bongsu replicate` again, or use another copy")
    for name in sorted(present.difference({HEAD}), key=lambda name: name == LEDGER):
        mode = 0o600 if name.startswith("keys/") else 0o644
        ledger.write_durably(home / name, system.cat_file(f"{root}/{name}"), mode)
    ledger.write_durably(home / MASTER_KEY, master_key.read_bytes(), mode=0o600)
    return len(present.difference({HEAD}))


def verify(settings: Settings) -> dict[str, int]:
    """Check the ledger's chain, every batch and every record; returns how many of each."""
    landing.finish_destruction(settings)
    return {
        "ledger entries": ledger.verify(settings.ledger),
        "batches": landing.verify(settings),
        "records": records.verify(settings),
    }


def _refuse_stranger(settings: Settings, system: Any, root: str, present: set[str], held: bytes) -> None:
    if not held.startswith(_ledger(system, root, present)) or not _reaches(held, _head(system, root, present)):
        raise ContinuityError(
            f"the ledger of {settings.home} does not continue that of the copy at {root}: the copy is another home's, "
            "or one of the two is damaged or lost entries. Nothing was changed there. If --home and the URL are right, "
            "bring the home back from the copy with `bongsu restore --home` into a new folder, or, if this home "
            "passes `bongsu verify` and holds everything, replicate to a new place"
        )


def _named(
    settings: Settings, entries: Sequence[ledger.Entry], batches: Sequence[landing.Batch]
) -> Iterator[tuple[str, str, landing.Batch | None]]:
    """Every file that the ledger names, with its SHA-256; a key with its batch, since the ledger has no hash of it."""
    for batch in batches:
        yield _relative(settings, landing.blob_path(settings, batch.feed, batch.batch_id)), batch.sha256, None
        if not batch.is_destroyed:
            key = landing.key_path(settings, batch.batch_id)
            yield _relative(settings, key), _digest(_content(key)) if key.exists() else "", batch
    for entry in entries:
        if entry["kind"] == "record":
            yield _relative(settings, settings.records / entry["path"]), entry["sha256"], None
    for name in ("profile", "profile.toml"):
        if (settings.home / name).exists():
            yield name, _digest(_content(settings.home / name)), None


def _sound(settings: Settings, name: str, digest: str, batch: landing.Batch | None) -> bytes:
    """A file's bytes, known to be good: a damaged one must not replace a good one in the copy."""
    content = _content(settings.home / name)
    if _digest(content) != digest:
        raise ContinuityError(
            f"{settings.home / name} is missing or altered and is not copied: bring it back with `bongsu restore`"
        )
    if batch is not None:
        try:
            landing.check(settings, batch)
        except landing.LandingError as error:
            raise ContinuityError(f"{name} is not copied: {error}") from error
    return content


def _ledger(system: Any, root: str, present: set[str]) -> bytes:
    return ledger.complete(system.cat_file(f"{root}/{LEDGER}")) if LEDGER in present else b""


def _head(system: Any, root: str, present: set[str]) -> tuple[int, str] | None:
    """The copy's head; None if it has none, or one cut while it was written (its ledger was whole by then)."""
    try:
        head = orjson.loads(system.cat_file(f"{root}/{HEAD}")) if HEAD in present else None
    except orjson.JSONDecodeError:
        return None
    return (head["seq"], head["hash"]) if head else None


def _reaches(content: bytes, head: tuple[int, str] | None) -> bool:
    """Whether a ledger holds the entry that a head names."""
    lines = content.splitlines(keepends=True)
    return head is None or (head[0] < len(lines) and ledger.head_of(lines[head[0]]) == head)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _relative(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.home).as_posix()


def _open(url: str) -> tuple[Any, str]:
    system, root = fsspec.url_to_fs(url)
    system.makedirs(root, exist_ok=True)
    return system, str(root).rstrip("/")


def _listed(system: Any, root: str) -> set[str]:
    system.invalidate_cache()
    return {name[len(root) :].lstrip("/") for name in system.find(root)}


def _put(system: Any, path: str, content: bytes) -> None:
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, content)
    if _digest(system.cat_file(path)) != _digest(content):
        raise ContinuityError(f"{path} did not arrive as it was sent; run `bongsu replicate` again")
