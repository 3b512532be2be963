"""The commands: each passes its options to its step, prints what was done, and fails when something is wrong."""

import io
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from pipelines.cli import main as cli
from pipelines.config.errors import BongsuError, StepError
from pipelines.config.settings import Settings
from pipelines.forecast.risk import own_grid
from pipelines.monitoring.status import Status
from pipelines.release import manifest
from pipelines.steps.own_data import Source

AS_OF = datetime(2026, 3, 1, 20, 15, tzinfo=UTC)
FEEDS = ["police_112", "police_112_keys", "fire_119", "investigation_cases"]

Calls = list[tuple[Any, ...]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def bongsu(home: Path, *arguments: object, answer: str = "") -> Result:
    """Run a command on a home, as of 2026-03-02 in Korea."""
    words = [*map(str, arguments), "--home", str(home), "--as-of", "2026-03-02"]
    return CliRunner().invoke(cli.app, words, input=answer)


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Calls]:
    """Replace a step; returns the list of the arguments that it is called with."""

    def replace(path: str, returns: object = None) -> Calls:
        calls: Calls = []

        def called(*arguments: Any) -> object:
            calls.append(arguments)
            for argument in arguments:
                if callable(argument):
                    argument("under way")
            return returns

        monkeypatch.setattr(f"pipelines.steps.{path}", called)
        return calls

    return replace


def state(problems: list[str]) -> Status:
    feeds = pl.DataFrame({"feed": ["police_112"], "state": ["fresh"]})
    return Status(AS_OF, "none yet", feeds, None, problems, ["keep it on an encrypted disk"])


@pytest.mark.parametrize(
    "name", ["build", "score", "patterns", "forecast", "dispatch", "publish", "check", "rebuild", "drill"]
)
def test_a_command_runs_its_step_on_the_home_at_the_as_of_given(
    home: Path, step: Callable[..., Calls], name: str
) -> None:
    module = {"drill": "copies"}.get(name, name)
    calls = step(f"{module}.{name}", {"drill": 31, "rebuild": {"core.incidents": "a"}}.get(name))
    done = bongsu(home, name)
    assert done.exit_code == 0, done.output
    ((settings, *_),) = calls
    assert (settings.home, settings.as_of, settings.profile.name) == (home, AS_OF, "korea")
    assert {"drill": "31 tables restored and equal", "rebuild": "1 tables rebuilt"}.get(name, "") in done.output


@pytest.mark.parametrize("name", ["fetch", "load"])
def test_a_feed_that_fails_stops_no_other_and_fails_the_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tried = []

    def each(_settings: Settings, feed: str, _progress: object) -> None:
        tried.append(feed)
        if feed == "fire_119":
            raise BongsuError("no answer")

    monkeypatch.setattr(f"pipelines.steps.{name}.{name}", each)
    done = bongsu(home, name)
    assert tried == FEEDS
    assert isinstance(done.exception, StepError) and str(done.exception) == f"{name} fire_119: no answer"


def test_load_prints_the_state_of_the_feeds(home: Path, step: Callable[..., Calls]) -> None:
    step("load.load")
    done = bongsu(home, "load")
    assert done.exit_code == 0
    assert f"Home {home} · profile korea · judged at 2026-03-02 05:15" in done.output
    assert all(feed in done.output for feed in FEEDS)


def test_a_run_that_fails_prints_its_status_all_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_settings: Settings, show: Callable[[str], None]) -> None:
        show("build")
        raise StepError("the run failed: build")

    monkeypatch.setattr("pipelines.steps.run.run", fail)
    done = bongsu(home, "run")
    assert isinstance(done.exception, StepError)
    assert "Current release: none yet; run `bongsu run`" in done.output


@pytest.mark.parametrize("problems", [[], ["fire_119 is stale [3 days]"]])
def test_status_exits_with_1_only_where_there_is_a_problem(
    home: Path, step: Callable[..., Calls], problems: list[str]
) -> None:
    calls = step("status.status", state(problems))
    done = bongsu(home, "status")
    ((settings, judged_at_as_of),) = calls
    assert (settings.home, judged_at_as_of) == (home, True)
    assert done.exit_code == len(problems)
    assert all(f"✗ {problem}" in done.output for problem in problems)
    assert ("✓ all feeds fresh" in done.output) == (not problems)
    assert "· keep it on an encrypted disk" in done.output
    assert not home.exists(), "a command that only reads makes no home"


