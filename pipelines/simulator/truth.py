"""The simulated agencies' records of a span of days, and the truth behind them, for tests and scoring."""

from datetime import date

import polars as pl

from pipelines.config.profile import Profile
from pipelines.simulator import cases, clusters, fire, police, shocks
from pipelines.simulator.agencies import provinces, settings
from pipelines.simulator.events import NEAR_REPEAT_CATEGORIES

_LINKS = ("incident_no", "origin", "event", "cause", "vanished")


def truth(profile: Profile, start: date, end: date) -> pl.DataFrame:
    """Return the injected clusters active in [start, end): see `clusters.truth`."""
    return clusters.truth(profile, start, end)


def tables(profile: Profile, start: date, end: date) -> dict[str, pl.DataFrame]:
    """Return the agencies' records of the local days [start, end), and the truth behind them.

    ``police_112``, ``fire_119``, ``investigation_cases``: every version of every record received on those days, in the
    sources' own columns. ``truth_police``: one row per call with its true time, location and origin. The other truths
    are those of `injected` and `linked`.
    """
    parts = [of_province(profile, province, start, end) for province in provinces(profile)]
    whole = {name: pl.concat([part[name] for part in parts]) for name in parts[0]}
    calls, joint = whole["truth_police"], whole.pop("joint_calls")
    return {
        **whole,
        **linked(calls, joint),
        **injected(profile, start, end),
    }


def of_province(profile: Profile, province: str, start: date, end: date) -> dict[str, pl.DataFrame]:
    """Return one province's part of `tables` that can be built alone, and its 119 calls of joint events."""
    calls, alarms = police.records(profile, province, start, end), fire.records(profile, province, start, end)
    return {
        "police_112": police.versions(profile, calls).drop("_updated"),
        "fire_119": fire.versions(profile, alarms).drop("_updated"),
        "investigation_cases": cases.of_province(profile, province, start, end).drop("_updated"),
        "truth_police": police.truth(profile, calls),
        "joint_calls": fire.truth(profile, alarms),
    }


def injected(profile: Profile, start: date, end: date) -> dict[str, pl.DataFrame]:
    """Return what was injected: ``truth_clusters`` and ``truth_shocks``, as described in their modules."""
    return {
        "truth_clusters": clusters.truth(profile, start, end),
        "truth_shocks": shocks.truth(settings(profile)[0], provinces(profile), start, end),
    }


def linked(calls: pl.DataFrame, joint: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return records that belong together, from ``truth_police`` (or `kept` of it) and the 119 calls of joint events.

    ``truth_joint``: ``incident_no, dclr_rcpt_no``, the two records of one event. ``truth_near_repeats``: ``incident_no,
    parent_incident_no``. ``truth_vanished``: ``incident_no, vanished_at`` (UTC). Pairs with one record received outside
    the span are left out.
    """
    known = calls.select(_LINKS)
    children = known.filter(origin="near_repeat").select("incident_no", "cause")
    parents = known.filter(pl.col("event") >= 0).select(pl.col("incident_no").alias("parent_incident_no"), "event")
    return {
        "truth_joint": known.filter(origin="joint")
        .join(joint, on="cause", maintain_order="left")
        .select("incident_no", "dclr_rcpt_no"),
        "truth_near_repeats": children.join(parents, left_on="cause", right_on="event", maintain_order="left").select(
            "incident_no", "parent_incident_no"
        ),
        "truth_vanished": known.filter(pl.col("vanished").is_not_null()).select(
            "incident_no",
            pl.from_epoch("vanished", "s").dt.replace_time_zone("UTC").alias("vanished_at"),
        ),
    }


def kept(calls: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of ``truth_police`` that `linked` needs.

    They are few, so that a nation's year need not be in memory at once.
    """
    is_needed = pl.col("origin").is_in(["near_repeat", "joint"]) | pl.col("vanished").is_not_null()
    return calls.filter(is_needed | pl.col("category").is_in(NEAR_REPEAT_CATEGORIES)).select(_LINKS)
