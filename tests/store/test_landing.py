"""Landing: bytes returned exactly, never in clear text on disk, and unreadable once destroyed."""

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.config.settings import Settings
from pipelines.schema.delivery import Delivery
from pipelines.store import landing, ledger
from tests.conftest import AS_OF

PARTS = (b'{"page": 1}', "화재\n구급".encode("cp949"), b"")


def batch_of(settings: Settings, parts: tuple[bytes, ...] = PARTS, days: int = 0) -> landing.Batch:
    end = AS_OF - timedelta(days=days)
    batch_id = landing.put(settings, "calls", Delivery(parts, end - timedelta(days=1), end))
    return next(batch for batch in landing.batches(settings) if batch.batch_id == batch_id)


def test_the_bytes_are_returned_exactly_as_received(settings: Settings) -> None:
    assert landing.read(settings, batch_of(settings)) == PARTS


def test_the_same_delivery_again_changes_nothing(settings: Settings) -> None:
    batch_of(settings)
    before = settings.ledger.read_bytes()
    batch_of(settings)
    assert settings.ledger.read_bytes() == before


def test_no_clear_text_is_on_disk(settings: Settings) -> None:
    batch = batch_of(settings, (b"a secret place " * 50,))
    assert b"secret" not in landing.blob_path(settings, "calls", batch.batch_id).read_bytes()


def test_an_altered_blob_is_rejected_and_detected_by_verify(settings: Settings) -> None:
    batch = batch_of(settings)
    path = landing.blob_path(settings, "calls", batch.batch_id)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(landing.LandingError, match="altered"):
        landing.read(settings, batch)
    with pytest.raises(landing.LandingError, match="altered"):
        landing.verify(settings)


def test_a_key_that_is_not_its_batchs_is_detected_by_verify(settings: Settings) -> None:
    batch, other = batch_of(settings, (b"one",)), batch_of(settings, (b"other",))
    key = landing.key_path(settings, batch.batch_id)
    original = key.read_bytes()
    orphan = landing._seal(landing._master_key(settings), bytes(32), batch.batch_id)
    for content, message in (
        (landing.key_path(settings, other.batch_id).read_bytes(), "does not open with the master key"),
        (original[:-1] + bytes([original[-1] ^ 1]), "does not open with the master key"),
        (b"", "does not open with the master key"),
        (orphan, "not the key of its batch"),
    ):
        key.write_bytes(content)
        with pytest.raises(landing.LandingError, match=message):
            landing.verify(settings)
        with pytest.raises(landing.LandingError, match="altered"):
            landing.read(settings, batch)
    key.write_bytes(original)
    assert landing.verify(settings) == 2


def test_a_window_in_the_future_is_landed_only_for_a_simulated_place(settings: Settings) -> None:
    now = datetime.now(UTC)
    real = settings.model_copy(update={"profile": settings.profile.model_copy(update={"simulator": None})})
    soon = Delivery(PARTS, None, now + timedelta(hours=20))
    late = Delivery(PARTS, None, now + timedelta(hours=28))
    assert landing.put(real, "calls", soon)
    with pytest.raises(landing.LandingError, match="in the future"):
        landing.put(real, "calls", late)
    assert len(landing.batches(real)) == 1
    assert landing.put(settings, "calls", late)


def test_destroyed_batches_are_unreadable_and_are_not_landed_again(settings: Settings) -> None:
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


def test_a_destruction_interrupted_by_a_crash_is_finished_later(settings: Settings) -> None:
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
