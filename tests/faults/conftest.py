"""Fixtures of the fault matrix: three attempts without waiting, and each frame checked by its suite only once."""

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
    monkeypatch.setenv("BONGSU_REQUEST_ATTEMPTS", "3")
    monkeypatch.setattr(http, "PATIENCE", 1)
    validate = suites.validate_rows

    def once(name: str, frame: pl.DataFrame) -> suites.Verdict:
        # A suite's verdict depends only on the suite and the frame, and most cases have the same frame.
        question = (name, suites.suite_version(name), frame.write_json().encode())
        if question not in _verdicts:
            _verdicts[question] = validate(name, frame)
        return _verdicts[question]

    monkeypatch.setattr(suites, "validate_rows", once)


@pytest.fixture
def run_matrix_case(
    record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Case], None]:
    """Run a case of the matrix and record it for the table."""

    def run_case(case: Case) -> None:
        record_property("fault", case.fault)
        record_property("agency", case.agency.name)
        record_property("declared", f"{case.outcome} {'/'.join(map(str, case.counts))}")
        check(case, monkeypatch, tmp_path)

    return run_case
