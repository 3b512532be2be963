"""CSV files in CP949 that an agency drops in a folder, on SFTP or in S3: each is one URL (fsspec).

Pitfalls: a file may be incomplete, larger than memory, or in UTF-8 instead of the agreed CP949; nothing is guessed.
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
"""No regular file of a day or year reaches this size."""

_NEXT = "the agency has not dropped it, or the folder is not mounted; the next run reads it when it is there"


def opened(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Open the file system and folder that a URL names, without its cached listing.

    Errors of a file system are reported by their type only: SFTP and S3 have their own errors, and any message may
    contain the user and password of the URL.

    Raises:
        FeedError: The URL names a file system that is not installed, or the file system does not answer.
    """
    try:
        system, folder = fsspec.url_to_fs(url)
        system.invalidate_cache()
    except ImportError as error:
        # fsspec names the missing package.
        raise FeedError(f"{http.place(url)} cannot be opened ({error})") from None
    except Exception as error:
        raise FeedError(
            f"{http.place(url)} cannot be opened ({type(error).__name__}): check the feed's url, and the user and "
            "password in it"
        ) from None
    return system, str(folder).rstrip("/")


def listed(system: fsspec.AbstractFileSystem, folder: str, ending: str) -> list[str]:
    """Return the names of the files in a folder with this ending, in order.

    Raises:
        FeedError: The folder cannot be read, or has no such file.
    """
    try:
        names = sorted(path.rsplit("/", 1)[-1] for path in system.ls(folder, detail=False))
    except Exception as error:
        raise FeedError(f"{folder} cannot be listed ({type(error).__name__}): {_NEXT}") from None
    matches = [name for name in names if name.endswith(ending)]
    if not matches:
        raise FeedError(f"{folder} has no file that ends in {ending}: {_NEXT}")
    return matches


def read(system: fsspec.AbstractFileSystem, folder: str, name: str) -> bytes:
    """Read a file, byte for byte.

    Raises:
        FeedError: It cannot be read, or is larger than ``MAX_BYTES``.
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
    """Parse the rows of all files, every field as text, empty fields as null; a file with only a header has no rows.

    Raises:
        UnicodeDecodeError: A file is not CP949.
        polars.exceptions.ComputeError: A row has more fields than the header.
    """
    frames = [pl.read_csv(io.BytesIO(part.decode(ENCODING).encode()), infer_schema=False) for part in parts]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
