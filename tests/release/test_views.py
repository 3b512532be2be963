"""The published tables: who sees what, checked on the rows of the small warehouse."""

import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import pytest

from pipelines.config import paths
from pipelines.release import audiences, views
from pipelines.schema import check, dictionary
from pipelines.store import warehouse
from tests.release.conftest import DISTRICTS, SENSITIVE, SERVICES, UNMAPPED, incident, insert

ALL = {"public", "dispatch", "police", "fire", "investigation"}
AGENCIES = {"police", "fire"}

MATRIX = {
    "accounting": ALL - {"public"},
    "accounting_shares": {"public"},
    "allow_list": ALL,
    "area_hot_spots": {"police"},
    "aoristic": {"police"},
    "areas": ALL,
    "calls_hourly": {"dispatch"} | AGENCIES,
    "cases": {"investigation"},
    "cells": {"police"},
    "concentration": {"police"},
    "control_chart": {"police"},
    "crime_quarterly": {"public"},
    "demand_forecast": {"dispatch"} | AGENCIES,
    "demand_forecast_long": {"dispatch"},
    "demand_hourly": {"dispatch"} | AGENCIES,
    "demand_quarterly": {"public"},
    "density": {"police"},
    "dispatch_forecast": {"dispatch"} | AGENCIES,
    "dispatches": {"fire"},
    "emerging_hot_spots": {"police"},
    "district_harm": {"police"},
    "calendar_effects": {"dispatch", "police", "fire"},
    "feed_health": ALL,
    "feed_status": ALL - {"public"},
    "feeds": ALL,
    "forecast_selections": ALL - {"investigation"},
    "forecast_scores": ALL - {"investigation"},
    "hot_spots": {"police"},
    "incident_changes": AGENCIES,
    "incidents": AGENCIES,
    "joint_responses": {"dispatch"},
    "releasable_incidents": set(),
    "lorenz": {"police"},
    "model_cards": ALL - {"investigation"},
    "nnh_clusters": {"police"},
    "observation_windows": ALL - {"public"},
    "patrol_area_scores": {"police"},
    "patrol_areas": {"police"},
    "point_pattern_places": {"police"},
    "point_pattern_test": {"police"},
    "near_repeat_chains": {"police"},
    "near_repeat_members": {"police"},
    "near_repeats": {"police"},
    "quality_checks": ALL - {"public"},
    "quality_shares": {"public"},
    "response_times": AGENCIES,
    "revision_rates": ALL,
    "risk": {"police"},
    "risk_audit": {"public"},
    "risk_calibration": {"police"},
    "risk_curves": {"police"},
    "risk_exclusions": {"public", "police"},
    "risk_scores": {"police"},
    "risk_selected": {"police"},
    "risk_slots": {"police"},
    "risk_slots_scores": {"police"},
    "sensitive_yearly": {"public"},
    "space_time_clusters": {"police"},
    "staffing": {"dispatch"} | AGENCIES,
    "weekly": {"police"},
    "withheld_records": AGENCIES,
}
"""Who sees what. A change here changes the agreement with the agencies and the public."""


def rows(con: duckdb.DuckDBPyConnection, audience: str, table: str) -> list[dict[str, Any]]:
    """The rows of a table for an audience."""
    (entry,) = [entry for entry in audiences.tables_of(audience) if entry.name == table]
    return con.execute(entry.select).pl().to_dicts()


def names(con: duckdb.DuckDBPyConnection, audience: str, table: str) -> set[str]:
    """The records of an audience, by their internal ids."""
    ours = dict(con.execute("select record_id, incident_id from views.releasable_incidents").fetchall())
    return {ours[row["record_id"]] for row in rows(con, audience, table)}


