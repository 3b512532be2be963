"""The stack and its scores: selected on earlier origins only, the count if nothing beats it, indices by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.risk.evaluation import rolling, scoring
from pipelines.forecast.risk.history import Events, Grid, History
from pipelines.forecast.risk.models import stack
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.stack import BEST_COUNT, Trial
from tests.forecast.risk.models.test_models import town


def trials(history: History, good: str, windows: int = 6) -> list[Trial]:
    """Trials in which one list catches every incident and all others none."""
    names = {*COUNTS, "boosting"} | {stack._named(count) for count in COUNTS}
    result = []
    for number in range(windows):
        hit = history.events["theft"].counts(history.grid.size, number * 10, number * 10 + 10)
        best, worst = np.argsort(-hit, kind="stable"), np.argsort(hit, kind="stable")
        result.append(Trial(number * 10, number * 10 + 10, {name: best if name == good else worst for name in names}))
    return result


def streets() -> History:
    y, x = np.divmod(np.arange(36), 6)
    cell, day = np.array([(day * 7 % 5, day) for day in range(60)]).T
    return History(Grid.of(x, y, 1, 100), {"theft": Events.of(cell, day)}, 0)


def test_the_mixture_is_used_unless_it_lost_at_earlier_origins() -> None:
    history = streets()
    equal = trials(history, "none of them")
    choice = stack.choose(history, "theft", 60, equal, 5)
    assert (choice.mixture, choice.gain, choice.origins) == (stack.MIXTURE, 0, 6)
    # The count is better in one window of six only: no more than chance.
    equal[0] = trials(history, "count_all", 1)[0]
    choice = stack.choose(history, "theft", 60, equal, 5)
    assert (choice.count, choice.mixture) == ("count_all", stack.MIXTURE) and choice.gain < 0


def test_the_best_count_is_used_alone_if_the_mixture_lost_to_it() -> None:
    history = streets()
    choice = stack.choose(history, "theft", 60, trials(history, "count_56"), 5)
    assert (choice.count, choice.mixture) == ("count_56", BEST_COUNT)
    assert choice.gain < -choice.gain_error <= 0


def test_the_mixture_contains_the_best_count() -> None:
    history = streets()
    built = trials(history, "count_56", 3) + trials(history, f"{stack.MIXTURE}, count_56", 6)[3:]
    choice = stack.choose(history, "theft", 60, built, 5)
    assert (choice.count, choice.mixture) == ("count_56", stack.MIXTURE)
    rates = {name: -np.argsort(built[0].best[name]).astype(float) for name in (*COUNTS, "boosting")}
    assert sorted(stack.order(stack.placed(rates, "a"), choice)) == list(range(36))


def test_a_window_that_has_not_ended_by_the_origin_is_ignored() -> None:
    history = streets()
    early, late = trials(history, "count_56")[:3], trials(history, f"{stack.MIXTURE}, count_all")[3:]
    assert stack.choose(history, "theft", 39, [*early, *late], 5).mixture == BEST_COUNT
    assert stack.choose(history, "theft", 39, [*early, *late], 5).origins == 3
    assert stack.choose(history, "theft", 9, [*early, *late], 5).origins == 0


def test_a_window_begins_after_its_lead_and_is_used_as_far_as_it_is_known() -> None:
    days = [*range(60), 40, 41]
    past = History(streets().grid, {"theft": Events.of([day % 36 for day in days], days)}, 0)
    backtest, result, choices = rolling.run(past, "theft", [(30, 10), (40, 10)], (36,), lead=2)
    assert result.filter(model="count_28")["incidents"].to_list() == [12, 10], "from 32 to 41, from 42 to 51"
    assert [(trial.start, trial.end) for trial in backtest.trials] == [(32, 40), (42, 50)]
    assert choices["origins"].to_list() == [0, 1]


def test_the_method_states_what_was_tried_whichever_was_selected() -> None:
    won, lost = (
        stack.Choice("count_28", mixture, 12, gain, 0.5) for mixture, gain in ((stack.MIXTURE, 2.0), (BEST_COUNT, -1.0))
    )
    assert stack.method(won) == "boosting 3/4, rest count_28; on 12 earlier months +2.0 hits each against count_28"
    assert stack.method(lost) == (
        "count_28; on 12 earlier months boosting 3/4, rest count_28, had -1.0 hits each against it"
    )
    assert stack.method(stack.choose(streets(), "theft", 0, [], 5)) == "count_decayed; no earlier month to choose on"


def test_the_leading_cells_are_the_first_of_the_whole_order() -> None:
    rng = np.random.default_rng(1)
    placed = stack.placed({name: rng.random(200) for name in (*COUNTS, "boosting")}, "theft")
    lists = stack.leading(placed, 20)
    for mixture, name in ((BEST_COUNT, "count_28"), (stack.MIXTURE, stack._named("count_28"))):
        whole = stack.order(placed, stack.Choice("count_28", mixture, 5, 1.0, 0.1))
        assert (whole[:20] == lists[name]).all()


def test_expected_counts_follow_the_order_and_sum_to_the_level() -> None:
    built = stack.expected(np.array([2, 0, 1]), np.array([1.0, 2.0, 5.0]), 16.0)
    assert built.tolist() == [3.0, 3.0, 10.0], "where the model's rates rise along the order, cells share their mean"


def test_equal_mean_ranks_are_never_ordered_by_position_in_the_array() -> None:
    """Ranks 1 and 16 have the same mean log rank as 2 and 2: 3/4 log 1 + 1/4 log 16 = log 2."""
    boosting = np.array([2, 1, *range(3, 17)])
    count = np.array([2, 16, 1, *range(3, 16)])
    placed = {"boosting": boosting} | dict.fromkeys(COUNTS, count)
    choice = stack.Choice("count_28", stack.MIXTURE, 5, 1.0, 0.1)
    for cells in (np.arange(16), np.arange(16)[::-1], np.random.default_rng(1).permutation(16)):
        moved = {name: rank[cells] for name, rank in placed.items()}
        assert cells[stack.order(moved, choice)].tolist() == stack.order(placed, choice).tolist()
        for size in range(1, 17):
            first = stack.leading(moved, size)[stack._named("count_28")]
            assert cells[first].tolist() == stack.order(placed, choice)[:size].tolist()


@given(st.integers(0, 99))
def test_moving_cells_within_the_array_moves_the_list_with_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    placed = {name: rng.permutation(40) + 1 for name in (*COUNTS, "boosting")}
    counts, cells = rng.integers(0, 3, 40).astype(float), rng.permutation(40)
    moved = {name: rank[cells] for name, rank in placed.items()}
    for mixture in (BEST_COUNT, stack.MIXTURE):
        choice = stack.Choice("count_28", mixture, 5, 1.0, 0.1)
        assert cells[stack.order(moved, choice)].tolist() == stack.order(placed, choice).tolist()
    finer = placed["boosting"]
    assert cells[stack.count_order(counts[cells], finer[cells])].tolist() == stack.count_order(counts, finer).tolist()


def test_equal_counts_are_ordered_by_a_finer_rate() -> None:
    assert stack.count_order(np.array([0.0, 2.0, 0.0, 2.0]), np.array([1, 4, 2, 3])).tolist() == [3, 1, 0, 2]


def test_under_a_year_of_history_the_list_has_the_order_of_the_count() -> None:
    backtest, _, choices = rolling.run(town(273), "theft", [(217, 28), (245, 28)], (20,))
    rates = backtest.rates(273)
    assert "boosting" in rates and choices["origins"].to_list() == [0, 1]
    issued = backtest.ranked(273, 20)
    count = issued["ranking_method"][0].split(";")[0]
    assert (np.diff(rates[count][issued["cell"].to_numpy()]) <= 0).all()
    assert issued["ranking_method"].unique().to_list() == [
        f"{count}; under a year of history; chosen on 2 earlier months"
    ]
    assert issued["expected"].is_sorted(descending=True) and issued["expected"].n_unique() > 20


def test_the_mixture_is_used_from_a_year_of_history_on() -> None:
    """Records of exactly 365 days are a year of history."""
    past = town(430)
    backtest, _, _ = rolling.run(past, "theft", rolling.windows(past, 365, 28, 12), (20,))
    methods = [backtest.ranked(day, 20)["ranking_method"][0] for day in (363, 365)]
    assert [stack.SHORT_HISTORY in method for method in methods] == [True, False]
    assert stack.MIXTURE in methods[1]


def test_on_short_history_the_scored_list_is_the_issued_one() -> None:
    past, windows = town(310), [(217, 28), (245, 28), (273, 28)]
    issued = rolling.run(past, "theft", windows[:2], (20,))[0].ranked(273, 20)
    _, scored, choices = rolling.run(past, "theft", windows, (20,))
    outcome = past.events["theft"].counts(past.grid.size, 273, 301)
    hits = int(outcome[issued.filter("is_selected")["cell"].to_numpy()].sum())
    assert scored.filter(model=stack.STACK, origin_day=273)["hits"].item() == hits
    assert set(choices["mixture"]) == {BEST_COUNT}


def untrained() -> History:
    """Burglary on every day of 800; three thefts in the first days, before any training window."""
    daily = Events.of([day * 7 % 144 for day in range(800)], range(800))
    thefts = Events.of([100, 100, 30], [3, 4, 5])
    return History(town().grid, {"burglary": daily, "theft": thefts}, 0)


def test_without_trained_boosting_the_count_decides_and_expected_counts_still_differ() -> None:
    past = untrained()
    issued = rolling.run(past, "theft", [(744, 28), (772, 28)], (2,))[0].ranked(800, 2)
    assert issued.filter("is_selected")["cell"].to_list() == [100, 30]
    assert issued["ranking_method"][0] == "count_all; boosting did not train; chosen on 2 earlier months"
    level = past.seen(800).rate("theft", 800, rolling.LEVEL_HALF_LIFE_DAYS)
    assert issued["expected"].sum() == pytest.approx(level) and issued["expected"].is_sorted(descending=True)
    assert issued["expected"][0] > 2 * issued["expected"].median() > 0


def test_untrained_models_are_not_scored() -> None:
    _, scored, _ = rolling.run(untrained(), "theft", [(772, 28)], (2,))
    assert set(scored["model"]) == {*rolling.registry.SIMPLE, BEST_COUNT, stack.STACK}


def test_a_trial_without_boosting_is_not_used_to_select_the_mixture() -> None:
    history = streets()
    lost = trials(history, "count_56")
    without = [
        Trial(trial.start, trial.end, {name: trial.best[name] for name in COUNTS})
        for trial in trials(history, "count_56")
    ]
    none = stack.choose(history, "theft", 60, without, 5)
    assert (none.count, none.mixture, none.untrained) == ("count_56", BEST_COUNT, 6)
    assert stack.method(none) == "count_56; boosting did not train in any earlier month; chosen on 6 earlier months"
    equal = trials(history, "none of them")
    mixed = stack.choose(history, "theft", 60, [*without[:3], *equal[3:]], 5)
    assert (mixed.count, mixed.mixture, mixed.gain) == ("count_56", stack.MIXTURE, 0)
    assert "on 3 earlier months" in stack.method(mixed)
    assert stack.choose(history, "theft", 60, [*without[:3], *lost[3:]], 5).mixture == BEST_COUNT


def test_the_reason_for_the_count_states_everything_that_applies() -> None:
    assert stack.reason(364, True) == ""
    assert stack.reason(363, True) == "under a year of history"
    assert stack.reason(364, False) == "boosting did not train"
    assert stack.reason(100, False) == "under a year of history and boosting did not train"


def windows(**overrides: object) -> pl.DataFrame:
    """Two windows of one model: 3 of 10 and 5 of 10 incidents in 2 of 100 cells."""
    row: dict[str, object] = {
        "origin_day": [0, 30], "category": "theft", "model": "stack", "cells": 2, "days": 30, "incidents": [10, 10],
        "hits": [3, 5], "most_hits": [6, 6], "hit_cells": [1, 2], "prior_incidents": [8, 12], "prior_hits": [4, 4],
        "log_score": [-0.2, -0.4], "area_share": 0.02,
    }  # fmt: skip
    return pl.DataFrame(row | overrides)


def test_the_indices_of_pooled_windows_are_as_computed_by_hand() -> None:
    row = scoring.score(windows(), ["category", "model"]).row(0, named=True)
    assert (row["origins"], row["hits"], row["hit_rate"], row["pai"]) == (2, 8, 0.4, pytest.approx(20))
    assert row["pei_star"] == pytest.approx(8 / 12)
    assert row["rri"] == pytest.approx((8 / 8) / (20 / 20))
    assert row["false_alarms_per_hit"] == pytest.approx((4 - 3) / 3)
    assert row["hits_per_patrol_hour"] == pytest.approx(8 / (4 * 30 * 24))
    assert row["pai_low"] is None and row["pai_high"] is None, "two windows tell no interval"
    none = scoring.score(windows(incidents=0, hits=0, most_hits=0), ["category", "model"]).row(0, named=True)
    assert none["hit_rate"] is None and none["pai"] is None and none["pei_star"] is None


def test_a_gain_is_paired_window_by_window() -> None:
    rng = np.random.default_rng(1)
    total, level = rng.integers(50, 150, 24), rng.uniform(0.1, 0.5, 24)
    hits = (total * level).astype(int)
    shared = {"origin_day": range(24), "incidents": total, "most_hits": 1, "hit_cells": 1, "prior_incidents": 1,
              "prior_hits": 1, "log_score": 0.0}  # fmt: skip
    count, better = windows().clear(), windows().clear()
    count = pl.DataFrame({**shared, "hits": hits, "model": "best_count"})
    better = pl.DataFrame({**shared, "hits": hits + 2, "model": "stack"})
    both = pl.concat([count, better]).with_columns(category=pl.lit("theft"), cells=2, days=30, area_share=0.02)
    row = (
        scoring.score(both, ["category", "model"], ("best_count", "prospective"))
        .filter(model="stack")
        .row(0, named=True)
    )
    # Windows differ far more than the two models do, and still the gain is beyond chance.
    assert row["pai_high"] - row["pai_low"] > 5 * (row["gain_high"] - row["gain_low"]) and row["gain_low"] > 0
    assert row["gain"] == pytest.approx(48 / total.sum() / 0.02) and row["prospective_gain"] is None


def test_poisson_log_likelihood_is_scipys() -> None:
    from scipy.stats import poisson

    outcome, rate = np.array([0, 1, 4]), np.array([0.2, 0.5, 3.0])
    assert scoring.log_likelihood(outcome, rate) == pytest.approx(poisson.logpmf(outcome, rate))
    assert np.isfinite(scoring.log_likelihood(np.array([2]), np.array([0.0]))).all()


@pytest.mark.slow
def test_a_backtest_names_every_model_once_a_window_and_no_hit_exceeds_the_best() -> None:
    past = town(600)
    _, result, choices = rolling.run(past, "theft", [(400 + 28 * i, 28) for i in range(4)], (2, 5))
    assert result.group_by("origin_day", "model", "cells").len()["len"].max() == 1
    assert set(result["model"]) == {*rolling.registry.MODELS, BEST_COUNT, stack.STACK}
    assert result.filter(pl.col("hits") > pl.col("most_hits")).is_empty()
    assert choices.filter(pl.col("cells") == 2)["origins"].to_list() == [0, 1, 2, 3]
    pooled = scoring.score(
        result.with_columns(area_share=pl.col("cells") / past.grid.size), ["category", "cells", "model"],
        (BEST_COUNT, "prospective"),
    )  # fmt: skip
    assert pooled.filter(model=stack.STACK, cells=2)["pai"].item() > 10
    assert pooled.filter(model=BEST_COUNT)["gain"].to_list() == [0.0, 0.0]
