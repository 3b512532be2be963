"""Late changes of demand: the counts known on an earlier day are today's minus what was received since."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.config import profile as profiles
from pipelines.feeds import fire_119, police_112
from pipelines.quality import suites
from pipelines.store import warehouse
from pipelines.transform import build
from tests.feeds.portal import as_of, load, rows
from tests.feeds.test_police_112 import call
from tests.feeds.test_police_112_keys import accept_all
from tests.feeds.test_versions import unit
from tests.release.conftest import create_all, insert, settings_at

HOUR = timedelta(hours=1)
REPORTED: Final = datetime(2025, 11, 1, 1, 5, tzinfo=UTC)
"""Five past ten in Seoul."""
FEEDS = (police_112.FEED, fire_119.FEED)
KOREA = profiles.load("korea")
PLACES: Final = {
    (126.98, 37.57): ("11110", "P-1", "F-1"),
    (126.99, 37.56): ("11140", "P-2", "F-1"),
    (127.00, 37.56): ("11140", "P-2", "F-2"),
}
KEYS = ["area_id", "service", "hour_start_at"]


@pytest.fixture
def con(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two districts, two stations of each hierarchy, three places; no records yet, all feeds read indefinitely."""
    monkeypatch.setattr(suites, "validate_rows", accept_all)
    short = KOREA.model_copy(update={"demand": KOREA.demand.model_copy(update={"history_days": 4})})
    with warehouse.connect(settings_at(tmp_path, profile=short)) as con:
        create_all(con)
        build.write_reference(con, KOREA, FEEDS)
        areas = [("KR", "admin", "nation", None), ("11", "admin", "province", "KR")]
        areas += [(name, "admin", "district", "11") for name in ("11110", "11140")]
        for hierarchy, letter in (("police", "P"), ("fire", "F")):
            areas += [(letter, hierarchy, "headquarters", "KR")]
            areas += [(f"{letter}-{number}", hierarchy, "station", letter) for number in (1, 2)]
        columns = ("area_id", "hierarchy", "area_level", "parent_area_id")
        insert(con, "reference.areas", *(dict(zip(columns, row, strict=True)) for row in areas))
        for (lon, lat), names in PLACES.items():
            actual = dict(zip(("admin_area_id", "police_area_id", "fire_area_id"), names, strict=True))
            insert(con, "reference.places", {"lon": lon, "lat": lat} | actual)
        for feed in FEEDS:
            insert(con, "ops.cursors", {"feed": feed.name, "fetched_through_at": datetime(2027, 1, 1, tzinfo=UTC)})
        yield con


def tell(con: duckdb.DuckDBPyConnection, *calls: dict[str, Any], units: tuple[dict[str, Any], ...] = ()) -> None:
    """Load versions of 112 calls and rows of 119 calls, replacing any before."""
    con.execute("drop table if exists raw.police_112; drop table if exists raw.fire_119")
    for feed, common in zip(FEEDS, (calls, units), strict=True):
        load(con, feed, rows(feed, *(common or ({},))))


def built(con: duckdb.DuckDBPyConnection, hours: float) -> pl.DataFrame:
    """``marts.demand_hourly`` this many hours after the report, without later versions."""
    as_of(con, (REPORTED + hours * HOUR).isoformat())
    build.stage(con, FEEDS)
    warehouse.run_models(con, "core", ["restricted_incidents", "incidents", "dispatches"])
    names = [
        "feed_status",
        "region",
        "demand_hierarchies",
        "demand_areas",
        "demand_windows",
        "demand_hourly",
        "demand_changes",
    ]
    warehouse.run_models(con, "marts", names)
    return con.execute("select area_id, service, hour_start_at, calls, dispatches from marts.demand_hourly").pl()


