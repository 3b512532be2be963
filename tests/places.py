"""Profiles for tests: the Korean profile, reduced to run quickly."""

import re
from pathlib import Path
from typing import Final

from pipelines.config import profile

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
