"""Models of risk: totals kept, past data only, neighbours, known parameters recovered, and ties."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from pipelines.forecast.risk import ranking
from pipelines.forecast.risk.history import ALWAYS, Events, Floats, Grid, History, last_due
from pipelines.forecast.risk.history import history as build
from pipelines.forecast.risk.models import boosting, kernels, linear_pool, registry, shrunk_count
from pipelines.forecast.risk.models.counts import COUNTS
from pipelines.forecast.risk.models.self_exciting import fit, self_exciting
from pipelines.quality import outages

SIDE = 12


def grid(side: int = SIDE) -> Grid:
    y, x = np.divmod(np.arange(side * side), side)
    return Grid.of(x * 100, y * 100, 100)


def history(*rows: tuple[int, int], first_day: int = 0, side: int = SIDE) -> History:
    """Incidents as (cell, day)."""
    cell, day = np.array(rows).T if rows else np.empty((2, 0), int)
    return History(grid(side), {"theft": Events.of(cell, day)}, first_day)


def observed(rows: list[tuple[int, int]]) -> History:
    """Incidents as (cell, day), with the unknown days that they tell of themselves."""
    states = pl.DataFrame(rows, schema=["cell", "day"], orient="row").with_columns(
        category=pl.lit("theft"), known_from=pl.col("day") + 1, known_until=pl.lit(ALWAYS)
    )
    spans = outages.gaps_of_days(states["day"].to_numpy())
    gaps = pl.DataFrame(spans, schema=["from_day", "until_day"], orient="row").with_columns(category=pl.lit("theft"))
    return build(grid(), states, gaps, int(states["day"].max()) + 1)


def town(days: int = 500, seed: int = 1) -> History:
    """Two kinds of crime over two years, most of it in a few cells."""
    rng = np.random.default_rng(seed)
    events = {}
    for name, count in (("burglary", 700), ("theft", 1_500)):
        place = np.where(rng.random(count) < 0.5, rng.choice([17, 40, 90], count), rng.integers(0, SIDE**2, count))
        events[name] = Events.of(place, np.sort(rng.integers(0, days, count)))
    return History(grid(), events, 0)


def test_counts_are_incidents_a_day_over_their_window() -> None:
    past = history(*[(0, day) for day in range(363)], *[(3, day) for day in range(363, 700)], (3, 728))
    assert COUNTS["count_365"](past.seen(728), "theft", 728)[3] == pytest.approx(337 / 365)
    assert COUNTS["count_all"](past.seen(728), "theft", 728).sum() == pytest.approx(700 / 728)
    assert COUNTS["count_28"](past.seen(728), "theft", 728).sum() == 0


def test_counts_of_a_short_history_divide_by_the_days_there_were() -> None:
    short = history(*[(0, 0)] * 5)
    assert COUNTS["count_365"](short, "theft", 10)[0] == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["count_all", "count_365", "count_decayed", "density", "self_exciting"])
def test_the_cells_of_a_constant_rate_sum_to_it(name: str) -> None:
    stream = history(*((12 + day % 3, day) for day in range(400) for _ in range(2)))
    assert registry.SIMPLE[name](stream.seen(400), "theft", 400).sum() == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("name", ["count_all", "count_365", "count_decayed", "density", "self_exciting"])
def test_single_late_reports_of_old_offences_are_ignored(name: str) -> None:
    """A stream of two years, and a stray offence every few weeks for twenty years before."""
    stream = [(12 + day % 3, day) for day in range(8_000, 8_728) for _ in range(2)]
    strays = [(60, day) for day in range(0, 7_900, 40)]
    single, two = (observed(rows).seen(8_728) for rows in (stream, [*stream, *strays]))
    assert single.first_day == two.first_day == 8_000
    rates = registry.SIMPLE[name](two, "theft", 8_728)
    assert (rates == registry.SIMPLE[name](single, "theft", 8_728)).all()
    assert rates.sum() == pytest.approx(two.rate("theft", 8_728, 91), rel=0.02) == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("name", ["count_all", "count_56", "count_28", "count_decayed", "density", "self_exciting"])
def test_an_outage_does_not_lower_the_rate(name: str) -> None:
    """A stream of two years without forty days that end three weeks ago: the rate is that of the known days."""
    days = [day for day in range(728) if not 667 <= day < 707]
    past = observed([(12 + day % 3, day) for day in days for _ in range(2)])
    assert past.unknown["theft"].tolist() == list(range(666, 708))
    assert registry.SIMPLE[name](past.seen(728), "theft", 728).sum() == pytest.approx(2, rel=0.03)
    assert not past.is_known("theft", 650, 680)
    assert past.since("theft", 728, 28) == 658, "twenty days after the outage and eight before"


def test_the_start_of_records_depends_on_what_was_known_at_the_origin() -> None:
    stream = Events.of([3] * 400, range(1_000, 1_400))
    late = Events(np.full(600, 5), np.arange(400, 1_000), np.full(600, 1_350), np.full(600, ALWAYS))
    parts = (np.concatenate([getattr(part, name) for part in (stream, late)]) for name in Events.__slots__)
    past = History(grid(), {"theft": Events(*parts)}, 400)
    assert [past.seen(day).first_day for day in (1_349, 1_350)] == [1_000, 400]
    assert [past.seen(day).known_days("theft", day) for day in (1_300, 900)] == [300, 0], "nothing was known then"


def test_a_newer_incident_weighs_more_in_decayed_counts() -> None:
    rates = COUNTS["count_decayed"](history((0, 10), (24, 1_480)), "theft", 1_500)
    assert rates[24] == pytest.approx(2 ** (1_470 / 1_460) * rates[0])


def test_prospective_hot_spots_fade_with_distance_and_age_and_end_at_400_m() -> None:
    at = kernels.prospective(history((66, 99)), "theft", 100)
    assert at[66] == pytest.approx(3 * at[67]) and at[67] == at[65] > at[68] > 0
    assert at[66 + 4] > 0 and at[66 + 5] == 0
    older = kernels.prospective(history((66, 99), (0, 99 - 7)), "theft", 100)
    assert older[0] == pytest.approx(older[66] / 2)


def test_density_smooths_widely_where_crime_is_scattered_and_not_where_it_repeats() -> None:
    rng = np.random.default_rng(2)
    repeating = history(*((30, int(day)) for day in rng.integers(0, 400, 300)))
    scattered = history(*((int(cell), int(day)) for cell, day in rng.integers(0, (SIDE**2, 400), (300, 2))))
    sharp, flat = (kernels.density(single.seen(400), "theft", 400) for single in (repeating, scattered))
    assert sharp.max() > 20 * np.median(sharp) and flat.max() < 3 * np.median(flat)


@pytest.mark.slow
def test_the_self_exciting_model_recovers_the_parameters_of_simulated_data() -> None:
    """Incidents of known θ, ω, simulated cell by cell as branching in whole days.

    Of a short history each cell's own μ takes a part of what excites (of 1,000 days, θ is found an eighth too small).
    """
    rng = np.random.default_rng(3)
    theta, omega, days, rows = 0.4, 0.1, 4_000, []
    for cell in range(SIDE**2):
        waiting = list(rng.integers(0, days, rng.poisson(0.02 * days)))
        while waiting:
            at = waiting.pop()
            if at < days:
                rows.append((cell, int(at)))
                waiting += list(at + rng.geometric(1 - np.exp(-omega), rng.poisson(theta)))
    past = history(*rows)
    built = fit(past.seen(days), "theft", days)
    assert built.theta == pytest.approx(theta, rel=0.05) and built.omega == pytest.approx(omega, rel=0.1)
    assert built.base.mean() == pytest.approx(0.02, rel=0.05)
    rates = self_exciting(past.seen(days), "theft", days)
    lively = past.events["theft"].counts(SIDE**2, days - 15, days)
    quiet = past.events["theft"].counts(SIDE**2, days - 60, days) == 0
    assert rates.sum() == pytest.approx(len(rows) / days, rel=0.1)
    # Each incident of the last days still causes up to θ more; nothing of the kind is left after two months.
    assert rates[lively >= 3].mean() > 1.5 * rates[quiet].mean()


def test_same_day_ties_do_not_make_the_self_exciting_model_diverge() -> None:
    rates = self_exciting(history(*[(5, 50)] * 40, *[(7, day) for day in range(0, 90, 30)]), "theft", 100)
    assert np.isfinite(rates).all() and rates[5] > 0


def trained(past: History) -> Floats:
    rates = boosting.boosting(past, "theft", 500)
    assert rates is not None
    return rates


def test_boosting_ranks_busy_cells_first_also_in_parallel() -> None:
    past = town()
    with ThreadPoolExecutor(2) as pool:
        single, two = pool.map(lambda _: trained(past), range(2))
    assert set(np.argsort(-single)[:3]) == {17, 40, 90}
    assert (single == two).all() and (single == trained(past)).all()
    assert single.sum() == pytest.approx(3, rel=0.3), "a tenth of 144 empty cells is a small sample"


def test_the_pool_recovers_the_weights_of_simulated_incidents() -> None:
    rng = np.random.default_rng(5)
    parts = np.stack([rng.dirichlet(np.full(400, 0.1)), rng.dirichlet(np.full(400, 0.1)), np.full(400, 1 / 400)])
    true = np.array([0.6, 0.3, 0.1])
    incidents = rng.multinomial(20_000, true @ parts)
    hit = np.flatnonzero(incidents)
    result = linear_pool.weights(parts[:, hit], incidents[hit].astype(float))
    assert result == pytest.approx(true, abs=0.03) and result.sum() == pytest.approx(1)


def test_every_part_of_the_pool_sums_to_the_recent_level_and_no_cell_is_zero() -> None:
    stream = history(*((12 + day % 3, day) for day in range(400) for _ in range(2)))
    parts = linear_pool.parts(stream.seen(400), "theft", 400)
    assert parts.sum(axis=1) == pytest.approx(np.full(len(parts), 2), rel=1e-3)
    mixed = linear_pool.weights(parts[:, 12:15], np.ones(3)) @ parts
    assert mixed.min() > 0 and set(np.argsort(-mixed)[:3]) == {12, 13, 14}
    assert linear_pool.parts(history(), "theft", 400).sum(axis=1).tolist() == pytest.approx(
        [0] * 5 + [linear_pool.LEAST_LEVEL]
    )


def test_the_training_set_has_all_of_the_likeliest_cells_and_some_others() -> None:
    table = boosting.Table(np.zeros((10_000, 1), np.float32), [0], np.ones((1, 10_000), np.float32))
    table.parts[0, :50] = 500
    rows = boosting._rows(table, np.zeros(10_000), 7, np.ones(1))
    assert (rows.start > np.log(499)).sum() == 50 and 1_000 < len(rows.outcome) < 2_000
    assert rows.weight.sum() == pytest.approx(10_000, rel=0.1)


def test_boosting_leaves_a_category_that_begins_after_all_others_until_it_has_a_history() -> None:
    past = town(900)
    late = past.events["theft"].where(past.events["theft"].day >= 400)
    begun = History(past.grid, {**past.events, "theft": late}, 0)
    assert boosting.boosting(begun, "theft", 500) is None
    rates = boosting.boosting(begun, "theft", 880)
    assert rates is not None and set(np.argsort(-rates)[:3]) == {17, 40, 90}
    assert rates.sum() == pytest.approx(1_500 / 900, rel=0.3)


def test_untrained_boosting_returns_no_rates() -> None:
    assert boosting.boosting(history((3, 5), (4, 6)), "theft", 20) is None, "no training window"
    assert boosting.boosting(history((3, 5), (4, 6)), "theft", 600) is None, "no incident in any training window"
    daily = history(*((day % 3, day) for day in range(400)), side=3)
    assert boosting.boosting(daily, "theft", 400) is None, "nine cells are too few rows for a single split"


def test_between_fits_boosting_uses_the_older_one_with_the_features_of_the_day() -> None:
    past, memo = town(600), boosting.Memo()
    fitted = last_due(560, boosting.FIT_DAYS)
    rates = [boosting.boosting(past, "theft", day, memo) for day in (fitted, fitted + 40)]
    assert list(memo.fits) == [("theft", fitted)]
    assert not np.array_equal(*rates)
    for day, remembered in zip((fitted, fitted + 40), rates, strict=True):
        assert np.array_equal(boosting.boosting(past, "theft", day), remembered), "a memo changes nothing"


def test_a_rate_shrinks_the_count_of_a_cell_towards_what_is_around_it() -> None:
    rows = [(cell, day) for day in range(0, 300, 10) for cell in (40, 41, 52)] + [(5, 100), (100, 200)]
    counted = shrunk_count.shrunk_count(history(*rows).seen(300), "theft", 300)
    assert counted.incidents.tolist() == pytest.approx(
        np.rint(COUNTS["count_decayed"](history(*rows), "theft", 300) * history(*rows).decayed_days("theft", 300, 1460))
    )
    assert counted.rate[40] < 0.1 < counted.rate[[40, 41, 52]].sum() / 2.9, "30 incidents in 300 days were luck in part"
    assert counted.rate[53] > counted.rate[143] > 0, "next to busy cells more is expected than far away"
    assert counted.rate[5] > counted.rate[143]


def test_the_level_of_few_incidents_is_that_of_a_longer_time() -> None:
    """None in the last weeks means little where one a month is usual, and much where one a day is."""
    monthly = history(*((5, day) for day in range(0, 360, 30)))
    daily = history(*((5, day) for day in range(360)))
    assert shrunk_count.level(monthly.seen(360), "theft", 360) == pytest.approx(1 / 30, rel=0.25)
    assert shrunk_count.level(daily.seen(400), "theft", 400) < 0.65
    assert shrunk_count.level(history(), "theft", 400) == pytest.approx(linear_pool.LEAST_LEVEL, rel=0.1)


@pytest.mark.parametrize("name", registry.MODELS)
def test_nothing_from_the_origin_on_changes_a_prediction(name: str) -> None:
    past = town()
    rng = np.random.default_rng(4)

    def altered(events: Events) -> Events:
        kept, after = events.where(events.day < 400), events.where(events.day >= 400)
        shuffled = Events(rng.permutation(after.cell), after.day, after.known_from, after.known_until)
        # Reports of old crime that come in late, and records that are corrected later: another state has applied since.
        late = Events(np.full(900, 1), np.arange(-510, 390), np.full(900, 401), np.full(900, ALWAYS))
        changing = np.arange(kept.cell.size) % 3 == 0
        until = np.where(changing, 401, kept.known_until)
        corrected = kept.where(changing)
        from_then = np.full(corrected.cell.size, 401)
        since = Events(rng.permutation(corrected.cell), corrected.day, from_then, corrected.known_until)
        parts = [Events(kept.cell, kept.day, kept.known_from, until), shuffled, late, since]
        return Events(*(np.concatenate([getattr(part, column) for part in parts]) for column in Events.__slots__))

    changed = History(past.grid, {key: altered(single) for key, single in past.events.items()}, -510)

    def rates(past: History) -> Floats | None:
        if name == boosting.BOOSTING:
            return boosting.boosting(past, "theft", 400)
        return registry.SIMPLE[name](past.seen(400), "theft", 400)

    before, after = rates(past), rates(changed)
    assert before is not None and np.array_equal(before, after)


def test_a_state_counts_only_while_it_was_the_known_one() -> None:
    state = Events(np.array([3]), np.array([10]), np.array([12]), np.array([20]))
    past = History(grid(), {"theft": state}, 0)
    assert [past.seen(day).events["theft"].cell.size for day in (11, 12, 19, 20)] == [0, 1, 1, 0]


def test_smoothing_loses_nothing_at_the_border_and_skips_gaps_in_the_raster() -> None:
    odd = Grid.of(np.array([0, 100, 500]), np.array([0, 0, 0]), 100)
    assert odd.smooth(np.ones(3), 2.0) == pytest.approx(np.ones(3), rel=1e-5)
    assert odd.around(np.array([1, 2, 4]), 1) == pytest.approx([3, 3, 4])


def test_ranks_follow_expectation_and_ties_depend_on_the_seed_only() -> None:
    expected = np.array([0.0, 3.0, 0.0, 1.0, 0.0])
    ranked = ranking.ranks(expected, "burglary", "2026-01-01")
    assert ranked[1] == 1 and ranked[3] == 2 and sorted(ranked) == [1, 2, 3, 4, 5]
    assert (ranked == ranking.ranks(expected, "burglary", "2026-01-01")).all()
    many = [tuple(ranking.ranks(expected, "burglary", day)[[0, 2, 4]]) for day in range(30)]
    assert len(set(many)) > 3


def test_a_share_of_few_cells_is_one_cell_and_of_none_is_none() -> None:
    assert [ranking.cells_of_share(0.01, cells) for cells in (0, 1, 99, 100, 250)] == [0, 1, 1, 1, 2]


def test_selected_cells_never_exceed_the_area() -> None:
    assert ranking.cells_within(1.0, 100 * 100) == 100
    assert ranking.cells_within(0.999, 100 * 100) == 99
    assert ranking.cells_within(0.6475, 76.2**2) == 111
