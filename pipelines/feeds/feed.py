"""What a feed is: data plus two functions, no inheritance."""

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
    """A feed cannot be read: what happened, where, and what to do next."""


class TooLarge(FeedError):
    """A window holds more rows than one delivery may: ``total`` of them. Ask for a shorter one."""

    def __init__(self, message: str, total: int) -> None:
        super().__init__(message)
        self.total = total


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask a source for: everything of the window that the source knows at ``window_end``."""

    url: str
    secret: str | None
    source: FeedSource
    profile: Profile
    window_start: datetime | None
    window_end: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """An agency's source.

    ``columns`` is the declared schema of ``raw.<name>`` under the source's own names; ``aliases`` maps newer names
    of a source onto those. A *keyed* feed has ``key`` and ``updated_at`` (the source's update instant or sequence);
    a *snapshot* has neither. ``fetch`` does I/O and nothing else; ``parse`` is pure, and parsing any consecutive slice
    of a delivery's parts gives those parts' rows. Before it, every part is held against ``media`` and ``encoding``,
    and the whole delivery against ``inspect`` (source, window start, window end), where a feed has one. ``place``
    names the columns of the coordinates, x or longitude first; ``told_at`` those of update and report instants, as text
    that begins with the day: none may lie ahead of the delivery. Feeds of one kind share a ``template``: the name of
    their staging file and suite, which are otherwise the feed's own.
    """

    name: str
    agency: str
    kind: Literal["keyed", "snapshot"]
    columns: Mapping[str, pl.DataType | type[pl.DataType]]
    fetch: Callable[[Request], Iterator[Delivery]]
    parse: Callable[[Sequence[bytes]], pl.DataFrame]
    key: tuple[str, ...] = ()
    updated_at: str | None = None
    withdrawn: str | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    is_reference: bool = False
    media: Literal["json", "csv", "xml"] = "json"
    encoding: str = "utf-8"
    inspect: Callable[[Sequence[bytes], FeedSource, datetime | None, datetime], None] | None = None
    place: tuple[str, str] | None = None
    told_at: tuple[str, ...] = ()
    template: str | None = None
    staged_like: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fetch", partial(_discreet, self.fetch))

    @property
    def suite(self) -> str:
        """The name of its suite in ``expectations/``."""
        return self.template or self.name


def _discreet(fetch: Callable[[Request], Iterator[Delivery]], request: Request) -> Iterator[Delivery]:
    """A feed's fetch whose refusals never show the request's key: a source may repeat it in its answer."""
    try:
        yield from fetch(request)
    except FeedError as error:
        if (message := masked(str(error), request.secret)) == str(error):
            raise
        error.args = (message,)
        # What it came from may show the key as well.
        raise error from None


def conform(feed: Feed, frame: pl.DataFrame) -> pl.DataFrame:
    """Hold a parsed frame against the feed's declared columns.

    Returns the declared columns in their order and types, plus ``_extra`` (JSON of undeclared columns, or null).

    Raises:
        FeedError: a declared column is missing or cannot be read as its type; the message gives the difference.
    """
    renamed = frame.rename(
        {old: new for old, new in feed.aliases.items() if old in frame.columns and new not in frame.columns}
    )
    missing = [name for name in feed.columns if name not in renamed.columns]
    extra = [name for name in renamed.columns if name not in feed.columns]
    if missing and renamed.height:
        raise FeedError(
            f"{feed.name}: the delivery lacks the columns {missing}"
            + (f" and brings the unknown columns {extra}" if extra else "")
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
