"""A release: built in a temporary folder, read back by a new process, made current by switching one symbolic link.

Readers open ``published/current/…``: they take no lock, never wait, and see the last complete release. A release's name
is its ``as_of`` and a hash of what it is made from, so publishing the same content again changes nothing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson

from pipelines.config import logs
from pipelines.config.errors import BongsuError
from pipelines.config.profile import Profile
from pipelines.config.progress import Progress, silent
from pipelines.config.settings import Settings
from pipelines.quality import gates
from pipelines.release import audiences, dictionary, exports, lineage, manifest, views
from pipelines.release.exports import Release
from pipelines.release.pages import briefing, quality_report
from pipelines.schema.dictionary import load
from pipelines.store import warehouse
from pipelines.store.home import GROUP_READABLE, create_traversable
from pipelines.store.ledger import sync_folder

log = logs.logger(__name__)


class ReleaseError(BongsuError):
    """A release is refused or came out wrong: why, and what to do. The last release stays."""


def publish(settings: Settings, progress: Progress = silent) -> Path:
    """Build ``sql/views``, write the files of every audience, read them back and make them current.

    Returns the release's folder. The same content as an earlier release makes nothing new. If files of that one are
    damaged, it is built again; if the current one is damaged and has other content, it is removed.

    Raises:
        ReleaseError: a feed lacks its legal basis, or the files do not read back as written.
        DictionaryError: a view and the dictionary differ.
    """
    profile = settings.profile
    refuse_without_grounds(profile)
    audiences.check(profile.audiences)
    releases = settings.published / "releases"
    for folder in (settings.published, releases):
        create_traversable(folder)
    with warehouse.connect(settings) as con:
        # Only the holder of the warehouse publishes, so what is aside now was left by a run that was killed.
        for leftover in releases.glob(".tmp-*"):
            remove(leftover)
        progress("views")
        made_from = views.build(con)
        release = describe(con, settings)
        target = releases / release.release_id
        if not target.is_dir() or _is_damaged(target):
            aside = releases / f".tmp-{release.release_id}"
            write(con, settings, release, made_from, aside, progress)
            progress("reading back")
            read_back(aside)
            _seal(aside)
            _put_in_place(aside, target)
    previous = settings.current.resolve()
    flip(settings.current, target)
    if previous in set(releases.resolve().iterdir()) - {target.resolve()} and _is_damaged(previous):
        remove(previous)
    prune(releases, settings.current, settings.environment.keep_releases)
    return target


def refuse_without_grounds(profile: Profile) -> None:
    """Refuse a release unless every feed states on what ground, what for, how long and what was assessed.

    Raises:
        ReleaseError: a feed does not.
    """
    missing = [
        f"[feeds.{name}] {field}"
        for name, feed in profile.feeds.items()
        for field in ("legal_basis", "purpose", "retention_days", "impact_assessment")
        if not str(getattr(feed, field)).strip()
    ]
    if missing:
        raise ReleaseError(
            f"no release: the profile {profile.name!r} leaves empty {', '.join(missing)}; state them there"
        )


def describe(con: duckdb.DuckDBPyConnection, settings: Settings) -> Release:
    """Name a release by ``as_of`` and by all that goes into it: tables, dictionary, code, notice."""
    profile = settings.profile
    tables = {
        name: warehouse.logical_hash(con, "views", name.removeprefix("views."))
        for name, table in load().tables.items()
        if table.audiences and not table.is_bookkeeping
    }
    content = manifest.content_hash(
        [
            tables,
            profile.model_dump(mode="json"),
            settings.as_of.isoformat(),
            manifest.code_version(),
            gates.held_back(con),
        ]
    )
    return Release(
        release_id=f"{settings.as_of:%Y%m%dT%H%MZ}-{content[:8]}",
        profile=profile.name,
        title=profile.title,
        as_of=settings.as_of,
        time_zone=profile.time_zone,
        notice=profile.notice,
        attribution=profile.attribution,
        code_version=manifest.code_version(),
    )


def write(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    release: Release,
    made_from: Mapping[str, set[str]],
    aside: Path,
    progress: Progress = silent,
) -> None:
    """Write all files of a release into a folder that has no readers yet."""
    described = {}
    edges = lineage.edges(con, made_from)
    held_back = audiences.held_back(edges, gates.held_back(con))
    for audience in settings.profile.audiences:
        progress(f"files for {audience}")
        folder = aside / "audiences" / audience
        described[audience] = {"tables": write_audience(con, audience, folder, release, edges, held_back)}
    manifest.write(
        aside,
        {
            "release_id": release.release_id,
            "profile": release.profile,
            "title": release.title,
            "as_of": release.as_of.isoformat(),
            "notice": release.notice,
            "attribution": release.attribution,
            "code_version": release.code_version,
            "duckdb": duckdb.__version__,
            "feeds": manifest.feed_states(con),
            "held_back": held_back,
            "audiences": described,
            "files": manifest.files_of(aside),
        },
    )


def write_audience(
    con: duckdb.DuckDBPyConnection,
    audience: str,
    folder: Path,
    release: Release,
    edges: set[tuple[str, str]],
    held_back: Collection[str] = (),
) -> dict[str, dict[str, Any]]:
    """Write one audience's folder, without the tables held back; returns rows and logical hash of its tables."""
    published = [entry for entry in audiences.tables_of(audience) if entry.name not in held_back]
    tables = {entry.name: entry.table for entry in published}
    folder.mkdir(parents=True)
    database = folder / f"{audience}.duckdb"
    exports.write_database(con, database, published, release)
    exports.write_parquet(database, folder / "parquet", release)
    exports.write_geo(database, folder / "geo", published, release)
    exports.write_crew_lists(database, folder / "crews", published, release)
    about = {
        "profile": release.profile,
        "title": release.title,
        "notice": release.notice,
        "attribution": release.attribution,
        "release_id": release.release_id,
    }
    _text(folder / "dictionary.md", dictionary.markdown(audience, tables, release.title, release.notice))
    _json(folder / "datapackage.json", dictionary.datapackage(audience, tables, about))
    _json(folder / "lineage" / "lineage.json", lineage.document(edges, [f"views.{name}" for name in tables]))
    _text(folder / "quality_report.html", quality_report.render(database, audience))
    _text(folder / "briefing" / "index.html", briefing.render(database, audience))
    return manifest.tables_of(database)