def test_backfill_passes_whole_days_and_prints_the_row_accounting(home: Path, step: Callable[..., Calls]) -> None:
    calls = step("backfill.backfill", {"received": 12_000, "loaded": 3})
    done = bongsu(home, "backfill", "--feed", "fire_119", "--from", "2026-02-01", "--to", "2026-02-05")
    assert calls[0][1:4] == ("fire_119", date(2026, 2, 1), date(2026, 2, 5))
    assert "fire_119: 12,000 received, 3 loaded" in done.output


@pytest.mark.parametrize(
    ("watched", "line"),
    [
        (["police_112", "fire_119"], "as usual: police_112, fire_119"),
        ([], "no feed of profile korea is watched: set `watched = true` in the profile"),
    ],
)
def test_watch_names_the_feeds_that_deliver_as_usual_or_says_how_to_watch_one(
    home: Path, step: Callable[..., Calls], watched: list[str], line: str
) -> None:
    calls = step("watch.watch", watched)
    done = CliRunner().invoke(cli.app, ["watch", "--home", str(home)])
    ((settings, _),) = calls
    assert abs((datetime.now(UTC) - settings.as_of).total_seconds()) < 60
    assert line in done.output


def test_verify_counts_what_is_intact(home: Path) -> None:
    done = CliRunner().invoke(cli.app, ["verify", "--home", str(home)])
    assert done.exit_code == 0, done.exception
    assert "intact: " in done.output and "0 batches" in done.output and "0 files of releases" in done.output


def test_replicate_and_restore_say_where_the_copy_is_and_what_to_do_next(
    home: Path, tmp_path: Path, step: Callable[..., Calls]
) -> None:
    replicated, restored = step("copies.replicate", 7), step("copies.restore")
    done = CliRunner().invoke(cli.app, ["replicate", "--to", "s3://copies/a", "--home", str(home)])
    assert "7 files copied to s3://copies/a" in done.output and replicated[0][1] == "s3://copies/a"
    key = tmp_path / "master.key"
    words = ["restore", "--from", "s3://copies/a", "--master-key", str(key), "--home", str(home)]
    done = CliRunner().invoke(cli.app, words)
    assert "run `bongsu run` to publish" in done.output and restored == [(home, "s3://copies/a", key)]


@pytest.mark.parametrize(("answer", "is_destroyed"), [("n\n", False), ("", False), ("y\n", True)])
def test_destroy_does_nothing_unless_the_question_is_answered_with_yes(
    home: Path, step: Callable[..., Calls], answer: str, is_destroyed: bool
) -> None:
    calls = step("destroy.destroy", 3)
    done = bongsu(home, "destroy", "--feed", "fire_119", "--before", "2026-01-01", answer=answer)
    assert "Destroy every batch of fire_119 that ended before 2026-01-01? This cannot be undone" in done.output
    assert [call[1:3] for call in calls] == ([("fire_119", date(2026, 1, 1))] if is_destroyed else [])
    assert ("3 batches of fire_119 destroyed" in done.output) == is_destroyed == (done.exit_code == 0)


def test_destroy_with_yes_asks_nothing(home: Path, step: Callable[..., Calls]) -> None:
    calls = step("destroy.destroy", 3)
    done = bongsu(home, "destroy", "--feed", "fire_119", "--before", "2026-01-01", "--yes")
    assert len(calls) == 1 and "undone" not in done.output


def test_expire_says_that_nothing_is_older_than_its_retention(home: Path) -> None:
    assert "nothing is older than its feed's retention" in bongsu(home, "expire", "--yes").output


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    frame = pl.DataFrame({"service": ["ems", None], "calls": [3, 4], "share": [0.123456, 2.0]})
    monkeypatch.setattr("pipelines.release.reader.query", lambda _settings, _sql, _audience: frame)
    return frame


