"""The ledger: lines edited, removed, inserted or moved are detected."""

import os
import stat
from pathlib import Path

import orjson
import pytest

from pipelines.store import ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for number in range(4):
        ledger.append(tmp_path / "ledger.jsonl", "batch", number=number)
    return tmp_path / "ledger.jsonl"


def test_entries_are_read_in_order(path: Path) -> None:
    assert [entry["number"] for entry in ledger.read(path)] == [0, 1, 2, 3]
    assert ledger.verify(path) == 4


def test_entries_are_read_by_kind(path: Path) -> None:
    ledger.append(path, "destroy", number=9)
    assert [entry["number"] for entry in ledger.read(path, "destroy")] == [9]


def test_an_edited_line_breaks_the_chain(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    edited = {**orjson.loads(lines[1]), "number": 7}
    path.write_bytes(b"\n".join([lines[0], orjson.dumps(edited), *lines[2:]]) + b"\n")
    with pytest.raises(ledger.LedgerError, match="entry 1"):
        ledger.verify(path)


@pytest.mark.parametrize("order", [(0, 2, 3), (0, 2, 1, 3), (0, 1, 1, 2, 3), (1, 2, 3)])
def test_a_removed_moved_or_repeated_line_breaks_the_chain(path: Path, order: tuple[int, ...]) -> None:
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"".join(lines[position] + b"\n" for position in order))
    with pytest.raises(ledger.LedgerError):
        ledger.verify(path)


def test_a_line_cut_by_a_crash_is_removed_before_the_next_append(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seq": 4, "kind": "ba')
    assert len(ledger.read(path)) == 4
    ledger.append(path, "batch", number=4)
    assert ledger.verify(path) == 5


def test_a_missing_ledger_is_empty(tmp_path: Path) -> None:
    assert ledger.read(tmp_path / "none.jsonl") == []
    assert ledger.head_of(ledger.snapshot(tmp_path / "none.jsonl")) == (-1, ledger.GENESIS)


def test_the_head_shows_a_cut_end_that_the_chain_does_not(path: Path) -> None:
    before = ledger.head_of(ledger.snapshot(path))
    assert before == (3, ledger.read(path)[-1]["hash"])
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert ledger.verify(path) == 3
    assert ledger.head_of(ledger.snapshot(path)) != before


@pytest.mark.parametrize("line", [b"\x00\x00\x00", b'{"kind": "batch"}'])
def test_a_line_that_is_not_an_entry_breaks_the_chain(path: Path, line: bytes) -> None:
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ledger.LedgerError):
        ledger.verify(path)


def test_a_file_is_written_whole_and_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        for content in (b"first", b"2nd"):
            ledger.write_durably(tmp_path / "folder" / "file", content)
            assert (tmp_path / "folder" / "file").read_bytes() == content
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "folder" / "file").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"], "nothing is left aside"
