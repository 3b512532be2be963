"""Load: exact accounting, and the same tables whatever the order and repetition of deliveries."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.config import paths
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed
from pipelines.ingest import accounting, chunks
from pipelines.ingest import load as loading
from pipelines.quality import corrections
from pipelines.schema.delivery import Delivery
from pipelines.store import landing, warehouse
from tests.conftest import AS_OF, KEYED, SNAPSHOT, delivery

Row = dict[str, object]


def call(**overrides: object) -> Row:
    return {"id": "A1", "category": "theft", "updated": 1, **overrides}


def load(settings: Settings, feed: Feed, *deliveries: Delivery) -> list[accounting.Accounting]:
    for item in deliveries:
        landing.put(settings, feed.name, item)
    with warehouse.connect(settings) as con:
        return loading.load_pending(con, settings, feed)


def table(settings: Settings, feed: Feed) -> tuple[str, list[tuple[object, ...]]]:
    with warehouse.connect(settings) as con:
        columns = ", ".join(sorted(feed.columns))
        rows = con.execute(f"select {columns} from raw.{feed.name} order by all").fetchall()
        return warehouse.logical_hash(con, "raw", feed.name), rows


def test_every_row_received_is_loaded_unchanged_quarantined_or_rejected(settings: Settings) -> None:
    rows = [call(), call(), call(updated=2), call(id=None), *(call(id=f"B{n}") for n in range(4))]
    (done,) = load(settings, KEYED, delivery(rows))
    assert (done.received, done.loaded, done.unchanged, done.quarantined, done.rejected) == (8, 6, 1, 1, 0)


def test_a_quarantined_row_keeps_its_content_and_reason(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(id=None, category="arson"), *(call(id=f"B{n}") for n in range(9))]))
    with warehouse.connect(settings) as con:
        (row,) = con.execute("select row_number, reason, content from ops.quarantine").fetchall()
    assert row[:2] == (0, "a row without id")
    assert "arson" in row[2]


def test_a_batch_with_too_many_bad_rows_is_rejected_and_the_cursor_unchanged(settings: Settings) -> None:
    start = AS_OF - timedelta(days=1)
    load(settings, KEYED, delivery([call()], start - timedelta(days=1), start))
    (done,) = load(settings, KEYED, delivery([call(id=None), call(id="B2")], start, AS_OF))
    assert (done.received, done.rejected, done.loaded, done.verdict) == (2, 2, 0, "rejected")
    assert accounting.cursor(accounting.acknowledged(settings), "calls") == start


def test_a_rejected_batch_names_the_rule_that_most_of_its_rows_break(settings: Settings) -> None:
    (done,) = load(settings, KEYED, delivery([call(id=None), call(id="B2")]))
    assert done.message.endswith("rejected whole; most often id: a row without id (1 rows)")


def test_a_missing_column_makes_the_batch_unreadable_with_the_difference_in_the_message(settings: Settings) -> None:
    (done,) = load(settings, KEYED, delivery([{"id": "A1", "klass": "theft", "updated": 1}]))
    assert (done.verdict, done.received, done.rejected) == ("unreadable", 1, 1)
    assert "lacks the columns ['category']" in done.message
    assert "klass" in done.message


def test_a_renamed_column_is_read_by_its_alias(settings: Settings) -> None:
    load(settings, KEYED, delivery([{"id": "A1", "kind": "theft", "updated": 1}]))
    assert table(settings, KEYED)[1] == [("theft", "A1", 1)]


def test_an_unknown_column_is_kept_aside(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(colour="red")]))
    with warehouse.connect(settings) as con:
        assert con.execute("select _extra from raw.calls").fetchall() == [('{"colour":"red"}',)]


def test_rows_are_released_from_quarantine_when_the_rules_change(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(id=None), *(call(id=f"B{n}") for n in range(9))]))
    suite = paths.EXPECTATIONS / "calls.json"
    suite.write_text(suite.read_text().replace('"column": "id"', '"column": "category"'))
    (done,) = load(settings, KEYED)
    assert (done.batch_type, done.received, done.loaded) == ("release", 1, 1)
    with warehouse.connect(settings) as con:
        assert con.execute("select count(*) from ops.quarantine").fetchall() == [(0,)]
        assert con.execute("select sum(quarantined) from ops.batches").fetchall() == [(1,)]


def correct(**given: object) -> None:
    """Write a corrections file with one entry."""
    entry = {"key": {"id": "A1"}, "column": "category", "expect": "theft", "value": "arson"} | given
    path = paths.EXPECTATIONS / "corrections" / "calls.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps({"corrections": [{**entry, "reason": "misread", "source": "their letter"}]}))


def fetched_through(settings: Settings) -> list[tuple[object, ...]]:
    with warehouse.connect(settings) as con:
        return con.execute("select fetched_through_at from ops.cursors").fetchall()


def test_a_new_correction_is_applied_to_rows_loaded_before(settings: Settings) -> None:
    (before,) = load(settings, KEYED, delivery([call(), call(id="B2")]))
    correct()
    assert load(settings, KEYED) == [before]
    assert table(settings, KEYED)[1] == [("arson", "A1", 1), ("theft", "B2", 1)]
    with warehouse.connect(settings) as con:
        assert con.execute("select batch_id, applied, kept from ops.corrections").fetchall() == [
            (before.batch_id, 1, 0)
        ]
    assert load(settings, KEYED) == []


def test_a_faulty_corrections_file_stops_the_load_without_rejecting_a_batch(settings: Settings) -> None:
    path = paths.EXPECTATIONS / "corrections" / "calls.json"
    path.parent.mkdir()
    path.write_text("{}")
    with pytest.raises(corrections.CorrectionError, match=r"calls\.json"):
        load(settings, KEYED, delivery([call()]))
    path.unlink()
    (done,) = load(settings, KEYED)
    assert (done.loaded, done.verdict) == (1, "accepted")


@pytest.mark.parametrize("fault", [{"column": "klass"}, {"column": "updated", "expect": 1, "value": "two"}])
def test_a_faulty_corrections_file_leaves_loaded_rows_unchanged(settings: Settings, fault: Row) -> None:
    load(settings, KEYED, delivery([call()]))
    before, through = table(settings, KEYED), fetched_through(settings)
    correct(**fault)
    with pytest.raises(corrections.CorrectionError):
        load(settings, KEYED)
    assert table(settings, KEYED) == before
    assert fetched_through(settings) == through == [(AS_OF,)]


def test_a_feed_emptied_for_a_replay_has_no_cursor(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    (before,) = load(settings, KEYED, delivery([call()]))
    correct()
    with monkeypatch.context() as patch:
        patch.setattr(landing, "read", stop)
        with pytest.raises(KeyboardInterrupt):
            load(settings, KEYED)
    assert fetched_through(settings) == []
    assert load(settings, KEYED) == [before]
    assert fetched_through(settings) == [(AS_OF,)]


def test_rows_accepted_and_quarantined_by_changing_corrections_are_accounted_for(
    settings: Settings,
) -> None:
    load(settings, KEYED, delivery([call(id=None, category="arson"), *(call(id=f"B{n}") for n in range(9))]))
    path = paths.EXPECTATIONS / "corrections" / "calls.json"
    for number in range(4):
        if number % 2:
            path.unlink()
        else:
            correct(key={"category": "arson"}, column="id", expect=None, value="A1")
        load(settings, KEYED)
        assert load(settings, KEYED) == []
        assert len(table(settings, KEYED)[1]) == (9 if number % 2 else 10)
        with warehouse.connect(settings) as con:
            quarantined = con.execute("select count(*) from ops.quarantine").fetchall()
            booked = con.execute("select batch_id from ops.batches order by 1").fetchall()
        assert quarantined == [(number % 2,)]
        assert booked == sorted((entry.batch_id,) for entry in accounting.acknowledged(settings))
    retries = accounting.acknowledged(settings)[1:]
    assert [(a.received, a.loaded, a.quarantined) for a in retries] == [(1, 1, 0), (1, 0, 1)] * 2
    assert "quarantined since the rules or corrections changed" in retries[1].message
    settings.warehouse.unlink()
    load(settings, KEYED)
    assert accounting.acknowledged(settings)[1:] == retries


def test_a_batch_that_cannot_be_read_from_landing_leaves_the_one_before_it_loaded(settings: Settings) -> None:
    whole = landing.put(settings, "calls", delivery([call()], end=AS_OF - timedelta(days=1)))
    lost = landing.put(settings, "calls", delivery([call(id="B2")]))
    landing.blob_path(settings, "calls", lost).unlink()
    with pytest.raises(landing.LandingError, match=lost):
        load(settings, KEYED)
    assert [row[1] for row in table(settings, KEYED)[1]] == ["A1"]
    with warehouse.connect(settings) as con:
        assert con.execute("select batch_id from ops.batches").fetchall() == [(whole,)]


@pytest.mark.parametrize("size", [1, chunks.CHUNK_BYTES])
@pytest.mark.parametrize(
    ("parts", "received"),
    [
        ((b'[{"id": "A1"}]', b'[{"id": "B2"}]', b'[{"id": "C3"}]'), 3),
        ((orjson.dumps([call()]), b'[{"id": "A1"}, 5]'), 0),
    ],
    ids=["a column is missing", "a row is not a record"],
)
def test_the_received_count_of_an_unreadable_batch_does_not_depend_on_chunk_size(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...], received: int, size: int
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
    (done,) = load(settings, KEYED, Delivery(parts, None, AS_OF))
    assert (done.verdict, done.received, done.rejected) == ("unreadable", received, received)


def test_a_batch_of_many_chunks_is_loaded_as_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1)
    first = Delivery(tuple(orjson.dumps([call(id=f"A{n}")]) for n in range(3)), None, AS_OF - timedelta(days=1))
    done = load(settings, KEYED, first, delivery([call(id="B1")]), delivery([], end=AS_OF - timedelta(days=2)))
    assert [(account.received, account.loaded) for account in done] == [(3, 3), (1, 1), (0, 0)]


def test_an_unknown_column_is_reported_with_its_rows(settings: Settings) -> None:
    (done,) = load(settings, KEYED, delivery([call(colour="red"), call(id="B2", colour=None)]))
    with warehouse.connect(settings) as con:
        assert con.execute('select batch_id, "column", "rows" from ops.drift').fetchall() == [
            (done.batch_id, "colour", 1)
        ]


def test_identical_rows_of_a_snapshot_are_all_kept(settings: Settings) -> None:
    twice = {"category": "fire", "day": "2026-03-01"}
    (done,) = load(settings, SNAPSHOT, delivery([twice, twice]))
    assert (done.loaded, len(table(settings, SNAPSHOT)[1])) == (2, 2)


def test_a_snapshot_that_has_every_row_twice_is_loaded_with_a_note(settings: Settings) -> None:
    rows: list[Row] = [{"category": "fire", "day": f"{number}"} for number in range(100)]
    once, twice = (
        load(settings, SNAPSHOT, delivery(sent, end=AS_OF + timedelta(days=day)))[0]
        for day, sent in enumerate((rows, rows + rows))
    )
    assert once.message == ""
    assert (twice.loaded, twice.unchanged) == (100, 100)
    assert twice.message.startswith("100 of 200 rows repeat another one in every column")


def test_the_latest_snapshot_is_marked(settings: Settings) -> None:
    old, new = {"category": "fire", "day": "1"}, {"category": "fire", "day": "2"}
    load(settings, SNAPSHOT, delivery([new], end=AS_OF), delivery([old, new], end=AS_OF - timedelta(days=1)))
    with warehouse.connect(settings) as con:
        current = con.execute(
            "select day from raw.reports where _last_snapshot = (select max(_last_snapshot) from raw.reports)"
        ).fetchall()
    assert current == [("2",)]


def test_a_replay_from_landing_keeps_the_accounting_and_the_hash(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(), call(id=None), *(call(id=f"B{n}") for n in range(9))]))
    before, accounted = table(settings, KEYED), accounting.acknowledged(settings)
    settings.warehouse.unlink()
    load(settings, KEYED)
    assert table(settings, KEYED) == before
    assert accounting.acknowledged(settings) == accounted


@pytest.mark.parametrize(
    ("windows", "days"),
    [([(0, 1), (1, 2)], 2), ([(1, 2), (0, 1)], 2), ([(0, 1), (2, 3)], 1), ([(0, 1), (2, 3), (1, 2)], 3), ([], None)],
)
def test_the_cursor_never_skips_a_gap(windows: list[tuple[int, int]], days: int | None) -> None:
    zero = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    loads = [
        accounting.Accounting(
            str(number),
            "calls",
            "delivery",
            (zero + timedelta(days=a)).isoformat(),
            (zero + timedelta(days=b)).isoformat(),
        )
        for number, (a, b) in enumerate(windows)
    ]
    expected = None if days is None else zero + timedelta(days=days)
    assert accounting.cursor(loads, "calls") == expected


def test_a_backfill_of_an_older_year_does_not_move_the_cursor_back() -> None:
    now = accounting.Accounting("now", "calls", "delivery", "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00")
    old = accounting.Accounting("old", "calls", "delivery", "2020-01-01T00:00:00+00:00", "2020-02-01T00:00:00+00:00")
    assert accounting.cursor([now, old], "calls", {"old"}) == datetime.fromisoformat("2026-02-01T00:00:00+00:00")


def test_a_rejected_batch_is_loaded_once_its_column_is_mapped(settings: Settings) -> None:
    renamed = delivery([{"id": "A1", "klass": "theft", "updated": 1}])
    load(settings, KEYED, renamed)
    with warehouse.connect(settings) as con:
        assert len(loading.refused(con, KEYED)) == 1
    with_alias = replace(KEYED, aliases={"klass": "category"})
    (done,) = load(settings, with_alias)
    assert (done.batch_type, done.received, done.loaded) == ("acceptance", 1, 1)
    assert accounting.cursor(accounting.acknowledged(settings), "calls") == AS_OF
    with warehouse.connect(settings) as con:
        assert loading.refused(con, with_alias) == []
    before = table(settings, with_alias)
    settings.warehouse.unlink()
    load(settings, with_alias)
    assert table(settings, with_alias) == before


def test_checks_of_a_rejected_batch_are_kept_on_retry_and_replay(settings: Settings) -> None:
    def drift_rows() -> list[tuple[object, ...]]:
        with warehouse.connect(settings) as con:
            return con.execute(
                "select checks.failed, drift.rows from ops.checks join ops.drift using (batch_id)"
            ).fetchall()

    load(settings, KEYED, delivery([call(id=None, colour="red"), call(category=None)]))
    assert drift_rows() == [(1, 1)]
    settings.warehouse.unlink()
    load(settings, KEYED)
    assert drift_rows() == [(1, 1)]
    suite = paths.EXPECTATIONS / "calls.json"
    suite.write_text(suite.read_text().replace('"critical"', '"warning"'))
    (done,) = load(settings, KEYED)
    assert (done.batch_type, done.loaded) == ("acceptance", 2)
    assert drift_rows() == [(1, 1)]


def test_checks_of_an_unreadable_batch_are_kept_once_it_is_readable(settings: Settings) -> None:
    load(settings, KEYED, delivery([{"id": "A1", "klass": "theft", "updated": 1, "colour": "red"}]))
    load(settings, replace(KEYED, aliases={"klass": "category"}))
    with warehouse.connect(settings) as con:
        assert con.execute('select "column" from ops.drift').fetchall() == [("colour",)]
        assert con.execute("select checked from ops.checks").fetchall() == [(1,)]


def test_a_rejected_batch_stays_rejected_until_something_changes(settings: Settings) -> None:
    load(settings, KEYED, delivery([{"id": "A1", "klass": "theft", "updated": 1}]))
    assert load(settings, KEYED) == []
    with warehouse.connect(settings) as con:
        assert len(loading.refused(con, KEYED)) == 1


def test_a_replay_under_stricter_rules_never_counts_rows_it_did_not_load(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(category=None), call(id="B1"), call(id="B2")]))
    suite = paths.EXPECTATIONS / "calls.json"
    suite.write_text(suite.read_text().replace('"column": "id"', '"column": "category"'))
    settings.warehouse.unlink()
    load(settings, KEYED)
    assert len(table(settings, KEYED)[1]) == 2
    with warehouse.connect(settings) as con:
        assert con.execute("select count(*) from ops.quarantine").fetchall() == [(1,)]
    assert [(a.received, a.quarantined) for a in accounting.acknowledged(settings)] == [(3, 0), (1, 1)]


def test_a_replay_under_looser_rules_accounts_for_released_rows(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(id=None), *(call(id=f"B{n}") for n in range(9))]))
    suite = paths.EXPECTATIONS / "calls.json"
    suite.write_text(suite.read_text().replace('"column": "id"', '"column": "category"'))
    settings.warehouse.unlink()
    load(settings, KEYED)
    assert len(table(settings, KEYED)[1]) == 10
    assert [(a.batch_type, a.received) for a in accounting.acknowledged(settings)] == [("delivery", 10), ("release", 1)]


def test_a_batch_that_was_loaded_and_cannot_be_read_any_more_is_an_error(settings: Settings) -> None:
    load(settings, KEYED, delivery([call()]))
    settings.warehouse.unlink()
    with pytest.raises(loading.LoadError, match=r"fix pipelines/feeds/calls\.py"):
        load(settings, replace(KEYED, columns={**KEYED.columns, "new": pl.String}))


def test_an_empty_snapshot_after_one_with_rows_is_rejected(settings: Settings) -> None:
    load(settings, SNAPSHOT, delivery([{"category": "fire", "day": "1"}], end=AS_OF - timedelta(days=1)))
    (done,) = load(settings, SNAPSHOT, delivery([]))
    assert done.verdict == "rejected"
    assert accounting.cursor(accounting.acknowledged(settings), "reports") == AS_OF - timedelta(days=1)


def test_a_snapshot_that_lost_more_than_half_of_its_rows_is_rejected_until_the_profile_allows_it(
    settings: Settings,
) -> None:
    rows = [{"category": "fire", "day": str(day)} for day in range(1, 121)]
    load(settings, SNAPSHOT, delivery(rows, end=AS_OF - timedelta(days=2)))
    (half,) = load(settings, SNAPSHOT, delivery(rows[:60], end=AS_OF - timedelta(days=1)))
    assert half.verdict == "accepted", "a half may be gone"
    load(settings, SNAPSHOT, delivery(rows, end=AS_OF - timedelta(hours=9)))
    (cut,) = load(settings, SNAPSHOT, delivery(rows[:59]))
    assert (cut.verdict, cut.rejected) == ("rejected", 59)
    assert "59 rows after one of 120, which lacks more than 50%" in cut.message
    assert "raise max_lost_share of [feeds.reports]" in cut.message
    feeds = settings.profile.feeds
    allowed = feeds | {"reports": feeds["reports"].model_copy(update={"max_lost_share": 1.0})}
    profile = settings.profile.model_copy(update={"feeds": allowed})
    (accepted,) = load(settings.model_copy(update={"profile": profile}), SNAPSHOT)
    assert (accepted.batch_type, accepted.loaded) == ("acceptance", 0) and accepted.unchanged == 59


def test_rows_released_from_quarantine_are_not_the_snapshot_that_the_next_one_is_compared_with(
    settings: Settings,
) -> None:
    rows: list[Row] = [{"category": "fire", "day": str(day)} for day in range(1, 120)]
    load(settings, SNAPSHOT, delivery([*rows, {"category": None, "day": "1"}], end=AS_OF - timedelta(days=1)))
    suite = paths.EXPECTATIONS / "reports.json"
    suite.write_text(suite.read_text().replace('"column": "category"', '"column": "day"'))
    (released,) = load(settings, SNAPSHOT)
    assert (released.batch_type, released.received) == ("release", 1)
    (cut,) = load(settings, SNAPSHOT, delivery(rows[:20]))
    assert cut.verdict == "rejected" and "after one of 120" in cut.message


def test_a_destruction_interrupted_by_a_crash_is_finished_by_the_next_load(settings: Settings) -> None:
    old, new = AS_OF - timedelta(days=9), AS_OF
    load(settings, KEYED, delivery([call(id="old"), call(id="both")], end=old), delivery([call(id="both")], end=new))
    landing.destroy(settings, "calls", old)
    load(settings, KEYED)
    assert [row[1] for row in table(settings, KEYED)[1]] == ["both"]


rows_of_a_keyed_feed = st.lists(
    st.builds(call, id=st.sampled_from("abc"), category=st.sampled_from(["theft", "fraud"]), updated=st.integers(1, 3)),
    max_size=6,
)


@pytest.mark.slow
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(rows_of_a_keyed_feed, min_size=1, max_size=3), order=st.randoms(use_true_random=False))
def test_any_order_split_and_repetition_of_deliveries_gives_one_hash(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, parts: list[list[Row]], order: object
) -> None:
    whole = home(settings, tmp_path_factory)
    load(whole, KEYED, delivery([row for part in parts for row in part]))
    split = home(settings, tmp_path_factory)
    shuffled = [delivery(part, end=AS_OF - timedelta(hours=n)) for n, part in enumerate([*parts, *parts])]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    load(split, KEYED, *shuffled)
    assert table(whole, KEYED)[0] == table(split, KEYED)[0]


def home(settings: Settings, factory: pytest.TempPathFactory) -> Settings:
    fresh: Path = factory.mktemp("home")
    return settings.model_copy(update={"home": fresh})


def allow_half_unmapped() -> None:
    """Let single rows break the rule of the suite, but not more than half of a batch."""
    rule = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "category", "value_set": ["theft"]},
        "severity": "warning",
        "meta": {"reason": "an unmapped category", "reject_above": 0.5},
    }
    (paths.EXPECTATIONS / "calls.json").write_bytes(orjson.dumps({"name": "calls", "expectations": [rule]}))


def test_a_batch_in_a_new_code_list_is_rejected_and_in_a_replay_an_accepted_one_is_not(settings: Settings) -> None:
    rows = [call(id=f"A{n}", category="01") for n in range(60)]
    accepted = [call(id=f"B{n}", category="02") for n in range(60)]
    load(settings, KEYED, delivery(accepted, end=AS_OF - timedelta(days=1)))
    allow_half_unmapped()
    (done,) = load(settings, KEYED, delivery(rows))
    assert (done.verdict, done.received, done.rejected) == ("rejected", 60, 60)
    assert "60 of 60 rows break the rule on category (an unmapped category), more than 50%" in done.message
    settings.warehouse.unlink()
    load(settings, KEYED)
    assert len(table(settings, KEYED)[1]) == 60
    with warehouse.connect(settings) as con:
        assert loading.refused(con, KEYED) == [done.message]


def test_a_refused_batch_once_accepted_stays_refused_in_a_replay_that_cannot_read_it(settings: Settings) -> None:
    understood = replace(KEYED, aliases={"klass": "category"})
    load(settings, KEYED, delivery([{"id": "A1", "klass": "theft", "updated": 1}]))
    load(settings, understood)
    settings.warehouse.unlink()
    load(settings, KEYED)
    assert table(settings, KEYED)[1] == []
    with warehouse.connect(settings) as con:
        assert len(loading.refused(con, KEYED)) == 1
        assert con.execute("select batch_type, loaded from ops.batches").fetchall() == [("delivery", 0)]
    assert [(a.batch_type, a.loaded) for a in accounting.acknowledged(settings)] == [("delivery", 0), ("acceptance", 1)]


def test_a_destroyed_batch_that_was_never_loaded_is_accounted_for_as_rejected(settings: Settings) -> None:
    landing.put(settings, "calls", delivery([call()], end=AS_OF - timedelta(days=9)))
    landing.destroy(settings, "calls", AS_OF)
    assert load(settings, KEYED) == []
    (account,) = accounting.acknowledged(settings)
    assert (account.verdict, account.message) == ("rejected", "destroyed before it was loaded")
    assert (account.received, account.rejected) == (0, 0)


@pytest.mark.parametrize(("bad", "verdict"), [(1, "accepted"), (2, "rejected")])
def test_a_batch_is_rejected_only_above_the_share_of_bad_rows_that_the_profile_allows(
    settings: Settings, bad: int, verdict: str
) -> None:
    feeds = settings.profile.feeds
    half = {name: source.model_copy(update={"max_quarantine_share": 0.25}) for name, source in feeds.items()}
    limited = settings.model_copy(update={"profile": settings.profile.model_copy(update={"feeds": half})})
    rows = [*(call(id=None) for _ in range(bad)), *(call(id=f"B{n}") for n in range(4 - bad))]
    (done,) = load(limited, KEYED, delivery(rows))
    assert done.verdict == verdict
    assert ("2 of 4 rows fail the suite, more than 25%: rejected whole" in done.message) == (verdict == "rejected")


def test_an_empty_first_snapshot_is_accepted(settings: Settings) -> None:
    (done,) = load(settings, SNAPSHOT, delivery([]))
    assert (done.verdict, done.received, done.loaded) == ("accepted", 0, 0)


def test_a_row_that_disappears_and_returns_in_snapshots_keeps_its_first_and_last_one(settings: Settings) -> None:
    first, second = {"category": "fire", "day": "1"}, {"category": "fire", "day": "2"}
    for days, rows in ((3, [first, first]), (2, [second]), (1, [first, second])):
        load(settings, SNAPSHOT, delivery(rows, end=AS_OF - timedelta(days=days)))
    with warehouse.connect(settings) as con:
        seen = con.execute(
            "select day, _copy, left(_first_snapshot, 10), left(_last_snapshot, 10) from raw.reports order by 1, 2"
        ).fetchall()
    assert seen == [
        ("1", 1, "2026-02-27", "2026-03-01"),
        ("1", 2, "2026-02-27", "2026-02-27"),
        ("2", 1, "2026-02-28", "2026-03-01"),
    ]


def test_rows_of_one_hash_that_differ_are_both_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole rows decide: two different records may share a hash."""
    load(settings, KEYED, delivery([call(), call(id="B2")], end=AS_OF - timedelta(days=1)))
    with warehouse.connect(settings) as con:
        hashes = con.execute("select _row_hash from raw.calls order by id").fetchall()
        con.execute("update raw.calls set _row_hash = ? where id = 'A1'", [hashes[1][0]])
    (done,) = load(settings, KEYED, delivery([call(id="B2"), call(id="C3")]))
    assert (done.loaded, done.unchanged) == (1, 1)
    assert [row[1] for row in table(settings, KEYED)[1]] == ["A1", "B2", "C3"]


