"""CSV files in CP949 that an agency leaves somewhere: a folder, SFTP or S3 is one URL (fsspec).

Traps: a file may be half written, larger than memory, or in UTF-8 although CP949 was agreed; nothing is guessed.
SFTP and S3 need the package that fsspec names (`paramiko`, `s3fs`); the message says so when it is missing.
"""

import io
from collections.abc import Sequence

import fsspec
import polars as pl

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import http

ENCODING = "cp949"
MAX_BYTES = 1024 * 1024 * 1024
"""No file of an agency's day or year comes near; one that does is not what was agreed."""

_NEXT = "the agency has not dropped it, or the folder is not mounted; when it is there, the next run reads it"


def opened(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system and folder that a URL names, without what was cached of it.

    Whatever a file system raises is told by its type alone: SFTP and S3 have errors of their own, and any message may
    repeat the user and password of the URL.

    Raises:
        FeedError: the URL names no kind of file system that is installed, or it does not answer.
    """
    try:
        system, folder = fsspec.url_to_fs(url)
        system.invalidate_cache()
    except ImportError as error:
        # fsspec names the package that is missing.
        raise FeedError(f"{http.place(url)} cannot be opened ({error})") from None
    except Exception as error:
        raise FeedError(
            f"{http.place(url)} cannot be opened ({type(error).__name__}): check the feed's url, and the user and "
            "password in it"
        ) from None
    return system, str(folder).rstrip("/")


def listed(system: fsspec.AbstractFileSystem, folder: str, ending: str) -> list[str]:
    """Names of the files in a folder that end so, in order.

    Raises:
        FeedError: the folder cannot be read, or holds none.
    """
    try:
        names = sorted(path.rsplit("/", 1)[-1] for path in system.ls(folder, detail=False))
    except Exception as error:
        raise FeedError(f"{folder} cannot be listed ({type(error).__name__}): {_NEXT}") from None
    found = [name for name in names if name.endswith(ending)]
    if not found:
        raise FeedError(f"{folder} holds no file that ends in {ending}: {_NEXT}")
    return found


def read(system: fsspec.AbstractFileSystem, folder: str, name: str) -> bytes:
    """A file, byte for byte.

    Raises:
        FeedError: it cannot be read, or is larger than ``MAX_BYTES``.
    """
    path = f"{folder}/{name}"
    try:
        if (size := system.size(path) or 0) > MAX_BYTES:
            raise FeedError(f"{path} has {size:,} bytes, more than {MAX_BYTES:,}: ask the agency what it dropped")
        content: bytes = system.cat_file(path)
    except FeedError:
        raise
    except Exception as error:
        raise FeedError(f"{path} cannot be read ({type(error).__name__}): {_NEXT}") from None
    return content


def rows(parts: Sequence[bytes]) -> pl.DataFrame:
    """The rows of all files, every field as text, an empty one null; a header alone gives no rows.

    Raises:
        UnicodeDecodeError: a file is not CP949.
        polars.exceptions.ComputeError: a row has more fields than the header.
    """
    found = [pl.read_csv(io.BytesIO(part.decode(ENCODING).encode()), infer_schema=False) for part in parts]
    return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()
