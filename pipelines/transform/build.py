"""The models: reference tables from the profile, then staging, core and marts from SQL, then the gates."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

import duckdb
import polars as pl

from pipelines import areas, feeds
from pipelines.config.profile import Profile
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed
from pipelines.quality.coordinates import definition
from pipelines.schema import incident
from pipelines.schema.check import INTERMEDIATE
from pipelines.schema.dictionary import frame_schema, sql_types
from pipelines.store import warehouse
from pipelines.transform import joint, observation

PLACES = """(
    select lon, lat from staging.incidents
    union all by name
    select lon, lat from staging.versions
    union all by name
    select lon, lat from staging.missing
)"""
"""Where incidents are and were: a backtest sees them where they were then."""


UNTIMED_SERVICES = """
    with untimed as (
        select feed
        from staging.incidents
        group by feed
        having bool_and(is_untimed(reported_at, occurred_at, occurred_until))
    )
    select distinct untimed.feed, demand_services.demand_service
    from untimed
    join reference.feed_services on feed_services.feed = untimed.feed
    join reference.demand_services on demand_services.service = feed_services.service
"""
"""Services of demand with a feed whose records state no time of day. Grain: feed, demand_service."""

SHARED: Final = {"keyed": "_rows", "published_file": "_cleaned"}
"""Shared files in ``sql/staging``, and the ending of the file of a feed that shares them: ``<feed>_rows`` has a row per
version, ``<feed>_cleaned`` one per row of any snapshot.
"""


def build(con: duckdb.DuckDBPyConnection, settings: Settings, progress: Callable[[str], None] = lambda _: None) -> None:
    """Build every table from ``reference`` to ``marts``, and keep the lineage in ``ops.lineage``.

    The tables of all feeds must exist in ``raw`` (`raw.prepare`).
    """
    progress("areas")
    registered = feeds.of(settings.profile)
    warehouse.load_extension(con, "spatial")
    write_reference(con, settings.profile, registered)
    areas.build(con, settings.profile)
    progress("staging")
    edges = stage(con, registered)
    edges |= _leave_out_untimed_services(con)
    progress("places")
    areas.locate(con, settings.profile, PLACES)
    progress("joint incidents")
    joint.link(con)
    progress("core")
    edges |= warehouse.run_models(con, "core")
    observation.write(con, settings.profile)
    edges["core.unobserved"] = {"core.record_hours"}
    progress("marts")
    edges |= warehouse.run_models(con, "marts")
    rows = sorted((source, target) for target, sources in edges.items() for source in sources)
    lineage = pl.DataFrame(rows, schema={"source_table": pl.String, "target_table": pl.String}, orient="row")
    warehouse.write_frame(con, "ops", "lineage", lineage)


def stage(con: duckdb.DuckDBPyConnection, registered: tuple[Feed, ...]) -> dict[str, set[str]]:
    """Run the staging files of the feeds and unite each kind of them: ``staging.incidents``, ``dispatches`` and so on.

    A feed has the file of its incidents and those further ones that somebody wrote. What speaks of lists of keys runs
    only where the profile has that feed of keys. Calls that such a list lacks are removed.
    """
    names = [feed.name for feed in registered if not feed.is_reference]
    listed = {feed.name.removesuffix("_keys") for feed in registered if feed.name.endswith("_keys")}
    written = staging_selects(registered)
    parts = {
        table: [f"{name}{suffix}" for name in names if name in listed or table not in incident.OF_LISTS]
        for table, suffix in incident.STAGED.items()
    }
    wanted = {
        table: [part for part in listed_parts if part in written or part in names]
        for table, listed_parts in parts.items()
    }
    rows = [f"{name}{suffix}" for name in names for suffix in INTERMEDIATE if f"{name}{suffix}" in written]
    optional = [feed.name for feed in registered if feed.name in incident.OPTIONAL]
    edges = warehouse.run_selects(
        con, "staging", {name: written[name] for name in sum(wanted.values(), rows + optional)}
    )
    for table in incident.OPTIONAL - set(optional):
        warehouse.union_staged(con, table, (), sql_types(f"staging.{table}"))
    for table in incident.STAGED:
        warehouse.union_staged(con, table, wanted[table], sql_types(f"staging.{table}"))
        edges[f"staging.{table}"] = {f"staging.{part}" for part in wanted[table]}
    con.execute("delete from staging.incidents where incident_id in (select incident_id from staging.missing)")
    edges["staging.incidents"] |= {"staging.missing"}
    edges["reference.places"] = warehouse.references(con, f"from {PLACES}") | {"reference.areas", "reference.cells"}
    edges["reference.joint_links"] = {"staging.incidents", "reference.places"}
    return edges


def staging_selects(registered: tuple[Feed, ...]) -> dict[str, str]:
    """Every staging file by its table, and for each feed a copy of the files that it shares, under the feed's name.

    A copy differs in that name alone, which the profile has checked against a strict pattern. A feed's own file comes
    before that of its kind, and that before those of `SHARED`.
    """
    written = warehouse.selects("staging")
    selects = dict(written)
    for feed in registered:
        for shared in (feed.template, feed.staged_like):
            if shared is not None:
                selects = _copies(written, shared, feed.name) | selects
        for shared, own_file in SHARED.items():
            if f"{feed.name}{own_file}" in selects:
                selects = _copies(written, shared, feed.name) | selects
    return selects


def _copies(written: Mapping[str, str], shared: str, name: str) -> dict[str, str]:
    return {
        table.replace(shared, name, 1): select.replace(shared, name)
        for table, select in written.items()
        if table == shared or table.startswith(f"{shared}_")
    }


def write_reference(con: duckdb.DuckDBPyConnection, profile: Profile, registered: tuple[Feed, ...]) -> None:
    """What the profile says, as tables: feeds, categories, their maps, demand services."""
    rows = [_feed_row(profile, feed) for feed in registered]
    types = {"service": pl.String, "location_quality": pl.String, "is_discovered": pl.Boolean}
    warehouse.write_frame(con, "reference", "feeds", pl.DataFrame(rows, schema_overrides=types))
    categories = [
        {
            "category": name,
            "label": category.label,
            "is_crime": category.is_crime,
            "is_risk_allowed": category.is_risk_allowed,
            "is_sensitive": category.is_sensitive,
            "harm_weight": category.harm,
            "service": category.service,
        }
        for name, category in profile.categories.items()
    ]
    frame = pl.DataFrame(categories, schema_overrides={"service": pl.String})
    warehouse.write_frame(con, "reference", "categories", frame)
    _write_words(con, profile)
    confirmed = [(feed, *point) for feed, entry in profile.feeds.items() for point in entry.confirmed_points]
    frame = pl.DataFrame(confirmed, schema=frame_schema("reference.confirmed_points"), orient="row")
    warehouse.write_frame(con, "reference", "confirmed_points", frame)
    mapped = [
        (feed, source, category)
        for feed, entry in profile.feeds.items()
        for source, category in entry.categories.items()
    ]
    columns = ("feed", "source_category", "category")
    warehouse.write_frame(
        con, "reference", "category_map", pl.DataFrame(mapped, schema=dict.fromkeys(columns, pl.String), orient="row")
    )
    served = [(feed, service) for feed, entry in profile.feeds.items() for service in entry.services]
    warehouse.write_frame(
        con,
        "reference",
        "feed_services",
        pl.DataFrame(served, schema={"feed": pl.String, "service": pl.String}, orient="row"),
    )
    services = [
        (name, entry.service, priority, entry.needs_units)
        for name, entry in profile.demand.services.items()
        for priority in (entry.priorities or (None,))
    ]
    schema = {
        "demand_service": pl.String,
        "service": pl.String,
        "priority": pl.Int32,
        "needs_units": pl.Boolean,
    }
    warehouse.write_frame(con, "reference", "demand_services", pl.DataFrame(services, schema=schema, orient="row"))


def _leave_out_untimed_services(con: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Take services out of hourly demand that have a feed whose every record states a day, and no time of day.

    Such records would all be counted in the hour of midnight. ``reference.untimed_services`` lists them.
    """
    edges = warehouse.run_selects(con, "reference", {"untimed_services": UNTIMED_SERVICES})
    con.execute(
        "delete from reference.demand_services "
        "where demand_service in (select demand_service from reference.untimed_services)"
    )
    return edges


