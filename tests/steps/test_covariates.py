"""The file of covariates: read from the data directory, and named where it cannot be used."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.steps import covariates

AS_OF = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    korea = profiles.load("korea")
    demand = korea.demand.model_copy(update={"covariates": "feeds/weather.csv"})
    (tmp_path / "feeds").mkdir()
    return Settings(home=tmp_path, profile=korea.model_copy(update={"demand": demand}), as_of=AS_OF)


def write(settings: Settings, frame: pl.DataFrame) -> None:
    frame.write_csv(settings.home / "feeds" / "weather.csv")


def test_a_file_that_covers_the_hours_ahead_is_read_without_a_reason(settings: Settings) -> None:
    ds = [datetime(2026, 3, 1) + timedelta(days=day) for day in range(12)]
    write(settings, pl.DataFrame({"ds": ds, "known_at": "2026-03-02 18:00", "heat": 30}))
    known, reason = covariates.read(settings)
    assert known is not None and known.columns == ["known_at", "ds", "covariate heat"] and reason is None


def test_a_missing_or_wrong_file_is_a_reason_without_its_place_on_the_machine(settings: Settings) -> None:
    assert covariates.read(settings) == (None, "forecast without covariates: weather.csv does not exist")
    write(settings, pl.DataFrame({"ds": ["2026-03-01"], "heat": ["hot"]}))
    _, reason = covariates.read(settings)
    assert reason is not None and reason.startswith("forecast without covariates: covariates, row 1: heat 'hot' is not")


def test_a_profile_without_covariates_reads_none(settings: Settings) -> None:
    plain = settings.model_copy(update={"profile": profiles.load("korea")})
    assert covariates.read(plain) == (None, None)
