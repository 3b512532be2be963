"""Restoring a copy that may be hostile: nothing outside the new home is written, read or deleted.

A valid copy restores from a folder, an archive or memory. A copy that fails any check leaves nothing behind.
"""

import io
import os
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import fsspec
import orjson
import polars as pl
import pytest

from pipelines.config import profile
from pipelines.config.settings import Settings
from pipelines.continuity import replicas
from pipelines.steps.copies import restore
from pipelines.steps.run_settings import settings_for
from pipelines.store import landing, ledger, records
from pipelines.store.home import COPY
from tests.conftest import AS_OF, delivery

REFUSALS = (
    replicas.ContinuityError,
    ledger.LedgerError,
    landing.LandingError,
    records.RecordError,
    profile.ProfileError,
)
Entries = list[ledger.Entry]


@pytest.fixture
def copy(settings: Settings, tmp_path: Path) -> Path:
    """A valid copy in a folder, with a live batch, a destroyed batch and a record, and files to protect."""
    settings.home.mkdir()
    (settings.home / "profile").write_text("korea")
    landing.put(settings, "calls", delivery([{"id": "old"}], end=AS_OF - timedelta(days=30)))
    landing.put(settings, "calls", delivery([{"id": "new"}]))
    landing.destroy(settings, "calls", AS_OF - timedelta(days=7))
    records.write(settings, "scores", "a", pl.DataFrame({"pinball": [0.2]}))
    replicas.replicate(settings, (tmp_path / "copy").as_uri())
    (tmp_path / "new").mkdir()
    for name in ("victim", "victim.key", "victim.zst.aes", "victim.parquet"):
        (tmp_path / "new" / name).write_bytes(b"untouched")
    return tmp_path / "copy"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "new" / "home"


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every path below a folder with its type and content; a link with its target."""
    return {str(path): (stat.S_IFMT(path.lstat().st_mode), content(path)) for path in sorted(folder.rglob("*"))}


def content(path: Path) -> bytes:
    if path.is_symlink():
        return os.readlink(path).encode()
    return path.read_bytes() if path.is_file() else b""


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_folder(folder: Path, extra: dict[str, bytes]) -> str:
    return folder.as_uri()


def in_zip(folder: Path, extra: dict[str, bytes], top: str = "") -> str:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**files(folder), **extra}.items():
            archive.writestr(top + name, data)
    return f"zip{'://' + top.rstrip('/') if top else ''}::{path.as_uri()}"


def in_zip_below_a_folder(folder: Path, extra: dict[str, bytes]) -> str:
    return in_zip(folder, extra, "copy/")


def in_tar(folder: Path, extra: dict[str, bytes], top: str = "") -> str:
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        for name, data in {**files(folder), **extra}.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return f"tar::{path.as_uri()}"


def in_tar_of_the_current_folder(folder: Path, extra: dict[str, bytes]) -> str:
    return in_tar(folder, extra, "./")


def in_compressed_tar(folder: Path, extra: dict[str, bytes]) -> str:
    in_tar(folder, extra)
    path = folder.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=".")
    return f"tar::{path.as_uri()}"


def in_memory(folder: Path, extra: dict[str, bytes]) -> str:
    system = fsspec.filesystem("memory")
    for name, data in {**files(folder), **extra}.items():
        system.store[f"/copy/{name}"] = type(system).open(system, "/scratch", "wb")
        system.store[f"/copy/{name}"].write(data)
    return "memory://copy"


@pytest.fixture(autouse=True)
def _empty_memory() -> Iterator[None]:
    yield
    fsspec.filesystem("memory").store.clear()


FORMS = [
    in_folder,
    in_zip,
    in_zip_below_a_folder,
    in_tar,
    in_tar_of_the_current_folder,
    in_compressed_tar,
    in_memory,
]


@pytest.mark.parametrize("packed", FORMS, ids=lambda f: f.__name__)
def test_a_valid_copy_restores_from_a_folder_an_archive_or_memory(
    settings: Settings, copy: Path, home: Path, packed: Callable[[Path, dict[str, bytes]], str]
) -> None:
    restored = replicas.restore(home, packed(copy, {}), settings.keys / "master.key")
    expected = {name: data for name, data in files(copy).items() if name != replicas.HEAD}
    assert files(home) == {**expected, replicas.MASTER_KEY: (settings.keys / "master.key").read_bytes()}
    assert restored == len(expected)
    other = settings.model_copy(update={"home": home})
    assert replicas.verify(other) == replicas.verify(settings)
    assert landing.read(other, landing.batches(other)[1]) == landing.read(settings, landing.batches(settings)[1])


@pytest.mark.parametrize("name", ["../evil", "landing/../../evil", "/ABSOLUTE/evil", "keys/../../evil.key", "unlisted"])
@pytest.mark.parametrize("packed", [in_zip, in_tar, in_memory], ids=lambda f: f.__name__)
def test_a_file_missing_from_the_ledger_is_never_written(
    settings: Settings,
    copy: Path,
    home: Path,
    tmp_path: Path,
    packed: Callable[[Path, dict[str, bytes]], str],
    name: str,
) -> None:
    url = packed(copy, {name.replace("/ABSOLUTE", str(home.parent)): b"evil"})
    before = tree(tmp_path)
    replicas.restore(home, url, settings.keys / "master.key")
    expected = {name: data for name, data in files(copy).items() if name != replicas.HEAD}
    assert set(files(home)) == {*expected, replicas.MASTER_KEY}
    shutil.rmtree(home)
    assert tree(tmp_path) == before


def refused(settings: Settings, url: str, home: Path, match: str = "") -> str:
    """Restore a copy that must be rejected; everything around the home is unchanged."""
    message = refusal(lambda: replicas.restore(home, url, settings.keys / "master.key"), home.parent.parent)
    assert re.search(match, message)
    assert ".restore-" not in message, "the message names the copy, not a folder that is gone"
    return message


def refusal(act: Callable[[], object], folder: Path) -> str:
    """Return the error of an action that must be rejected and change nothing in a folder."""
    before, message = tree(folder), ""
    try:
        act()
    except REFUSALS as error:
        message = str(error)
    assert tree(folder) == before
    assert message, "it was not refused"
    return message


def link_to_a_file(path: Path, victim: Path) -> None:
    path.unlink()
    path.symlink_to(victim)


def dangling_link(path: Path, victim: Path) -> None:
    path.unlink()
    path.symlink_to(victim.with_name("nothing"))


def pipe(path: Path, victim: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_of_that_name(path: Path, victim: Path) -> None:
    path.unlink()
    path.mkdir()


def missing(path: Path, victim: Path) -> None:
    path.unlink()


def altered(path: Path, victim: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def empty(path: Path, victim: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("pattern", ["landing/calls/*", "keys/*", "records/scores/*", "ledger.jsonl"])
@pytest.mark.parametrize(
    "change",
    [link_to_a_file, dangling_link, pipe, folder_of_that_name, missing, altered, empty],
    ids=lambda f: f.__name__,
)
def test_a_file_that_differs_from_the_ledger_fails_the_restore(
    settings: Settings, copy: Path, home: Path, pattern: str, change: Callable[[Path, Path], None]
) -> None:
    change(next(copy.glob(pattern)), home.parent / "victim")
    assert copy.name in refused(settings, copy.as_uri(), home)


@pytest.mark.parametrize("pattern", ["landing/calls/*", "keys/*", "records/scores/*", "ledger.jsonl", "profile"])
def test_a_link_to_an_equal_file_is_not_followed_either(
    settings: Settings, copy: Path, home: Path, tmp_path: Path, pattern: str
) -> None:
    path = next(copy.glob(pattern))
    shutil.copy(path, tmp_path / "equal")
    link_to_a_file(path, tmp_path / "equal")
    refused(settings, copy.as_uri(), home, "is a link")


@pytest.mark.parametrize("name", ["landing", "landing/calls", "keys", "records", "records/scores"])
def test_a_linked_folder_is_not_followed(settings: Settings, copy: Path, home: Path, tmp_path: Path, name: str) -> None:
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    refused(settings, copy.as_uri(), home, "is a link")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
@pytest.mark.parametrize("pattern", ["landing/calls/*", "keys/*", "records/scores/*", "ledger.jsonl", "profile"])
def test_a_tar_member_that_is_not_a_regular_file_is_rejected(
    settings: Settings, copy: Path, home: Path, pattern: str, kind: bytes
) -> None:
    path = next(copy.glob(pattern))
    name, data = path.relative_to(copy).as_posix(), path.read_bytes()
    path.unlink()
    url = in_tar(copy, {"equal": data})
    with tarfile.open(copy.with_suffix(".tar"), "a") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "equal" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        archive.addfile(member)
    refused(settings, url, home, "is a link|cannot be read")


def test_a_link_in_a_zip_is_rejected(settings: Settings, copy: Path, home: Path) -> None:
    path = next(copy.glob("keys/*"))
    name = path.relative_to(copy).as_posix()
    path.unlink()
    url = in_zip(copy, {})
    with zipfile.ZipFile(copy.with_suffix(".zip"), "a") as archive:
        link = zipfile.ZipInfo(name)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(home.parent / "victim"))
    refused(settings, url, home, "is a link")


def first(entries: Entries, kind: str) -> ledger.Entry:
    return next(entry for entry in entries if entry["kind"] == kind)


def forged_destroy(entries: Entries) -> None:
    entries.append({"kind": "destroy", "at": entries[0]["at"], "feed": "calls", "batch_ids": ["../../victim"]})


def forged_batch_destroyed(entries: Entries) -> None:
    entries.append({**first(entries, "batch"), "batch_id": "../../victim"})
    forged_destroy(entries)


def absolute_batch_destroyed(entries: Entries) -> None:
    entries.append({**first(entries, "batch"), "batch_id": "/ABSOLUTE/victim"})
    entries.append({**first(entries, "destroy"), "batch_ids": ["/ABSOLUTE/victim"]})


def destroyed_master_key(entries: Entries) -> None:
    entries.append({**first(entries, "batch"), "batch_id": "master"})
    entries.append({**first(entries, "destroy"), "batch_ids": ["master"]})


def batch_id_in_a_load(entries: Entries) -> None:
    entries.append({"kind": "load", "at": entries[0]["at"], "feed": "calls", "batch_id": "../../victim"})


def ids_that_are_not_a_list(entries: Entries) -> None:
    first(entries, "destroy")["batch_ids"] = "../../victim"


def batch_id_with_a_line_end(entries: Entries) -> None:
    first(entries, "batch")["batch_id"] += "\n"


def batch_id_in_capitals(entries: Entries) -> None:
    first(entries, "batch")["batch_id"] = first(entries, "batch")["batch_id"].upper()


def feed_outside(entries: Entries) -> None:
    first(entries, "batch")["feed"] = "../../victim"


def absolute_feed(entries: Entries) -> None:
    first(entries, "batch")["feed"] = "/ABSOLUTE/victim"


def batch_without_a_feed(entries: Entries) -> None:
    del first(entries, "batch")["feed"]


def batch_without_an_instant(entries: Entries) -> None:
    first(entries, "batch")["window_end"] = "soon"


def record_path_outside(entries: Entries) -> None:
    first(entries, "record")["path"] = "../../victim.parquet"


def absolute_record_path(entries: Entries) -> None:
    first(entries, "record")["path"] = "/ABSOLUTE/victim.parquet"


def record_kind_outside(entries: Entries) -> None:
    record = first(entries, "record")
    record |= {"record_kind": "../..", "path": f"../../a-{record['sha256'][:12]}.parquet"}


def record_name_outside(entries: Entries) -> None:
    record = first(entries, "record")
    record |= {"name": "../../victim", "path": f"scores/../../victim-{record['sha256'][:12]}.parquet"}


def record_hash_outside(entries: Entries) -> None:
    first(entries, "record").update(sha256="/../../../x", path="scores/a-/../../../x.parquet")


FORGERIES = [
    forged_destroy,
    forged_batch_destroyed,
    absolute_batch_destroyed,
    destroyed_master_key,
    batch_id_in_a_load,
    ids_that_are_not_a_list,
    batch_id_with_a_line_end,
    batch_id_in_capitals,
    feed_outside,
    absolute_feed,
    batch_without_a_feed,
    batch_without_an_instant,
    record_path_outside,
    absolute_record_path,
    record_kind_outside,
    record_name_outside,
    record_hash_outside,
]


def forge(path: Path, change: Callable[[Entries], None], is_chained: bool = True) -> None:
    """Change a ledger's entries; ``is_chained`` recomputes every hash, as an attacker who knows the format would."""
    entries, previous, lines = ledger.parse(path.read_bytes()), ledger.GENESIS, []
    change(entries)
    entries = orjson.loads(orjson.dumps(entries).replace(b"/ABSOLUTE", bytes(path.parent.parent)))
    for seq, entry in enumerate(entries):
        entry = {"seq": seq, "prev": previous, "hash": "0" * 64, **entry}
        if is_chained:
            body = {**entry, "seq": seq, "prev": previous}
            body.pop("hash", None)
            entry = {**body, "hash": ledger._digest(body)}
            previous = entry["hash"]
        lines.append(orjson.dumps(entry) + b"\n")
    path.write_bytes(b"".join(lines))
    assert not is_chained or ledger.verify(path) == len(lines)