def read_back(folder: Path) -> None:
    """Check a written release in a new process.

    Raises:
        ReleaseError: it is not what was written.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.release.readback", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"the release in {folder} does not read back; the last one stays:\n{done.stderr.strip()}")


def flip(current: Path, target: Path) -> None:
    """Point ``current`` at a release, in one step; a link that already points there is left alone."""
    wanted = os.path.relpath(target, current.parent)
    if current.is_symlink() and os.readlink(current) == wanted:
        return
    aside = current.with_name(f".{current.name}-{target.name}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(wanted)
    os.replace(aside, current)
    sync_folder(current.parent)


def prune(releases: Path, current: Path, keep: int) -> list[str]:
    """Remove the releases written longest ago, beyond ``keep``; never the current one. Returns their names."""
    written = sorted(
        (path for path in releases.iterdir() if (path / manifest.FILE).is_file() and not path.name.startswith(".")),
        key=lambda path: ((path / manifest.FILE).stat().st_mtime_ns, path.name),
        reverse=True,
    )
    gone = [path for path in written[max(keep, 1) :] if path.resolve() != current.resolve()]
    for path in gone:
        remove(path)
    return [path.name for path in gone]


def prune_others(settings: Settings) -> list[str]:
    """Remove every release but the current one, and what killed runs left: destroyed rows cannot be read there.

    Publish first, else the current release is still the one before the destruction. Opens the warehouse, so that no
    release is in the making meanwhile. Returns the names of the releases that are gone.
    """
    releases = settings.published / "releases"
    if not releases.is_dir():
        return []
    with warehouse.connect(settings):
        others = sorted(path for path in releases.iterdir() if path.resolve() != settings.current.resolve())
        for path in others:
            remove(path)
        sync_folder(releases)
    return [path.name for path in others if not path.name.startswith(".")]


def remove(folder: Path) -> None:
    """Remove a release. It is hidden first, so that no reader opens half of it."""
    hidden = folder if folder.name.startswith(".tmp-") else folder.with_name(f".tmp-gone-{folder.name}")
    if hidden != folder:
        os.rename(folder, hidden)
    shutil.rmtree(hidden)


def _is_damaged(release: Path) -> bool:
    damages = manifest.damages(release)
    if damages:
        log.warning(
            "a release is damaged; another one takes its place release=%s damages=%d first=%r",
            release.name,
            len(damages),
            damages[0],
        )
    return bool(damages)


def _put_in_place(aside: Path, target: Path) -> None:
    """Give a release that is complete its name; a damaged one of that name is removed.

    Between the two renames, some microseconds, a reader of the damaged release finds none; never half of one.
    """
    damaged = target.with_name(f".tmp-gone-{target.name}")
    if target.exists():
        os.rename(target, damaged)
    os.rename(aside, target)
    sync_folder(target.parent)
    if damaged.exists():
        remove(damaged)


def _seal(folder: Path) -> None:
    """Make every file durable and readable for its group before it is published."""
    for path in (*sorted(folder.rglob("*")), folder):
        path.chmod(GROUP_READABLE if path.is_dir() else 0o640)
        sync_folder(path)


def _text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def _json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