def test_a_refused_batch_that_was_accepted_later_is_not_tried_again(settings: Settings) -> None:
    understood = replace(KEYED, aliases={"klass": "category"})
    load(settings, KEYED, delivery([{"id": "A1", "klass": "theft", "updated": 1}]))
    load(settings, understood)
    assert load(settings, understood) == []
    assert len(table(settings, understood)[1]) == 1


def test_quarantined_rows_that_break_the_new_rules_too_stay_in_quarantine_under_them(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(id=None, category=None), *(call(id=f"B{n}") for n in range(9))]))
    suite = paths.EXPECTATIONS / "calls.json"
    suite.write_text(suite.read_text().replace('"column": "id"', '"column": "category"'))
    assert load(settings, KEYED) == []
    with warehouse.connect(settings) as con:
        assert con.execute("select row_number, reason from ops.quarantine").fetchall() == [(0, "a row without id")]
        versions = con.execute("select distinct suite_version from ops.quarantine").fetchall()
    assert versions != [] and load(settings, KEYED) == []


def test_quarantined_rows_wait_while_their_batch_cannot_be_read(settings: Settings) -> None:
    load(settings, KEYED, delivery([call(id=None), *(call(id=f"B{n}") for n in range(9))]))
    suite = paths.EXPECTATIONS / "calls.json"
    suite.write_text(suite.read_text().replace('"column": "id"', '"column": "category"'))
    broken = replace(KEYED, columns={**KEYED.columns, "extent": pl.String})
    with warehouse.connect(settings) as con:
        con.execute("alter table raw.calls add column extent varchar")
    assert load(settings, broken) == []
    with warehouse.connect(settings) as con:
        con.execute("alter table raw.calls drop column extent")
        assert con.execute("select count(*) from ops.quarantine").fetchall() == [(1,)]
    (done,) = load(settings, KEYED)
    assert (done.batch_type, done.loaded) == ("release", 1)
