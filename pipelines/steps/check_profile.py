"""What a profile means, as a table: its sources, the place, and what each audience will get."""

from pathlib import Path

import polars as pl

from pipelines import feeds
from pipelines.config import profile as profiles
from pipelines.config.profile import Profile
from pipelines.feeds.feed import Feed
from pipelines.release import audiences


def check_profile(path: Path) -> tuple[Profile, pl.DataFrame, pl.DataFrame]:
    """Read a profile as a run would; return it, its sources, and the tables of each audience.

    Raises:
        ProfileError: The profile is invalid.
        AudienceError: It names an audience that the dictionary lacks.
    """
    profile = profiles.load(str(path))
    sources = pl.DataFrame([_source(profile, feed) for feed in feeds.of(profile)])
    audiences.check(profile.audiences)
    tables = {name: [entry.name for entry in audiences.tables_of(name)] for name in profile.audiences}
    return profile, sources, pl.DataFrame({"audience": list(tables), "tables": [", ".join(t) for t in tables.values()]})


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
