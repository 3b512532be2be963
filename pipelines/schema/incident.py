"""The common incident record: what the staging files of a feed yield. Their columns are in the dictionary.

Instants are UTC; ``lon``/``lat`` are WGS84 degrees.
"""

from collections.abc import Mapping
from typing import Final

SERVICES: Final = ("police", "fire", "rescue", "ems", "life_safety", "advice", "investigation")
"""The service that a record requires. ``advice`` is a call to 119 that needs call-takers and no unit;
``investigation`` is case work: counted, never dispatched, never in risk."""

STAGED: Final[Mapping[str, str]] = {
    "incidents": "",
    "dispatches": "_dispatches",
    "versions": "_versions",
    "firsts": "_firsts",
    "words": "_words",
    "lists": "_lists",
    "missing": "_missing",
    "excluded": "_excluded",
    "unplaced": "_unplaced",
}
"""Tables of staging that unite those of the feeds, and how a feed's file is called after its name."""

OF_LISTS: Final = frozenset({"lists", "missing"})
"""Tables that only feeds with a list of the source's keys have."""

OPTIONAL: Final = frozenset({"patrols"})
"""Feeds without incidents that core reads; where a profile does not have them, their table is empty."""
