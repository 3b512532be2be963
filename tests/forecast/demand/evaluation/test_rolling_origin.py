"""Rolling origins: their cutoffs, and the columns of their rows."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from pipelines.forecast.demand import nightly
from pipelines.forecast.demand.evaluation import combine, rolling_origin
from pipelines.forecast.demand.evaluation.combine import Published
from pipelines.forecast.demand.evaluation.rolling_origin import Model
from pipelines.forecast.demand.models import prophet, registry
from pipelines.forecast.demand.nightly import DemandForecast
from pipelines.forecast.demand.panel import Known, Panel
from pipelines.forecast.demand.series import History
from tests.forecast.demand.test_nightly import AS_OF, KOREA, hourly

START = datetime(2026, 1, 5)
STAMP = pl.Datetime("us")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def last(**cutoffs: datetime) -> pl.DataFrame:
    rows = {"unique_id": list(cutoffs), "pool": "p", "cutoff": list(cutoffs.values())}
    return pl.DataFrame(rows, schema_overrides={"cutoff": STAMP})


def test_origins_are_a_step_apart_before_each_series_end() -> None:
    ends = last(a=START, b=START + timedelta(days=3))
    targets = rolling_origin.past_targets(ends, "D", 2, timedelta(days=7), 2)
    a = targets.filter(pl.col("unique_id") == "a")
    assert a["cutoff"].unique().sort().to_list() == [START - timedelta(days=14), START - timedelta(days=7)]
    assert a.height == 4
    assert targets.filter(pl.col("unique_id") == "b")["cutoff"].max() == START - timedelta(days=4)


@pytest.mark.parametrize(
    ("unknown", "kept"),
    [
        (range(0), [7, 14, 21]),
        # Day 13 is the last one before the origin of day 14.
        (range(10, 14), [7, 21]),
        (range(13, 21), [7]),
        (range(14, 20), [7, 14, 21]),
        # Before the records begin no model has anything to misread.
        (range(10), [7, 14, 21]),
    ],
)
def test_no_origin_is_scored_at_which_an_outage_had_begun_but_may_not_have_been_known(
    unknown: range, kept: list[int]
) -> None:
    targets = rolling_origin.past_targets(last(a=START + DAY * 28), "D", 7, DAY * 7, 3)
    known = [START + DAY * day for day in range(28) if day not in unknown]
    counts = pl.DataFrame({"unique_id": "a", "ds": known}, schema_overrides={"ds": STAMP})
    scored = rolling_origin.outside_outages(targets, counts, "D")
    assert scored["cutoff"].unique().sort().to_list() == [START + DAY * day for day in kept]


def test_an_origin_after_an_hour_that_clocks_skip_is_scored() -> None:
    cutoff = datetime(2026, 3, 8, 3)
    targets = rolling_origin.past_targets(last(a=cutoff + DAY * 7), "h", 24, DAY * 7, 1)
    hours = [cutoff - HOUR * back for back in (2, 3, 4)]
    counts = pl.DataFrame({"unique_id": "a", "ds": hours}, schema_overrides={"ds": STAMP})
    assert rolling_origin.outside_outages(targets, counts, "h").height == 24


def test_every_model_is_run_and_the_outcome_joined() -> None:
    history = pl.DataFrame({"unique_id": [1], "ds": [START], "y": [5.0]}, schema_overrides={"ds": STAMP})
    targets = pl.DataFrame(
        {"unique_id": [1, 1], "cutoff": START, "ds": [START, START + timedelta(days=1)]},
        schema_overrides={"cutoff": STAMP, "ds": STAMP},
    )
    zero = Model("zero", lambda h, t: t.with_columns(mean=pl.lit(0.0), spread_mean=pl.lit(0.5)))
    single = Model("one", lambda h, t: t.with_columns(mean=pl.lit(1.0)))
    frame = rolling_origin.run([zero, single], history, targets)
    assert frame.select("model", "y", "mean", "centre").rows() == [
        ("zero", 5.0, 0.0, 0.5),
        ("zero", None, 0.0, 0.5),
        ("one", 5.0, 1.0, 1.0),
        ("one", None, 1.0, 1.0),
    ]


# What was known at each origin


def days(*rows: tuple[datetime, float]) -> pl.DataFrame:
    ds, y = zip(*rows, strict=True)
    return pl.DataFrame({"unique_id": 1, "ds": ds, "y": y}, schema_overrides={"unique_id": pl.Int64, "ds": STAMP})


def late(*rows: tuple[datetime, datetime, float]) -> pl.DataFrame:
    """Changes: the day, the first cutoff that knew of it, and how many calls more."""
    ds, seen, y = zip(*rows, strict=True)
    columns = {"unique_id": 1, "ds": ds, "seen_from": seen, "y": y}
    return pl.DataFrame(columns, schema_overrides={"unique_id": pl.Int64, "ds": STAMP, "seen_from": STAMP})


def test_an_origin_reads_the_counts_that_were_known_to_it() -> None:
    counts = days(*[(START + DAY * i, 10.0) for i in range(6)])
    changes = late(
        (START, START + 2 * DAY, 3.0), (START, START + 4 * DAY, -1.0), (START + 9 * DAY, START + 4 * DAY, 5.0)
    )
    history = History.of(counts, changes)
    known = {days: history.at(START + DAY * days)["y"][0] for days in (1, 2, 3, 4)}
    assert known == {1: 8.0, 2: 11.0, 3: 11.0, 4: 10.0}
    assert history.at(START)["y"][1:].to_list() == [10.0] * 5
    subset = pl.DataFrame({"unique_id": [1], "cutoff": [START + 2 * DAY]}, schema_overrides={"cutoff": STAMP})
    assert history.before(subset)["y"].to_list() == [11.0, 10.0]


def test_outcomes_are_used_as_first_known_and_scored_as_now_known() -> None:
    counts = days(*[(START + DAY * i, 10.0) for i in range(4)])
    changes = late((START, START + 2 * DAY, 3.0), (START + DAY, START + 3 * DAY, 4.0))
    end = pl.DataFrame({"unique_id": [1], "cutoff": [START + 4 * DAY]}, schema_overrides={"cutoff": STAMP})
    targets = rolling_origin.past_targets(end, "D", 2, 2 * DAY, 2)
    single = Model("one", lambda h, t: t.with_columns(mean=pl.lit(1.0)))
    predictions = rolling_origin.run([single], History.of(counts, changes), targets).sort("ds")
    # The origin of the third day knew of the first day's three, and of the second day's four nothing yet.
    assert predictions.select("y", "y_now").rows() == [(10, 10), (6, 10), (10, 10), (10, 10)]


ORIGIN = AS_OF - timedelta(days=14)
"""The instant of the last hourly origin but one, as long after its cutoff as AS_OF is after its own."""
MODELS = registry.available("h", prophet.predict, KOREA.demand.prophet_min_per_day)
FRAME = hourly({("11010", "ems"): 2.0, ("11020", "ems"): 0.5}, days=120)


def corrected(known_at: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The hourly mart with six calls more in every third hour of every other week up to a day before an instant."""
    every_other = (pl.col("local_hour") % 3 == 0) & (pl.col("local_date").dt.week() % 2 == 0)
    is_late = (pl.col("hour_start_at") < known_at - DAY) & every_other
    more = pl.when(is_late).then(6).otherwise(0)
    now = FRAME.with_columns(pl.col("calls", "releasable_calls") + more)
    stored = pl.lit(known_at).cast(pl.Datetime("us", "UTC")).alias("known_at")
    changes = FRAME.filter(is_late).select(
        "area_id", "service", "hour_start_at", stored, calls=pl.lit(6, pl.Int64), dispatches=pl.lit(0, pl.Int64)
    )
    return now, changes


