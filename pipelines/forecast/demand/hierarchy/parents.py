"""Parents of users' series: each is the sum of the series below it, in one hierarchy or several.

Rows of child and parent become the set of series below each parent. A child may have several parents, such as the
district and the type of a station; what two children of one parent share would be counted twice, and is refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Final

import polars as pl

from pipelines.forecast.demand.series import SeriesError

COLUMNS: Final = ("child", "parent")
LEAST_KNOWN: Final = 0.8
"""Share of the steps of its series at which a parent's count may be known without a note."""
PAIRS: Final = {"parent": pl.String, "series": pl.String}


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Parents by name.

    ``below``: ``parent, series``: all series whose sum a parent is. ``paths``: the parents of each series that has any,
    widest first, one above the other; of a child with several parents the first one listed.
    """

    below: pl.DataFrame
    paths: Mapping[str, tuple[str, ...]]

    def without(self, names: Collection[str]) -> "Hierarchy":
        """Return the hierarchy without some parents; give with each all that are above it."""
        kept = {series: tuple(name for name in path if name not in names) for series, path in self.paths.items()}
        below = self.below.filter(~pl.col("parent").is_in(list(names)))
        return Hierarchy(below, {series: path for series, path in kept.items() if series in set(below["series"])})


def read(rows: pl.DataFrame, series: Collection[str], name: str = "hierarchy") -> Hierarchy:
    """Return the parents that rows list.

    Args:
        rows: ``child, parent`` of any type, in any order.
        series: Names of all series, text.
        name: What messages call the rows, such as the name of their file.

    Raises:
        SeriesError: A column or value is missing, a row is repeated, a child is unknown, a parent is a series too or
            below itself, or a series would be counted twice; the message names the row.
    """
    children = _children(_typed(rows, name), frozenset(series), name)
    below: dict[str, dict[str, str]] = {}
    for parent in _from_below(children, name):
        if parent in children:
            below[parent] = _united(parent, children[parent], below, name)
    pairs = [(parent, leaf) for parent in children for leaf in below[parent]]
    listed = sorted(
        ((row, child, parent) for parent, part in children.items() for child, row in part.items()), reverse=True
    )
    first = {child: parent for _, child, parent in listed}
    paths = {leaf: _path(leaf, first) for _, leaf in pairs}
    return Hierarchy(pl.DataFrame(pairs, PAIRS, orient="row"), paths)


def unusable(hierarchy: Hierarchy, series: pl.DataFrame, refused: Collection[str]) -> dict[str, str]:
    """Return the parents that cannot be forecast, with the reason: all of its series must be, and end together.

    Args:
        hierarchy: As from ``read``.
        series: ``unique_id, ds`` of the series that are forecast.
        refused: Names of the series that were left out.
    """
    reasons = {}
    ends = series.group_by(pl.col("unique_id").cast(pl.String).alias("series")).agg(pl.col("ds").max().alias("end"))
    ended = hierarchy.below.join(ends, on="series", how="left", maintain_order="left").sort("end", maintain_order=True)
    for (name,), part in ended.group_by("parent", maintain_order=True):
        lost = next((leaf for leaf in part["series"] if leaf in refused), None)
        (_, old, early), (_, new, late) = part.row(0), part.row(-1)
        if lost is not None:
            reasons[str(name)] = f"parent {name}: its series {lost} was left out, and the sum would be incomplete"
        elif early != late:
            reasons[str(name)] = (
                f"parent {name}: its series end at different times (series {old} at {early:%Y-%m-%d %H:%M}, series "
                f"{new} at {late:%Y-%m-%d %H:%M}); give all of them rows up to the same step"
            )
    return reasons


def counts(series: pl.DataFrame, hierarchy: Hierarchy) -> pl.DataFrame:
    """Return ``unique_id, ds, y`` of the parents, for the steps at which the counts of all of their series are known.

    Args:
        series: ``unique_id`` (text), ``ds, y``, as from ``series_checks.check``; with ``known_at`` every version of a
            count, as is the result.
        hierarchy: Its series are all in ``series``.
    """
    keys, step = ["unique_id", "ds"], ["parent", "ds"]
    known_at = pl.col("known_at") if "known_at" in series.columns else pl.lit(None, pl.Datetime("us"))
    versions = series.select(*keys, "y", known_at.alias("known_at")).sort(*keys, "known_at", nulls_last=False)
    previous = pl.col("y").shift().over(keys)
    changes = versions.with_columns(change=pl.col("y") - previous.fill_null(0.0), is_first=previous.is_null())
    whole = hierarchy.below.group_by("parent").len("parts")
    sums = (
        changes.join(hierarchy.below, left_on="unique_id", right_on="series", maintain_order="left")
        .sort(*step, "known_at", "unique_id", nulls_last=False)
        .with_columns(pl.col("change").cum_sum().over(step).alias("y"), pl.col("is_first").cum_sum().over(step))
        .unique([*step, "known_at"], keep="last", maintain_order=True)
        .join(whole, on="parent", maintain_order="left")
        .filter(pl.col("is_first") == pl.col("parts"))
    )
    kept = [name for name in ("ds", "y", "known_at") if name in series.columns]
    return sums.select(pl.col("parent").alias("unique_id"), *kept).sort(*keys, maintain_order=True)


def _typed(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return ``row, child, parent`` as text."""
    if missing := [column for column in COLUMNS if column not in rows.columns]:
        raise SeriesError(f"{name} lacks {', '.join(missing)}; give the columns child and parent")
    if rows.is_empty():
        raise SeriesError(f"{name} has no rows")
    text = [pl.col(column).cast(pl.String).str.strip_chars().fill_null("") for column in COLUMNS]
    return rows.select(text).with_row_index("row", offset=1)


