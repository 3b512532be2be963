"""Settings of a run: one frozen model with every path, created once by the CLI or a DAG and passed down."""

import os
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pipelines.config import environment
from pipelines.config.environment import Environment
from pipelines.config.profile import Profile


class Settings(BaseModel):
    """The data directory, the profile, the ``as_of`` and the limits of a run.

    ``as_of`` is UTC. Models and analyses read no clock and no environment: everything they need is here. Only
    bookkeeping (ledger, run log) records the real time, and the two lookups below read URLs and keys from the
    environment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    profile: Profile
    as_of: datetime
    environment: Environment = Field(default_factory=environment.load)

    @property
    def landing(self) -> Path:
        """Encrypted deliveries, written once."""
        return self.home / "landing"

    @property
    def records(self) -> Path:
        """Data that cannot be rebuilt from landing, as Parquet, written once."""
        return self.home / "records"

    @property
    def ledger(self) -> Path:
        """The hash-chained ledger of batches, loads, records and destructions."""
        return self.home / "ledger.jsonl"

    @property
    def keys(self) -> Path:
        """The master key and one wrapped key per batch."""
        return self.home / "keys"

    @property
    def work(self) -> Path:
        """Scratch space: may be deleted at any time."""
        return self.home / "work"

    @property
    def warehouse(self) -> Path:
        """The working DuckDB file: a cache that `bongsu rebuild` recreates."""
        return self.work / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """Releases and the link to the current one."""
        return self.home / "published"

    @property
    def current(self) -> Path:
        """The link that every reader opens."""
        return self.published / "current"

    def feed_url(self, feed: str) -> str:
        """Return the feed's URL: ``BONGSU_URL_<FEED>`` if set (a replay server, a mirror), otherwise the profile's."""
        return environment.load().url.get(feed) or self.profile.feeds[feed].url

    def secret(self, feed: str) -> str | None:
        """Return the feed's key, from the environment variable that the profile names."""
        name = self.profile.feeds[feed].secret
        return os.environ.get(name) if name else None
