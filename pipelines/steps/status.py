"""Status: freshness per feed, what failed, and the current release."""

from datetime import UTC, datetime
from typing import Any

from pipelines.config.settings import Settings
from pipelines.monitoring import status as monitoring
from pipelines.monitoring.status import Published, Status
from pipelines.release import integrity, manifest


def status(settings: Settings, judged_at_as_of: bool = False) -> Status:
    """The state of a home, judged at ``as_of`` or now. Reads no warehouse, so that it never waits for one."""
    return monitoring.status(
        settings, settings.as_of if judged_at_as_of else datetime.now(UTC), current_release(settings)
    )


def current_release(settings: Settings) -> Published:
    """What the current release says of itself, and whether its files are intact."""
    content = _manifest(settings)
    states = content.get("feeds", [])
    return Published(
        name=settings.current.resolve().name if settings.current.exists() else None,
        as_of=datetime.fromisoformat(content["as_of"]) if "as_of" in content else None,
        data_as_of={s["feed"]: s["data_as_of"] and datetime.fromisoformat(s["data_as_of"]) for s in states},
        problems=[
            *(integrity.missing(settings) or integrity.problems(settings.current.resolve())),
            *(f"table {name} is held back: {reason}" for name, reason in content.get("held_back", {}).items()),
        ],
    )


def _manifest(settings: Settings) -> dict[str, Any]:
    try:
        return manifest.read(settings.current)
    except manifest.ManifestError:
        return {}