def queried(home: Path, *options: str) -> Result:
    return CliRunner().invoke(cli.app, ["query", "from t", "--home", str(home), *options])


def test_query_prints_the_same_rows_in_every_format(home: Path, answered: pl.DataFrame) -> None:
    assert pl.read_csv(queried(home, "--format", "csv").stdout.encode()).equals(answered)
    assert orjson.loads(queried(home, "--format", "json").stdout) == answered.to_dicts()
    assert pl.read_parquet(io.BytesIO(queried(home, "--format", "parquet").stdout_bytes)).equals(answered)
    table = [line.split() for line in queried(home).stdout.splitlines() if line.strip()]
    assert table[0] == ["service", "calls", "share"]
    assert table[2:] == [["ems", "3", "0.1235"], ["4", "2"]]


def test_a_table_shows_brackets_as_they_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"x[y]": ["[red]x[/red]", "[/]"]})
    monkeypatch.setattr("pipelines.release.reader.query", lambda _settings, _sql, _audience: frame)
    done = queried(home)
    assert done.exit_code == 0 and all(text in done.output for text in ("x[y]", "[red]x[/red]", "[/]"))


@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.parquet", "rows.xlsx", "ROWS.CSV"])
def test_query_writes_a_file_in_the_format_of_its_name(
    home: Path, answered: pl.DataFrame, tmp_path: Path, name: str
) -> None:
    done = queried(home, "--out", str(tmp_path / name))
    assert done.exit_code == 0 and (tmp_path / name).stat().st_size > 20
    if name == "rows.parquet":
        assert pl.read_parquet(tmp_path / name).equals(answered)


def test_a_path_with_brackets_is_printed_as_it_is(home: Path, answered: pl.DataFrame, tmp_path: Path) -> None:
    assert "[b]rows.csv" in queried(home, "--out", str(tmp_path / "[b]rows.csv")).output


def test_query_writes_csv_that_excel_reads_as_utf_8(home: Path, answered: pl.DataFrame) -> None:
    assert queried(home, "--excel").stdout_bytes.startswith(b"\xef\xbb\xbfservice,calls")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--excel", "--format", "json"], "is for CSV only"),
        (["--out", "rows.txt"], "ends in .csv, .json, .parquet or"),
        (["--out", "nowhere/rows.csv"], "does not exist"),
        (["--out", "/", "--format", "csv"], "/ cannot be written: choose another place"),
    ],
)
def test_query_checks_its_output_before_it_reads(home: Path, options: list[str], message: str) -> None:
    done = queried(home, *options)
    assert done.exit_code == 2 and message in " ".join(done.output.replace("│", " ").split())


def test_query_before_the_first_release_says_how_to_make_one(home: Path) -> None:
    done = queried(home)
    assert isinstance(done.exception, BongsuError) and "bongsu run" in str(done.exception)


POINTS = ["--crs", "EPSG:26917", "--boundary", "area.geojson", "--cell", "250", "--area-km2", "1.5", "--start"]


