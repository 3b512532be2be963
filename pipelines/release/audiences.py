"""Audiences: the tables and rows that each audience gets, as defined in the dictionary.

A view or a column mask inside a file protects nothing, so every audience has separate files, built from these
selections only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pipelines.config.errors import BongsuError
from pipelines.config.profile_checks import Problem
from pipelines.release import lineage
from pipelines.schema import dictionary
from pipelines.schema.dictionary import quoted


class AudienceError(BongsuError):
    """Report that an audience of the profile has no table, or that the dictionary and the profiles differ."""


@dataclass(frozen=True, slots=True)
class Published:
    """One table of one audience: its entry in the dictionary and the rows that the audience may see."""

    name: str
    table: dictionary.Table
    where: str | None

    @property
    def select(self) -> str:
        """Return the query that fills this table of a release: listed columns, allowed rows, in order of the grain."""
        columns = ", ".join(quoted(column) for column in self.table.columns)
        where = f" where {self.where}" if self.where else ""
        order = ", ".join(quoted(column) for column in self.table.grain)
        return f"select {columns} from views.{quoted(self.name)}{where} order by {order}"


def tables_of(audience: str) -> list[Published]:
    """Return the tables of an audience, by name.

    Raises:
        AudienceError: The dictionary lists none for it.
    """
    published = dictionary.load().published(audience)
    if not published:
        raise AudienceError(
            f"audience {audience!r} gets no table: name it under `audiences:` in sql/dictionary/views.yml"
        )
    return [Published(name, table, table.audiences[audience]) for name, table in sorted(published.items())]


def held_back(edges: Iterable[tuple[str, str]], failed: Mapping[str, str]) -> dict[str, str]:
    """Return the views that are made from a table whose quality gate failed, with the reason.

    Args:
        edges: The lineage (source, target) of every table and view.
        failed: Reasons by table, as in ``ops.held_back``.
    """
    known = list(edges)
    views = [name for name in dictionary.load().tables if name.startswith("views.")]
    return {
        view.removeprefix("views."): f"quality gate failed for {table}: {reason}"
        for view in views
        for sources in [set(chain.from_iterable(lineage.above(known, [view]).values()))]
        for table, reason in failed.items()
        if table in sources
    }


def problems(audiences: Sequence[str]) -> Iterator[Problem]:
    """Yield that there is no audience, those that a profile names twice, and those that are not in the dictionary."""
    known = {name for table in dictionary.load().tables.values() for name in table.audiences}
    if not audiences:
        yield ("audiences",), f"is empty, so that nothing would be released: name some of {', '.join(sorted(known))}"
    for audience in sorted({name for name in audiences if audiences.count(name) > 1}):
        yield ("audiences",), f"audience {audience!r} is there twice: remove one"
    for audience in audiences:
        if audience not in known:
            yield ("audiences",), f"audience {audience!r} gets no table; those with tables: {', '.join(sorted(known))}"


def check(audiences: Sequence[str]) -> None:
    """Check the profile's audiences against the dictionary's.

    Raises:
        AudienceError: The profile names an audience that is not in the dictionary.
    """
    for audience in audiences:
        tables_of(audience)
