"""The briefing: self-contained, with stale feeds reported, and limited to what its audience may see."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.release import publish
from pipelines.release.pages import emerging, trends
from pipelines.store import warehouse
from tests.release.conftest import AS_OF, for_audience, insert

AUDIENCES = ("public", "dispatch", "police", "fire", "investigation")


def page(released: Path, audience: str, name: str = "briefing/index.html") -> str:
    return (released / "audiences" / audience / name).read_text("utf-8")


@pytest.mark.parametrize("audience", AUDIENCES)
@pytest.mark.parametrize("name", ["briefing/index.html", "quality_report.html"])
def test_a_page_opens_without_a_network(released: Path, audience: str, name: str) -> None:
    text = page(released, audience, name).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|<script|<link|<img|@import|url\(", text)


@pytest.mark.parametrize("audience", AUDIENCES)
def test_the_notice_is_on_every_page_and_in_every_picture(released: Path, audience: str) -> None:
    text = page(released, audience)
    assert "모의자료 SIMULATED" in text[: text.index("<header>")]
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert all("모의자료 SIMULATED" in picture for picture in pictures)
    assert all('aria-label="' in picture for picture in pictures)


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_stale_feed_is_named_at_the_top(released: Path, audience: str) -> None:
    text = page(released, audience)
    assert "1 of 3 feeds is stale" in text.partition("<h2>")[0]
    assert "fire 119" in text.partition("<h2>")[0]


def test_an_outage_of_the_last_year_is_named_at_the_top_and_in_the_quality_report(filled: Settings) -> None:
    limited = for_audience(filled, "fire")
    with warehouse.connect(limited) as con:
        for days, state in ((40, "outage"), (900, "outage"), (5, "filling")):
            times = {"from_at": AS_OF - timedelta(days=days), "until_at": AS_OF - timedelta(days=days - 3)}
            row = {"feed": "fire_119", "service": "ems", "observation_state": state, "evidence": "records"}
            insert(con, "marts.observation_windows", row | times)
        for station in ("F-1", "F-2"):
            since = {"from_at": AS_OF - timedelta(days=20, minutes=len(station)), "until_at": AS_OF}
            insert(con, "marts.observation_windows", row | since | {"area_id": station, "observation_state": "outage"})
    released = publish.publish(limited)
    top = page(released, "fire").partition("<h2>")[0]
    assert top.count("no records of fire 119") == 2 and "14 Oct 2026" in top
    assert "no records of fire 119 (ems) in F-2, 종로소방서 from" in top
    assert page(released, "fire", "quality_report.html").count('<span class="tag bad">outage</span>') == 4


def test_dispatch_reads_demand_ranges_and_units_but_no_crime(released: Path) -> None:
    text = page(released, "dispatch")
    assert "Expected calls" in text and "Units required" in text and "112 긴급" in text
    assert "reported crime was dense" not in text and "다사" not in text


def test_police_and_fire_read_their_own_services(released: Path) -> None:
    assert "Ambulance" not in page(released, "police") and "hot cells" in page(released, "police")
    assert "112 긴급" not in page(released, "fire") and "hot cells" not in page(released, "fire")


def test_only_the_police_see_the_curve_of_risk_and_its_calibration(released: Path) -> None:
    section = page(released, "police").partition("Hit rate of the list and calibration")[2].partition("<h3>")[0]
    assert "stack: 12 of 100 incidents in 1.00% of the area, PAI 12.0" in section
    assert "prospective: 80 of 100 incidents in 50.00% of the area, PAI 1.6" in section
    assert "stack, tenth 2: 20 of 10.0 expected, ratio 2.00 (1.10 to 9.00)" in section
    assert "observed over expected: 20 of 10</small>" in section
    for audience in set(AUDIENCES) - {"police"}:
        assert "Hit rate of the list and calibration" not in page(released, audience)


def test_only_the_police_read_which_hot_places_are_new(released: Path) -> None:
    section = page(released, "police").partition("Emerging hot spots:")[2].partition("<h2>")[0]
    assert "new 1</li>" in section and "cold 1</li>" in section and "다사5353: new hot, 1 of 12 steps hot" in section
    assert emerging.COLOURS["new"][0] in section and emerging.COLD[0] in section
    assert "sporadic 0" not in section, "classes that do not occur are not in the legend"
    for audience in set(AUDIENCES) - {"police"}:
        assert "Emerging hot spots:" not in page(released, audience)


def test_without_recent_hot_places_the_page_states_it(filled: Settings) -> None:
    with warehouse.connect(filled) as con:
        con.execute("update patterns.emerging_hot_spots set emerging_class = 'no pattern'")
    section = page(publish.publish(for_audience(filled, "police")), "police").partition("Emerging hot spots:")[2]
    assert "No emerging hot spot now: Theft." in section and "new 1</li>" not in section


def test_only_the_police_read_the_weekly_table_its_burst_and_the_weeks(released: Path) -> None:
    text = page(released, "police")
    section = text[text.index("Recent reported crime") : text.index("Expected calls")]
    assert "from Monday 16 November to Sunday 22 November 2026" in section
    row = re.search(r"<tr><th scope=\"row\">All of these.*?</tr>", section, re.DOTALL)
    assert row is not None and "<b>31</b>" in row[0] and "2–20" in row[0] and ">high<" in row[0] and "+210 %" in row[0]
    result = re.findall(r'"row">(\w+)</th><td class="l">[^<]*</td><td><b>(\d+)</b>', section)
    assert result == [("종로구", "22"), ("중구", "2")], "the unusual week before the rise over 28 days"
    assert "Week by week" in section and "When in the week" in section and "63 of unknown time left out" in section
    for audience in set(AUDIENCES) - {"police"}:
        assert "Recent reported crime" not in page(released, audience)


def test_only_the_police_read_which_hours_of_the_coming_week_are_selected(released: Path) -> None:
    text = page(released, "police")
    assert "Risk by hour in the coming week" in text and "Tue 20:00 to 22:00: 0.02 expected in 1 cells" in text
    assert "past lists had 11 % of 80 incidents, the count 10 %; 20 of unknown hour left out" in text
    for audience in ("public", "dispatch", "fire", "investigation"):
        assert "Risk by hour in the coming week" not in page(released, audience)


def test_a_peak_is_an_hour_that_exceeds_chance() -> None:
    peaked = [0.12] + [0.04] * 22 + [0.04]
    assert trends.is_peak(peaked, 0, 1000) and not trends.is_peak(peaked, 0, 30)
    assert not trends.is_peak([1 / 24] * 24, 12, 100_000)


def test_the_public_reads_quarters_scores_and_legal_bases_but_no_units(released: Path) -> None:
    text = page(released, "public")
    assert "the quarter from 1 July 2026" in text and "Legal basis of each feed" in text
    assert "Units required by district" not in text and "Expected calls" not in text


def test_investigation_waits_for_a_whole_month(released: Path) -> None:
    assert "Cases received" not in page(released, "investigation")


def test_numbers_of_the_forecast_are_on_the_page(released: Path) -> None:
    row = re.search(r"Ambulance.*?</tr>", page(released, "dispatch"), re.DOTALL)
    assert row is not None and "<b>60</b>" in row[0] and "12–108" in row[0] and "<b>6</b>" in row[0]


def test_a_degraded_forecast_states_the_reason_and_where(filled: Settings) -> None:
    with warehouse.connect(filled) as con:
        con.execute("update forecast.demand set degraded_reason = 'fire_119 is stale' where service = 'ems'")
        shifted = "update forecast.demand set degraded_reason = 'the level rose' where service = 'police_code_0_1'"
        con.execute(f"{shifted} and area_id = '11010'")
    text = page(publish.publish(for_audience(filled, "dispatch")), "dispatch")
    assert "<p>Ambulance: fire_119 is stale.</p>" in text
    assert "<p>Police, CODE 0–1: emergency in 종로구: the level rose.</p>" in text


def test_a_service_without_a_forecast_because_its_records_state_no_time_of_day_is_named(filled: Settings) -> None:
    with warehouse.connect(filled) as con:
        con.execute("update marts.feed_status set untimed_services = 'ems, fire' where feed = 'fire_119'")
    released = publish.publish(filled)
    for audience in ("dispatch", "fire"):
        top = page(released, audience).partition("<h2>")[0]
        assert "<b>No demand forecast" in top and "</b> ems, fire. Every record of fire 119 states only the day" in top
    assert "No demand forecast" not in page(released, "public")


def test_a_feed_that_never_had_a_record_costs_its_services_their_forecast_and_the_page_says_so(
    filled: Settings,
) -> None:
    with warehouse.connect(filled) as con:
        con.execute(
            "update marts.feed_status set newest_known_at = null, is_stale = true, stale_reason = 'no record' "
            "where feed = 'fire_119'"
        )
    top = page(publish.publish(for_audience(filled, "dispatch")), "dispatch").partition("<h2>")[0]
    assert "fire 119: no record. The services that it has a part in have no demand forecast." in top
    assert top.count("The services that it has a part in") == 1


def test_pages_are_written_without_forecasts_or_counts(filled: Settings) -> None:
    with warehouse.connect(filled) as con:
        for schema, table in warehouse.tables(con, "forecast", "dispatch", "patterns", "marts", "core", "ops"):
            if table != "feed_status":
                con.execute(f"delete from {schema}.{table}")
    published = publish.publish(filled)
    for audience in AUDIENCES:
        assert "</html>" in page(published, audience)
        assert "No batches yet" in page(published, audience, "quality_report.html")


def test_real_data_have_no_notice_and_no_korean(filled: Settings) -> None:
    real = {"notice": "", "time_zone": profiles.load("toronto").time_zone, "title": "Toronto"}
    text = page(publish.publish(for_audience(filled, "dispatch", profile=real)), "dispatch")
    assert "SIMULATED" not in text and "봉수" not in text and 'lang="ko"' not in text


def test_the_quality_report_gives_rules_and_counts_never_values(released: Path) -> None:
    text = page(released, "police", "quality_report.html")
    assert "in Korea" in text and ">5</span>" in text
    assert "OFFENDING" not in text
    assert "5.0 %" in page(released, "public", "quality_report.html")


def test_only_the_police_read_repeats_and_clusters(released: Path) -> None:
    text = page(released, "police")
    assert '<td title="31 pairs, 10 expected, p = 0.001" class="s4">3.1</td>' in text
    assert '<td title="11 pairs, 10 expected, p = 0.300">1.1</td>' in text, "no shade without significance"
    assert "60 % share their location with another" in text
    signal = re.search(r'<tr><th scope="row">Theft <span class="tag bad">signal</span>.*?</tr>', text)
    assert signal is not None and "<b>9</b>" in signal[0] and "1000 nights" in signal[0] and "종로구" in signal[0]
    assert "Map of districts with space-time clusters: 1" in text and "since 12 November, 1.5 expected" in text
    chains = text.partition("Open chains:")[2].partition("</table>")[0]
    assert "<b>4</b>" in chains and "<b>5</b>" not in chains, "a chain that is not unusual is not shown"
    for audience in set(AUDIENCES) - {"police"}:
        assert "space-time clusters" not in page(released, audience) and "Open chains" not in page(released, audience)


def test_only_the_police_read_the_places_to_patrol_with_their_average_range_and_last_month(released: Path) -> None:
    text = page(released, "police")
    section = text.partition("<h2>Places to patrol")[2].partition("<h2>")[0]
    assert "Up to 1 compact places" in section and "불심검문이나 수색의 근거가 될 수 없습니다" in section
    assert section.count("6 visits, 90 minutes a shift") == 2
    row = section.partition("종로구<br>")[2].partition("</tr>")[0]
    assert re.findall(r"<td>(.*?)</td>", row) == ["<b>3.00</b>", "1–5", "0.20", "4", "0.0714", "0.02"]
    assert "0.75 times the incidents per km² (0.50 to 0.90) and 3.00 times per patrol hour" in section
    for audience in set(AUDIENCES) - {"police"}:
        assert "Places to patrol" not in page(released, audience)