def rebuilt(con: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Build some views again after a test has added rows."""
    views.build(con, names)


def test_the_audiences_of_every_table_are_as_agreed() -> None:
    listed = {
        name.removeprefix("views."): set(table.audiences)
        for name, table in dictionary.load().tables.items()
        if name.startswith("views.")
    }
    assert listed == MATRIX


def test_every_view_has_a_file_or_shows_a_table_as_it_is() -> None:
    files = {path.stem for path in (paths.SQL / "views").glob("*.sql")}
    assert files.isdisjoint(dictionary.pass_through_views())
    assert files | dictionary.pass_through_views().keys() == set(MATRIX)


@pytest.mark.parametrize("path", sorted((paths.SQL / "views").glob("*.sql")), ids=lambda path: path.stem)
def test_a_view_states_its_grain_and_needs_no_extension(path: Any) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("-- ") and "Grain: " in text.splitlines()[0]
    assert not re.search(r"\bst_|pivot|query_table", text.lower())


def test_every_view_has_the_columns_and_types_of_the_dictionary(con: duckdb.DuckDBPyConnection) -> None:
    assert check.problems(con, "views") == []


def test_every_grain_is_unique(con: duckdb.DuckDBPyConnection) -> None:
    for name, table in dictionary.load().tables.items():
        if name.startswith("views."):
            grain = ", ".join(f'"{column}"' for column in table.grain)
            doubled = con.execute(f"select count(*) from (select 1 from {name} group by {grain} having count(*) > 1)")
            assert doubled.fetchall() == [(0,)], name


def test_police_and_fire_see_their_own_incidents_only(con: duckdb.DuckDBPyConnection) -> None:
    assert {row["agency"] for row in rows(con, "police", "incidents")} == {"police"}
    assert {row["agency"] for row in rows(con, "fire", "incidents")} == {"fire"}


def test_no_incident_refers_to_a_record_of_another_agency(con: duckdb.DuckDBPyConnection) -> None:
    columns = dictionary.load().tables["views.incidents"].columns
    assert not {"joint_incident_id", "incident_id", "source_id"} & set(columns)
    assert "fire_119" not in str(rows(con, "police", "incidents"))


def test_sensitive_matters_and_unknown_words_are_withheld_and_counted(con: duckdb.DuckDBPyConnection) -> None:
    assert names(con, "police", "incidents") == {"police_112:1", "police_112:2"}
    last_year = {"report_date": date(2025, 12, 31)}
    insert(
        con,
        "core.incidents",
        *(incident(f"police_112:{number}", **SENSITIVE, **last_year) for number in range(5, 13)),
        incident("police_112:13", **UNMAPPED, **last_year),
    )
    rebuilt(con, "withheld_records")
    withheld = [(row["year"], row["reason"], row["incidents"]) for row in rows(con, "police", "withheld_records")]
    assert withheld == [(2025, "category unknown", None), (2025, "sensitive matter", 10)], "this year's would date them"


def test_a_year_or_quarter_without_its_last_days_is_not_complete(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "core.incidents", incident("police_112:5", **SENSITIVE, report_date=date(2025, 5, 1)))
    whole = ("crime_quarterly", "demand_quarterly", "sensitive_yearly", "withheld_records")
    rebuilt(con, *whole)
    assert [len(con.execute(f"from views.{name}").fetchall()) for name in whole] == [1, 3, 1, 1]
    # Local midnight of 1 January 2026 and of 1 November, by when the crime of the third quarter may be reported.
    con.execute("update marts.feed_status set complete_through_at = timestamptz '2025-12-31 14:00:00+00'")
    con.execute("delete from marts.demand_hourly where hour_start_at >= timestamptz '2026-09-30 14:00:00+00'")
    gap = {"category": "theft", "observation_state": "filling", "until_date": date(2026, 11, 23)}
    insert(con, "marts.crime_gaps", gap | {"from_date": date(2026, 10, 31)})
    rebuilt(con, *whole)
    assert [len(con.execute(f"from views.{name}").fetchall()) for name in whole] == [0, 0, 0, 0]
    con.execute("update marts.feed_status set complete_through_at = timestamptz '2025-12-31 15:00:00+00'")
    rebuilt(con, *whole)
    assert [len(con.execute(f"from views.{name}").fetchall()) for name in whole] == [0, 0, 1, 1]
    con.execute("update marts.feed_status set complete_through_at = null where feed = 'investigation_cases'")
    rebuilt(con, *whole)
    assert [len(con.execute(f"from views.{name}").fetchall()) for name in whole] == [0, 0, 0, 1]


def test_the_released_id_of_a_record_does_not_reveal_the_agencys_number(
    con: duckdb.DuckDBPyConnection,
) -> None:
    before = {row["record_id"] for row in rows(con, "police", "incidents")}
    con.execute("update core.incidents set incident_id = replace(incident_id, '112:', '112:9'), source_id = '9'")
    rebuilt(con, "releasable_incidents", "incidents")
    assert {row["record_id"] for row in rows(con, "police", "incidents")} == before
    con.execute("update core.incidents set reported_at = reported_at + interval 1 minute")
    rebuilt(con, "releasable_incidents", "incidents")
    assert not {row["record_id"] for row in rows(con, "police", "incidents")} & before


def test_records_with_equal_content_have_distinct_ids(con: duckdb.DuckDBPyConnection) -> None:
    insert(con, "core.incidents", *(incident(f"police_112:{number}") for number in (5, 6)))
    rebuilt(con, "releasable_incidents", "incidents")
    result = [row["record_id"] for row in rows(con, "police", "incidents")]
    assert len(result) == len(set(result)) == 4


def test_a_chain_lists_only_records_that_police_may_read(con: duckdb.DuckDBPyConnection) -> None:
    shown = {row["record_id"] for row in rows(con, "police", "incidents")}
    members = rows(con, "police", "near_repeat_members")
    assert "incident_id" not in members[0] and "112:" not in str(members)
    # The second chain's other record is a sensitive one.
    assert [row["chain_id"][:14] for row in members] == ["theft-20261111", "theft-20261112"]
    assert {row["record_id"] for row in members} <= shown


def test_clusters_and_chains_have_a_location(con: duckdb.DuckDBPyConnection) -> None:
    for table in ("near_repeat_chains", "space_time_clusters"):
        for row in rows(con, "police", table):
            assert row["admin_area_id"] == "11010" and row["geometry"]


def test_police_read_the_selected_slots_and_not_those_of_the_baseline_only(
    con: duckdb.DuckDBPyConnection,
) -> None:
    result = rows(con, "police", "risk_slots")
    assert sorted((row["cell_id"], row["hour"], row["rank"]) for row in result) == [
        ("다사530530", 20, 1),
        ("다사530530", 22, 2),
    ]
    assert {row["admin_area_id"] for row in result} == {"11010"}


def test_places_to_patrol_have_the_name_of_their_station_and_the_district_of_their_first_cell(
    con: duckdb.DuckDBPyConnection,
) -> None:
    result = rows(con, "police", "patrol_areas")
    assert [(row["shift"], row["rank"]) for row in result] == [("police_day", 1), ("police_night", 1)]
    assert {(row["area_name"], row["admin_area_id"]) for row in result} == {("서울종로구경찰서", "11010")}


def test_units_are_joined_to_their_incident_by_its_released_id(con: duckdb.DuckDBPyConnection) -> None:
    shown = {row["record_id"] for row in rows(con, "fire", "incidents")}
    assert {row["record_id"] for row in rows(con, "fire", "dispatches")} == shown and len(shown) == 2


def test_a_location_from_caller_lookup_is_released_as_district_only(con: duckdb.DuckDBPyConnection) -> None:
    for audience in sorted(AGENCIES):
        (result,) = [row for row in rows(con, audience, "incidents") if row["location_source"] == "caller_lookup"]
        assert result["admin_area_id"] == "11010"
        hidden = ("lon", "lat", "cell_id", "police_area_id", "fire_area_id")
        assert [result[name] for name in hidden] == [None] * len(hidden)
    sent = {row["unit_id"]: row["fire_area_id"] for row in rows(con, "fire", "dispatches")}
    assert sent == {"구급1": "F-1", "구급2": None}


def test_units_sent_to_a_sensitive_matter_are_withheld_with_it(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update core.incidents set is_sensitive = true, is_releasable = false where incident_id = 'fire_119:1'")
    rebuilt(con, "releasable_incidents", "incidents", "dispatches")
    assert {row["unit_id"] for row in rows(con, "fire", "dispatches")} == {"구급2"}


def test_a_sensitive_case_is_not_counted_by_month(con: duckdb.DuckDBPyConnection) -> None:
    same = {"agency": "investigation", "admin_area_id": "11", "source_category": "부패"}
    insert(
        con,
        "core.incidents",
        incident("investigation_cases:2", **same, category="stalking", is_sensitive=True),
        incident("investigation_cases:3", **same, category="corruption", report_date=date(2025, 11, 3)),
    )
    rebuilt(con, "cases")
    result = {(row["month_start_date"], row["category"]): row for row in rows(con, "investigation", "cases")}
    assert set(result) == {(date(2026, 11, 1), "corruption"), (date(2025, 11, 1), "corruption")}
    assert result[date(2026, 11, 1), "corruption"]["cases_year_before"] == 1
    assert {row["area_id"] for row in result.values()} == {"11"}


def test_the_public_sees_whole_quarters_and_years_only(con: duckdb.DuckDBPyConnection) -> None:
    assert [row["quarter_start_date"] for row in rows(con, "public", "crime_quarterly")] == [date(2026, 7, 1)]
    assert {row["quarter_start_date"] for row in rows(con, "public", "demand_quarterly")} == {date(2026, 7, 1)}
    assert [row["year"] for row in rows(con, "public", "sensitive_yearly")] == [2025]


def test_calls_of_which_only_the_day_is_known_count_in_their_quarter(con: duckdb.DuckDBPyConnection) -> None:
    def calls() -> int:
        rebuilt(con, "demand_quarterly")
        return sum(row["calls"] for row in rows(con, "public", "demand_quarterly") if row["area_id"] == "11010")

    before = calls()
    row = {"area_id": "11010", "service": "ems", "local_date": date(2026, 8, 1), "calls": 12, "releasable_calls": 10}
    insert(con, "marts.demand_untimed", row)
    assert calls() == before + 10


def test_a_year_or_quarter_that_began_before_the_first_record_is_not_published(con: duckdb.DuckDBPyConnection) -> None:
    last_year = incident("police_112:5", **SENSITIVE, report_date=date(2025, 12, 31))
    insert(con, "core.incidents", last_year)
    yearly = ("sensitive_yearly", "withheld_records", "risk_exclusions")
    rebuilt(con, *yearly)
    assert {row["year"] for name in yearly for row in rows(con, "police" if name != yearly[0] else "public", name)} == {
        2025
    }
    con.execute("update marts.feed_status set complete_from_at = complete_from_at + interval 1 hour")
    rebuilt(con, *yearly)
    assert not [row for name in yearly for row in con.execute(f"from views.{name}").fetchall()]


def test_records_excluded_from_risk_are_a_share_of_a_whole_year_in_integer_per_cent(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("delete from core.incidents")
    con.execute("update marts.risk_exclusions set incidents = 9")
    insert(
        con, "marts.risk_exclusions", {"year": 2025, "category": "x", "reason": "discovered by patrol", "incidents": 7}
    )
    past = (incident(f"police_112:{number}", report_date=date(2025, 6, 1)) for number in range(14))
    insert(con, "core.incidents", *past)
    rebuilt(con, "risk_exclusions")
    shares = {row["reason"]: row["incident_share"] for row in rows(con, "public", "risk_exclusions")}
    assert shares == {"sensitive matter": 0.33, "discovered by patrol": None}, "10 of 30, and a count too small to tell"


def test_no_public_count_is_small_or_exact(con: duckdb.DuckDBPyConnection) -> None:
    exact = [0, 1, 7, 8, 12, 13, 10_002]
    con.execute(
        "delete from marts.crime_quarterly; delete from marts.sensitive_yearly; delete from marts.demand_hourly"
    )
    crime = {"area_id": "11010", "quarter_start_date": date(2026, 7, 1)}
    insert(con, "marts.crime_quarterly", *(crime | {"category": f"{n}", "incidents": n} for n in exact))
    insert(con, "marts.sensitive_yearly", *({"area_id": f"{n}", "year": 2025, "incidents": n} for n in exact))
    hours = (date(2026, 6, 1), date(2026, 7, 1), date(2026, 10, 1))
    calls = [(f"{n}", day, n if day == hours[1] else 0) for n in exact for day in hours]
    hourly = {"service": "ems", "hierarchy": "admin", "area_level": "district", "calls": 0}
    insert(
        con,
        "marts.demand_hourly",
        *(
            hourly
            | {
                "area_id": area_id,
                "local_date": day,
                "releasable_calls": n,
                "hour_start_at": datetime.combine(day, time(), UTC),
            }
            for area_id, day, n in calls
        ),
    )
    whole = ("crime_quarterly", "sensitive_yearly", "demand_quarterly")
    rebuilt(con, *whole)
    for name, by in zip(whole, ("category", "area_id", "area_id"), strict=True):
        published = {int(row[by]): row.get("incidents", row.get("calls")) for row in rows(con, "public", name)}
        assert published == {0: 0, 1: None, 7: None, 8: 10, 12: 10, 13: 15, 10_002: 10_000}, name


def test_the_public_sees_no_police_demand_and_no_station(con: duckdb.DuckDBPyConnection) -> None:
    assert {row["service"] for row in rows(con, "public", "demand_quarterly")} == {"ems"}
    assert {row["area_level"] for row in rows(con, "public", "areas")} == {"nation", "province", "district"}


def test_the_audit_discloses_no_number_of_incidents_to_the_public(con: duckdb.DuckDBPyConnection) -> None:
    (model, baseline) = sorted(rows(con, "public", "risk_audit"), key=lambda row: row["is_baseline"])
    assert (model["hit_rate"], model["pai"], baseline["pai"]) == (0.12, 12.0, 10.0)
    assert "incidents" not in model and "hits" not in model


@pytest.mark.parametrize(("audience", "services"), [("police", {"police_code_0_1"}), ("fire", {"ems"})])
def test_an_agency_sees_its_own_demand_plans_and_scores(
    con: duckdb.DuckDBPyConnection, audience: str, services: set[str]
) -> None:
    for table in ("demand_hourly", "demand_forecast", "staffing"):
        assert {row["service"] for row in rows(con, audience, table)} == services, table
    assert {row["service"] for row in rows(con, audience, "forecast_scores")} <= services
    assert {row["service"] for row in rows(con, audience, "forecast_selections")} <= services
    assert {row["service"] for row in rows(con, audience, "calendar_effects")} == services


def test_dispatch_sees_all_services_and_the_last_weeks_only(con: duckdb.DuckDBPyConnection) -> None:
    recent = rows(con, "dispatch", "demand_hourly")
    assert {row["service"] for row in recent} == set(SERVICES)
    assert min(row["local_date"] for row in recent) == date(2026, 11, 23) - timedelta(days=35)


def test_planners_read_model_baseline_and_units_in_one_row(con: duckdb.DuckDBPyConnection) -> None:
    forecast = rows(con, "dispatch", "demand_forecast")
    assert len(forecast) == (len(DISTRICTS) + 1) * len(SERVICES) * (48 + 2)
    hourly = next(row for row in forecast if row["frequency"] == "h" and row["area_id"] == "11010")
    assert (hourly["model"], hourly["expected_calls"], hourly["p10"], hourly["p90"]) == ("hour_of_week", 3.0, 1.0, 5.0)
    assert (hourly["baseline_calls"], hourly["units_required"], hourly["area_name"]) == (3.0, 6, "종로구")
    assert all(row["units_required"] is None for row in forecast if row["frequency"] == "D")


def test_readers_of_records_get_apportioned_forecasts_if_any_record_is_withheld(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute(
        "update marts.demand_hourly set releasable_calls = 0 where service = 'ems' and area_id = '11010' "
        "and hour_start_at = '2026-11-01 01:00:00+00'"
    )
    con.execute(
        "insert into forecast.demand by name select * replace ('disclosure_safe_calls' as measure, 2.0 as mean, "
        "'share_of_region' as model) from forecast.demand where service = 'ems' and not is_baseline"
    )
    con.execute(
        "insert into dispatch.staffing by name select * replace ('disclosure_safe_calls' as measure, "
        "2.0 as expected_calls) from dispatch.staffing where service = 'ems'"
    )
    warehouse.run_models(con, "marts", ["demand_apart"])
    rebuilt(con, "demand_forecast", "demand_forecast_long", "staffing")
    for table in ("demand_forecast", "staffing"):
        common = {
            audience: {
                (row["service"], row["disclosure_basis"], row["expected_calls"]) for row in rows(con, audience, table)
            }
            for audience in ("dispatch", "police", "fire")
        }
        means = {3.0, 60.0} if table == "demand_forecast" else {3.0}
        of_police = {("police_code_0_1", "both", mean) for mean in means}
        assert common["dispatch"] == {("ems", "all", mean) for mean in means} | of_police, table
        assert common["police"] == of_police, table
        assert common["fire"] == {("ems", "releasable", 2.0)}, table
    assert 2.0 not in {
        row["value"] for row in rows(con, "dispatch", "demand_forecast_long") if row["output_type"] == "mean"
    }


def test_readers_of_records_get_scaled_and_rounded_scores_if_any_record_is_withheld(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("insert into marts.demand_apart values ('ems', 'admin')")
    con.execute(
        "insert into forecast.demand_scores by name select * replace (600 as targets, 0.71234 as mase, "
        "'station' as area_level) from forecast.demand_scores"
    )
    rebuilt(con, "forecast_scores")
    for audience in ("public", "fire"):
        common = rows(con, audience, "forecast_scores")
        assert {(row["targets"], row["mase"]) for row in common} == {(600, 0.712)}, audience
        assert not {"mae", "pinball", "wis", "crps", "bias"} & set(common[0])
    assert {row["targets"] for row in rows(con, "dispatch", "forecast_scores")} == {100, 600}


def test_without_apportioned_forecasts_readers_of_records_get_none(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("insert into marts.demand_apart values ('ems', 'admin')")
    rebuilt(con, "demand_forecast", "forecast_selections", "calendar_effects")
    assert rows(con, "fire", "demand_forecast") == []
    for table in ("forecast_selections", "calendar_effects"):
        assert rows(con, "fire", table) == [] != rows(con, "dispatch", table)


def test_units_sent_and_calls_are_never_in_one_table(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "insert into forecast.demand by name select * replace ('dispatches' as measure, 9.0 as mean) "
        "from forecast.demand where service = 'ems'"
    )
    rebuilt(con, "demand_forecast", "demand_forecast_long", "dispatch_forecast")
    for table, column in (("demand_forecast", "expected_calls"), ("dispatch_forecast", "expected_dispatches")):
        means = {row[column] for row in rows(con, "dispatch", table)}
        assert means == ({9.0} if table == "dispatch_forecast" else {3.0, 60.0})
    assert 9.0 not in {
        row["value"] for row in rows(con, "dispatch", "demand_forecast_long") if row["output_type"] == "mean"
    }
    assert {row["service"] for row in rows(con, "fire", "dispatch_forecast")} == {"ems"}
    assert rows(con, "police", "dispatch_forecast") == []


def test_shifts_with_the_same_start_have_separate_rows(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "insert into forecast.demand by name select demand.* replace ('S' as frequency, name as shift) "
        "from forecast.demand as demand cross join (values ('day'), ('duty')) shifts (name) where frequency = 'D'"
    )
    rebuilt(con, "demand_forecast", "demand_forecast_long")
    result = rows(con, "dispatch", "demand_forecast")
    counts = Counter((row["frequency"], row["shift"]) for row in result)
    assert counts["S", "day"] == counts["S", "duty"] == counts["D", None] > 0
    assert all(row["baseline_calls"] is not None for row in result)
    assert not [row for row in rows(con, "dispatch", "demand_forecast_long") if row["horizon"] is None]


def test_the_long_form_has_the_mean_and_fourteen_quantiles(con: duckdb.DuckDBPyConnection) -> None:
    long = rows(con, "dispatch", "demand_forecast_long")
    assert len(long) == 2 * (len(DISTRICTS) + 1) * len(SERVICES) * (48 + 2) * 15
    single = [row for row in long if row["model_id"] == "hour_of_week" and row["location"] == "11010"][:15]
    assert [row["output_type"] for row in single] == ["mean"] + ["quantile"] * 14
    assert single[0]["target"] == "ems calls per day" and single[0]["reference_date"] == date(2026, 11, 23)


def test_joint_responses_are_counted_once_per_event(con: duckdb.DuckDBPyConnection) -> None:
    (result,) = rows(con, "dispatch", "joint_responses")
    assert (result["area_id"], result["agencies"], result["joint_incidents"]) == ("11010", "fire + police", 1)


def test_the_investigation_agency_is_in_no_count_of_joint_responses(con: duckdb.DuckDBPyConnection) -> None:
    before = rows(con, "dispatch", "joint_responses")
    case = {"agency": "investigation", "admin_area_id": "11020"}
    insert(
        con,
        "core.incidents",
        incident("a_case:1", **case, joint_incident_id="fire_119:1"),
        incident("a_case:2", **case, joint_incident_id="a_case:2"),
        incident("police_112:5", joint_incident_id="a_case:2"),
    )
    rebuilt(con, "joint_responses")
    assert rows(con, "dispatch", "joint_responses") == before


def test_rows_accepted_by_a_retry_are_not_counted_as_received_twice(con: duckdb.DuckDBPyConnection) -> None:
    retry = {
        "batch_id": "b2",
        "feed": "police_112",
        "batch_type": "release",
        "received": 5,
        "quarantined": 0,
        "rejected": 0,
    }
    insert(con, "ops.batches", retry | {"loaded": 3, "unchanged": 1})
    rebuilt(con, "accounting", "accounting_shares")
    (result,) = rows(con, "police", "accounting")
    counts = ("batches", "received", "loaded", "unchanged", "quarantined", "rejected", "released")
    assert [result[name] for name in counts] == [2, 100, 90, 5, 5, 0, 4]
    assert rows(con, "public", "accounting_shares")[0]["quarantined_share"] == 0.05


def test_an_agency_sees_the_quality_of_its_own_feeds_and_of_the_gates(con: duckdb.DuckDBPyConnection) -> None:
    assert {row["suite"] for row in rows(con, "police", "quality_checks")} == {"police_112", "core.incidents"}
    assert {row["suite"] for row in rows(con, "fire", "quality_checks")} == {"core.incidents"}
    assert "checked" not in rows(con, "public", "quality_shares")[0]


def test_all_audiences_see_the_state_of_feeds_and_only_dispatch_their_counts(con: duckdb.DuckDBPyConnection) -> None:
    states = [(row["feed"], row["state"]) for row in rows(con, "public", "feed_health")]
    assert states == [("fire_119", "no_data"), ("police_112", "usual")]
    assert set(rows(con, "public", "feed_health")[0]) == {"feed", "agency", "state", "is_alarm", "rule"}
    assert [row["feed"] for row in rows(con, "police", "feed_health")] == ["police_112"]
    assert "no_data_hours" not in rows(con, "police", "feed_health")[0]
    for audience in AGENCIES | {"public"}:
        assert "12345" not in str(rows(con, audience, "feed_health"))
    assert rows(con, "dispatch", "feed_health")[0]["records"] == 12345


def test_no_audience_gets_counts_of_investigation_cases_by_day(con: duckdb.DuckDBPyConnection) -> None:
    counts = {"records": 3, "expected_records": 2.0, "no_data_hours": 20, "times_usual": 1.5}
    case = {
        "feed": "investigation_cases",
        "agency": "investigation",
        "state": "usual",
        "is_alarm": False,
        "rule": "72 h",
    }
    insert(con, "ops.feed_health", case | counts)
    rebuilt(con, "feed_health")
    for audience in ("dispatch", "investigation"):
        (seen,) = [row for row in rows(con, audience, "feed_health") if row["agency"] == "investigation"]
        assert (seen["state"], seen["rule"]) == ("usual", "72 h")
        assert {seen.get(name) for name in counts} == {None}
