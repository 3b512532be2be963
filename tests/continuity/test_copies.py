"""What continuity promises: a copy restores to the same bytes, is checked, and forgets what was destroyed."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines import landing, records
from pipelines.continuity import copies
from pipelines.settings import Settings
from tests.conftest import AS_OF, delivery


@pytest.fixture
def copied(settings: Settings, tmp_path: Path) -> str:
    settings.home.mkdir()
    (settings.home / "profile").write_text("korea")
    landing.put(settings, "calls", delivery([{"id": "old"}], end=AS_OF - timedelta(days=30)))
    landing.put(settings, "calls", delivery([{"id": "new"}]))
    records.write(settings, "scores", "a", pl.DataFrame({"pinball": [0.2]}))
    url = (tmp_path / "copy").as_uri()
    copies.replicate(settings, url)
    return url


def restored(settings: Settings, url: str, folder: Path) -> Settings:
    other = settings.model_copy(update={"home": folder})
    copies.restore(other.home, url, settings.keys / "master.key")
    copies.verify(other)
    return other


def test_a_restored_home_reads_the_same_bytes(settings: Settings, copied: str, tmp_path: Path) -> None:
    other = restored(settings, copied, tmp_path / "restored")
    assert [landing.read(other, b) for b in landing.batches(other)] == [
        landing.read(settings, b) for b in landing.batches(settings)
    ]
    assert copies.verify(other) == copies.verify(settings)


def test_the_master_key_never_leaves_the_home(copied: str) -> None:
    folder = Path(copied.removeprefix("file://"))
    assert list(folder.rglob("*.key")) and not list(folder.rglob("master.key"))


def test_only_what_is_missing_is_copied_again(settings: Settings, copied: str) -> None:
    assert copies.replicate(settings, copied) == 1


def test_destroyed_batches_are_unreadable_in_the_copy_too(settings: Settings, copied: str, tmp_path: Path) -> None:
    landing.destroy(settings, "calls", AS_OF - timedelta(days=7))
    copies.replicate(settings, copied)
    other = restored(settings, copied, tmp_path / "restored")
    old, new = landing.batches(other)
    assert landing.read(other, new)
    with pytest.raises(landing.LandingError):
        landing.read(other, old)


def test_an_altered_copy_is_refused(settings: Settings, copied: str, tmp_path: Path) -> None:
    blob = next(Path(copied.removeprefix("file://")).rglob("*.aes"))
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(landing.LandingError, match="altered"):
        restored(settings, copied, tmp_path / "restored")


def test_a_home_in_use_is_not_restored_over(settings: Settings, copied: str) -> None:
    with pytest.raises(copies.ContinuityError, match="empty folder"):
        copies.restore(settings.home, copied, settings.keys / "master.key")
