"""Landing to core at national volume: records a second by stage, peak memory, and a plain read of the same bytes.

Each part runs in a process of its own, so that its memory is its own:
`python -m tests.benchmarks.throughput land|load|plain FOLDER [ROWS]` prints what it measured as JSON.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from rich.console import Console
from rich.table import Table

from pipelines import feeds, simulator
from pipelines.config import profile
from pipelines.config.profile import Profile
from pipelines.config.settings import Settings
from pipelines.ingest import load as loading
from pipelines.ingest import merge
from pipelines.schema.delivery import Delivery
from pipelines.store import landing, warehouse
from pipelines.transform import build

MILLIONS = (1, 3, 10)
END = date(2026, 3, 1)
DAYS = 4
"""Days of one delivery: at national volume about as many rows as `max_rows` allows."""
PAGE = 5000
FRAMES = {
    "police_112": '{{"page":1,"pages":1,"total":{rows},"incidents":{records}}}',
    "fire_119": '{{"response":{{"header":{{"resultCode":"00","resultMsg":"NORMAL SERVICE"}},"body":'
    '{{"pageNo":1,"numOfRows":5000,"totalCount":{rows},"items":{{"item":{records}}}}}}}}}',
}
PLAIN = {"police_112": "incidents", "fire_119": "response.body.items.item"}


def nation() -> Profile:
    """The Korean profile for all provinces at full volume."""
    korea = profile.load("korea")
    assert korea.simulator is not None
    whole = korea.areas.model_copy(update={"provinces": (), "region": "대한민국", "region_id": "KR"})
    full = korea.simulator.model_copy(update={"scale": 1.0})
    return korea.model_copy(update={"areas": whole, "simulator": full})


def settings(folder: Path) -> Settings:
    """A home in the folder, the day after the last record."""
    return Settings(home=folder / "home", profile=nation(), as_of=datetime(2026, 6, 1, tzinfo=UTC))


def land(folder: Path, rows: int) -> dict[str, float]:
    """Land at least so many rows of calls, and store the same bytes for the plain reader."""
    requested, done, spent = settings(folder), 0, 0.0
    first = END
    while done < rows:
        first, last = first - timedelta(days=DAYS), first
        built = simulator.tables(requested.profile, first, last)
        for feed in FRAMES:
            pages = tuple(_pages(feed, built[feed]))
            _store_plain(folder / "plain" / feed, first, pages)
            # It includes later versions of its calls, so the delivery is requested after the last of them.
            start = datetime.combine(first, midnight(), requested.profile.zone).astimezone(UTC)
            begin = time.perf_counter()
            landing.put(requested, feed, Delivery(pages, start, requested.as_of))
            spent += time.perf_counter() - begin
            done += built[feed].height
    return {"rows": done, "land": spent}


def load(folder: Path) -> dict[str, float]:
    """Everything between landing and core, with the seconds of each stage."""
    import great_expectations  # noqa: F401  imported before the clock starts: a run pays for it once

    requested = settings(folder)
    measured: dict[str, float] = {}
    with warehouse.connect(requested) as con:
        begin, stage = time.perf_counter(), "load"
        for feed in FRAMES:
            loading.load_pending(con, requested, feeds.named(requested.profile, feed))

        def note(following: str) -> None:
            nonlocal begin, stage
            now = time.perf_counter()
            measured[stage] = now - begin
            begin, stage = now, following

        for feed in feeds.of(requested.profile):
            merge.prepare(con, feed)
        build.build(con, requested, note)
        measured.pop("marts", None)
        (measured["core rows"],) = con.execute("select count(*) from core.incidents").fetchall()[0]
    return measured


def plain(folder: Path) -> dict[str, float]:
    """The same bytes read by DuckDB only: no decryption, contract, suite, versions, accounting, areas or core."""
    begin = time.perf_counter()
    with duckdb.connect(str(folder / "plain.duckdb"), config={"threads": 2, "memory_limit": "2GB"}) as con:
        for feed, path in PLAIN.items():
            con.execute(
                f"create table {feed} as select unnest(record) from (select unnest({path}) as record "
                "from read_json(?, maximum_object_size = 100000000))",
                [f"{folder}/plain/{feed}/*.json"],
            )
    return {"plain": time.perf_counter() - begin}


def table(console: Console) -> None:
    """Measure every size and print one column each."""
    columns = []
    for millions in MILLIONS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            console.print(f"{millions} million records: making and landing them …")
            result = {
                **_child("land", folder, millions * 1_000_000),
                **_child("load", folder),
                **_child("plain", folder),
            }
            columns.append(result)
    printed = Table("landing to core, 2 cores", *(f"{m} million" for m in MILLIONS))
    stages = [name for name in columns[0] if name not in {"rows", "land", "plain", "core rows"} and "GiB" not in name]
    ours = [sum(result[name] for name in stages) for result in columns]
    for name in stages:
        printed.add_row(f"{name}, records/s", *(f"{c['rows'] / c[name]:,.0f}" for c in columns))
    printed.add_section()
    printed.add_row("overall, records/s", *(f"{c['rows'] / s:,.0f}" for c, s in zip(columns, ours, strict=True)))
    printed.add_row("overall, seconds", *(f"{s:.1f}" for s in ours))
    printed.add_row("plain read_json, records/s", *(f"{c['rows'] / c['plain']:,.0f}" for c in columns))
    printed.add_row("ours / plain, seconds", *(f"{s / c['plain']:.2f}" for c, s in zip(columns, ours, strict=True)))
    printed.add_row("peak memory of ours, GiB", *(f"{c['load GiB']:.2f}" for c in columns))
    printed.add_row("(landing itself, records/s)", *(f"{c['rows'] / c['land']:,.0f}" for c in columns))
    console.print(printed)


def _child(part: str, folder: Path, *arguments: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.throughput", part, str(folder), *map(str, arguments)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


def _pages(feed: str, records: pl.DataFrame) -> Iterator[bytes]:
    for start in range(0, records.height, PAGE):
        page = records.slice(start, PAGE)
        yield FRAMES[feed].format(rows=records.height, records=page.write_json()).encode()


def _store_plain(folder: Path, first: date, pages: tuple[bytes, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, page in enumerate(pages):
        (folder / f"{first:%Y%m%d}-{number:05}.json").write_bytes(page)


def main() -> None:
    """One part, for `table`."""
    part, name, *rows = sys.argv[1:]
    folder = Path(name)
    measured = land(folder, int(rows[0])) if part == "land" else load(folder) if part == "load" else plain(folder)
    measured[f"{part} GiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
