"""The archive of a span of days: its files equal the agencies' tables."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines import simulator
from pipelines.config import profile as profiles
from pipelines.config.errors import StepError
from pipelines.simulator.archive import archive
from pipelines.simulator.police import VANISHED
from pipelines.steps.simulate import simulate, simulated

KOREA = profiles.load("korea")
SPAN = date(2025, 10, 28), date(2025, 11, 4)


def of(*provinces: str) -> profiles.Profile:
    return KOREA.model_copy(update={"areas": KOREA.areas.model_copy(update={"provinces": provinces})})


def read(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / name / "**/*.parquet", hive_partitioning=False)


@pytest.mark.slow
def test_months_and_provinces_together_equal_the_tables(tmp_path: Path) -> None:
    profile = of("30", "36")
    progress = list(archive(profile, tmp_path, *SPAN, processes=2))
    tables = simulator.tables(profile, *SPAN)
    for name in ("police_112", "fire_119", "investigation_cases", "truth_police"):
        assert_frame_equal(read(tmp_path, name), tables.pop(name), check_row_order=False)
    for name, frame in tables.items():
        assert_frame_equal(pl.read_parquet(tmp_path / f"{name}.parquet"), frame, check_row_order=False)
    months = sorted(path.name for path in (tmp_path / "police_112").iterdir())
    assert months == ["month=2025-10", "month=2025-11"]
    assert [done.share for done in progress] == sorted(done.share for done in progress)
    assert progress[-1].share == 1.0
    assert not list(tmp_path.rglob("*.part"))


def test_truths_name_records_of_both_agencies_that_exist() -> None:
    tables = simulator.tables(of("11"), *SPAN)
    calls, alarms = set(tables["police_112"]["incident_no"]), tables["fire_119"]
    joint = tables["truth_joint"]
    assert joint.height > 20
    assert set(joint["incident_no"]) <= calls
    assert set(joint["dclr_rcpt_no"]) == set(
        alarms.filter(pl.col("dclr_rcpt_no").is_in(joint["dclr_rcpt_no"].implode()), jnt_crsp_yn="Y")["dclr_rcpt_no"]
    )
    repeats = tables["truth_near_repeats"]
    assert repeats.height > 0
    assert set(repeats["incident_no"]) | set(repeats["parent_incident_no"]) <= calls
    vanished = tables["truth_vanished"].height / tables["truth_police"].height
    assert vanished == pytest.approx(VANISHED, rel=0.9)


def test_a_province_that_does_not_exist_is_rejected() -> None:
    with pytest.raises(StepError, match="unknown provinces"):
        simulated("korea", None, ("99",))


def test_records_of_two_runs_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "old.parquet").touch()
    with pytest.raises(StepError, match="is not empty"):
        simulate(of("36"), None, 1, tmp_path, lambda *_: None)
