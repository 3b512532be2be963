"""Common shocks: recovered from simulated truth, without data after the origin, seeded by name and cutoff."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.demand.hierarchy import common_shocks
from pipelines.forecast.demand.hierarchy.common_shocks import SCHEMA, Shocks, TreeError

START = datetime(2024, 1, 1)
TRUTH = {
    ("nation", "day"): 0.02,
    ("region", "step"): 0.03,
    ("area", "day"): 0.05,
    ("unique_id", "week"): 0.08,
}


def members(areas: int = 12, per_area: int = 3) -> pl.DataFrame:
    area = np.repeat(np.arange(areas), per_area)
    return pl.DataFrame(
        {
            "unique_id": [f"s{i:03d}" for i in range(areas * per_area)],
            "nation": "k",
            "region": [f"r{a % 3}" for a in area],
            "area": [f"a{a:02d}" for a in area],
        }
    )


def variances(parts: dict[tuple[str, str], float]) -> pl.DataFrame:
    return pl.DataFrame([(*key, value) for key, value in parts.items()], schema=SCHEMA, orient="row")


def same(single: Shocks, other: Shocks) -> bool:
    return single.variances.equals(other.variances) and single.substitution == other.substitution


def simulated(origins: int, steps: int, mean: float, seed: int, tree: pl.DataFrame | None = None) -> pl.DataFrame:
    """Poisson counts under gamma shocks with the variances of ``TRUTH``, hour by hour, an origin every week."""
    rng = np.random.default_rng(seed)
    tree = members() if tree is None else tree
    cutoffs = [START + timedelta(days=7 * i) for i in range(origins)]
    hours = pl.DataFrame({"ahead": range(steps)})
    rows = (
        tree.join(pl.DataFrame({"cutoff": cutoffs}, schema={"cutoff": pl.Datetime("us")}), how="cross")
        .join(hours, how="cross")
        .with_columns((pl.col("cutoff") + pl.duration(hours="ahead")).alias("ds"))
        .with_columns(common_shocks.blocks())
    )
    factor = np.ones(rows.height)
    for (level, span), variance in TRUTH.items():
        keys = [level, "cutoff", span]
        blocks = rows.select(keys).unique(maintain_order=True)
        blocks = blocks.with_columns(pl.Series("shock", rng.gamma(1 / variance, variance, blocks.height)))
        factor *= rows.join(blocks, on=keys, how="left", maintain_order="left")["shock"].to_numpy()
    return rows.select("unique_id", "cutoff", "ds", pl.lit(mean).alias("mean")).with_columns(
        pl.Series("y", rng.poisson(mean * factor).astype(float))
    )


def test_the_variances_of_simulated_shocks_are_recovered() -> None:
    """Within 15 % on average of four simulations of 30 weeks; what is not there gets less than 0.01 in all."""
    runs = [
        common_shocks.learn(simulated(30, 168, 1.5, seed), members(), datetime(2030, 1, 1)).variances
        for seed in range(1, 5)
    ]
    mean = pl.concat(runs).group_by("level", "span").agg(pl.col("variance").sum() / len(runs))
    result = {(level, span): variance for level, span, variance in mean.iter_rows()}
    for key, variance in TRUTH.items():
        assert result[key] == pytest.approx(variance, rel=0.15), key
    assert sum(value for key, value in result.items() if key not in TRUTH) < 0.01


def test_sparse_counts_do_not_bias_a_shock() -> None:
    result = [
        common_shocks.learn(simulated(12, 168, 0.05, seed), members(), datetime(2030, 1, 1)).variances["variance"].sum()
        for seed in range(4)
    ]
    assert np.mean(result) == pytest.approx(sum(TRUTH.values()), rel=0.3)


def test_independent_series_share_nothing() -> None:
    rng = np.random.default_rng(3)
    rows = simulated(20, 48, 2.0, seed=3).with_columns(pl.lit(0.0).alias("y"))
    rows = rows.with_columns(pl.Series("y", rng.poisson(2.0, rows.height).astype(float)))
    assert common_shocks.learn(rows, members(), datetime(2030, 1, 1)).variances["variance"].sum() < 0.004


def test_a_step_that_is_a_day_is_one_span() -> None:
    rows = simulated(10, 168, 2.0, seed=4).group_by("unique_id", "cutoff", pl.col("ds").dt.truncate("1d")).sum()
    spans = common_shocks.learn(rows, members(), datetime(2030, 1, 1)).variances["span"].to_list()
    assert "step" in spans and "day" not in spans


def test_outcomes_from_the_origin_on_change_nothing() -> None:
    rows = simulated(6, 168, 2.0, seed=5)
    origin = START + timedelta(days=20)
    is_known = pl.col("ds") < origin
    falsified = rows.with_columns(pl.when(is_known).then("y").otherwise(pl.col("y") * 9 + 7).alias("y"))
    learnt = common_shocks.learn(rows, members(), origin)
    assert same(learnt, common_shocks.learn(falsified, members(), origin))
    assert not same(learnt, common_shocks.learn(falsified, members(), datetime(2030, 1, 1)))


def test_without_outcomes_there_is_no_shock() -> None:
    assert common_shocks.learn(simulated(2, 24, 2.0, seed=6), members(), START) is common_shocks.INDEPENDENT


def test_unknown_outcomes_are_left_out() -> None:
    rows = simulated(4, 48, 2.0, seed=7)
    holes = rows.with_columns(pl.when(pl.col("ds").dt.hour() > 3).then("y").alias("y"))
    without = holes.drop_nulls()
    late = datetime(2030, 1, 1)
    assert same(common_shocks.learn(holes, members(), late), common_shocks.learn(without, members(), late))


def test_an_area_in_two_regions_is_rejected() -> None:
    torn = pl.DataFrame({"unique_id": ["a", "b"], "region": ["n", "s"], "area": ["x", "x"]})
    with pytest.raises(TreeError, match="area 'x' is in more than one region"):
        common_shocks.tree(torn)


def test_a_repeated_series_is_rejected() -> None:
    with pytest.raises(TreeError, match="repeated"):
        common_shocks.tree(pl.DataFrame({"unique_id": ["a", "a"]}))


RIVALS = members(areas=6, per_area=12)


def rivals(origins: int, share: float, seed: int) -> pl.DataFrame:
    """Daily counts whose own shocks are less by ``share`` of their area's mean shock."""
    rng = np.random.default_rng(seed)
    weeks = [START + timedelta(days=7 * i) for i in range(origins)]
    cutoffs = pl.DataFrame({"cutoff": weeks}, schema={"cutoff": pl.Datetime("us")})
    rows = cutoffs.join(pl.DataFrame({"ahead": range(7)}), how="cross").join(RIVALS, how="cross")
    subset = rng.normal(0, 0.25, (origins * 7, 6, 12))
    subset -= share * subset.mean(axis=2, keepdims=True)
    national = rng.normal(0, 0.1, (origins * 7, 1, 1))
    y = rng.poisson(20 * np.exp(subset + national - 0.5 * (subset.var() + 0.01))).ravel()
    ds = pl.col("cutoff") + pl.duration(days="ahead")
    return rows.with_columns(ds.alias("ds"), pl.lit(20.0).alias("mean"), pl.Series("y", y.astype(float)))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_substitution_between_series_is_recovered(share: float) -> None:
    learnt = common_shocks.learn(rivals(40, share, seed=9), RIVALS, datetime(2030, 1, 1))
    # What counts is the part of the own variance that is left; lognormals of this size leave some at share 1.
    assert (1 - learnt.substitution) ** 2 == pytest.approx((1 - share) ** 2, abs=0.1)
    national = learnt.variances.filter(pl.col("level") == "nation")["variance"].sum()
    assert national == pytest.approx(0.01, rel=0.25)


def calendar(steps: int) -> pl.DataFrame:
    hours = pl.DataFrame({"cutoff": [START] * steps, "ds": [START + timedelta(hours=i) for i in range(steps)]})
    return hours.with_columns(common_shocks.blocks())


def test_a_longer_horizon_leaves_the_nearer_shocks_alone() -> None:
    parts = variances({("area", "day"): 0.1, ("area", "step"): 0.2})
    short, long = (common_shocks.draw(parts, "area", "x", calendar(steps), 100) for steps in (20, 60))
    assert (short == long[:20]).all()
    assert not np.array_equal(short, common_shocks.draw(parts, "area", "y", calendar(20), 100))


def test_hours_of_one_day_share_its_shock() -> None:
    day = common_shocks.draw(variances({("area", "day"): 0.1}), "area", "x", calendar(48), 100)
    assert (day[0] == day[23]).all() and not (day[0] == day[24]).any()


def test_the_log_shocks_have_their_variance() -> None:
    total = common_shocks.draw(variances({("area", "step"): 0.5}), "area", "x", calendar(200), 200)
    assert total.var() == pytest.approx(np.log(1.5), rel=0.02)
