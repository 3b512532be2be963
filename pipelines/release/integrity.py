"""Check that published releases are unchanged: a disk, an editor or a person may alter a file afterwards."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.config.settings import Settings
from pipelines.release import manifest

REPAIR = "run `bongsu publish` to build it again"


def missing(settings: Settings) -> list[str]:
    """Return one line if there is no current release to read, otherwise none."""
    if settings.current.exists():
        return []
    if settings.current.is_symlink():
        return [f"the current release {settings.current.resolve().name} is missing: {REPAIR}"]
    return [f"nothing is published in {settings.home} yet: run `bongsu run`"]


def problems(release: Path, only: Iterable[str] = (), repair: str = REPAIR) -> list[str]:
    """Return one line per file that differs from the manifest; none if all are intact.

    Checks every file of the release, or the given files.
    """
    return [f"release {release.name} is damaged: {damage}; {repair}" for damage in manifest.damages(release, only)]


def verify(settings: Settings) -> int:
    """Check every file of every release, the current one first; return the number of files checked.

    Raises:
        ManifestError: With one line per damaged file, or because the current release is missing.
    """
    folder, current = (settings.published / "releases").resolve(), settings.current.resolve()
    releases = [path for path in folder.glob("*") if not path.name.startswith(".")]
    lines = missing(settings) if settings.current.is_symlink() else []
    for release in sorted(releases, key=lambda path: (path != current, path.name)):
        result = (
            problems(release)
            if release == current
            else problems(release, repair="remove its folder: it is not current")
        )
        lines += result if release.exists() else []  # a run may remove an old release meanwhile
    if lines:
        raise manifest.ManifestError("\n".join(lines))
    return sum(1 for release in releases for _ in manifest.files(release))
