"""Copies of a home: a copy restores to the same bytes, is verified, and loses what was destroyed.

A wrong, empty or damaged home cannot damage a copy.
"""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.continuity import replicas, source
from pipelines.store import landing, ledger, records
from tests.conftest import AS_OF, delivery, unexpected_modes


@pytest.fixture
def copied(settings: Settings, tmp_path: Path) -> str:
    settings.home.mkdir()
    (settings.home / "profile").write_text("korea")
    landing.put(settings, "calls", delivery([{"id": "old"}], end=AS_OF - timedelta(days=30)))
    landing.put(settings, "calls", delivery([{"id": "new"}]))
    records.write(settings, "scores", "a", pl.DataFrame({"pinball": [0.2]}))
    url = (tmp_path / "copy").as_uri()
    replicas.replicate(settings, url)
    return url


def folder_of(url: str) -> Path:
    return Path(url.removeprefix("file://"))


def files_of(url: str) -> dict[str, bytes]:
    folder = folder_of(url)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def newest(settings: Settings) -> landing.Batch:
    return landing.batches(settings)[-1]


def restored(settings: Settings, url: str, folder: Path) -> Settings:
    other = settings.model_copy(update={"home": folder})
    replicas.restore(other.home, url, settings.keys / "master.key")
    replicas.verify(other)
    return other


def test_a_restored_home_reads_the_same_bytes(settings: Settings, copied: str, tmp_path: Path) -> None:
    other = restored(settings, copied, tmp_path / "restored")
    assert [landing.read(other, b) for b in landing.batches(other)] == [
        landing.read(settings, b) for b in landing.batches(settings)
    ]
    assert replicas.verify(other) == replicas.verify(settings)


def test_a_restored_home_is_accessible_to_its_owner_only(settings: Settings, copied: str, tmp_path: Path) -> None:
    assert unexpected_modes(restored(settings, copied, tmp_path / "restored").home) == {}


def test_the_master_key_never_leaves_the_home(copied: str) -> None:
    folder = folder_of(copied)
    assert list(folder.rglob("*.key")) and not list(folder.rglob("master.key"))


def test_only_missing_files_are_copied_again(settings: Settings, copied: str) -> None:
    assert replicas.replicate(settings, copied) == 0
    landing.put(settings, "calls", delivery([{"id": "newer"}]))
    assert replicas.replicate(settings, copied) == 2, "the bytes and their key"


def test_a_copy_has_its_own_profile_file(settings: Settings, copied: str, tmp_path: Path) -> None:
    (settings.home / "profile.toml").write_text("name = 'ours'")
    replicas.replicate(settings, copied)
    assert (restored(settings, copied, tmp_path / "restored").home / "profile.toml").read_text() == "name = 'ours'"


def another_home(settings: Settings) -> None:
    shutil.rmtree(settings.home)
    landing.put(settings, "calls", delivery([{"id": "other"}]))


def empty_home(settings: Settings) -> None:
    shutil.rmtree(settings.home)


def only_the_master_key(settings: Settings) -> None:
    kept = (settings.keys / "master.key").read_bytes()
    empty_home(settings)
    ledger.write_durably(settings.keys / "master.key", kept)


def shortened_ledger(settings: Settings) -> None:
    lines = settings.ledger.read_bytes().splitlines(keepends=True)
    settings.ledger.write_bytes(b"".join(lines[:-1]))
    assert ledger.verify(settings.ledger) == len(lines) - 1, "the chain alone does not tell"


def rewritten_end(settings: Settings) -> None:
    shortened_ledger(settings)
    for _ in range(2):
        ledger.append(settings.ledger, "load", load="batch")


@pytest.mark.parametrize(
    "happened",
    [another_home, empty_home, only_the_master_key, shortened_ledger, rewritten_end],
    ids=lambda f: f.__name__,
)
def test_a_home_that_does_not_continue_the_copy_changes_nothing_there(
    settings: Settings, copied: str, happened: Callable[[Settings], None]
) -> None:
    before = files_of(copied)
    happened(settings)
    with pytest.raises(replicas.ContinuityError):
        replicas.replicate(settings, copied)
    assert files_of(copied) == before


