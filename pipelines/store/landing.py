"""Landing, the system of record: every delivery byte for byte, compressed, encrypted with its own key.

A batch is named by the SHA-256 of its feed, window and bytes, is written once, and has one line in the ledger.
Destroying a batch means destroying its key: every copy of its bytes becomes unreadable, and the ledger records it.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path

import orjson
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipelines.config.errors import BongsuError
from pipelines.config.profile import FEED_NAME
from pipelines.config.settings import Settings
from pipelines.schema.delivery import Delivery
from pipelines.store import ledger

NONCE_BYTES = 12
# A source's clock and ours may differ; a window may also end with the source's local day.
AHEAD = timedelta(days=1)
# Both become parts of paths, whoever wrote the ledger from which they are read.
BATCH_ID = re.compile(r"[0-9a-f]{64}")
FEED = re.compile(FEED_NAME)


class LandingError(BongsuError):
    """Report that a batch cannot be written or read: which, why, and what to do next."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One landed delivery, as in its ledger line. Instants are UTC; ``window_start`` is None for a snapshot.

    ``sha256`` is that of its encrypted bytes, ``note`` what is missing from it and why.
    """

    batch_id: str
    feed: str
    window_start: datetime | None
    window_end: datetime
    received_at: datetime
    sha256: str
    is_destroyed: bool
    note: str = ""


def put(settings: Settings, feed: str, delivery: Delivery) -> str:
    """Land one delivery and return its batch id; the same delivery again changes nothing.

    Raises:
        LandingError: This batch was destroyed and must not be restored, or its window ends in the future, which would
            move the feed's cursor past records still to come. Only a simulated place may be ahead of the clock.
    """
    now = datetime.now(UTC)
    if delivery.window_end > now + AHEAD and not settings.profile.is_simulated:
        raise LandingError(
            f"{feed}: the delivery's window ends at {delivery.window_end.isoformat()}, in the future (it is now "
            f"{now.isoformat(timespec='seconds')}); run with an earlier --as-of, or set this computer's clock right"
        )
    framed = _frame(feed, delivery)
    batch_id = hashlib.sha256(framed).hexdigest()
    packed = zstandard.ZstdCompressor(level=3).compress(framed)
    with ledger.locked(settings.ledger):
        known = {batch.batch_id: batch for batch in batches(settings)}
        if batch_id in known:
            if known[batch_id].is_destroyed:
                raise LandingError(f"{feed}: batch {batch_id[:12]} was destroyed and is not landed again")
            return batch_id
        key = AESGCM.generate_key(256)
        sealed = _seal(key, packed, batch_id)
        ledger.write_durably(key_path(settings, batch_id), _seal(_master_key(settings), key, batch_id))
        ledger.write_durably(blob_path(settings, feed, batch_id), sealed)
        ledger.append_locked(
            settings.ledger,
            "batch",
            {
                "batch_id": batch_id,
                "feed": feed,
                "window_start": delivery.window_start.isoformat() if delivery.window_start else None,
                "window_end": delivery.window_end.isoformat(),
                "parts": len(delivery.parts),
                "bytes": sum(len(part) for part in delivery.parts),
                "sha256": hashlib.sha256(sealed).hexdigest(),
                **({"note": delivery.note} if delivery.note else {}),
            },
        )
    return batch_id


def read(settings: Settings, batch: Batch) -> tuple[bytes, ...]:
    """Return the parts of a batch, exactly as received.

    Raises:
        LandingError: The batch was destroyed, is missing or was altered.
    """
    where = blob_path(settings, batch.feed, batch.batch_id)
    if batch.is_destroyed:
        raise LandingError(f"batch {batch.batch_id[:12]} of {batch.feed} was destroyed")
    try:
        key = _key(settings, batch)
        framed = zstandard.ZstdDecompressor().decompress(_open(key, where.read_bytes(), batch.batch_id))
    except FileNotFoundError as error:
        raise LandingError(f"{error.filename} is missing: run `bongsu restore` from an intact copy") from error
    except (InvalidTag, ValueError, zstandard.ZstdError) as error:
        raise LandingError(f"{where} was altered: run `bongsu restore` from an intact copy") from error
    return _unframe(framed)


def batches(settings: Settings, feed: str | None = None) -> list[Batch]:
    """Return all batches in the order they were landed, or those of one feed."""
    return batches_in(ledger.read(settings.ledger), feed)


def batches_in(entries: Sequence[ledger.Entry], feed: str | None = None) -> list[Batch]:
    """Return `batches` of ledger entries already read.

    Raises:
        LandingError: An entry is not a batch, or has an invalid id or feed.
    """
    for entry in entries:
        if entry["kind"] in ("batch", "destroy"):
            check_names(entry)
    destroyed = {batch_id for entry in entries if entry["kind"] == "destroy" for batch_id in entry.get("batch_ids", [])}
    return [
        _batch(entry, is_destroyed=entry["batch_id"] in destroyed)
        for entry in entries
        if entry["kind"] == "batch" and feed in (None, entry.get("feed"))
    ]


def check_names(entry: ledger.Entry) -> None:
    """Check the format of every batch id and feed in a ledger entry, because they become parts of paths.

    Raises:
        LandingError: One is invalid, such as a path that leads out of the home.
    """
    ids = entry.get("batch_ids", [])
    is_batch = entry["kind"] == "batch"
    try:
        for batch_id in ids if isinstance(ids, list) else [ids]:
            _checked_id(batch_id)
        if is_batch or "batch_id" in entry:
            _checked_id(entry.get("batch_id"))
        if is_batch or "feed" in entry:
            _checked_feed(entry.get("feed"))
    except LandingError as error:
        raise LandingError(f"ledger entry {entry.get('seq')}: {error}") from error


def destroy(settings: Settings, feed: str, before: datetime) -> list[str]:
    """Destroy the keys of a feed's batches whose window ended at or before an instant; return their ids.

    The ledger records it first: `finish_destruction` completes it after a crash.

    Raises:
        LedgerError: The chain is broken; nothing is destroyed.
    """
    entries = ledger.verified(ledger.snapshot(settings.ledger), settings.ledger)
    doomed = [b.batch_id for b in batches_in(entries, feed) if not b.is_destroyed and b.window_end <= before]
    if doomed:
        ledger.append(settings.ledger, "destroy", feed=feed, before=before.isoformat(), batch_ids=doomed)
    finish_destruction(settings)
    return doomed


def finish_destruction(settings: Settings) -> None:
    """Remove every key that the ledger lists as destroyed, once the whole ledger is verified.

    Raises:
        LedgerError: The chain is broken; no key is removed.
        LandingError: An id or feed in it is invalid; no key is removed.
    """
    entries = ledger.verified(ledger.snapshot(settings.ledger), settings.ledger)
    keys = [key_path(settings, batch.batch_id) for batch in batches_in(entries) if batch.is_destroyed]
    for key in keys:
        key.unlink(missing_ok=True)
    if keys and settings.keys.exists():
        ledger.sync_folder(settings.keys)


def verify(settings: Settings) -> int:
    """Run `check` on every batch; return their number."""
    known = batches(settings)
    for batch in known:
        check(settings, batch)
    return len(known)


def check(settings: Settings, batch: Batch) -> None:
    """Check a batch's bytes against the ledger, and its key against its bytes.

    Raises:
        LandingError: The bytes are missing or altered, a live batch has lost its key, a destroyed one still has it, or
            the key does not open the bytes.
    """
    where = blob_path(settings, batch.feed, batch.batch_id)
    sealed = where.read_bytes() if where.exists() else b""
    if hashlib.sha256(sealed).hexdigest() != batch.sha256:
        raise LandingError(f"{where} is missing or altered: run `bongsu restore` from an intact copy")
    path = key_path(settings, batch.batch_id)
    if path.exists() == batch.is_destroyed:
        verb = "still has" if batch.is_destroyed else "has lost"
        raise LandingError(f"batch {batch.batch_id[:12]} of {batch.feed} {verb} its key")
    if batch.is_destroyed:
        return
    key = _key(settings, batch)
    try:
        _open(key, sealed, batch.batch_id)
    except InvalidTag as error:
        raise LandingError(f"{path} is not the key of its batch: run `bongsu restore` from an intact copy") from error


def blob_path(settings: Settings, feed: str, batch_id: str) -> Path:
    """Return the path of a batch's encrypted bytes.

    Raises:
        LandingError: The feed or the id is invalid, so the path could lead out of the home.
    """
    return settings.landing / _checked_feed(feed) / f"{_checked_id(batch_id)}.zst.aes"


def key_path(settings: Settings, batch_id: str) -> Path:
    """Return the path of a batch's key, wrapped with the master key.

    Raises:
        LandingError: The id is invalid, so the path could lead out of the home.
    """
    return settings.keys / f"{_checked_id(batch_id)}.key"


def _checked_id(batch_id: object) -> str:
    if not isinstance(batch_id, str) or not BATCH_ID.fullmatch(batch_id):
        raise LandingError(
            f"{batch_id!r} is not a batch id (64 hexadecimal digits); restore the ledger from an intact copy"
        )
    return batch_id


def _checked_feed(feed: object) -> str:
    if not isinstance(feed, str) or not FEED.fullmatch(feed):
        raise LandingError(f"{feed!r} is not the name of a feed (a-z, 0-9, _); restore the ledger from an intact copy")
    return feed


def _batch(entry: ledger.Entry, is_destroyed: bool) -> Batch:
    try:
        return Batch(
            batch_id=entry["batch_id"],
            feed=entry["feed"],
            window_start=datetime.fromisoformat(entry["window_start"]) if entry["window_start"] else None,
            window_end=datetime.fromisoformat(entry["window_end"]),
            received_at=datetime.fromisoformat(entry["at"]),
            sha256=entry["sha256"],
            is_destroyed=is_destroyed,
            note=entry.get("note", ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LandingError(
            f"ledger entry {entry.get('seq')} is not a batch ({error!r}); restore the ledger from an intact copy"
        ) from error


def _key(settings: Settings, batch: Batch) -> bytes:
    path = key_path(settings, batch.batch_id)
    try:
        return _open(_master_key(settings), path.read_bytes(), batch.batch_id)
    except (InvalidTag, ValueError) as error:  # ValueError: too short
        raise LandingError(
            f"{path} does not open with the master key of this home: one of the two was altered or is another home's; "
            "run `bongsu restore` from an intact copy, with the master key from its safe place"
        ) from error


def _master_key(settings: Settings) -> bytes:
    path = settings.keys / "master.key"
    if not path.exists():
        if any(settings.keys.glob("*.key")):
            raise LandingError(f"{path} is missing and without it no batch can be read: restore it from its safe place")
        ledger.write_durably(path, AESGCM.generate_key(256))
    return path.read_bytes()


def _seal(key: bytes, content: bytes, batch_id: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, batch_id.encode())


def _open(key: bytes, sealed: bytes, batch_id: str) -> bytes:
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], batch_id.encode())


def _frame(feed: str, delivery: Delivery) -> bytes:
    header = {
        "feed": feed,
        "window_start": delivery.window_start.isoformat() if delivery.window_start else None,
        "window_end": delivery.window_end.isoformat(),
        "sizes": [len(part) for part in delivery.parts],
    }
    return orjson.dumps(header, option=orjson.OPT_SORT_KEYS) + b"\n" + b"".join(delivery.parts)


def _unframe(framed: bytes) -> tuple[bytes, ...]:
    line = framed.index(b"\n") + 1
    sizes: Sequence[int] = orjson.loads(framed[:line])["sizes"]
    ends = accumulate(sizes, initial=line)
    return tuple(framed[start:end] for start, end in pairwise(ends))
