"""Profiles for tests: the Korean profile, reduced to run quickly."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipelines.config import profile
from pipelines.config.profile import FeedSource, Profile

SMALL: Final = {
    "provinces": '["29"]',
    "region": '"광주광역시"',
    "region_id": '"29"',
    "scale": "0.1",
    "history_days": "70",
    "window_days": "31",
    "daily_days": "28",
    "prophet_min_per_day": "30.0",
}


def small_city(folder: Path, shipped: Path = profile.SHIPPED) -> Path:
    """Write the Korean profile for a city of five districts, with little history, few incidents and a short horizon.

    ``shipped`` is the folder of the Korean profile.
    """
    text = (shipped / "korea.toml").read_text("utf-8")
    for name, value in SMALL.items():
        text, replaced = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert replaced, f"the profile has no {name}"
    path = folder / "small.toml"
    path.write_text(text, "utf-8")
    return path


def with_feeds(place: Profile, feeds: Mapping[str, FeedSource]) -> Profile:
    """A profile with other feeds, and of its services of demand those that they supply."""
    supplied = {service for source in feeds.values() for service in source.services}
    services = {name: entry for name, entry in place.demand.services.items() if entry.service in supplied}
    demand = place.demand.model_copy(update={"services": services})
    return place.model_copy(update={"feeds": feeds, "demand": demand})