@pytest.mark.parametrize("is_chained", [True, False], ids=["chain written again", "chain broken"])
@pytest.mark.parametrize("change", FORGERIES, ids=lambda f: f.__name__)
def test_a_forged_ledger_writes_reads_and_deletes_nothing(
    settings: Settings, copy: Path, home: Path, change: Callable[[Entries], None], is_chained: bool
) -> None:
    forge(copy / "ledger.jsonl", change, is_chained)
    (copy / replicas.HEAD).unlink()
    # The targets of the forged paths, relative to the copy and absolute.
    for path in home.parent.glob("victim*"):
        shutil.copy(path, copy.parent / path.name)
    message = refused(settings, copy.as_uri(), home, "ledger entry" if is_chained else "chain breaks at entry")
    assert "ledger from a" in message and copy.as_uri() in message, "it names the copy and what to do next"


@pytest.mark.parametrize("line", [b"[]", b"7", b"null", b"{}", b"not JSON", b'{"kind": 7}', b"[" * 500 + b"]" * 500])
def test_a_line_that_is_not_an_entry_fails_the_restore(settings: Settings, copy: Path, home: Path, line: bytes) -> None:
    path = copy / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    refused(settings, copy.as_uri(), home, "not an entry")


def test_an_entry_nested_too_deep_breaks_the_chain(settings: Settings, copy: Path, home: Path) -> None:
    path = copy / "ledger.jsonl"
    path.write_bytes(path.read_bytes() + b'{"kind": "load", "deep": ' + b"[" * 500 + b"]" * 500 + b"}\n")
    refused(settings, copy.as_uri(), home, "chain breaks at entry 4")