def _feed_row(profile: Profile, feed: Feed) -> dict[str, object]:
    entry = profile.feeds[feed.name]
    return {
        "feed": feed.name,
        "agency": feed.agency,
        "load_type": feed.load_type,
        "is_reference": feed.is_reference,
        "delay_seconds": int(timedelta(hours=entry.delay_hours).total_seconds()),
        "freshness_hours": entry.freshness_hours,
        "max_missing_share": entry.max_missing_share,
        "legal_basis": entry.legal_basis,
        "purpose": entry.purpose,
        "retention_days": entry.retention_days,
        "impact_assessment": entry.impact_assessment,
        "is_simulated": profile.is_simulated,
        "crs": definition(entry.crs),
        "service": entry.services[0] if entry.services else None,
        "location_quality": entry.location_quality if entry.source_type else None,
        "is_discovered": entry.is_discovered,
    }


def _write_words(con: duckdb.DuckDBPyConnection, profile: Profile) -> None:
    """What the sources' words for priorities mean, and which of their categories do not count as incidents."""
    priorities = [(feed, *pair) for feed, entry in profile.feeds.items() for pair in entry.priorities.items()]
    columns = {"feed": pl.String, "source_priority": pl.String, "priority": pl.Int32}
    warehouse.write_frame(con, "reference", "priority_map", pl.DataFrame(priorities, schema=columns, orient="row"))
    excluded = [(feed, word) for feed, entry in profile.feeds.items() for word in entry.excluded_categories]
    columns = {"feed": pl.String, "source_category": pl.String}
    warehouse.write_frame(con, "reference", "excluded_categories", pl.DataFrame(excluded, schema=columns, orient="row"))
