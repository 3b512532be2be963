"""The models: reference tables from the profile, then staging, core and marts from SQL, then the gates."""

from datetime import timedelta

import duckdb
import polars as pl

from pipelines import areas, feeds, incident, joint, quality, raw, warehouse
from pipelines.feeds.feed import Feed
from pipelines.profile import Profile
from pipelines.settings import Settings


def build(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Make every table from ``reference`` to ``marts`` anew, and keep the lineage in ``ops.lineage``."""
    registered = feeds.of(settings.profile)
    for feed in registered:
        raw.prepare(con, feed)
    warehouse.load_extension(con, "spatial")
    write_reference(con, settings.profile, registered)
    areas.build(con, settings.profile)
    edges = stage(con, registered)
    areas.locate(con, settings.profile)
    joint.link(con)
    edges |= warehouse.run_models(con, "core")
    edges |= warehouse.run_models(con, "marts")
    rows = sorted((source, target) for target, sources in edges.items() for source in sources)
    lineage = pl.DataFrame(rows, schema={"source": pl.String, "target": pl.String}, orient="row")
    warehouse.write_frame(con, "ops", "lineage", lineage)


def stage(con: duckdb.DuckDBPyConnection, registered: tuple[Feed, ...]) -> dict[str, set[str]]:
    """Run the staging files of the feeds and join them to ``staging.incidents`` and ``staging.dispatches``."""
    names = [feed.name for feed in registered if not feed.is_reference]
    written = {path.stem for path in (warehouse.SQL / "staging").glob("*.sql")}
    dispatches = [f"{name}_dispatches" for name in names if f"{name}_dispatches" in written]
    edges = warehouse.run_models(con, "staging", names + dispatches)
    warehouse.union_staged(con, "incidents", names, incident.STAGED_COLUMNS)
    warehouse.union_staged(con, "dispatches", dispatches, incident.DISPATCH_COLUMNS)
    edges["staging.incidents"] = {f"staging.{name}" for name in names}
    edges["staging.dispatches"] = {f"staging.{name}" for name in dispatches}
    edges["reference.places"] = {"staging.incidents", "reference.areas", "reference.cells"}
    edges["reference.joint_links"] = {"staging.incidents", "reference.places"}
    return edges


def write_reference(con: duckdb.DuckDBPyConnection, profile: Profile, registered: tuple[Feed, ...]) -> None:
    """What the profile says, as tables: feeds, categories, their maps, demand services."""
    warehouse.write_frame(con, "reference", "feeds", pl.DataFrame([_feed_row(profile, feed) for feed in registered]))
    categories = [
        {
            "category": name,
            "label": category.label,
            "is_crime": category.is_crime,
            "is_risk_allowed": category.is_risk_allowed,
            "is_sensitive": category.is_sensitive,
        }
        for name, category in profile.categories.items()
    ]
    warehouse.write_frame(con, "reference", "categories", pl.DataFrame(categories))
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


def gate(con: duckdb.DuckDBPyConnection, *schemas: str) -> None:
    """Hold every gated table of the schemas against its suite and keep the results in ``ops.gates``.

    Raises:
        QualityError: a gate is shut.
    """
    con.execute(
        'create table if not exists ops.gates (suite varchar, expectation varchar, "column" varchar, '
        "severity varchar, reason varchar, checked bigint, failed bigint)"
    )
    for name in quality.gates():
        schema, _, table = name.partition(".")
        if schema in schemas and warehouse.exists(con, schema, table):
            columns = ", ".join(f'"{column}"' for column in quality.columns_of(name)) or "1 as one"
            results = quality.gate(name, con.execute(f'select {columns} from {schema}."{table}"').pl())
            con.execute("delete from ops.gates where suite = ?", [name])
            con.register("_gate", results.with_columns(suite=pl.lit(name)).to_arrow())
            con.execute("insert into ops.gates by name select * from _gate")
            con.unregister("_gate")


def _feed_row(profile: Profile, feed: Feed) -> dict[str, object]:
    entry = profile.feeds[feed.name]
    return {
        "feed": feed.name,
        "agency": feed.agency,
        "kind": feed.kind,
        "is_reference": feed.is_reference,
        "delay_seconds": int(timedelta(hours=entry.delay_hours).total_seconds()),
        "freshness_hours": entry.freshness_hours,
        "legal_basis": entry.legal_basis,
        "purpose": entry.purpose,
        "retention_days": entry.retention_days,
        "impact_assessment": entry.impact_assessment,
        "is_simulated": profile.is_simulated,
    }
