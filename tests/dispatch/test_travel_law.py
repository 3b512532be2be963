"""A law of travel time in distance: what it recovers, what it states, and the chance to arrive in time."""

import numpy as np
import polars as pl
import pytest

from pipelines.dispatch import travel_law
from pipelines.dispatch.posts import PlanError
from pipelines.dispatch.travel_law import Law

TRUE = Law(30.0, 45.0, 25.0, (400.0, 4.0, 0.03), 5.0, "road", 0, 20.0)


def trips(size: int = 800, law: Law = TRUE, seed: int = 1, longest: float = 8.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    km = rng.gamma(1.5, longest / 6, size).clip(0.02, longest)
    return pl.DataFrame({"incident_id": np.arange(size), "km": km, "seconds": travel_law.draw(law, km, rng)})


def test_a_law_recovers_the_median_and_the_spread_at_every_distance() -> None:
    fitted = travel_law.fit(trips(3000), "road")
    km = np.array([0.2, 1.0, 3.0, 6.0])
    assert travel_law.median_seconds(fitted, km) == pytest.approx(travel_law.median_seconds(TRUE, km), rel=0.06)
    assert travel_law.quantile(fitted, km, 0.9) == pytest.approx(travel_law.quantile(TRUE, km, 0.9), rel=0.1)


def test_a_law_states_its_input_and_its_error_on_trips_not_seen() -> None:
    fitted = travel_law.fit(trips(), "straight line between points rounded to 100 m")
    assert fitted.error is not None
    assert fitted.error.below_p90 == pytest.approx(0.9, abs=0.03)
    assert fitted.error.p50_ratio == pytest.approx(1, abs=0.08)
    text = travel_law.statement(fitted)
    assert "straight line between points rounded to 100 m" in text
    assert "on trips not seen: mean absolute error" in text
    assert "error unknown" in travel_law.statement(TRUE)


def test_times_grow_like_the_square_root_of_short_ways_and_evenly_with_long_ones() -> None:
    law = Law(0.0, 36.0, 20.0, TRUE.spread, 5.0, "road", 0, 20.0)
    # 10 m/s after 20 s: the ramp ends at 200 m, where both forms give 40 s.
    assert travel_law.median_seconds(law, np.array([0.05, 0.2, 1.2])) == pytest.approx([20, 40, 140])


def test_a_law_needs_trips_that_can_be_used() -> None:
    few = trips(150).with_columns(km=pl.lit(1.0))
    with pytest.raises(PlanError, match="give at least 200"):
        travel_law.fit(few, "road")
    wrong = (pl.lit(None, pl.Float64).alias("seconds"), pl.lit(0.0).alias("seconds"), pl.lit(np.nan).alias("km"))
    spoilt = pl.concat([trips(300), *(trips(5).with_columns(column) for column in wrong)])
    assert travel_law.fit(spoilt, "road").trips == 300


def test_urban_and_rural_have_laws_of_their_own_where_trips_allow() -> None:
    rural = Law(60.0, 80.0, 25.0, (400.0, 4.0, 0.03), 5.0, "road", 0, 20.0)
    rows = pl.concat(
        frame.with_columns(incident_id=pl.format("{}{}", pl.lit(name), "incident_id"), setting=pl.lit(name))
        for name, frame in (
            ("urban", trips(300)), ("rural", trips(300, rural, 2, 20.0)), ("town", trips(20, TRUE, 3)),
        )
    )  # fmt: skip
    laws = travel_law.fit_settings(rows, "road")
    assert set(laws) == {travel_law.ALL, "urban", "rural"}
    far = np.array([6.0])
    assert travel_law.median_seconds(laws["rural"], far) < travel_law.median_seconds(laws["urban"], far)
    density = pl.DataFrame({"density": [2000.0, 400.0, 3.0, None]})
    assert density.select(travel_law.setting_of(pl.col("density"))).to_series().to_list() == [
        "urban", "town", "rural", None,
    ]  # fmt: skip


def test_the_chance_to_arrive_agrees_with_draws_of_delay_and_travel() -> None:
    rng = np.random.default_rng(5)
    delay = rng.lognormal(np.log(60), 0.4, 4000)
    km = np.array([0.5, 2.0, 5.0])
    chance = travel_law.arrival_probability(TRUE, km, 300.0, delay)
    drawn = [(delay + travel_law.draw(TRUE, np.full(4000, distance), rng) <= 300).mean() for distance in km]
    assert chance == pytest.approx(drawn, abs=0.025)
    assert travel_law.arrival_probability(TRUE, km, 30.0, np.array([40.0])) == pytest.approx(0)


def test_distances_of_points_are_those_of_the_globe() -> None:
    km = travel_law.straight_km(np.array([0.0]), np.array([0.0]), np.array([1.0]), np.array([0.0]))
    assert km == pytest.approx([111.195], abs=0.001)