def published(hourly: pl.DataFrame, changes: pl.DataFrame | None) -> Published:
    """The hourly results of a night's steps at past origins and ahead."""
    panel = Panel.read(hourly, AS_OF, KOREA, Known({}, {}, changes=changes))
    ids = panel.series.select("unique_id", "pool", "level", "cutoff")
    past = rolling_origin.past_targets(ids, "h", 168, timedelta(days=7), 4)
    ahead = rolling_origin.past_targets(
        ids.with_columns(pl.col("cutoff") + timedelta(days=7)), "h", 168, timedelta(days=7), 1
    )
    targets = pl.concat([past, ahead])
    stored = panel.known_history()
    predictions = rolling_origin.run(MODELS, stored, targets)
    return combine.published(predictions, registry.PRIOR, registry.BASELINE, "h")


def seen(built: Published, until: datetime) -> list[pl.DataFrame]:
    """Means, ranges and selections at the origins up to an instant, and the outcomes used before it."""
    columns = ["unique_id", "cutoff", "ds", "model", "models", "mean", "centre", "dispersion"]
    at_origin = pl.col("cutoff") <= until
    forecasts = built.forecasts.filter(at_origin).with_columns(
        pl.Series("levels", built.curves[built.forecasts.filter(at_origin)["curve"]])
    )
    return [
        forecasts.select(*columns, "levels").sort("unique_id", "cutoff", "ds", "model"),
        built.weights.filter(at_origin),
    ]


