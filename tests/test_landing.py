"""What landing promises: bytes back exactly, never in the clear on disk, and gone for good when destroyed."""

from datetime import timedelta

import pytest

from pipelines import landing, ledger
from pipelines.feeds.feed import Delivery
from pipelines.settings import Settings
from tests.conftest import AS_OF

PARTS = (b'{"page": 1}', "화재\n구급".encode("cp949"), b"")


def batch_of(settings: Settings, parts: tuple[bytes, ...] = PARTS, days: int = 0) -> landing.Batch:
    end = AS_OF - timedelta(days=days)
    batch_id = landing.put(settings, "calls", Delivery(parts, end - timedelta(days=1), end))
    return next(batch for batch in landing.batches(settings) if batch.batch_id == batch_id)


def test_the_bytes_come_back_exactly_as_received(settings: Settings) -> None:
    assert landing.read(settings, batch_of(settings)) == PARTS


def test_the_same_delivery_again_changes_nothing(settings: Settings) -> None:
    batch_of(settings)
    before = settings.ledger.read_bytes()
    batch_of(settings)
    assert settings.ledger.read_bytes() == before


def test_no_byte_lies_in_the_clear(settings: Settings) -> None:
    batch = batch_of(settings, (b"a secret place " * 50,))
    assert b"secret" not in landing.blob_path(settings, "calls", batch.batch_id).read_bytes()


def test_an_altered_blob_is_refused_and_found_by_verify(settings: Settings) -> None:
    batch = batch_of(settings)
    path = landing.blob_path(settings, "calls", batch.batch_id)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(landing.LandingError, match="altered"):
        landing.read(settings, batch)
    with pytest.raises(landing.LandingError, match="altered"):
        landing.verify(settings)


def test_destroyed_batches_are_unreadable_and_do_not_come_back(settings: Settings) -> None:
    old, young = batch_of(settings, (b"old",), days=30), batch_of(settings, (b"young",))
    assert landing.destroy(settings, "calls", AS_OF - timedelta(days=7)) == [old.batch_id]
    with pytest.raises(landing.LandingError, match="destroyed"):
        landing.read(settings, batch_of_id(settings, old.batch_id))
    with pytest.raises(landing.LandingError, match=r"missing|altered"):
        landing.read(settings, old)
    with pytest.raises(landing.LandingError, match="not landed again"):
        batch_of(settings, (b"old",), days=30)
    assert landing.read(settings, young) == (b"young",)
    assert landing.verify(settings) == 2
    assert ledger.verify(settings.ledger) == 3


def test_a_destruction_cut_by_a_crash_is_finished_later(settings: Settings) -> None:
    batch = batch_of(settings)
    ledger.append(settings.ledger, "destroy", feed="calls", before="", batch_ids=[batch.batch_id])
    with pytest.raises(landing.LandingError, match="still has its key"):
        landing.verify(settings)
    landing.finish_destruction(settings)
    assert landing.verify(settings) == 1


def test_without_the_master_key_nothing_is_overwritten(settings: Settings) -> None:
    batch = batch_of(settings)
    (settings.keys / "master.key").unlink()
    with pytest.raises(landing.LandingError, match="without it no batch can be read"):
        landing.read(settings, batch)


def batch_of_id(settings: Settings, batch_id: str) -> landing.Batch:
    return next(batch for batch in landing.batches(settings) if batch.batch_id == batch_id)
