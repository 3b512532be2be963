"""Prophet's mean: short series, processes."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipelines.forecast import parallel
from pipelines.forecast.demand.models import prophet
from tests.forecast.demand.conftest import targets_of

START = datetime(2025, 6, 2)


def days(n: int, series: int = 1, rate: float = 20.0, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    ds = [START + timedelta(days=i) for i in range(n)]
    weekend = np.array([d.weekday() >= 5 for d in ds])
    return pl.DataFrame(
        {"unique_id": series, "ds": ds, "y": rng.poisson(rate * (1 + weekend)).astype(float)},
        schema_overrides={"ds": pl.Datetime("us")},
    )


def test_the_mean_follows_the_weekday_and_is_never_negative() -> None:
    cutoff = START + timedelta(days=200)
    forecasts = prophet.predict(days(210), targets_of(cutoff, 14))
    weekend = forecasts["ds"].dt.weekday() >= 6
    assert forecasts["failure"].null_count() == 14
    assert forecasts.filter(weekend)["mean"].mean() == pytest.approx(40, rel=0.15)
    assert forecasts.filter(~weekend)["mean"].mean() == pytest.approx(20, rel=0.15)
    sparse = prophet.predict(days(200, rate=0.02), targets_of(cutoff, 14))
    assert sparse["mean"].min() >= 0


def test_a_series_that_never_has_some_weekday_has_no_mean() -> None:
    cutoff = START + timedelta(days=700)
    weekly = days(700).filter(pl.col("ds").dt.weekday() == 1)
    forecasts = prophet.predict(weekly, targets_of(cutoff, 7))
    assert forecasts["mean"].null_count() == 7
    assert set(forecasts["failure"]) == {"a weekday without any known day"}


def test_nothing_from_the_cutoff_on_changes_the_mean() -> None:
    cutoff = START + timedelta(days=100)
    altered = days(120).with_columns(y=pl.when(pl.col("ds") >= cutoff).then(999.0).otherwise("y"))
    single, two = (prophet.predict(h, targets_of(cutoff, 7))["mean"] for h in (days(120), altered))
    assert single.equals(two)


def test_a_short_or_unknown_series_reports_a_failure() -> None:
    targets = pl.concat(
        [targets_of(START + timedelta(days=20), 2), targets_of(START + timedelta(days=20), 1, series=2)]
    )
    forecasts = prophet.predict(days(20), targets)
    assert forecasts["mean"].to_list() == [None] * 3
    assert forecasts["failure"].str.contains("fewer than 56 days").all()


def test_a_fit_that_fails_is_a_failure_of_its_series_alone() -> None:
    bad = days(100, series=2).with_columns(y=pl.lit(float("inf")))
    targets = pl.concat([targets_of(START + timedelta(days=100), 1, 1), targets_of(START + timedelta(days=100), 1, 2)])
    forecasts = prophet.predict(pl.concat([days(100), bad]), targets)
    assert forecasts["mean"].is_null().to_list() == [False, True]
    assert forecasts["failure"][1].startswith("Prophet failed")


@pytest.mark.slow
def test_the_numbers_do_not_depend_on_how_many_processes_fit() -> None:
    history = pl.concat(days(80, series=i, seed=i) for i in range(9))
    targets = pl.concat(targets_of(START + timedelta(days=80), 3, series=i) for i in range(9))
    reports: list[str] = []
    with parallel.opened(2) as workers:
        two = prophet.predict(history, targets, workers, reports.append)
    assert prophet.predict(history, targets).equals(two)
    assert reports == ["1 of 2 batches of 8 Prophet fits", "2 of 2 batches of 8 Prophet fits"]


MAIN = """
if __name__ != "__main__":
    raise RuntimeError("imported again")
