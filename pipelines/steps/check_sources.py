"""What the sources of a profile send: one page of each, loaded and staged as in a run, in a temporary home."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import polars as pl

from pipelines import feeds
from pipelines.areas import AREA_COLUMNS, AreaError, hierarchies
from pipelines.areas.containment import locate
from pipelines.config.errors import BongsuError, StepError
from pipelines.config.profile import Profile
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed, Request
from pipelines.ingest import load, merge, sources
from pipelines.store import landing, warehouse
from pipelines.transform import build

PAGE: Final = 200
"""Records requested per page, if the profile does not ask for fewer."""
NAMED: Final = 5
"""Unmapped words named per source."""

_UNMAPPED: Final = """
with words as (
    select incident_id, feed, source_category from staging.incidents
    union
    select incident_id, feed, source_category from staging.words
)
select words.feed, coalesce(words.source_category, '(none)') as word, count(*) as incidents
from words
anti join reference.category_map as mapped
    on mapped.feed = words.feed and mapped.source_category = words.source_category
group by all
"""
_PLACED: Final = """
select
    feed,
    count(incidents.lon) + count(*) filter (location_quality = 'outside') as points,
    count(point_areas.admin_area_id) as inside
from staging.incidents
left join point_areas on point_areas.lon = incidents.lon and point_areas.lat = incidents.lat
group by feed
"""


def check_sources(profile: Profile, as_of: datetime, progress: Progress = silent) -> tuple[pl.DataFrame, list[str]]:
    """Read one page of every source up to ``as_of``; nothing is kept, and a source that fails stops no other.

    Returns:
        One row per source that was read, and one line per failure. Columns: ``feed``; ``records`` of the page, and how
        many of them were ``quarantined``; ``with time of day``, ``inside boundaries``, ``unmapped categories`` and
        ``unmapped areas``, as text, empty for boundaries and places, and where no boundaries could be read.
    """
    failures: dict[str, str] = {}
    pages = []
    with TemporaryDirectory(prefix="bongsu-") as folder:
        settings = Settings(home=Path(folder), profile=profile, as_of=as_of)
        with warehouse.connect(settings) as con:
            for feed in feeds.of(profile):
                progress(feed.name)
                merge.prepare(con, feed)
                try:
                    pages.append(_read(con, settings, feed))
                except BongsuError as error:
                    failures[feed.name] = str(error)
                except Exception as error:  # whatever breaks one source must not stop the others
                    failures[feed.name] = f"{type(error).__name__}: {error}"
            contents = _contents(con, profile, failures)
    schema = {"feed": pl.String, "records": pl.Int64, "quarantined": pl.Int64}
    read = pl.DataFrame(pages, schema, orient="row").join(contents, on="feed", how="left", maintain_order="left")
    return read, [f"{name}: {reason}" for name, reason in failures.items()]


def _read(con: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed) -> tuple[str, int, int]:
    """Load the first page of a source; return its name and how many rows were received and quarantined."""
    source = settings.profile.feeds[feed.name]
    start = settings.as_of - timedelta(days=source.window_days) if source.window_days else None
    small = source.model_copy(update={"page_size": min(source.page_size, PAGE)})
    with sources.opened(settings, feed.name, [(start, settings.as_of)]) as (url, secret):
        request = Request(url, secret, small, settings.profile, start, settings.as_of, first_page=True)
        for delivery in feed.fetch(request):
            landing.put(settings, feed.name, delivery)
    # One page of a list of keys is never the complete list that a run insists on.
    accounts = load.load_pending(con, settings, replace(feed, inspect=None) if feed.is_reference else feed)
    if problem := next((account.message for account in accounts if account.verdict != "accepted"), None):
        raise StepError(problem)
    return feed.name, sum(a.received for a in accounts), sum(a.quarantined for a in accounts)


def _contents(con: duckdb.DuckDBPyConnection, profile: Profile, failures: dict[str, str]) -> pl.DataFrame:
    """Stage what was loaded and describe it, one row per feed of records; add why there are no boundaries."""
    # A delay that the profile assumes must not hide the newest records.
    con.execute("set variable as_of = 'infinity'::timestamptz")
    warehouse.load_extension(con, "spatial")
    registered = feeds.of(profile)
    build.write_reference(con, profile, registered)
    has_areas = _write_areas(con, profile, failures)
    build.stage(con, tuple(feed for feed in registered if not feed.is_reference))
    locate(con, "staging.incidents")
    warehouse.run_models(con, "marts", ["untimed_records", "unmapped_areas"])
    timed = con.execute("from marts.untimed_records").pl()
    placed = con.execute(_PLACED).pl()
    areas = con.execute("select feed, area_word as word, incidents from marts.unmapped_areas").pl()
    described = (
        timed.select(
            "feed",
            _of(pl.col("incidents") - pl.col("date_only_incidents"), "incidents").alias("with time of day"),
        )
        .join(placed.select("feed", _of("inside", "points").alias("inside boundaries")), on="feed", how="left")
        .join(_listed(con.execute(_UNMAPPED).pl()).rename({"listed": "unmapped categories"}), on="feed", how="left")
        .join(_listed(areas).rename({"listed": "unmapped areas"}), on="feed", how="left")
    )
    unknown = [] if has_areas else ["inside boundaries", "unmapped areas"]
    return described.with_columns(pl.col("unmapped categories", "unmapped areas").fill_null("none")).with_columns(
        pl.lit(None, pl.String).alias(name) for name in unknown
    )


def _write_areas(con: duckdb.DuckDBPyConnection, profile: Profile, failures: dict[str, str]) -> bool:
    """Write ``reference.areas``, empty where there are no boundaries; return whether there are any."""
    try:
        frame = hierarchies.hierarchies(con, profile)
    except AreaError as error:
        frame = pl.DataFrame(schema=AREA_COLUMNS)
        if profile.areas.feed not in failures:
            failures["areas"] = str(error)
    warehouse.write_frame(con, "reference", "areas", frame)
    return not frame.is_empty()


def _of(part: pl.Expr | str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.format("{} of {}", part, whole)).otherwise(pl.lit(f"no {whole}"))


def _listed(words: pl.DataFrame) -> pl.DataFrame:
    """Return ``feed, listed``: the most frequent words of each feed (``feed, word, incidents``) with their counts."""
    by_feed = words.sort("incidents", "word", descending=[True, False]).group_by("feed", maintain_order=True)
    rows = [
        (feed, _sentence(of_feed["word"].to_list(), of_feed["incidents"].to_list())) for (feed,), of_feed in by_feed
    ]
    return pl.DataFrame(rows, {"feed": pl.String, "listed": pl.String}, orient="row")


def _sentence(words: Sequence[str], counts: Sequence[int]) -> str:
    named = ", ".join(f'"{word}" ({count:,})' for word, count in zip(words[:NAMED], counts[:NAMED], strict=True))
    return named + (f" and {len(words) - NAMED} more" if len(words) > NAMED else "")
