"""A sensitive or unmapped category in any row or version of a record restricts the whole record, in every source."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines import feeds
from pipelines.config.profile import Profile
from pipelines.feeds.feed import Feed
from pipelines.store import warehouse
from pipelines.transform import build
from tests.feeds import test_fire_119, test_police_112
from tests.feeds.cities import memory, place, received
from tests.feeds.korea import KOREA
from tests.feeds.portal import as_of, load, rows
from tests.release.conftest import create_all, insert

PLAIN, SENSITIVE, UNMAPPED = "plain", "sensitive", "unmapped"
FIRST = datetime(2025, 11, 1, tzinfo=UTC)

Record = tuple[tuple[tuple[str, ...], ...], ...]
"""Rows of a record (offences, units), each with the kinds of category that its versions have, oldest first."""
KINDS = st.sampled_from((PLAIN, PLAIN, PLAIN, SENSITIVE, UNMAPPED))


@dataclass(frozen=True)
class Source:
    """A keyed feed: its categories by kind, how rows are loaded, and the most rows of a record."""

    profile: Profile
    feed: Feed
    words: dict[str, tuple[str, ...]]
    deliver: Callable[[duckdb.DuckDBPyConnection, Feed, list[dict[str, Any]]], Any]
    row: Callable[[int, int, datetime, str], dict[str, Any]]
    """Record, row, instant of the version and category."""
    most_rows: int = 3


def _socrata(is_keyed: bool) -> Source:
    columns = {"source_id": "report", "row_id": "offence", "category": "kind", "occurred_at": "date", "point": "place"}
    changes = {"updated_at": "changed"} if is_keyed else {}
    profile = place(
        columns=columns | changes,
        window_days=31 if is_keyed else None,
        category=None,
        categories={"Burglary": "assault", "Assault": "assault", "Rape": "rape"},
    )
    rape = next(iter(profile.categories.values())).model_copy(update={"is_sensitive": True, "is_risk_allowed": False})
    profile = profile.model_copy(update={"categories": {**profile.categories, "rape": rape}})

    def row(record: int, part: int, at: datetime, word: str) -> dict[str, Any]:
        ids = {"report": f"R{record:03}", "offence": f"R{record:03}-{part}", "date": "2025-10-01T22:30:00.000"}
        here = {"place": {"type": "Point", "coordinates": [126.98, 37.57]}}
        return ids | here | {"kind": word, "changed": at.isoformat()}

    words = {PLAIN: ("Burglary", "Assault"), SENSITIVE: ("Rape", " Rape "), UNMAPPED: ("Unheard of", "RAPE")}
    return Source(profile, feeds.of(profile)[0], words, lambda con, feed, given: received(con, feed, *given), row)


def _police(record: int, part: int, at: datetime, word: str) -> dict[str, Any]:
    number = f"20251101-{record:06}"
    return test_police_112.call(
        incident_no=number, category=word, updated_at=at.isoformat(), location_method="현장확인"
    )


def _fire(record: int, part: int, at: datetime, word: str) -> dict[str, Any]:
    number = f"11920251101{record:06}"
    stamp = f"{at + timedelta(hours=9):%Y%m%d%H%M%S}"
    return test_fire_119.unit(f"종로구급차{part}", dclr_rcpt_no=number, emrg_rscu_clsf_nm=word, chg_dt=stamp)


def _loaded(con: duckdb.DuckDBPyConnection, feed: Feed, given: list[dict[str, Any]]) -> None:
    load(con, feed, rows(feed, *given))


POLICE = {PLAIN: ("절도", "폭력"), SENSITIVE: ("성폭력", "스토킹"), UNMAPPED: ("새로운말",)}
FIRE = {PLAIN: ("구급", "화재"), SENSITIVE: ("자해",), UNMAPPED: ("새로운말",)}
SOURCES = {
    "socrata, keyed": _socrata(True),
    "socrata, whole table": _socrata(False),
    "police_112": Source(KOREA, feeds.named(KOREA, "police_112"), POLICE, _loaded, _police, most_rows=1),
    "fire_119": Source(KOREA, feeds.named(KOREA, "fire_119"), FIRE, _loaded, _fire),
}


@contextmanager
def built(source: Source, records: Sequence[Record]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of records, incidents, risk and releases, from the rows as the source sends them."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        for schema in (
            "raw",
            "reference",
            "staging",
            "core",
            "marts",
            "views",
            "ops",
            "forecast",
            "patterns",
            "dispatch",
        ):
            con.execute(f"create schema {schema}")
        create_all(con)
        build.write_reference(con, source.profile, feeds.of(source.profile))
        insert(con, "reference.places", {"lon": 126.98, "lat": 37.57, "cell_id": "here", "admin_area_id": "11110"})
        con.execute("set variable time_zone = ?", [source.profile.time_zone])
        as_of(con, "2026-10-01 10:00:00+00")
        source.deliver(con, source.feed, list(_rows(source, records)))
        build.stage(con, (source.feed,))
        core = ["restricted_incidents", "place_piles", "incidents", "dispatches", "incident_changes"]
        warehouse.run_models(con, "core", core)
        warehouse.run_models(con, "marts", ["crime_points"])
        warehouse.run_models(con, "views", ["releasable_incidents", "incidents", "dispatches", "incident_changes"])
        yield con


def _rows(source: Source, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    for record, parts in enumerate(records):
        for part, versions in enumerate(parts):
            for turn, kind in enumerate(versions):
                word = source.words[kind][(record + part) % len(source.words[kind])]
                yield source.row(record, part, FIRST + timedelta(hours=1 + turn + part), word)


def kind_of(record: Record) -> str:
    """The kind that the whole record has: the worst of any row or version."""
    kinds = {kind for versions in record for kind in versions}
    return SENSITIVE if SENSITIVE in kinds else UNMAPPED if UNMAPPED in kinds else PLAIN


def lists(most_rows: int, most_versions: int) -> st.SearchStrategy[list[Record]]:
    versions = st.lists(KINDS, min_size=1, max_size=most_versions).map(tuple)
    return st.lists(st.lists(versions, min_size=1, max_size=most_rows).map(tuple), min_size=1, max_size=12)


@pytest.mark.parametrize("name", SOURCES)
@given(data=st.data())
@settings(max_examples=5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_a_category_in_any_row_or_version_restricts_the_whole_record(name: str, data: st.DataObject) -> None:
    source = SOURCES[name]
    most_versions = 1 if source.feed.load_type == "snapshot" else 3
    records = data.draw(lists(source.most_rows, most_versions))
    with built(source, records) as con:
        states = con.execute("select is_sensitive, is_releasable from core.incidents order by source_id").fetchall()
        plain = [record for record in records if kind_of(record) == PLAIN]
        assert states == [(kind_of(record) == SENSITIVE, kind_of(record) == PLAIN) for record in records]
        assert con.execute("select count(*) from views.incidents").fetchone() == (len(plain),)
        for risk in ("marts.crime_points", "(from core.incidents where is_risk_allowed)"):
            assert not con.execute(f"from {risk} semi join core.restricted_incidents using (incident_id)").fetchall()
        (points,) = con.execute("select count(distinct incident_id) from marts.crime_points").fetchone() or (None,)
        assert points == (len(plain) if source.feed.agency == "police" else 0)
        for view in ("dispatches", "incident_changes"):
            shown = con.execute(f"select distinct record_id from views.{view}").fetchall()
            assert len(shown) <= len(plain)
            assert set(shown) <= set(con.execute("select record_id from views.incidents").fetchall())


def test_a_report_stays_sensitive_when_a_table_that_is_read_whole_changes_or_drops_the_row() -> None:
    source = SOURCES["socrata, whole table"]
    kinds = {0: ("Rape",), 1: ("Assault", "Rape"), 2: ("Unheard of",), 3: ("Assault",), 4: ("Rape",), 5: ("Assault",)}
    first = [
        source.row(record, part, FIRST, word) for record, words in kinds.items() for part, word in enumerate(words)
    ]
    # Changed, dropped, changed, the same, changed, and another plain word.
    second = [source.row(record, 0, FIRST, "Burglary" if record in (0, 2, 4, 5) else "Assault") for record in kinds]
    with memory(source.profile) as con:
        received(con, source.feed, *first, day=1)
        received(con, source.feed, *second, day=2)
        build.stage(con, (source.feed,))
        words = con.execute(
            "select incident_id, list_sort(list(source_category)) from staging.words group by 1 order by 1"
        )
        assert {name[-4:]: tuple(listed) for name, listed in words.fetchall()} == {
            "R000": ("Burglary", "Rape"),
            "R001": ("Assault", "Rape"),
            "R002": ("Burglary", "Unheard of"),
            "R004": ("Burglary", "Rape"),
            "R005": ("Assault", "Burglary"),
        }