def changes(con: duckdb.DuckDBPyConnection, area_id: str = "11") -> list[tuple[Any, ...]]:
    """Service, hours after the report, calls and dispatches of an area."""
    actual = con.execute(
        "select service, known_at, calls, dispatches from marts.demand_changes where area_id = ? order by all",
        [area_id],
    ).fetchall()
    return [(service, (at - REPORTED) / HOUR, calls, sent) for service, at, calls, sent in actual]


def at(hours: float) -> str:
    return (REPORTED + hours * HOUR).isoformat()


def version(hours: float, number: int = 1, **given: Any) -> dict[str, Any]:
    """A version of a 112 call, written this many hours after its report."""
    common = {
        "incident_no": f"20251101-{number:06}",
        "reported_at": at(0),
        "occurred_at": at(0),
        "updated_at": at(hours),
    }
    return call(**(common | given))


def row(hours: float, number: int = 1, **given: Any) -> dict[str, Any]:
    """A row of an ambulance at a 119 call, written this many hours after the report."""

    def local(after: float) -> str:
        return (REPORTED + (9 + after) * HOUR).strftime("%Y%m%d%H%M%S")

    common = {"dclr_rcpt_no": f"20251101{number:05}", "dclr_dt": local(0), "chg_dt": local(hours)}
    return unit(**(common | {"dspt_drtv_dt": local(0.05)} | given))


def test_a_call_known_in_its_own_hour_and_closed_later_is_not_a_change(con: duckdb.DuckDBPyConnection) -> None:
    tell(con, version(0.1), version(5, closed_at=at(5)), units=(row(0.1), row(5)))
    built(con, 20)
    assert changes(con) == []


def test_a_late_or_withdrawn_call_is_a_change_when_it_is_received(con: duckdb.DuckDBPyConnection) -> None:
    tell(con, version(30), version(0.1, 2), version(40, 2, is_withdrawn=True))
    built(con, 50)
    assert changes(con) == [("police_code_0_1", 30, 1, 0), ("police_code_0_1", 40, -1, 0)]
    assert changes(con, "P-1") == changes(con, "11110") == changes(con)
    assert changes(con, "F-1") == []


def test_a_relocated_call_moves_from_one_cell_to_another(con: duckdb.DuckDBPyConnection) -> None:
    tell(con, version(0.1), version(30, lon=126.99, lat=37.56), version(40, lon=126.99, lat=37.56, priority=3))
    built(con, 50)
    assert changes(con, "11110") == [("police_code_0_1", 30, -1, 0)]
    assert changes(con, "11140") == [
        ("police_code_0_1", 30, 1, 0), ("police_code_0_1", 40, -1, 0), ("police_code_3", 40, 1, 0),
    ]  # fmt: skip
    assert changes(con) == [("police_code_0_1", 40, -1, 0), ("police_code_3", 40, 1, 0)]


def test_a_vanished_call_is_current_until_it_was_missed(con: duckdb.DuckDBPyConnection) -> None:
    tell(con, version(0.1, 2))
    built(con, 50)
    gone = {"incident_id": "police_112:9", "feed": "police_112", "service": "police", "priority": 2}
    facts = {
        "reported_at": REPORTED,
        "named_area_id": "11140",
        "known_at": REPORTED,
        "missing_at": REPORTED + 40 * HOUR,
    }
    insert(con, "staging.missing", gone | facts)
    warehouse.run_models(con, "marts", ["demand_changes"])
    assert changes(con, "11140") == [("police_code_2", 40, -1, 0)]


def test_a_state_of_which_only_the_day_was_known_is_in_no_hour(con: duckdb.DuckDBPyConnection) -> None:
    tell(con, version(0.1, 2))
    built(con, 50)
    day = {"occurred_at": REPORTED, "occurred_until": REPORTED + 24 * HOUR, "known_at": REPORTED + 5 * HOUR}
    timed = {"reported_at": REPORTED, "known_at": REPORTED + 40 * HOUR}
    common = {"incident_id": "police_112:9", "service": "police", "priority": 2}
    place = {"named_area_id": "11140", "is_withdrawn": False}
    insert(con, "staging.versions", *({**common, **place, **state} for state in (day, timed)))
    insert(con, "core.incidents", common | timed | {"admin_area_id": "11140"})
    warehouse.run_models(con, "marts", ["demand_changes"])
    assert changes(con, "11140") == [("police_code_2", 40, 1, 0)]