@pytest.mark.parametrize("head", [b'{"seq": -9, "hash": "x"}', b'{"seq": 99, "hash": "x"}'])
def test_a_head_that_the_ledger_does_not_reach_fails_the_restore(
    settings: Settings, copy: Path, home: Path, head: bytes
) -> None:
    (copy / replicas.HEAD).write_bytes(head)
    refused(settings, copy.as_uri(), home, "lost its end")


@pytest.mark.parametrize("change", FORGERIES[:4], ids=lambda f: f.__name__)
@pytest.mark.parametrize("is_chained", [True, False], ids=["chain written again", "chain broken"])
def test_a_forged_destruction_in_a_home_deletes_nothing(
    settings: Settings, copy: Path, tmp_path: Path, change: Callable[[Entries], None], is_chained: bool
) -> None:
    live = landing.batches(settings)[1].batch_id

    def forged(entries: Entries) -> None:
        change(entries)
        # Its key waits as well: none is deleted because of such a ledger.
        entries.append({**first(entries, "destroy"), "batch_ids": [live]})

    forge(settings.ledger, forged, is_chained)
    (tmp_path / "victim.key").write_bytes(b"untouched")
    for act in (
        landing.finish_destruction,
        replicas.verify,
        lambda chosen: landing.destroy(chosen, "calls", AS_OF),
        lambda chosen: replicas.replicate(chosen, copy.as_uri()),
    ):
        refusal(lambda act=act: act(settings), tmp_path)  # type: ignore[misc]


