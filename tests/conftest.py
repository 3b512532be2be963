"""Shared fixtures: a toy place with two toy feeds, and no network except loopback."""

import ipaddress
import json
import os
import socket
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import orjson
import polars as pl
import pytest

from pipelines.config import paths
from pipelines.config import profile as profiles
from pipelines.config.settings import Settings
from pipelines.feeds.feed import Feed
from pipelines.schema.delivery import Delivery
from tests.faults.report import pytest_terminal_summary as pytest_terminal_summary

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
# A busy machine is not a failure, and the same commit gives the same result; locally every run tries other examples.
hypothesis.settings.register_profile("bongsu", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("bongsu")

AS_OF = datetime(2026, 3, 2, 20, 15, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the files with most slow tests first: a long one started last leaves the other processes idle."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only loopback and files are allowed: any other address fails the test."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                raise AssertionError(f"a test tried to reach {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


def toy_parse(parts: Sequence[bytes]) -> pl.DataFrame:
    """Rows as JSON arrays."""
    rows = [row for part in parts for row in orjson.loads(part)]
    return pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame()


def delivery(rows: list[dict[str, object]], start: datetime | None = None, end: datetime = AS_OF) -> Delivery:
    """One delivery of JSON rows."""
    return Delivery((orjson.dumps(rows),), start, end)


def unexpected_modes(home: Path) -> dict[str, str]:
    """The paths in a home whose mode differs from the documented one, with that mode."""

    def promised(path: Path) -> int:
        parts = path.relative_to(home).parts
        if parts in ((), ("published",), ("published", "releases")):
            return 0o711
        if parts[:2] == ("published", "releases"):
            return 0o750 if path.is_dir() else 0o640
        return 0o700 if path.is_dir() else 0o600

    paths = [path for path in (home, *home.rglob("*")) if not path.is_symlink()]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
    return {str(path): oct(mode) for path, mode in modes.items() if mode != promised(path)}


KEYED = Feed(
    name="calls",
    agency="police",
    load_type="keyed",
    columns={"id": pl.String, "category": pl.String, "updated": pl.Int64},
    key=("id",),
    updated_at="updated",
    fetch=lambda request: iter(()),
    parse=toy_parse,
    aliases={"kind": "category"},
)
SNAPSHOT = Feed(
    name="reports",
    agency="fire",
    load_type="snapshot",
    columns={"category": pl.String, "day": pl.String},
    fetch=lambda request: iter(()),
    parse=toy_parse,
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A separate home for two toy feeds with their suites."""
    suites = tmp_path / "expectations"
    suites.mkdir()
    for name, column in (("calls", "id"), ("reports", "category")):
        rule = {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": column},
            "severity": "critical",
            "meta": {"reason": f"a row without {column}"},
        }
        (suites / f"{name}.json").write_text(json.dumps({"name": name, "expectations": [rule]}))
    monkeypatch.setattr(paths, "EXPECTATIONS", suites)
    korea = profiles.load("korea")
    source = korea.feeds["police_112"]
    toy = korea.model_copy(update={"feeds": {"calls": source, "reports": source}})
    yield Settings(home=tmp_path / "home", profile=toy, as_of=AS_OF)