def test_late_or_withdrawn_units_change_dispatches_and_no_call(con: duckdb.DuckDBPyConnection) -> None:
    pump: dict[str, Any] = {"vhcl_no": "펌프2"}
    tell(con, units=(row(0.1), row(30, **pump), row(40, **pump, del_yn="Y")))
    built(con, 50)
    assert changes(con) == [("ems", 30, 0, 1), ("ems", 40, 0, -1)]


HOURS = st.sampled_from([0.1, 3.0, 30.0, 80.0])
POINTS = st.sampled_from([*PLACES, (0.0, 0.0)])
DISTRICTS = st.sampled_from(["11110", "11140", None])
POLICE = st.builds(
    lambda hours, number, point, district, priority, shift, gone: version(
        hours, number, lon=point[0], lat=point[1], district_code=district, priority=priority,
        reported_at=at(shift), is_withdrawn=gone,
    ),
    HOURS, st.integers(1, 3), POINTS, DISTRICTS, st.sampled_from([1, 3]), st.sampled_from([0.0, 0.0, 2.0]),
    st.booleans(),
)  # fmt: skip
FIRE = st.builds(
    lambda hours, number, name, point, district, word, result, gone: row(
        hours, number, vhcl_no=name, damg_rgn_lot=str(point[0]), damg_rgn_lat=str(point[1]), clmty_sgg_cd=district,
        emrg_rscu_clsf_nm=word, prcs_rslt_se_nm=result, del_yn="Y" if gone else "N",
        **({} if name else {"dspt_drtv_dt": None}),
    ),
    HOURS, st.integers(1, 2), st.sampled_from(["", "구급1", "펌프2"]), POINTS, DISTRICTS,
    st.sampled_from(["구급", "구조", "안내"]), st.sampled_from(["출동", "중복신고"]), st.booleans(),
)  # fmt: skip


# Shrinking would build the marts a thousand times.
@settings(
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(st.lists(POLICE, max_size=6), st.lists(FIRE, max_size=6), st.sampled_from([2.0, 20.0, 50.0]))
def test_counts_known_then_are_those_known_now_minus_later_changes(
    con: duckdb.DuckDBPyConnection, calls: list[dict[str, Any]], units: list[dict[str, Any]], hours: float
) -> None:
    # Records of long before, so that every hour of the history is known at both instants.
    long_ago = "20251026100000"
    first_call = version(-143, 99, reported_at=at(-144), occurred_at=at(-144))
    tell(con, first_call, *calls, units=(row(-143, 99, dclr_dt=long_ago, dspt_drtv_dt=long_ago), *units))
    then, now = built(con, hours), built(con, 90)
    late = con.execute("from marts.demand_changes").pl().filter(pl.col("known_at") > REPORTED + hours * HOUR)
    since = late.group_by(KEYS).agg(pl.col("calls", "dispatches").sum())
    counts = now.join(since, on=KEYS, how="left", suffix="_since").select(
        *KEYS,
        *(pl.col(name) - pl.col(f"{name}_since").fill_null(0) for name in ("calls", "dispatches")),
    )
    both = then.join(counts, on=KEYS, suffix="_again")
    assert both["hour_start_at"].min() == REPORTED.replace(minute=0) - 6 * HOUR
    # Units sent are unknown, not zero, as long as no unit of the service was ever received.
    wrong = (pl.col("calls") != pl.col("calls_again")) | (pl.col("dispatches") != pl.col("dispatches_again"))
    assert both.filter(wrong).rows() == []
