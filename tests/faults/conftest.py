"""Fixtures of the fault matrix: three attempts without waiting, and each frame checked by its suite once."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipelines.feeds.protocols import http
from pipelines.quality import suites
from tests.faults.matrix import Case, check

_verdicts: dict[tuple[str, str, bytes], suites.Verdict] = {}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ATTEMPTS", 3)
    monkeypatch.setattr(http, "PATIENCE", 1)
    validate = suites.validate_rows

    def once(name: str, frame: pl.DataFrame) -> suites.Verdict:
        # A suite's verdict depends on nothing but the suite and the frame, and most cases end with the same one.
        asked = (name, suites.suite_version(name), frame.write_json().encode())
        if asked not in _verdicts:
            _verdicts[asked] = validate(name, frame)
        return _verdicts[asked]

    monkeypatch.setattr(suites, "validate_rows", once)


@pytest.fixture
def hold(
    record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Case], None]:
    """Run a case of the matrix and note it for the table."""

    def held(case: Case) -> None:
        record_property("fault", case.fault)
        record_property("agency", case.agency.name)
        record_property("declared", f"{case.outcome} {'/'.join(map(str, case.counts))}")
        check(case, monkeypatch, tmp_path)

    return held