def own_data(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def test_predict_demand_passes_the_series_and_names_the_file_written(step: Callable[..., Calls]) -> None:
    calls = step("own_data.predict_demand", {})
    done = own_data("predict", "demand", "--input", "s.csv", "--freq", "D", "--horizon", "7", "--out", "f.parquet")
    assert done.exit_code == 0, done.exception
    assert calls[0][:4] == (Source(Path("s.csv")), "D", 7, Path("f.parquet"))
    assert "written: f.parquet" in done.output


def test_series_left_out_are_named_and_give_an_exit_code_of_their_own(step: Callable[..., Calls]) -> None:
    step("own_data.predict_demand", {str(n): f"series {n}, row {n}: y -1 is negative" for n in range(12)})
    words = ["--freq", "D", "--horizon", "7", "--out", "f.parquet", "--fill-zeros", "--encoding", "cp949"]
    done = own_data("predict", "demand", "--input", "s.csv", *words)
    assert done.exit_code == 3
    assert "left out: series 0, row 0: y -1 is negative" in done.output and "left out: 2 more" in done.output


def test_backtest_demand_prints_a_screen_of_scores(step: Callable[..., Calls]) -> None:
    from pipelines.cli.own_data import SHOWN

    scores = pl.DataFrame({name: ["table"] if name == "model" else [0.25] for name in [*SHOWN, "crps"]})
    calls = step("own_data.backtest_demand", (scores, {}))
    words = ["--input", "s.csv", "--freq", "h", "--horizon", "24", "--origins", "4", "--step", "12", "--out", "scores"]
    done = own_data("backtest", "demand", *words)
    assert done.exit_code == 0, done.exception
    assert calls[0][:6] == (Source(Path("s.csv")), "h", 24, 4, 12, Path("scores"))
    assert all(name in done.stdout for name in SHOWN) and "crps" not in done.stdout


def test_backtest_demand_with_a_hierarchy_shows_which_scores_are_of_parents(step: Callable[..., Calls]) -> None:
    from pipelines.cli.own_data import SHOWN

    shown = ["is_parent", *SHOWN]
    calls = step("own_data.backtest_demand", (pl.DataFrame({name: [0.25] for name in shown}), {}))
    words = ["--input", "s.csv", "--freq", "h", "--horizon", "24", "--origins", "4", "--step", "12", "--out", "scores"]
    done = own_data("backtest", "demand", *words, "--hierarchy", "h.csv", "--covariates", "c.csv", "--season", "192")
    source = Source(Path("s.csv"), hierarchy=Path("h.csv"), covariates=Path("c.csv"), season=192)
    assert calls[0][0] == source, done.exception
    assert "is_parent" in done.stdout


@pytest.fixture
def task_of(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """Replace the two steps on points; returns their arguments by name, after a report of progress."""
    given: dict[str, tuple[Any, ...]] = {}

    def predicted(*arguments: Any) -> None:
        given["predict"] = arguments
        arguments[-2]("1 of 4 windows")

    def backtested(*arguments: Any) -> pl.DataFrame:
        given["backtest"] = arguments
        arguments[-2]("1 of 4 windows")
        arguments[-1]("2 points are outside")
        return pl.DataFrame({"model": ["stack"], "pai": [12.0]})

    monkeypatch.setattr("pipelines.steps.own_data.predict_risk", predicted)
    monkeypatch.setattr("pipelines.steps.own_data.backtest_risk", backtested)
    return given


def test_predict_risk_passes_the_area_and_the_window(task_of: dict[str, tuple[Any, ...]]) -> None:
    done = own_data(
        "predict", "risk", "--input", "p.csv", *POINTS, "2026-01-05", "--days", "7", "--out", "risk.geojson"
    )
    assert done.exit_code == 0, done.exception
    source, task, start, days, target = task_of["predict"][:5]
    assert (source, start, days, target) == (Source(Path("p.csv")), date(2026, 1, 5), 7, Path("risk.geojson"))
    assert (task.crs, task.boundary, task.cell_metres, task.area_km2, task.placement) == (
        "EPSG:26917",
        Path("area.geojson"),
        250,
        1.5,
        None,
    )
    assert "written: risk.geojson" in done.output


AREA = ("--crs", "EPSG:26917", "--boundary", "area.geojson", "--cell", "100", "--start", "2026-01-05", "--days", "7")


def test_streets_and_their_length_are_passed(task_of: dict[str, tuple[Any, ...]]) -> None:
    words = ("--streets", "streets.gpkg", "--length-km", "3", "--out", "risk.geojson")
    done = own_data("predict", "risk", "--input", "p.csv", *AREA, *words)
    assert done.exit_code == 0, done.exception
    scored = own_data("backtest", "risk", "--input", "p.csv", *AREA, *words, "--origins", "6", "--step", "28")
    assert scored.exit_code == 0, scored.exception
    for task in (task_of["predict"][1], task_of["backtest"][1]):
        assert (task.streets, task.longest_metres, task.length_km) == (Path("streets.gpkg"), 100, 3)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--area-km2", "1", "--length-km", "3"),
        ("--streets", "streets.gpkg"),
        ("--streets", "streets.gpkg", "--area-km2", "1"),
        ("--streets", "streets.gpkg", "--length-km", "3", "--placement", "free"),
    ],
)
def test_predict_risk_needs_an_area_or_streets_with_a_length(words: tuple[str, ...]) -> None:
    done = own_data("predict", "risk", "--input", "p.csv", *AREA, *words, "--out", "risk.geojson")
    message = "give --area-km2 for cells, or --streets and --length-km without --placement"
    assert done.exit_code == 2 and message in " ".join(done.output.replace("│", " ").split())


