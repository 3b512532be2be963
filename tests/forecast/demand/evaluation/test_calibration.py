"""Ranges from past errors: never from the future, wider with the horizon, recalibrated by coverage."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from pipelines.forecast.demand.evaluation import calibration
from pipelines.forecast.demand.evaluation.negative_binomial import COLUMNS

START = datetime(2026, 1, 5)
STAMP = pl.Datetime("us")


def forecasts(model: str, cutoff: datetime, ds: datetime, y: float | None, mean: float) -> dict[str, object]:
    return {"unique_id": 1, "pool": "p", "cutoff": cutoff, "ds": ds, "y": y, "model": model, "mean": mean}


def calibrated(rows: list[dict[str, object]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema_overrides={"cutoff": STAMP, "ds": STAMP, "y": pl.Float64})
    return calibration.dispersed(frame, "naive")


def test_before_any_outcome_the_ranges_are_poisson_and_marked_so() -> None:
    frame = calibrated([forecasts("m", START, START, 9.0, 4.0)])
    assert frame["dispersion"].to_list() == [0.0]
    assert frame["is_calibrated"].to_list() == [False]


def test_a_dispersion_uses_only_outcomes_before_its_cutoff() -> None:
    later = START + timedelta(days=7)
    frame = calibrated([forecasts("m", START, START, 24.0, 4.0), forecasts("m", later, later, 400.0, 4.0)])
    assert frame["dispersion"][0] == 0.0
    assert frame["dispersion"][1] == pytest.approx((400.0 - 4.0) / 16.0)


def test_an_outcome_not_yet_known_at_a_cutoff_is_ignored() -> None:
    later = START + timedelta(days=1)
    frame = calibrated([forecasts("m", START, later, 24.0, 4.0), forecasts("m", later, later, None, 4.0)])
    assert frame["is_calibrated"].to_list() == [False, False]


def test_a_model_without_outcomes_takes_the_pools_dispersion_and_never_the_naive_models() -> None:
    later = START + timedelta(days=7)
    rows = [forecasts("table", START, START, 24.0, 4.0), forecasts("naive", START, START, 4.0, 4.0)]
    frame = calibrated([*rows, forecasts("prophet", later, later, None, 4.0)])
    new = frame.filter(pl.col("model") == "prophet")
    assert new["dispersion"].item() == pytest.approx((400.0 - 4.0) / 16.0)
    assert new["is_calibrated"].item()


def test_the_second_week_ahead_has_separate_ranges() -> None:
    far, later = START + timedelta(days=7), START + timedelta(days=14)
    rows = [forecasts("m", START, START, 4.0, 4.0), forecasts("m", START, far, 24.0, 4.0)]
    frame = calibrated(
        [*rows, forecasts("m", later, later, None, 4.0), forecasts("m", later, later + timedelta(days=7), None, 4.0)]
    )
    near, wide = frame.filter(pl.col("cutoff") == later)["dispersion"].to_list()
    assert near < wide


@pytest.mark.parametrize(("day", "block"), [(0, 0), (1, 1), (6, 1), (7, 2), (41, 2), (42, 3), (83, 3)])
def test_days_ahead_fall_into_four_blocks(day: int, block: int) -> None:
    frame = pl.DataFrame({"cutoff": [START], "ds": [START + timedelta(days=day)]})
    assert frame.select(calibration.block()).item() == block


def weeks(spread: dict[int, float], series: int = 40, origins: int = 12, seed: int = 3) -> pl.DataFrame:
    """Negative-binomial outcomes of mean 5 two weeks ahead; ``spread``: true dispersion by block."""
    rng = np.random.default_rng(seed)
    ids = pl.DataFrame({"unique_id": range(series)})
    days = pl.DataFrame({"origin": range(origins)}).join(pl.DataFrame({"day": range(14)}), how="cross")
    cutoff = START + pl.duration(days=14 * pl.col("origin"))
    frame = ids.join(days, how="cross").select(
        "unique_id",
        pl.lit("p").alias("pool"),
        cutoff.cast(STAMP).alias("cutoff"),
        (cutoff + pl.duration(days="day")).cast(STAMP).alias("ds"),
        pl.lit("m").alias("model"),
        pl.lit(5.0).alias("mean"),
        pl.lit(5.0).alias("centre"),
    )
    alpha = frame.select(calibration.block().replace_strict(spread, return_dtype=pl.Float64)).to_series().to_numpy()
    y = rng.negative_binomial(1 / alpha, 1 / (1 + alpha * 5.0)).astype(float)
    return frame.with_columns(pl.Series("y", y))


def test_the_dispersion_grows_with_the_true_one() -> None:
    frame = calibration.dispersed(weeks({0: 0.1, 1: 0.2, 2: 0.4}), "naive")
    last = frame.filter(pl.col("cutoff") == frame["cutoff"].max())
    learnt = dict(last.group_by("block").agg(pl.col("dispersion").mean()).iter_rows())
    assert learnt[0] == pytest.approx(0.1, abs=0.05)
    assert learnt[1] == pytest.approx(0.2, abs=0.04)
    assert learnt[2] == pytest.approx(0.4, abs=0.05)


def test_a_factor_never_falls_with_the_horizon() -> None:
    frame = calibration.dispersed(weeks({0: 0.4, 1: 0.4, 2: 0.1}), "naive")
    last = frame.filter(pl.col("cutoff") == frame["cutoff"].max(), pl.col("unique_id") == 0).sort("ds")
    assert (np.diff(last["dispersion"]) >= 0).all()


def test_a_block_without_outcomes_equals_the_furthest_known() -> None:
    rows = [
        forecasts("m", START, START, 9.0, 4.0),
        forecasts("m", START + timedelta(days=7), START + timedelta(days=60), None, 4),
    ]
    assert calibrated(rows)["dispersion"][1] == pytest.approx((25.0 - 4.0) / 16.0)


def test_the_pit_of_the_true_distribution_is_uniform_and_the_same_in_any_order() -> None:
    frame = weeks({0: 0.2, 1: 0.2, 2: 0.2}).with_columns(dispersion=pl.lit(0.2))
    result = calibration.pit(frame)
    assert kstest(result, "uniform").pvalue > 0.01
    assert (calibration.pit(frame.reverse()) == result[::-1]).all()


def test_calibrated_levels_hardly_change() -> None:
    frame, curves = calibration.recalibrated(weeks({0: 0.2, 1: 0.2, 2: 0.2}).with_columns(dispersion=pl.lit(0.2)))
    assert (frame.filter(pl.col("cutoff") == START)["curve"] == 0).all()
    assert np.abs(curves - calibration.GRID).max() < 0.05
    assert np.abs(curves[-1] - calibration.GRID).max() < 0.02


def test_recalibrated_ranges_have_nominal_coverage() -> None:
    narrow = weeks({0: 0.5, 1: 0.5, 2: 0.5}, origins=16).with_columns(dispersion=pl.lit(0.1))
    frame, curves = calibration.recalibrated(narrow)
    late = frame.filter(pl.col("cutoff") >= START + timedelta(days=14 * 10))

    def kept(pit: np.ndarray) -> float:
        return float(((pit > 0.1) & (pit < 0.9)).mean())

    assert kept(calibration.pit(late.drop("curve"))) < 0.7
    assert kept(calibration.pit(late, curves)) == pytest.approx(0.8, abs=0.03)


def test_a_past_bias_does_not_change_the_median() -> None:
    biased = weeks({0: 0.2, 1: 0.2, 2: 0.2}).with_columns(dispersion=pl.lit(0.2), centre=pl.lit(6.0))
    _, curves = calibration.recalibrated(biased)
    assert curves[:, calibration.GRID.size // 2] == pytest.approx(0.5)


def test_curves_are_read_back_from_the_calibration_map() -> None:
    frame, curves = calibration.recalibrated(weeks({0: 0.5, 1: 0.5, 2: 0.5}).with_columns(dispersion=pl.lit(0.1)))
    stored = frame.with_columns(calibration.maps(frame, curves))
    assert stored.filter(pl.col("curve") == 0)["calibration_map"].null_count() == (frame["curve"] == 0).sum() > 0
    again, read = calibration.curves_in(stored.drop("curve"))
    assert np.abs(read[again["curve"]] - curves[frame["curve"]]).max() < 1e-4


@given(
    st.lists(st.lists(st.integers(0, 5000), min_size=9, max_size=9), min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(0, 90), st.integers(0, 3)), min_size=1, max_size=6),
)
def test_a_stored_distribution_has_the_same_curves_and_quantiles(
    kept: list[list[int]], rows: list[tuple[float, int]]
) -> None:
    lower = np.array([np.interp(np.linspace(0, 8, calibration.MIDDLE - 1), np.arange(9), sorted(k)) for k in kept])
    lower = np.hstack([np.zeros((len(kept), 1)), lower.round() / 10_000])
    curves = np.vstack([calibration.IDENTITY, np.hstack([lower, np.full((len(kept), 1), 0.5), 1 - lower[:, ::-1]])])
    means, numbers = zip(*rows, strict=True)
    frame = pl.DataFrame({"centre": means, "dispersion": 0.25})
    frame = frame.with_columns(pl.Series("curve", numbers, pl.UInt32) % len(curves))
    again, read = calibration.curves_in(frame.with_columns(calibration.maps(frame, curves)).drop("curve"))
    assert (read[again["curve"]] == curves[frame["curve"]]).all()
    single, two = (calibration.with_quantiles(f, c).select(COLUMNS) for f, c in ((frame, curves), (again, read)))
    assert single.equals(two)


def test_a_calibration_map_uses_nothing_from_its_cutoff_on() -> None:
    frame = weeks({0: 0.5, 1: 0.5, 2: 0.5}).with_columns(dispersion=pl.lit(0.1))
    later = START + timedelta(days=14 * 6)
    altered = frame.with_columns(y=pl.when(pl.col("ds") >= later).then(99.0).otherwise("y"))
    single, two = (
        calibration.with_quantiles(*calibration.recalibrated(f)).filter(pl.col("cutoff") <= later).drop("y")
        for f in (frame, altered)
    )
    assert single.equals(two)


def test_probabilities_and_counts_are_each_others_inverse() -> None:
    frame, curves = calibration.recalibrated(weeks({0: 0.5, 1: 0.5, 2: 0.5}).with_columns(dispersion=pl.lit(0.1)))
    drawn = np.random.default_rng(1).random((frame.height, 3))
    result = calibration.counts(drawn, frame, curves)
    for i in range(3):
        assert (calibration.probability(result[:, i], frame, curves) >= drawn[:, i] - 1e-9).all()
        assert (calibration.probability(result[:, i] - 1, frame, curves) < drawn[:, i] + 1e-9).all()


levels = st.lists(st.floats(0.001, 0.999), min_size=4, max_size=4)


@given(st.floats(0, 300), st.floats(0, 3), levels, st.lists(st.floats(0, 1), min_size=25, max_size=25))
def test_counts_of_any_curve_are_whole_non_negative_and_never_fall(
    mean: float, dispersion: float, targets_of: list[float], bends: list[float]
) -> None:
    curve = np.append(0.0, np.cumsum(np.array(bends)[: calibration.GRID.size - 1] + 0.01))
    curve = np.interp(np.linspace(0, 1, calibration.GRID.size), np.linspace(0, 1, curve.size), curve / curve[-1])
    frame = pl.DataFrame({"centre": [mean], "dispersion": [dispersion], "curve": [1]})
    curves = np.vstack([calibration.IDENTITY, curve])
    result = calibration.counts(np.array([sorted(targets_of)]), frame, curves)
    assert (result >= 0).all() and (result == np.round(result)).all() and (np.diff(result) >= 0).all()
    values = calibration.with_quantiles(frame, curves).select(COLUMNS).to_numpy()
    assert (values >= 0).all() and (np.diff(values) >= 0).all()


@pytest.mark.parametrize("truth", ["poisson", "negative binomial"])
def test_coverage_is_within_two_points_of_the_true_models_own(truth: str) -> None:
    alpha = 1e-9 if truth == "poisson" else 0.3
    frame, curves = calibration.recalibrated(
        calibration.dispersed(weeks(dict.fromkeys(range(3), alpha), origins=20), "naive")
    )
    built = calibration.with_quantiles(frame, curves).filter(pl.col("cutoff") >= START + timedelta(days=14 * 5))
    oracle = calibration.with_quantiles(built.drop(*COLUMNS, "curve").with_columns(dispersion=pl.lit(alpha)))

    def covered(rows: pl.DataFrame) -> float:
        return float(rows.select(pl.col("y").is_between("q0.1", "q0.9").mean()).item())

    assert covered(built) == pytest.approx(covered(oracle), abs=0.02)


def test_a_block_beyond_several_known_ones_is_as_wide_as_the_widest() -> None:
    later = START + timedelta(days=14)
    known = [forecasts("m", START, START, 6.0, 4.0), forecasts("m", START, START + timedelta(days=7), 24.0, 4.0)]
    ahead = [forecasts("m", later, later + timedelta(days=days), None, 4.0) for days in (0, 7, 50)]
    near, week, far = calibrated([*known, *ahead]).filter(pl.col("cutoff") == later)["dispersion"].to_list()
    assert near < week == far


def test_recalibrated_frames_are_stacked_with_the_curves_of_their_own() -> None:
    rows = weeks({0: 0.5, 1: 0.5, 2: 0.5}, origins=4, series=8)
    parts = [calibration.recalibrated(rows.with_columns(dispersion=pl.lit(spread))) for spread in (0.1, 1.5)]
    frame, curves = calibration.stacked(parts)
    expected = [curves[frame["curve"]] for frame, curves in parts]
    assert (curves[frame["curve"]] == np.vstack(expected)).all()
    assert curves.shape[0] == sum(curves.shape[0] for _, curves in parts) - 1
    assert (frame["curve"] == 0).sum() == sum((frame["curve"] == 0).sum() for frame, _ in parts) > 0


def test_a_curve_is_nearer_to_the_identity_the_less_its_origins_agree() -> None:
    """One half of the misses is too wide; of each of two pairs of origins the sum is the same."""
    steady = pl.concat([kept_counts(origin, 0.4) for origin in range(4)])
    torn = pl.concat([kept_counts(origin, 0.4 + (0.3 if origin % 2 else -0.3)) for origin in range(4)])
    far, near = (abs(calibration._curves(daily)["p0.25"].item() - 0.25) for daily in (steady, torn))
    assert 0 < near < far / 2


OUTCOMES = 1000.0


def kept_counts(origin: int, share: float) -> pl.DataFrame:
    """Counts of one origin: this share of the PITs is in the inner half, evenly, and the rest evenly outside."""
    inner = np.clip((calibration.GRID - 0.25) / 0.5, 0, 1)
    outer = np.clip(calibration.GRID / 0.25, 0, 1) / 2 + np.clip((calibration.GRID - 0.75) / 0.25, 0, 1) / 2
    below = OUTCOMES * (share * inner + (1 - share) * outer)
    counts = dict(zip(calibration._names(), below.tolist(), strict=True))
    keys = {"model": "m", "level": "all", "hours": 0, "cutoff": START + timedelta(days=origin), "n": OUTCOMES}
    return pl.DataFrame([keys | counts])


def test_a_curve_of_origins_that_agree_is_as_trusted_as_their_number_of_outcomes_allows() -> None:
    (row,) = calibration._curves(pl.concat([kept_counts(origin, 0.4) for origin in range(4)])).to_dicts()
    prior, noise = calibration.USUAL_MISS**2, 1 / (6 * 4 * OUTCOMES)
    trust = min(prior / (prior + noise), calibration.MOST_TRUST)
    # With two fifths in the inner half, three tenths are below the lower quarter.
    assert row["p0.25"] == pytest.approx(0.25 + trust * 0.05)
    assert row["p0.75"] == pytest.approx(0.75 - trust * 0.05)
    assert calibration._curves(kept_counts(0, 0.4)).is_empty(), "one origin says nothing of how much origins differ"


def test_the_trust_in_few_outcomes_is_that_of_uniform_pits() -> None:
    few = pl.concat([kept_counts(origin, 0.4) for origin in range(2)]).with_columns(
        pl.col("n", *calibration._names()) / 100
    )
    prior, noise = calibration.USUAL_MISS**2, 1 / (6 * 2 * OUTCOMES / 100)
    assert calibration._curves(few)["p0.25"].item() == pytest.approx(0.25 + prior / (prior + noise) * 0.05)


def test_the_noise_of_origins_that_differ_is_the_variance_of_their_shares() -> None:
    shares = (0.3, 0.6, 0.5)
    (row,) = calibration._curves(
        pl.concat([kept_counts(origin, share) for origin, share in enumerate(shares)])
    ).to_dicts()
    below = np.array([list(kept_counts(0, share).row(0))[5:] for share in shares]) / OUTCOMES
    # The mean over the grid of the squared standard error of a mean of three origins.
    noise = (below.var(axis=0, ddof=1) / len(shares)).mean()
    trust = calibration.USUAL_MISS**2 / (calibration.USUAL_MISS**2 + noise)
    lower = (1 - np.mean(shares)) / 2
    assert row["p0.25"] == pytest.approx(0.25 + trust * (lower - 0.25))


def test_the_draw_of_a_pit_is_splitmix64_of_series_cutoff_and_time() -> None:
    """A stored PIT can be computed again anywhere: this is the same finaliser, written for one row."""
    mask = 2**64 - 1

    def draw(*words: int) -> float:
        state = 0
        for word in words:
            state = ((state ^ (word & mask)) + 0x9E3779B97F4A7C15) & mask
            state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
            state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
            state ^= state >> 31
        return ((state >> 11) + 0.5) * 2.0**-53

    frame = weeks({0: 0.2, 1: 0.2, 2: 0.2}, series=3, origins=2)
    micros = frame.select(pl.col("cutoff", "ds").dt.epoch("us"))
    expected = [draw(*row) for row in zip(frame["unique_id"], micros["cutoff"], micros["ds"], strict=True)]
    assert calibration._draws(frame).tolist() == expected
