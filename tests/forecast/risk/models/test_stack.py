"""The stack and its scores: it starts at the count and moves on evidence, lists as issued, indices by hand."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forecast.risk.evaluation import rolling, scoring
from pipelines.forecast.risk.evaluation.rolling import Lists
from pipelines.forecast.risk.history import Events, Grid, History
from pipelines.forecast.risk.models import registry, shrunk_count, stack
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.stack import BEST_COUNT, COUNT, MIXTURE, Choice, Trial
from tests.forecast.risk.models.test_models import town


def trials(history: History, good: str, windows: int = 6) -> list[Trial]:
    """Trials in which one list catches every incident and all others none."""
    names, result = (*COUNTS, COUNT, MIXTURE), []
    for number in range(windows):
        hit = history.events["theft"].counts(history.grid.size, number * 10, number * 10 + 10)
        best, worst = np.argsort(-hit, kind="stable"), np.argsort(hit, kind="stable")
        result.append(Trial(number * 10, number * 10 + 10, {name: best if name == good else worst for name in names}))
    return result


def streets() -> History:
    y, x = np.divmod(np.arange(36), 6)
    cell, day = np.array([(day * 7 % 5, day) for day in range(60)]).T
    return History(Grid.of(x, y, 1, 100), {"theft": Events.of(cell, day)}, 0)


def chosen(history: History, tried: list[Trial], origin: int = 60) -> Choice:
    return stack.choose(history, origin, {"theft": tried})["theft"]


def test_the_list_is_the_count_unless_the_mixture_was_better_at_earlier_origins() -> None:
    history = streets()
    equal = trials(history, "none of them")
    assert (chosen(history, equal).list_name, chosen(history, equal).gain) == (COUNT, 0)
    # Better in three windows and worse in two: no more than chance.
    mixed = [*trials(history, MIXTURE, 3), *trials(history, COUNT, 5)[3:], *equal[5:]]
    assert chosen(history, mixed).list_name == COUNT
    always = chosen(history, trials(history, MIXTURE))
    assert (always.list_name, always.origins) == (MIXTURE, 6) and always.gain > always.gain_error > 0
    assert chosen(history, trials(history, COUNT)).list_name == COUNT


def test_five_months_are_not_enough_to_leave_the_count() -> None:
    history = streets()
    assert chosen(history, trials(history, MIXTURE, 5)).list_name == COUNT
    assert chosen(history, trials(history, MIXTURE, 6)).list_name == MIXTURE


def test_a_window_that_has_not_ended_by_the_origin_is_ignored() -> None:
    history = streets()
    early, late = trials(history, COUNT)[:3], trials(history, MIXTURE)[3:]
    assert [chosen(history, [*early, *late], day).origins for day in (9, 39, 60)] == [0, 3, 6]
    assert chosen(history, [*early, *late], 39).list_name == COUNT


def test_the_baseline_is_the_count_with_the_most_hits() -> None:
    history = streets()
    assert chosen(history, trials(history, "count_56")).baseline == "count_56"
    assert chosen(history, []).baseline == stack.FIRST_COUNT


def test_a_trial_without_boosting_says_nothing_for_the_mixture() -> None:
    history = streets()
    without = [
        Trial(trial.start, trial.end, {name: cells for name, cells in trial.best.items() if name != MIXTURE})
        for trial in trials(history, COUNT)
    ]
    none = chosen(history, without)
    assert (none.list_name, none.untrained) == (COUNT, 6) and np.isnan(none.gain)
    few = chosen(history, [*without[:3], *trials(history, MIXTURE)[3:]])
    assert (few.list_name, few.origins, few.untrained) == (COUNT, 6, 3) and few.gain > 0


def test_gains_of_a_sparse_category_are_shrunk_to_those_of_the_others() -> None:
    steady = {name: np.array([0.04, 0.05, 0.06, 0.05]) + shift for name, shift in (("a", 0.0), ("b", 0.01))}
    sparse = np.array([-0.6, 0.5, 0.3, -0.4])
    alone, pooled = stack.shrunk({"c": sparse})["c"], stack.shrunk({**steady, "c": sparse})
    assert alone == (pytest.approx(-0.05), pytest.approx(sparse.std(ddof=1) / 2, rel=1e-3))
    assert pooled["c"][0] == pytest.approx(0.055, abs=0.01) and pooled["c"][1] < 0.1 * alone[1]
    assert pooled["a"][0] == pytest.approx(0.05, abs=0.01)


def test_gains_that_differ_beyond_chance_stay_apart() -> None:
    good, bad = np.array([0.3, 0.31, 0.29, 0.3]), np.array([-0.3, -0.29, -0.31, -0.3])
    result = stack.shrunk({"good": good, "bad": bad})
    assert result["good"][0] == pytest.approx(0.3, abs=0.01) and result["bad"][0] == pytest.approx(-0.3, abs=0.01)


def test_the_method_states_what_was_tried_whichever_was_selected() -> None:
    won, lost = (Choice("count_28", name, 12, gain, 0.01) for name, gain in ((MIXTURE, 0.024), (COUNT, -0.01)))
    assert stack.method(won) == (
        "boosting 3/4, rest count; in 12 earlier months +2.4% hits (95 % +0.4% to +4.4%) against the count"
    )
    assert stack.method(lost) == (
        "count; in 12 earlier months boosting 3/4, rest count, had -1.0% hits (95 % -3.0% to +1.0%) against it"
    )
    assert stack.method(chosen(streets(), [])) == "count; boosting was tried in 0 earlier months, fewer than 6"
    assert stack.method(stack.allowed(won, "under a year of history")) == "count; under a year of history"


def test_expected_counts_follow_the_order_and_sum_to_the_level() -> None:
    built = stack.expected(np.array([2, 0, 1]), np.array([1.0, 2.0, 5.0]), np.ones(10), 16.0)
    assert built.tolist() == [3.0, 3.0, 10.0], "where the model's rates rise along the order, cells share their mean"


def test_expected_counts_are_corrected_by_what_their_band_had_at_earlier_origins() -> None:
    """Ten cells, a band each; the last tenth of the expected incidents never came."""
    rate, order = np.ones(10), np.arange(10)
    tried = [stack.banded(order, rate)] * 3
    outcome = np.array([20.0] * 9 + [0.0])
    pairs = [(Trial(0, 1, {}, {COUNT: single}), outcome) for single in tried]
    factors = np.array(stack._factors(pairs, COUNT))
    assert factors[0] == pytest.approx((60 + 30) / (54 + 30)) and factors[9] == pytest.approx(30 / (54 + 30))
    corrected = stack.expected(order, rate, factors, 9.0)
    assert corrected.sum() == pytest.approx(9) and corrected[9] < 0.5 * corrected[0]


@given(st.integers(0, 99))
def test_moving_cells_within_the_array_moves_the_list_with_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boosting, count, cells = rng.permutation(40) + 1, rng.permutation(40) + 1, rng.permutation(40)
    assert cells[stack.mixture(boosting[cells], count[cells])].tolist() == stack.mixture(boosting, count).tolist()
    counts = rng.integers(0, 3, 40).astype(float)
    moved = stack.count_order(counts[cells], boosting[cells])
    assert cells[moved].tolist() == stack.count_order(counts, boosting).tolist()


def test_equal_mean_ranks_are_never_ordered_by_position_in_the_array() -> None:
    """Ranks 1 and 16 have the same mean log rank as 2 and 2: 3/4 log 1 + 1/4 log 16 = log 2."""
    boosting = np.array([2, 1, *range(3, 17)])
    count = np.array([2, 16, 1, *range(3, 16)])
    for cells in (np.arange(16), np.arange(16)[::-1], np.random.default_rng(1).permutation(16)):
        assert cells[stack.mixture(boosting[cells], count[cells])].tolist() == stack.mixture(boosting, count).tolist()


def test_equal_counts_are_ordered_by_a_finer_rate() -> None:
    assert stack.count_order(np.array([0.0, 2.0, 0.0, 2.0]), np.array([1, 4, 2, 3])).tolist() == [3, 1, 0, 2]


def issued(lists: Lists, day: int) -> pl.DataFrame:
    return lists.issue(day, lists.choose(day))["theft"]


def test_under_a_year_of_history_the_list_has_the_order_of_the_count() -> None:
    past = town(340)
    frame = issued(Lists(past, 20), 340)
    incidents = shrunk_count.shrunk_count(past.seen(340), "theft", 340).incidents
    assert (np.diff(incidents[frame["cell"].to_numpy()]) <= 0).all()
    assert frame["ranking_method"].unique().to_list() == ["count; under a year of history"]
    assert frame["expected"].is_sorted(descending=True) and frame["expected"].n_unique() >= 5


def test_the_mixture_may_be_used_from_a_year_of_history_on() -> None:
    """Records of exactly 364 days are a year of history."""
    past = town(430)
    methods = [issued(Lists(past, 20), day)["ranking_method"][0] for day in (363, 364)]
    assert [stack.SHORT_HISTORY in method for method in methods] == [True, False]


def untrained() -> History:
    """Burglary on every day of 800; three thefts in the first days, before any training window."""
    daily = Events.of([day * 7 % 144 for day in range(800)], range(800))
    thefts = Events.of([100, 100, 30], [3, 4, 5])
    return History(town().grid, {"burglary": daily, "theft": thefts}, 0)


def test_without_trained_boosting_the_count_decides_and_expected_counts_still_differ() -> None:
    past = untrained()
    frame = issued(Lists(past, 2), 800)
    assert frame.filter("is_selected")["cell"].to_list() == [100, 30]
    assert frame["ranking_method"][0] == "count; boosting did not train"
    assert frame["expected"].sum() == pytest.approx(shrunk_count.level(past.seen(800), "theft", 800))
    assert frame["expected"].is_sorted(descending=True) and frame["expected"][0] > 2 * frame["expected"].median() > 0


def test_untrained_models_are_not_scored() -> None:
    past = untrained()
    scored = Lists(past, 2).score([(772, 28)], (2,), past)["theft"].windows
    assert set(scored["model"]) == {*registry.SIMPLE, BEST_COUNT, stack.STACK}


def test_the_scored_list_is_the_issued_one_whatever_is_scored_with_it() -> None:
    past = town(700)
    outcome = past.events["theft"].counts(past.grid.size, 600, 628)
    frame = issued(Lists(past, 20), 600)
    hits = int(outcome[frame.filter("is_selected")["cell"].to_numpy()].sum())
    for windows in ([(600, 28)], [(500, 28), (600, 28), (640, 28)]):
        scored = Lists(past, 20).score(windows, (20, 5), past)["theft"]
        row = scored.windows.filter(model=stack.STACK, origin_day=600, cells=20).row(0, named=True)
        assert (row["hits"], row["incidents"]) == (hits, outcome.sum())
        whole = scored.bands.filter(model=stack.STACK, origin_day=600, band=0)["expected_incidents"].item()
        assert whole == pytest.approx(28 * frame["expected"].sum())


def test_a_window_begins_after_its_lead_and_a_trial_ends_with_what_is_known() -> None:
    days = [*range(200), 101, 102]
    past = History(streets().grid, {"theft": Events.of([day % 36 for day in days], days)}, 0)
    lists = Lists(past, 36, lead=2)
    scored = lists.score([(100, 10), (110, 10)], (36,), past)["theft"].windows
    assert scored.filter(model="count_28")["incidents"].to_list() == [11, 10], "from 102 to 111, from 112 to 121"
    origins = rolling.months(past, 110, lead=2)
    assert origins == [32, 60] and rolling.months(past, 116, lead=2) == [32, 60], "the month after ends with day 116"
    assert rolling.months(past, 118, lead=2) == [32, 60, 88]
    tried = [lists.categories["theft"].trial(origin) for origin in origins]
    assert [(trial.start, trial.end) for trial in tried if trial] == [(34, 60), (62, 88)]


def test_the_reason_for_the_count_is_stated() -> None:
    assert stack.reason(364, True) == ""
    assert stack.reason(363, True) == stack.reason(100, False) == "under a year of history"
    assert stack.reason(364, False) == "boosting did not train"


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
    result = Lists(past, 2).score([(400 + 28 * i, 28) for i in range(4)], (2, 5), past)["theft"].windows
    assert result.group_by("origin_day", "model", "cells").len()["len"].max() == 1
    assert set(result["model"]) == {*registry.MODELS, BEST_COUNT, stack.STACK}
    assert result.filter(pl.col("hits") > pl.col("most_hits")).is_empty()
    pooled = scoring.score(
        result.with_columns(area_share=pl.col("cells") / past.grid.size), ["category", "cells", "model"],
        (BEST_COUNT, "prospective"),
    )  # fmt: skip
    assert pooled.filter(model=stack.STACK, cells=2)["pai"].item() > 10
    assert pooled.filter(model=BEST_COUNT)["gain"].to_list() == [0.0, 0.0]