def test_records_known_after_an_origin_do_not_change_its_forecast() -> None:
    """Neither its means, nor its ranges, nor its weights; and the next origin sees it."""
    last = AS_OF.astimezone(KOREA.zone).replace(minute=0, tzinfo=None) - timedelta(days=14)
    plain, later = published(FRAME, None), published(*corrected(ORIGIN + HOUR))
    for single, two in zip(seen(plain, last), seen(later, last), strict=True):
        assert single.height and single.equals(two)
    single, two = (seen(built, last + timedelta(days=7))[0] for built in (plain, later))
    assert not single.equals(two)


def test_records_known_at_an_origins_instant_are_read_by_it() -> None:
    last = AS_OF.astimezone(KOREA.zone).replace(minute=0, tzinfo=None) - timedelta(days=14)
    single, two = (seen(built, last)[0] for built in (published(FRAME, None), published(*corrected(ORIGIN))))
    before = pl.col("cutoff") < last
    assert single.filter(before).equals(two.filter(before)) and not single.equals(two)
    level = pl.col("mean").filter(pl.col("cutoff") == last, pl.col("model") == "hour_of_week").mean()
    assert two.select(level).item() > 1.3 * single.select(level).item()


@pytest.fixture(scope="module")
def tonight() -> DemandForecast:
    return nightly.forecast_demand(FRAME, AS_OF, KOREA)


def test_what_becomes_known_after_as_of_changes_no_issued_forecast_and_no_weight_but_scores(
    tonight: DemandForecast,
) -> None:
    now, changes = corrected(AS_OF + HOUR)
    again = nightly.forecast_demand(now, AS_OF, KOREA, Known({}, {}, changes=changes))
    assert again.forecasts.equals(tonight.forecasts) and again.selections.equals(tonight.selections)
    hours = pl.col("frequency") == "h"
    bias = [single.scores.filter(hours, pl.col("model") == registry.BASELINE)["bias"] for single in (again, tonight)]
    assert bias[0].len() and (bias[0] < bias[1] - 0.1).all(), "the same forecasts against more calls"


def test_weights_of_hours_and_days_see_no_later_correction_and_tonights_forecast_does(tonight: DemandForecast) -> None:
    now, changes = corrected(AS_OF - timedelta(days=20))
    again = nightly.forecast_demand(now, AS_OF, KOREA, Known({}, {}, changes=changes))
    for freq in ("h", "D"):
        built = [
            single.selections.filter(pl.col("frequency") == freq, pl.col("origin_at") < AS_OF - timedelta(days=20))
            for single in (tonight, again)
        ]
        assert built[0].height and built[0].equals(built[1])
    assert not again.forecasts.equals(tonight.forecasts)