@pytest.mark.parametrize(
    "batch_id", ["../../victim", "/victim", "master", "A" * 64, "0" * 63, "0" * 64 + "\n", "", None]
)
def test_no_path_is_made_from_a_bad_batch_id(settings: Settings, batch_id: str) -> None:
    with pytest.raises(landing.LandingError, match="is not a batch id"):
        landing.key_path(settings, batch_id)
    with pytest.raises(landing.LandingError, match="is not a batch id"):
        landing.blob_path(settings, "calls", batch_id)


@pytest.mark.parametrize("feed", ["..", "../x", "/x", "a/b", "A", "", "a\n", None])
def test_no_path_is_made_from_a_bad_feed_name(settings: Settings, feed: str) -> None:
    with pytest.raises(landing.LandingError, match="is not the name of a feed"):
        landing.blob_path(settings, feed, "0" * 64)


def secret_profile(folder: Path) -> Path:
    text = (profile.SHIPPED / "korea.toml").read_text("utf-8").replace('name = "korea"', 'name = "secret"', 1)
    (folder / "secret.toml").write_text(text, "utf-8")
    assert profile.load(str(folder / "secret.toml")).name == "secret"
    return folder / "secret.toml"


def test_a_profile_that_names_a_file_elsewhere_is_not_read_from_there(
    settings: Settings, copy: Path, home: Path
) -> None:
    secret = secret_profile(home.parent)
    (copy / "profile").write_text(str(secret))
    refused(settings, copy.as_uri(), home, "there is no profile 'profile.toml'")
    (copy / "profile").write_text(str(secret.with_suffix("")))
    refused(settings, copy.as_uri(), home, "there is no profile")
    (copy / "profile").write_text("../" * 20 + str(secret.with_suffix("")).lstrip("/"))
    refused(settings, copy.as_uri(), home, "there is no profile")


