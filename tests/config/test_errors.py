"""Errors of the command line: one line for an expected error, a saved traceback for a defect."""

from pathlib import Path

import pytest

from pipelines.cli import main as cli
from pipelines.config.errors import BongsuError


def ended(monkeypatch: pytest.MonkeyPatch, error: Exception) -> int:
    """The exit code of a command that raises an error."""

    def app() -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_an_expected_error_prints_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    message = "the file is missing: " + "give another path with --input, " * 8 + "please"
    assert ended(monkeypatch, BongsuError(message)) == 1
    assert capsys.readouterr().err.splitlines() == [f"bongsu: BongsuError: {message}"]


def test_a_defect_prints_one_line_with_the_file_of_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert ended(monkeypatch, KeyError("x")) == 70
    (saved,) = tmp_path.iterdir()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bongsu: unexpected KeyError: 'x'") and str(saved) in line
    assert "Traceback" in saved.read_text() and "raise error" in saved.read_text()
    assert saved.stat().st_mode & 0o077 == 0, "it may hold values of records"
