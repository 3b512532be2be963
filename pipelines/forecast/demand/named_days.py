"""Days that the calendar names: public holidays, election days, and the days around them."""

from datetime import date, timedelta
from typing import Final, NamedTuple

import polars as pl

ELECTION: Final = "Election Day"
"""One name for elections of all kinds: each comes every few years, and they change a day alike."""
AROUND: Final = {-1: "day before {}", 1: "day after {}"}
NONE: Final = pl.DataFrame(
    schema={"day": pl.Date, "name": pl.String, "local_name": pl.String, "is_holiday": pl.Boolean}
)
"""The calendar of a place that is not known."""


class Place(NamedTuple):
    """Where series are from, for its public holidays: ISO 3166 codes."""

    country: str
    subdivision: str | None = None


def named_days(place: Place | None, first: date, last: date) -> pl.DataFrame:
    """Return the public holidays from ``first`` to ``last``, and the days before and after each.

    Returns:
        ``day, name, local_name, is_holiday``, one row per day: in English and in the country's language (null around a
        holiday); several names of a day are joined by "; ". A holiday is never called the day before or after another.
        Empty without a place.
    """
    import holidays

    if place is None:
        return NONE
    years = range(first.year, last.year + 2)
    english = holidays.country_holidays(place.country, subdiv=place.subdivision, years=years, language="en_US")
    # Named explicitly: without a language, it depends on the machine's.
    local = holidays.country_holidays(
        place.country, subdiv=place.subdivision, years=years, language=english.default_language
    )
    rows = {day: (_usual(name), local[day], True) for day, name in sorted(english.items())}
    for step, words in AROUND.items():
        for day, name in sorted(english.items()):
            rows.setdefault(day + timedelta(days=step), (words.format(_usual(name)), None, False))
    listed = [(day, *row) for day, row in sorted(rows.items()) if first <= day <= last]
    return pl.DataFrame(listed, schema=NONE.schema, orient="row")


def _usual(name: str) -> str:
    """Return the name that a holiday has every year."""
    return ELECTION if name.endswith(ELECTION) else name