def test_a_restored_home_reads_its_own_copy_of_the_profile(settings: Settings, copy: Path, home: Path) -> None:
    secret = secret_profile(home.parent)
    (copy / "profile").write_text(str(secret))
    shutil.copy(profile.SHIPPED / "korea.toml", copy / COPY)
    replicas.restore(home, copy.as_uri(), settings.keys / "master.key")
    assert settings_for(home).profile.name == "korea"
    assert (home / COPY).read_bytes() == (profile.SHIPPED / "korea.toml").read_bytes()


def test_a_restored_home_takes_its_profile_file_when_it_is_named_again(
    settings: Settings, copy: Path, home: Path, tmp_path: Path
) -> None:
    original = secret_profile(tmp_path)
    (copy / "profile").write_text("/gone/secret.toml")
    shutil.copy(original, copy / COPY)
    replicas.restore(home, copy.as_uri(), settings.keys / "master.key")
    with pytest.raises(profile.ProfileError, match="choose another folder"):
        settings_for(home, str(profile.SHIPPED / "toronto.toml"))
    original.write_text(original.read_text("utf-8") + "\n# changed since\n", "utf-8")
    assert settings_for(home, str(original)).profile.name == "secret"
    assert (home / "profile").read_text() == str(original)
    assert (home / COPY).read_bytes() == original.read_bytes()


