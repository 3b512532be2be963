"""Define a feed: data plus two functions, without inheritance."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal

import polars as pl

from pipelines.config.errors import BongsuError
from pipelines.config.profile import FeedSource, Profile
from pipelines.feeds.masking import masked
from pipelines.schema.delivery import Delivery


class FeedError(BongsuError):
    """Report that a feed cannot be read: what happened, where, and what to do next."""


class TooLarge(FeedError):
    """Report a window of ``total`` rows, more than one delivery may hold. Request a shorter window."""

    def __init__(self, message: str, total: int) -> None:
        super().__init__(message)
        self.total = total


@dataclass(frozen=True, slots=True)
class Request:
    """Describe one request to a source: every change in the window that the source knows at ``window_end``.

    With ``first_page`` the answer is one delivery of one page, to look at a source: where it has none, its newest file,
    month or window.
    """

    url: str
    secret: str | None
    source: FeedSource
    profile: Profile
    window_start: datetime | None
    window_end: datetime
    first_page: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """Describe an agency's source.

    ``columns`` is the declared schema of ``raw.<name>``, under the source's own names; ``aliases`` maps newer source
    names to them. A *keyed* feed has ``key`` and ``updated_at`` (the source's update time or sequence number); a
    *snapshot* has neither. ``fetch`` only does I/O. ``parse`` is pure: parsing any consecutive slice of a delivery's
    parts returns the rows of those parts. Before parsing, every part is checked against ``content_type`` and
    ``encoding`` (a binary one only by its parser), and the whole delivery by ``inspect`` (source, window start, window
    end) if the feed has it. ``coordinate_columns`` names the columns of the coordinates, x or longitude first.
    ``timestamp_columns`` names the columns of update and report times, text that begins with the date; dates after the
    delivery are rejected. Feeds of one kind share a ``template``, the name of their staging file and suite.
    """

    name: str
    agency: str
    load_type: Literal["keyed", "snapshot"]
    columns: Mapping[str, pl.DataType | type[pl.DataType]]
    fetch: Callable[[Request], Iterator[Delivery]]
    parse: Callable[[Sequence[bytes]], pl.DataFrame]
    key: tuple[str, ...] = ()
    updated_at: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    is_reference: bool = False
    content_type: Literal["json", "csv", "xml", "binary"] = "json"
    encoding: str = "utf-8"
    inspect: Callable[[Sequence[bytes], FeedSource, datetime | None, datetime], None] | None = None
    coordinate_columns: tuple[str, str] | None = None
    timestamp_columns: tuple[str, ...] = ()
    template: str | None = None
    staged_like: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fetch", partial(_discreet, self.fetch))

    @property
    def suite(self) -> str:
        """Return the name of the feed's suite in ``expectations/``."""
        return self.template or self.name


def _discreet(fetch: Callable[[Request], Iterator[Delivery]], request: Request) -> Iterator[Delivery]:
    """Run a feed's fetch and mask the request's key in its errors: a source may repeat the key in its answer."""
    try:
        yield from fetch(request)
    except FeedError as error:
        if (message := masked(str(error), request.secret)) == str(error):
            raise
        error.args = (message,)
        # The original exception may contain the key as well, so it is not chained.
        raise error from None


def conform(feed: Feed, frame: pl.DataFrame) -> pl.DataFrame:
    """Check a parsed frame against the feed's declared columns.

    Returns the declared columns in declared order and type, plus ``_extra`` (JSON of undeclared columns, or null).

    Raises:
        FeedError: A declared column is missing or cannot be cast to its type; the message names the difference.
    """
    renamed = frame.rename(
        {old: new for old, new in feed.aliases.items() if old in frame.columns and new not in frame.columns}
    )
    missing = [name for name in feed.columns if name not in renamed.columns]
    extra = [name for name in renamed.columns if name not in feed.columns]
    if missing and renamed.height:
        raise FeedError(
            f"{feed.name}: the delivery lacks the columns {missing}"
            + (f" and has the unknown columns {extra}" if extra else "")
            + "; if the source renamed them, add them to the feed's aliases"
        )
    if not renamed.height:
        return pl.DataFrame(schema={**feed.columns, "_extra": pl.String})
    try:
        declared = renamed.select(pl.col(name).cast(dtype, strict=True) for name, dtype in feed.columns.items())
    except pl.exceptions.PolarsError as error:
        raise FeedError(f"{feed.name}: a column changed its type: {error}") from error
    if not extra:
        return declared.with_columns(_extra=pl.lit(None, pl.String))
    kept = renamed.select(_extra=pl.struct(extra).struct.json_encode())
    return pl.concat([declared, kept], how="horizontal")