@pytest.mark.parametrize("head", [None, b'{"seq": 1'])
def test_without_a_whole_head_the_ledgers_are_compared_all_the_same(
    settings: Settings, copied: str, head: bytes | None
) -> None:
    path = folder_of(copied) / replicas.HEAD
    path.write_bytes(head) if head else path.unlink()
    before = files_of(copied)
    shortened_ledger(settings)
    with pytest.raises(replicas.ContinuityError, match="does not continue"):
        replicas.replicate(settings, copied)
    assert files_of(copied) == before


def test_the_error_states_how_to_restore_the_home(settings: Settings, copied: str) -> None:
    another_home(settings)
    with pytest.raises(replicas.ContinuityError, match="bongsu restore --home"):
        replicas.replicate(settings, copied)


def test_a_broken_ledger_is_not_copied(settings: Settings, copied: str) -> None:
    before = files_of(copied)
    settings.ledger.write_bytes(settings.ledger.read_bytes() + b"not an entry\n")
    with pytest.raises(ledger.LedgerError):
        replicas.replicate(settings, copied)
    assert files_of(copied) == before


def test_lost_keys_here_stay_in_the_copy(settings: Settings, copied: str) -> None:
    before = files_of(copied)
    landing.key_path(settings, newest(settings).batch_id).unlink()
    with pytest.raises(replicas.ContinuityError, match="is missing or altered"):
        replicas.replicate(settings, copied)
    assert files_of(copied) == before


def test_an_altered_key_here_does_not_replace_the_copys(settings: Settings, copied: str) -> None:
    before = files_of(copied)
    key = landing.key_path(settings, newest(settings).batch_id)
    key.write_bytes(bytes(len(key.read_bytes())))
    with pytest.raises(replicas.ContinuityError, match="does not open with the master key"):
        replicas.replicate(settings, copied)
    assert files_of(copied) == before


def test_an_altered_file_here_is_never_sent(settings: Settings, copied: str, tmp_path: Path) -> None:
    record = next(settings.records.rglob("*.parquet"))
    record.write_bytes(record.read_bytes()[:-1] + b"?")
    with pytest.raises(replicas.ContinuityError, match="is missing or altered"):
        replicas.replicate(settings, (tmp_path / "second").as_uri())
    assert not any(name.startswith("records") for name in files_of((tmp_path / "second").as_uri()))


def test_only_files_in_the_ledger_are_copied(settings: Settings, copied: str) -> None:
    for stray in (settings.landing / "calls" / f"{'0' * 64}.zst.aes", settings.keys / f"{'0' * 64}.key"):
        ledger.write_durably(stray, b"of a put that was killed")
    assert replicas.replicate(settings, copied) == 0
    assert not any("0" * 64 in name for name in files_of(copied))