def test_a_profile_that_cannot_be_loaded_fails_the_restore(settings: Settings, copy: Path, home: Path) -> None:
    (copy / "profile").write_text("/gone/city.toml")
    (copy / COPY).write_text("name = 'city'")
    refused(settings, copy.as_uri(), home, r"not restored: profile\.toml")


@pytest.mark.parametrize("has_folder", [True, False])
def test_a_rejected_copy_leaves_the_destination_unchanged(
    settings: Settings, copy: Path, home: Path, has_folder: bool
) -> None:
    place = home / "deep" / "home"
    if has_folder:
        (place / "empty").mkdir(parents=True)
    altered(next(copy.glob("records/scores/*")), home)
    before = tree(home.parent)
    with pytest.raises(records.RecordError, match="missing or altered"):
        replicas.restore(place, copy.as_uri(), settings.keys / "master.key")
    assert tree(home.parent) == before


def test_an_interrupted_restore_leaves_nothing(
    settings: Settings, copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "verify", interrupt)
    before = tree(home.parent)
    with pytest.raises(KeyboardInterrupt):
        replicas.restore(home, copy.as_uri(), settings.keys / "master.key")
    assert tree(home.parent) == before


def test_a_home_filled_during_a_restore_is_not_replaced(
    settings: Settings, copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_: Settings) -> int:
        home.mkdir()
        (home / "notes.txt").write_bytes(b"notes")
        return 0

    monkeypatch.setattr(records, "verify", fill)
    with pytest.raises(replicas.ContinuityError, match="cannot be written"):
        replicas.restore(home, copy.as_uri(), settings.keys / "master.key")
    assert files(home) == {"notes.txt": b"notes"}


def test_an_empty_folder_becomes_the_home_and_keeps_its_restrictions(
    settings: Settings, copy: Path, home: Path
) -> None:
    (home / "empty" / "deeper").mkdir(parents=True)
    home.chmod(0o750)
    replicas.restore(home, copy.as_uri(), settings.keys / "master.key")
    assert stat.S_IMODE(home.stat().st_mode) == 0o710
    assert not (home / "empty").exists()
    keys = [path for path in (home / "keys").iterdir()]
    assert len(keys) == 2 and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys)


@pytest.mark.parametrize("name", ["notes.txt", "keys/master.key", "work/notes"])
def test_a_folder_that_holds_a_file_is_not_restored_into(settings: Settings, copy: Path, home: Path, name: str) -> None:
    (home / name).parent.mkdir(parents=True)
    (home / name).write_bytes(b"notes")
    refused(settings, copy.as_uri(), home, "already has files")


@pytest.mark.parametrize(
    "url", ["{}/nowhere", "zip::{}/nowhere.zip", "tar::{}/nowhere.tar", "zip::{}/new/victim", "nosuch://x"]
)
def test_a_url_without_a_copy_is_rejected_and_nothing_is_created_there(
    settings: Settings, copy: Path, home: Path, tmp_path: Path, url: str
) -> None:
    refused(settings, url.format(tmp_path.as_uri()), home, "has no ledger|cannot be opened")


def test_the_restore_command_leaves_nothing_of_a_hostile_copy(
    settings: Settings, copy: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.steps.copies.rebuild", lambda chosen: {})
    forge(copy / "ledger.jsonl", forged_batch_destroyed)
    (copy / replicas.HEAD).unlink()
    before = tree(tmp_path)
    with pytest.raises(landing.LandingError):
        restore(home, copy.as_uri(), settings.keys / "master.key")
    assert tree(tmp_path) == before


def test_the_restore_command_rebuilds_the_warehouse_of_a_valid_copy(
    settings: Settings, copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt: list[Path] = []
    monkeypatch.setattr("pipelines.steps.copies.rebuild", lambda chosen: rebuilt.append(chosen.home))
    restore(home, copy.as_uri(), settings.keys / "master.key")
    assert rebuilt == [home]
