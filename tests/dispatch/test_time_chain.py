"""Durations of the stages of a task: what counts, what does not, and how few tasks follow many."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.dispatch import stages, time_chain

START = datetime(2020, 4, 7, 12)
AS_OF = datetime(2020, 4, 8)
STEPS = ("called_at", "dispatched_at", "en_route_at", "arrived_at", "left_scene_at", "hospital_at", "available_at")


def records(*rows: tuple[int | None, ...], kind: str = "ambulance") -> pl.DataFrame:
    """One unit a row, with the seconds after 12:00 of every step."""
    return pl.DataFrame(
        {
            "incident_id": [str(number) for number in range(len(rows))],
            "kind": kind,
            "area": "north",
            "hour_band": "day",
            **{
                step: pl.Series(
                    [None if row[place] is None else START + timedelta(seconds=row[place]) for row in rows],
                    dtype=pl.Datetime("us"),
                )
                for place, step in enumerate(STEPS)
            },
        }
    )


def states(frame: pl.DataFrame) -> dict[str, tuple[float | None, str, str | None]]:
    measured = stages.measured(frame, AS_OF)
    return {row[0]: row[1:] for row in measured.select("stage", "seconds", "state", "reason").iter_rows()}


def test_every_stage_of_a_task_is_measured_and_an_unrecorded_one_is_unknown() -> None:
    frame = records((0, 60, 90, 390, 990, 1590, 3390)).with_columns(returned_at=pl.lit(None, pl.Datetime("us")))
    assert states(frame) == {
        "handling": (60, "observed", None),
        "turnout": (30, "observed", None),
        "travel": (300, "observed", None),
        "on_scene": (600, "observed", None),
        "transport": (600, "observed", None),
        "hospital": (1800, "observed", None),
        # The source has the step, and this unit is not back yet.
        "return": (None, "impossible", "never_closed"),
    }


def test_a_source_without_a_step_has_no_such_stage() -> None:
    measured = states(records((0, 60, 90, 390, None, None, 990)).drop("called_at", "en_route_at"))
    assert set(measured) == {"on_scene"}


def test_a_unit_cancelled_on_the_way_bounds_its_travel_from_below() -> None:
    measured = states(records((0, 60, 90, None, None, None, 200)))
    assert measured["travel"] == (110, "censored", "cancelled")
    assert measured["without_arrival"] == (140, "observed", None)
    assert "on_scene" not in measured


def test_a_unit_out_far_longer_than_others_need_to_arrive_is_not_on_its_way() -> None:
    arrived = [(0, 60, 90, 390 + number, None, None, 2000) for number in range(30)]
    frame = stages.measured(records(*arrived, (0, 60, 90, None, None, None, 3600)), AS_OF)
    assert frame.filter(pl.col("stage") == "travel").row(-1, named=True)["reason"] == "arrival_not_recorded"


def test_a_stage_that_still_runs_is_censored_and_a_forgotten_one_is_not_used() -> None:
    frame = records((0, 60, 90, 390, None, None, None))
    soon = stages.measured(frame, START + timedelta(seconds=1000)).filter(pl.col("stage") == "on_scene")
    assert soon.select("seconds", "state", "reason").row(0) == (610, "censored", "running")
    late = stages.measured(frame, START + timedelta(days=2)).filter(pl.col("stage") == "on_scene")
    assert late.select("seconds", "state", "reason").row(0) == (None, "impossible", "never_closed")


def test_impossible_times_are_counted_by_reason_and_not_used() -> None:
    measured = states(records((0, 60, 90, 390, 990, 900, 3390)))
    assert measured["transport"] == (None, "impossible", "negative")
    # Which of the two times is wrong is unknown, so the stages next to it are not used either.
    assert measured["on_scene"] == (None, "impossible", "order")
    assert measured["hospital"] == (None, "impossible", "order")
    assert measured["travel"] == (300, "observed", None)
    assert states(records((0, 60, 3600, 3900, None, None, 4000)))["turnout"] == (None, "impossible", "too_long")
    counted = stages.accounting(stages.measured(records((0, 60, 90, 390, 990, 900, 3390)), AS_OF))
    assert counted.filter(pl.col("state") == "impossible")["n"].sum() == 3


def test_only_the_first_unit_of_a_call_has_a_handling_time() -> None:
    frame = records((0, 60, 90, 390, None, None, 990), (0, 60, 80, 400, None, None, 990))
    measured = stages.measured(frame.with_columns(incident_id=pl.lit("1")), AS_OF)
    assert measured.filter(pl.col("stage") == "handling")["seconds"].to_list() == [60]


def observed(rng: np.random.Generator, sizes: dict[tuple[str, str], tuple[int, float]]) -> pl.DataFrame:
    """Lognormal durations: number of tasks and median by kind and area."""
    return pl.concat(
        pl.DataFrame({"seconds": median * rng.lognormal(0, 0.5, size)}).with_columns(
            stage=pl.lit("on_scene"), kind=pl.lit(kind), area=pl.lit(area), hour_band=pl.lit("day"),
            state=pl.lit("observed"),
        )
        for (kind, area), (size, median) in sizes.items()
    )  # fmt: skip


def test_few_tasks_follow_the_others_and_many_their_own() -> None:
    rng = np.random.default_rng(1)
    areas = {("a", str(number)): (200, 600.0 * 1.2 ** (number % 3 - 1)) for number in range(9)}
    tasks = observed(rng, {**areas, ("a", "few"): (2, 6000.0)})
    summary = time_chain.summary(time_chain.fit(tasks), tasks, ["area"])
    medians = dict(summary.select("area", "q0.5").iter_rows())
    assert medians["1"] == pytest.approx(600, rel=0.15)
    assert medians["2"] == pytest.approx(720, rel=0.15)
    assert medians["few"] < 3000


def test_draws_have_the_quantiles_of_the_tasks() -> None:
    tasks = observed(np.random.default_rng(2), {("a", "x"): (3000, 600.0), ("b", "x"): (3000, 60.0)})
    chain = time_chain.fit(tasks)
    drawn = time_chain.draw(chain, "on_scene", tasks, np.random.default_rng(3))
    actual = tasks["seconds"].to_numpy()
    for kind in "ab":
        mask = (tasks["kind"] == kind).to_numpy()
        for level in (0.1, 0.5, 0.9):
            assert np.quantile(drawn[mask], level) == pytest.approx(np.quantile(actual[mask], level), rel=0.08)


def test_censored_tasks_lengthen_the_estimate_to_the_truth() -> None:
    rng = np.random.default_rng(4)
    tasks = observed(rng, {("a", "x"): (4000, 600.0)})
    limit = rng.uniform(100, 2500, tasks.height)
    seen = tasks.with_columns(
        state=pl.when(pl.col("seconds") > limit).then(pl.lit("censored")).otherwise("state"),
        seconds=pl.min_horizontal("seconds", pl.Series(limit)),
    )
    row = time_chain.summary(time_chain.fit(seen), seen, ["kind"]).row(0, named=True)
    assert row["n_censored"] > 800
    assert row["q0.5"] == pytest.approx(600, rel=0.06)
    assert row["observed_q0.5"] < 0.93 * 600


def test_a_stage_that_was_never_observed_is_unknown_and_not_zero() -> None:
    tasks = observed(np.random.default_rng(5), {("a", "x"): (30, 600.0)})
    chain = time_chain.fit(tasks)
    assert np.isnan(time_chain.draw(chain, "return", tasks.head(3), np.random.default_rng(1))).all()
    assert time_chain.fit(tasks.clear()).effects.is_empty()


def test_a_kind_and_an_area_that_were_not_seen_have_the_common_level() -> None:
    tasks = observed(np.random.default_rng(6), {("a", "x"): (300, 600.0)})
    unseen = pl.select(
        kind=pl.lit("z"), area=pl.lit(None, pl.String), hour_band=pl.repeat("night", 500, dtype=pl.String)
    )
    drawn = time_chain.draw(time_chain.fit(tasks), "on_scene", unseen, np.random.default_rng(7))
    assert np.median(drawn) == pytest.approx(600, rel=0.15)