def test_a_day_in_another_form_is_refused_with_how_to_write_it() -> None:
    done = own_data("predict", "risk", "--input", "p.csv", *POINTS, "2026.1.5", "--days", "7", "--out", "risk.geojson")
    message = "'2026.1.5' is not a date; write YYYY-MM-DD"
    assert done.exit_code == 2 and message in " ".join(done.output.replace("│", " ").split())


def test_backtest_risk_prints_its_scores_and_notes(task_of: dict[str, tuple[Any, ...]]) -> None:
    words = ["--days", "7", "--origins", "6", "--step", "28", "--out", "scores", "--placement", "free"]
    done = own_data("backtest", "risk", "--input", "p.csv", *POINTS, "2026-01-05", *words)
    assert done.exit_code == 0, done.exception
    assert task_of["backtest"][2:7] == (date(2026, 1, 5), 7, 6, 28, Path("scores"))
    assert task_of["backtest"][1].placement == own_grid.FREE
    assert "stack" in done.stdout and "12" in done.stdout
    assert "2 points are outside" in done.output


def test_simulate_writes_rows_of_the_provinces_named_and_says_they_are_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[tuple[Any, ...]] = []

    def written(profile: Any, *arguments: Any) -> int:
        chosen.append((profile.areas.provinces, profile.simulator.scale, *arguments[:3]))
        arguments[-1](0.5, 600)
        return 1200

    monkeypatch.setattr("pipelines.steps.simulate.simulate", written)
    words = ["--days", "2", "--scale", "0.01", "--province", "11", "--out", str(tmp_path), "--as-of", "2026-03-02"]
    done = own_data("simulate", *words)
    assert done.exit_code == 0, done.exception
    assert chosen == [(("11",), 0.01, "2026-03-02", 2, tmp_path)]
    printed = " ".join(done.output.split())
    assert "1,200 rows" in printed and "SIMULATED" in printed


def test_simulate_serves_until_interrupted(step: Callable[..., Calls]) -> None:
    calls = step("simulate.serve")
    done = own_data("simulate", "--serve")
    assert done.exit_code == 0, done.exception
    assert len(calls) == 1 and "under way" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--profile", "toronto"], "profile toronto has no simulator; korea has one"),
        (["--province", "99"], r"unknown provinces \['99'\]; known are 11 "),
    ],
)
def test_simulate_names_what_it_cannot_simulate(words: list[str], message: str) -> None:
    with pytest.raises(StepError, match=message):
        CliRunner().invoke(cli.app, ["simulate", *words], catch_exceptions=False)


def test_simulate_refuses_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "old.parquet").touch()
    with pytest.raises(StepError, match="is not empty, and records of two runs must not mix: choose another --out"):
        CliRunner().invoke(cli.app, ["simulate", "--out", str(tmp_path)], catch_exceptions=False)


def test_the_version_is_the_one_that_releases_name() -> None:
    done = CliRunner().invoke(cli.app, ["--version"])
    assert done.exit_code == 0
    assert done.output == f"bongsu {manifest.code_version()}\n"


def test_a_shell_completes_commands() -> None:
    words = {"_BONGSU_COMPLETE": "complete_bash", "COMP_WORDS": "bongsu ba", "COMP_CWORD": "1"}
    done = CliRunner().invoke(cli.app, env=words, prog_name="bongsu")
    assert done.output.split() == ["backfill", "backtest"]


def test_every_command_is_in_a_panel_of_its_subject() -> None:
    shown = CliRunner().invoke(cli.app, ["--help"]).output
    assert "Commands ─" not in shown
    assert shown.index("Without the pipeline") < shown.index("predict")


def test_help_waits_for_no_large_library() -> None:
    large = {"pydantic", "polars", "duckdb", "pandas"}
    code = f"import sys; from pipelines.cli import main; print(*{large} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == []
