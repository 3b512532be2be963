"""Copies of a home elsewhere: replicate, restore. Any URL that fsspec knows: a folder, SFTP, S3.

Landing and records never change, so copying is put-if-absent plus a check; the ledger goes last, so a copy is never
ahead of its bytes. The master key is never copied: keep it apart, or a copy's thief can read it.
Keys of destroyed batches are removed from the copy too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from pipelines import landing, ledger, records

if TYPE_CHECKING:
    from pipelines.settings import Settings

MASTER_KEY = "keys/master.key"
LEDGER = "ledger.jsonl"


class ContinuityError(Exception):
    """A copy cannot be made, checked or brought back: what, and what to do next."""


def replicate(settings: Settings, url: str) -> int:
    """Copy to ``url`` what it lacks, read it back, and remove destroyed keys there; returns the files copied.

    Raises:
        ContinuityError: a file did not arrive as it was sent.
    """
    system, root = _open(url)
    wanted = _files(settings.home)
    present = _listed(system, root)
    copied = 0
    for name in wanted:
        source = settings.home / name
        if present.get(name) != source.stat().st_size or name == "profile":
            _put(system, f"{root}/{name}", source.read_bytes())
            copied += 1
    for name in present:
        if name.startswith("keys/") and name not in wanted:
            system.rm_file(f"{root}/{name}")
    _put(system, f"{root}/{LEDGER}", settings.ledger.read_bytes())
    return copied


def restore(home: Path, url: str, master_key: Path) -> int:
    """Bring a home back from a copy into an empty folder; returns the files restored. Then `verify` it.

    Raises:
        ContinuityError: the home is not empty, the copy is not one, or the master key is missing.
    """
    if (home / LEDGER).exists():
        raise ContinuityError(f"{home} already holds a ledger; restore into an empty folder with --home")
    if not master_key.is_file():
        raise ContinuityError(f"{master_key} is missing: without the master key no batch can be read")
    system, root = _open(url)
    present = _listed(system, root)
    if LEDGER not in present:
        raise ContinuityError(f"{url} holds no ledger, so it is no copy of a home")
    for name in sorted(present, key=lambda name: name == LEDGER):
        mode = 0o600 if name.startswith("keys/") else 0o644
        ledger.write_durably(home / name, system.cat_file(f"{root}/{name}"), mode)
    ledger.write_durably(home / MASTER_KEY, master_key.read_bytes(), mode=0o600)
    return len(present)


def verify(settings: Settings) -> dict[str, int]:
    """Check the ledger's chain, every batch and every record; returns how many of each."""
    landing.finish_destruction(settings)
    return {
        "ledger entries": ledger.verify(settings.ledger),
        "batches": landing.verify(settings),
        "records": records.verify(settings),
    }


def _files(home: Path) -> list[str]:
    found = [path for folder in ("landing", "records", "keys") for path in (home / folder).rglob("*") if path.is_file()]
    names = sorted(str(path.relative_to(home)) for path in found if not path.name.startswith("."))
    return [*(name for name in names if name != MASTER_KEY), "profile"]


def _open(url: str) -> tuple[Any, str]:
    system, root = fsspec.url_to_fs(url)
    system.makedirs(root, exist_ok=True)
    return system, str(root).rstrip("/")


def _listed(system: Any, root: str) -> dict[str, int]:
    system.invalidate_cache()
    found = system.find(root, detail=True)
    return {name[len(root) :].lstrip("/"): entry["size"] for name, entry in found.items()}


def _put(system: Any, path: str, content: bytes) -> None:
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, content)
    if hashlib.sha256(system.cat_file(path)).digest() != hashlib.sha256(content).digest():
        raise ContinuityError(f"{path} did not arrive as it was sent; run `bongsu replicate` again")