def test_batches_landed_during_a_copy_wait_for_the_next(
    settings: Settings, copied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.put(settings, "calls", delivery([{"id": "newer"}]))
    put = replicas._put

    def landing_meanwhile(system: object, path: str, content: bytes) -> None:
        landing.put(settings, "calls", delivery([{"id": "meanwhile"}]))
        put(system, path, content)

    monkeypatch.setattr(replicas, "_put", landing_meanwhile)
    replicas.replicate(settings, copied)
    assert len(landing.batches(restored(settings, copied, tmp_path / "restored"))) == 3
    assert len(landing.batches(settings)) == 4


@pytest.mark.parametrize("pattern", ["landing/**/*.aes", "keys/*.key", "records/**/*.parquet"])
def test_a_file_of_the_right_size_but_other_bytes_is_repaired_in_the_copy(
    settings: Settings, copied: str, tmp_path: Path, pattern: str
) -> None:
    altered = next(folder_of(copied).glob(pattern))
    altered.write_bytes(bytes(altered.stat().st_size))
    assert replicas.replicate(settings, copied) == 1
    restored(settings, copied, tmp_path / "restored")


def test_a_key_of_other_bytes_in_the_copy_is_detected_by_verify(
    settings: Settings, copied: str, tmp_path: Path
) -> None:
    batch_id = newest(settings).batch_id
    orphan = landing._seal(landing._master_key(settings), bytes(32), batch_id)
    (folder_of(copied) / "keys" / f"{batch_id}.key").write_bytes(orphan)
    with pytest.raises(landing.LandingError, match="not the key of its batch"):
        restored(settings, copied, tmp_path / "restored")


def test_a_restore_with_another_master_key_is_detected(settings: Settings, copied: str, tmp_path: Path) -> None:
    other = settings.model_copy(update={"home": tmp_path / "restored"})
    (tmp_path / "other.key").write_bytes(bytes(32))
    with pytest.raises(landing.LandingError, match="does not open with the master key"):
        replicas.restore(other.home, copied, tmp_path / "other.key")
    assert not other.home.exists()


def test_a_copy_that_lost_the_end_of_its_ledger_is_not_restored(
    settings: Settings, copied: str, tmp_path: Path
) -> None:
    path = folder_of(copied) / replicas.LEDGER
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(replicas.ContinuityError, match="lost its end"):
        restored(settings, copied, tmp_path / "restored")
    replicas.replicate(settings, copied)
    restored(settings, copied, tmp_path / "again")


def test_a_copy_cut_in_its_ledger_is_completed_by_the_next(settings: Settings, copied: str, tmp_path: Path) -> None:
    path = folder_of(copied) / replicas.LEDGER
    path.write_bytes(path.read_bytes()[:-20])
    replicas.replicate(settings, copied)
    assert path.read_bytes() == settings.ledger.read_bytes()


def test_destroyed_batches_are_unreadable_in_the_copy_too(settings: Settings, copied: str, tmp_path: Path) -> None:
    landing.destroy(settings, "calls", AS_OF - timedelta(days=7))
    replicas.replicate(settings, copied)
    assert len(list((folder_of(copied) / "keys").iterdir())) == 1
    other = restored(settings, copied, tmp_path / "restored")
    old, new = landing.batches(other)
    assert landing.read(other, new)
    with pytest.raises(landing.LandingError):
        landing.read(other, old)


def test_an_altered_copy_is_rejected(settings: Settings, copied: str, tmp_path: Path) -> None:
    blob = next(folder_of(copied).rglob("*.aes"))
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(landing.LandingError, match="altered"):
        restored(settings, copied, tmp_path / "restored")


def test_a_home_in_use_is_not_restored_over(settings: Settings, copied: str) -> None:
    with pytest.raises(replicas.ContinuityError, match="empty folder"):
        replicas.restore(settings.home, copied, settings.keys / "master.key")


def test_without_the_master_key_nothing_is_restored(settings: Settings, copied: str, tmp_path: Path) -> None:
    with pytest.raises(replicas.ContinuityError, match=r"master\.key is missing: without the master key no batch"):
        replicas.restore(tmp_path / "restored", copied, tmp_path / "master.key")
    assert not (tmp_path / "restored").exists()


def test_a_file_in_the_place_of_the_home_is_not_replaced(settings: Settings, copied: str, tmp_path: Path) -> None:
    (tmp_path / "home.txt").write_text("mine")
    with pytest.raises(replicas.ContinuityError, match=r"home\.txt is not a folder; restore into a new or empty"):
        replicas.restore(tmp_path / "home.txt", copied, settings.keys / "master.key")
    assert (tmp_path / "home.txt").read_text() == "mine"


def test_a_mount_point_is_not_replaced(
    settings: Settings, copied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "volume")
    with pytest.raises(replicas.ContinuityError, match="volume is a mount point and cannot be replaced"):
        replicas.restore(tmp_path / "volume", copied, settings.keys / "master.key")


@pytest.mark.parametrize("head", [b'{"seq": 3, "ha', b"", b"null", b"[1]", b'{"seq": "3", "hash": 1}'])
def test_a_copy_whose_head_was_cut_while_it_was_written_still_restores(
    settings: Settings, copied: str, tmp_path: Path, head: bytes
) -> None:
    (folder_of(copied) / replicas.HEAD).write_bytes(head)
    assert len(landing.batches(restored(settings, copied, tmp_path / "restored"))) == 2


def test_a_file_that_arrives_altered_is_noticed(settings: Settings, tmp_path: Path) -> None:
    class Faulty:
        def makedirs(self, _path: str, exist_ok: bool) -> None: ...

        def pipe_file(self, _path: str, _content: bytes) -> None: ...

        def cat_file(self, _path: str) -> bytes:
            return b"other"

    with pytest.raises(replicas.ContinuityError, match=r"a/b did not arrive .*run `bongsu replicate` again"):
        replicas._put(Faulty(), "a/b", b"sent")


def test_a_store_without_folders_has_no_links_to_refuse() -> None:
    class Objects:
        def info(self, path: str) -> dict[str, object]:
            raise FileNotFoundError(path)

    source.refuse_linked_folders(Objects(), "bucket", ["landing/calls/a", "keys/b"])
