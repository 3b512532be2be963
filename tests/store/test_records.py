"""Records: written once, checked before every use."""

import polars as pl
import pytest

from pipelines.config.settings import Settings
from pipelines.store import ledger, records


def test_the_same_record_again_changes_nothing(settings: Settings) -> None:
    frame = pl.DataFrame({"mean": [1.5]})
    paths = {records.write(settings, "forecasts", "2026-03-02", frame) for _ in range(2)}
    assert len(paths) == 1
    assert ledger.verify(settings.ledger) == 1


def test_a_second_issue_is_kept_next_to_the_first(settings: Settings) -> None:
    for mean in (1.5, 2.5):
        records.write(settings, "forecasts", "2026-03-02", pl.DataFrame({"mean": [mean]}))
    stored = records.read(settings, "forecasts")
    assert stored is not None
    assert stored.sort("_issue")["mean"].to_list() == [1.5, 2.5]


def test_a_flipped_bit_is_detected(settings: Settings) -> None:
    path = settings.records / records.write(settings, "scores", "a", pl.DataFrame({"pinball": [0.2]}))
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(records.RecordError, match="missing or altered"):
        records.read(settings, "scores")


def test_reading_without_records_returns_none(settings: Settings) -> None:
    assert records.read(settings, "forecasts") is None


def test_only_the_files_of_the_named_stamps_are_opened(settings: Settings) -> None:
    for stamp in ("20260301T2015Z", "20260302T2015Z-fetch-a", "20260302T2015Z-load-a", "20260303T2015Z"):
        path = settings.records / records.write(settings, "outcomes", stamp, pl.DataFrame({"name": [stamp]}))
        if "20260302" not in stamp:
            path.unlink()
    stored = records.read(settings, "outcomes", since="20260302T2015Z", until="20260302T2015Z")
    assert stored is not None
    assert stored["name"].to_list() == ["20260302T2015Z-fetch-a", "20260302T2015Z-load-a"]
    assert records.read(settings, "outcomes", since="20260304") is None
    with pytest.raises(records.RecordError):
        records.read(settings, "outcomes", since="20260302T2015Z")


def test_a_return_to_older_content_is_the_newest_issue(settings: Settings) -> None:
    for mean in (1.5, 2.5, 1.5, 1.5):
        records.write(settings, "forecasts", "2026-03-02", pl.DataFrame({"mean": [mean]}))
    stored = records.read(settings, "forecasts")
    assert stored is not None
    assert stored.sort("_issue")["mean"].to_list() == [1.5, 2.5, 1.5]


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../../a.parquet"},
        {"path": "/a.parquet"},
        {"record_kind": ".."},
        {"name": "../a"},
        {"name": None},
        {"sha256": "0" * 63},
    ],
)
def test_no_path_is_made_from_a_bad_ledger_entry(settings: Settings, change: dict[str, object]) -> None:
    records.write(settings, "scores", "a", pl.DataFrame({"pinball": [0.2]}))
    (entry,) = records.entries(settings, "scores")
    with pytest.raises(records.RecordError, match=r"ledger entry 0: .*; restore the ledger from an intact copy"):
        records.path_of(settings, entry | change)
