"""What a profile means, as a table: its sources, the place, and what each audience will get."""

from pathlib import Path

import polars as pl

from pipelines import areas, feeds
from pipelines.config import profile as profiles
from pipelines.config.profile import Profile
from pipelines.feeds.feed import Feed
from pipelines.release import audiences


def check_profile(path: Path) -> tuple[Profile, pl.DataFrame, pl.DataFrame]:
    """Read a profile as a run would; return it, its sources, and the tables of each audience.

    Raises:
        ProfileError: The profile is invalid.
    """
    profile = profiles.load(str(path))
    refuse_problems(profile)
    sources = pl.DataFrame([_source(profile, feed) for feed in feeds.of(profile)])
    tables = {name: [entry.name for entry in audiences.tables_of(name)] for name in profile.audiences}
    return profile, sources, pl.DataFrame({"audience": list(tables), "tables": [", ".join(t) for t in tables.values()]})


def refuse_problems(profile: Profile) -> None:
    """Check what only areas, feeds and audiences know of a profile.

    Raises:
        ProfileError: Something cannot be meant; the message names each key and its line.
    """
    wrong = [*areas.problems(profile), *feeds.problems(profile), *audiences.problems(profile.audiences)]
    if wrong:
        raise profile.refusal(wrong)


def _source(profile: Profile, feed: Feed) -> dict[str, str]:
    source = profile.feeds[feed.name]
    every = "reference" if feed.is_reference else feed.load_type
    return {
        "feed": feed.name,
        "agency": feed.agency,
        "load type": every,
        "url": source.url,
        "resource": source.resource or "",
        "services": ", ".join(source.services),
        "categories": f"{len(source.categories)} mapped, {len(source.excluded_categories)} excluded",
    }