def _children(rows: pl.DataFrame, series: frozenset[str], name: str) -> dict[str, dict[str, int]]:
    """Return the children of every parent with the row of each, in the order of the rows."""
    children: dict[str, dict[str, int]] = {}
    names = set(rows["parent"])
    for row, child, parent in rows.iter_rows():
        where = f"{name}, row {row}"
        if not child or not parent:
            raise SeriesError(f"{where}: {'parent' if child else 'child'} is empty")
        if parent in series:
            raise SeriesError(f"{where}: parent {parent} is a series of the input too; give the sum another name")
        if child not in series and child not in names:
            raise SeriesError(f"{where}: child {child} is neither a series of the input nor a parent")
        earlier = children.setdefault(parent, {})
        if child in earlier:
            raise SeriesError(f"{where}: it repeats row {earlier[child]}; remove one of them")
        earlier[child] = row
    return children


def _from_below(children: Mapping[str, Mapping[str, int]], name: str) -> list[str]:
    """Return all names, each after its children.

    Raises:
        SeriesError: A parent is below itself.
    """
    try:
        return list(TopologicalSorter(children).static_order())
    except CycleError as error:
        cycle = error.args[1]
        row = max(children[parent][child] for child, parent in pairwise(cycle))
        raise SeriesError(
            f"{name}, row {row}: it closes a circle ({' < '.join(cycle)}); a parent cannot be below itself"
        ) from None


def _united(parent: str, part: Mapping[str, int], below: Mapping[str, Mapping[str, str]], name: str) -> dict[str, str]:
    """Return the series below a parent, each with the child through which it is.

    Raises:
        SeriesError: A series is below two of its children.
    """
    through: dict[str, str] = {}
    for child, row in part.items():
        for leaf in below.get(child, (child,)):
            if leaf in through:
                raise SeriesError(
                    f"{name}, row {row}: parent {parent} would count series {leaf} twice, in {through[leaf]} and in "
                    f"{child}; give it the children of one hierarchy only"
                )
            through[leaf] = child
    return through


def _path(leaf: str, first: Mapping[str, str]) -> tuple[str, ...]:
    """Return the first parent of each child from the widest down to a series' own."""
    path: list[str] = []
    name = leaf
    while name in first:
        name = first[name]
        path.append(name)
    return tuple(reversed(path))


def note(series: pl.DataFrame, sums: pl.DataFrame, hierarchy: Hierarchy) -> str | None:
    """Return a sentence about the parent with the most unknown steps; None if all have most of theirs.

    Args:
        series: ``unique_id, ds`` of the series.
        sums: As from ``counts``.
        hierarchy: The parents.
    """
    steps = series.select(pl.col("unique_id").cast(pl.String).alias("series"), "ds").unique()
    any_known = hierarchy.below.join(steps, on="series").group_by("parent").agg(pl.col("ds").n_unique().alias("steps"))
    known = sums.group_by(pl.col("unique_id").alias("parent")).agg(pl.col("ds").n_unique().alias("known"))
    share = pl.col("known") / pl.col("steps")
    few = any_known.join(known, on="parent").filter(share < LEAST_KNOWN).sort(share, "parent")
    if few.is_empty():
        return None
    name, steps_of, known_of = few.row(0)
    more = f" and {few.height - 1} more" if few.height > 1 else ""
    return (
        f"parent {name}{more}: its count is known at {known_of} of {steps_of} steps, those at which every one of its "
        "series has a row; where a series had no call, give it a row with 0"
    )
