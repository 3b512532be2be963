"""Read a copy that is not trusted: regular files only, by names given by the caller and not by the copy."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import fsspec

from pipelines.config.errors import BongsuError


class ContinuityError(BongsuError):
    """Report that a copy cannot be written, checked or restored: what, and what to do next."""


def opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it, without a trailing slash. Nothing is created there.

    Raises:
        ContinuityError: There is no such file system, or no such archive.
    """
    try:
        system, root = fsspec.url_to_fs(url)
    except Exception as error:  # Every file system and archive has errors of its own.
        raise ContinuityError(
            f"{url} cannot be opened ({error!r}); check the URL and that it can be reached"
        ) from error
    system.invalidate_cache()
    return system, str(root).rstrip("/")


def read(system: Any, root: str, name: str) -> bytes | None:
    """Return the bytes of a regular file; None if it is missing.

    Raises:
        ContinuityError: It is a link, which may lead anywhere, or not a file, or cannot be read.
    """
    place = f"{root}/{name}"
    with _reading(place):
        try:
            info = system.info(place)
            if info["type"] != "file" or _is_link(info):
                raise ContinuityError(f"{place} is a link or not a file, and is not read; use a copy without links")
            return bytes(system.cat_file(place))
        except FileNotFoundError:
            return None


def refuse_linked_folders(system: Any, root: str, names: Iterable[str]) -> None:
    """Check that no folder on the path to any of the names is a link.

    Raises:
        ContinuityError: One is.
    """
    for folder in sorted({str(folder) for name in names for folder in PurePosixPath(name).parents if folder.name}):
        place = f"{root}/{folder}"
        with _reading(place):
            try:
                is_link = _is_link(system.info(place))
            except FileNotFoundError:  # An object store has no folders.
                continue
            if is_link:
                raise ContinuityError(f"{place} is a link and is not followed; use a copy without links")


@contextmanager
def _reading(place: str) -> Iterator[None]:
    try:
        yield
    except ContinuityError:
        raise
    except Exception as error:  # Every file system and archive has errors of its own.
        raise ContinuityError(f"{place} cannot be read ({error!r}); use another copy") from error


def _is_link(info: Mapping[str, Any]) -> bool:
    """Return whether it is a symbolic or hard link: local folders, SFTP, tar and zip each report it differently."""
    is_zip_link = stat.S_ISLNK((info.get("external_attr") or 0) >> 16)
    return bool(info.get("islink") or info.get("type") == "link" or info.get("linkname") or is_zip_link)