import numpy as np
from pipelines.forecast import parallel
from pipelines.forecast.demand.models import covariates, prophet
days = np.arange("2025-01-01", "2025-04-11", dtype="datetime64[D]").astype("datetime64[us]")
tasks = [prophet.Task((n, 0), days[:80], np.ones(80) * n, days[80:]) for n in range(10)]
with parallel.opened(2) as workers:
    print(sum(answer.means is not None for answer in prophet.fit(tasks, workers)))
"""


@pytest.mark.slow
def test_parallel_fits_do_not_need_the_main_module_of_the_caller(tmp_path: Path) -> None:
    script = tmp_path / "scheduler.py"
    script.write_text(MAIN)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "10", done.stderr


def test_a_short_history_has_no_trend_and_the_newest_level() -> None:
    n = 300
    grown = days(n).with_columns(y=pl.col("y") * np.linspace(1, 3, n))
    forecasts = prophet.predict(grown, targets_of(START + timedelta(days=n), 84))["mean"]
    assert forecasts.tail(7).mean() == pytest.approx(forecasts.head(7).mean(), rel=1e-6)  # type: ignore[arg-type]
    usual = grown.tail(56)["y"].mean()
    assert forecasts.mean() == pytest.approx(usual, rel=0.12)


def test_hours_have_a_height_for_every_hour_of_the_week() -> None:
    rng = np.random.default_rng(8)
    night = np.isin(np.arange(168) % 24, (0, 1, 2))
    # Nights are busy at weekends only, which no daily season that adds to a weekly one can say.
    week = np.where(night & (np.arange(168) >= 120), 30.0, 5.0)
    hours = 168 * 10
    history = pl.DataFrame(
        {
            "unique_id": 1,
            "ds": [START + timedelta(hours=i) for i in range(hours)],
            "y": rng.poisson(np.tile(week, 10)).astype(float),
        },
        schema_overrides={"ds": pl.Datetime("us")},
    )
    cutoff = START + timedelta(hours=hours)
    ds = [cutoff + timedelta(hours=i) for i in range(168)]
    targets = pl.DataFrame({"unique_id": 1, "cutoff": cutoff, "ds": ds}).with_columns(
        pl.col("cutoff", "ds").cast(pl.Datetime("us"))
    )
    forecasts = prophet.predict(history, targets, freq="h")["mean"].to_numpy()
    assert forecasts[week == 30].mean() == pytest.approx(30, rel=0.2)
    assert forecasts[night & (week == 5)].mean() == pytest.approx(5, abs=2)
    assert forecasts.min() >= 0


def test_covariates_known_ahead_are_used_and_others_reported() -> None:
    event = (np.arange(214) % 9 == 0).astype(float)
    rng = np.random.default_rng(9)
    history = days(200).with_columns(y=pl.Series(rng.poisson(20 * (1 + event[:200]))).cast(pl.Float64))
    known = days(214).select("ds").with_columns(match=event, never=pl.lit(0.0))
    targets = targets_of(START + timedelta(days=200), 14)
    forecasts = prophet.predict(history, targets, covariates=known)
    rate = forecasts.join(known, on="ds").group_by("match").agg(pl.col("mean").mean()).sort("match")["mean"]
    assert rate[1] / rate[0] > 1.6
    assert forecasts["failure"].null_count() == 14
    short = known.filter(pl.col("ds") < START + timedelta(days=205))
    without = prophet.predict(history, targets, covariates=short)
    assert without["mean"].null_count() == 0
    assert without["failure"][0] == "forecast without match, never: not known for every step ahead"


def test_a_fit_logs_nothing_in_a_new_process() -> None:
    """As on the command line, where messages of level INFO are shown."""
    code = (
        "import logging, polars as pl; logging.basicConfig(level='INFO'); "
        "from pipelines.forecast.demand.models import prophet; "
        "from tests.forecast.demand.models.test_prophet import days; "
        "past = days(60); "
        "targets = pl.DataFrame({'unique_id': [1], 'cutoff': [past['ds'].max()], 'ds': [past['ds'].max()]}); "
        "prophet.predict(past, targets)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
