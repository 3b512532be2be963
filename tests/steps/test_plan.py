"""Dispatch plans on files: what is read, written and noted."""

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines.cli import main as cli
from pipelines.dispatch.posts import PlanError
from pipelines.steps import own_files, plan
from pipelines.steps.own_files import OwnDataError

MATRIX = "zone,a,b,c\na,0,4,9\nb,5,0,9\nc,9,9,0\n"
DEMAND = "zone,weight\na,5\nb,3\nc,2\n"


def files(folder: Path, travel: str = MATRIX, demand: str = DEMAND, posts: str = "zone\na\nb\nc\n") -> plan.PostFiles:
    for name, text in (("travel", travel), ("demand", demand), ("posts", posts)):
        (folder / f"{name}.csv").write_text(text, "utf-8")
    return plan.PostFiles(*(folder / f"{name}.csv" for name in ("travel", "demand", "posts")))


@pytest.mark.parametrize("name", ["units.csv", "new/units.PARQUET"])
def test_units_are_written_by_zone(tmp_path: Path, name: str) -> None:
    notes, target = list[str](), tmp_path / name
    result = plan.posts(files(tmp_path), 2, 0.5, 4, target, note=notes.append)
    read = pl.read_csv(target) if target.suffix == ".csv" else pl.read_parquet(target)
    assert read.rows() == result.placed.rows() == [("b", 2)]
    assert notes == [
        "travel.csv is not the same in both directions: its rows are read as zones; as posts (--matrix-rows posts) "
        "these units have the objective 0.22500"
    ]


def test_another_number_of_units_today_is_noted(tmp_path: Path) -> None:
    notes, given = list[str](), files(tmp_path, posts="zone,units\na,1\nb,\nc,1\n")
    for units in (1, 2):
        plan.posts(given, units, 0.5, 9, tmp_path / "u.csv", note=notes.append)
    assert notes == ["posts.csv has 2 units today, and the plan 1: they are not like for like"]


def test_pairs_and_a_matrix_without_names_are_read(tmp_path: Path) -> None:
    pairs = files(tmp_path, "From;To;Minutes\na;a;0\na;b;4\nb;b;0\nc;c;0\n")
    assert plan.posts(pairs, 1, 0.0, 4, tmp_path / "u.csv").placed.rows() == [("a", 1)]
    bare = files(tmp_path, "0,4\n4,0\n", "zone,weight\n0,1\n1,2\n", "zone\n1\n")
    assert plan.posts(bare, 1, 0.0, 3, tmp_path / "u.csv").objective == pytest.approx(2 / 3)


def test_a_matrix_in_parquet_has_its_zones_in_the_header(tmp_path: Path) -> None:
    given = files(tmp_path)
    pl.DataFrame({"zone": ["a", "b"], "a": [0.0, 5.0], "b": [4.0, None]}).write_parquet(tmp_path / "travel.parquet")
    travel = plan.read_travel(tmp_path / "travel.parquet", None, [])
    assert travel.zones == ("a", "b") and travel.minutes[0].tolist() == [0, 4] and given.travel.exists()


def test_a_file_is_never_written_over_an_input_or_in_another_format(tmp_path: Path) -> None:
    given = files(tmp_path)
    with pytest.raises(OwnDataError, match="is a file that is read"):
        plan.posts(given, 1, 0.5, 4, given.demand)
    with pytest.raises(OwnDataError, match=r"ends in \.csv or \.parquet"):
        plan.posts(given, 1, 0.5, 4, tmp_path / "units.xlsx")


def test_cells_are_whole_rows_and_a_last_separator_adds_none(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("0,7,\n9,0,\n\n", "utf-8")
    assert own_files.cells(path) == [["0", "7"], ["9", "0"]]
    path.write_text("0,7\n9\n", "utf-8")
    with pytest.raises(OwnDataError, match=r"m\.csv, row 1: it has 1 fields, but the header has 2"):
        own_files.cells(path)
    path.write_text("", "utf-8")
    with pytest.raises(OwnDataError, match="it is empty"):
        own_files.cells(path)


def bongsu(given: plan.PostFiles, *words: str) -> tuple[int, str, BaseException | None]:
    options = ["--travel", given.travel, "--demand", given.demand, "--posts", given.posts, "--within", "4"]
    done = CliRunner().invoke(cli.app, ["plan", "posts", *map(str, options), *words])
    return done.exit_code, done.output, done.exception


def test_plan_posts_prints_what_is_reached(tmp_path: Path) -> None:
    target = str(tmp_path / "units.csv")
    given = files(tmp_path, posts="zone,units\na,1\nb,0\n")
    code, shown, _ = bongsu(given, "--units", "1", "--busy", "0.25", "--out", target)
    assert code == 0
    assert "objective: 0.60000 (share of the demand that an idle unit is expected to reach within 4 min)" in shown
    assert "coverage: 0.80000" in shown and "today's objective: 0.37500" in shown and f"written: {target}" in shown
    assert "note: travel.csv is not the same in both directions" in shown
    code, shown, _ = bongsu(given, "--count", "2", "--out", target)
    assert code == 0 and "objective: 0.80000 (share of the demand with a chosen site within 4 min)" in shown


def test_plan_posts_names_posts_that_must_not_be_empty_and_writes_a_compliance_table(tmp_path: Path) -> None:
    given, table = files(tmp_path, posts="zone\na\nb\nc\n"), tmp_path / "table.csv"
    words = ["--units", "2", "--busy", "0.1", "--matrix-rows", "posts", "--out", str(tmp_path / "units.csv")]
    code, shown, error = bongsu(given, *words, "--table", str(table))
    assert code == 0, error
    assert (
        "must not be left empty: a (without its 1 unit the objective falls by 0.72000, by 0.18000 if one comes from c)"
        in shown
    )
    assert "must not be left empty: c (without its 1 unit the objective falls by 0.18000)" in shown
    assert pl.read_csv(table).rows() == [(1, "a", 0.8, 0.8, 0.0), (2, "c", 1.0, 1.0, 0.0)]


@pytest.mark.parametrize(
    "words",
    [
        ["--units", "2"],
        ["--count", "2", "--table", "t.csv"],
        ["--count", "2", "--busy", "0.5"],
        [],
        ["--count", "1", "--units", "2"],
    ],
)
def test_plan_posts_places_units_or_chooses_sites(tmp_path: Path, words: list[str]) -> None:
    code, shown, _ = bongsu(files(tmp_path), *words, "--out", "units.csv")
    assert code == 2 and "--units" in shown


def test_a_row_that_cannot_be_used_is_an_expected_error(tmp_path: Path) -> None:
    given = files(tmp_path, demand="zone,weight\na,5\nq,3\n")
    _, _, error = bongsu(given, "--count", "2", "--out", str(tmp_path / "units.csv"))
    assert isinstance(error, PlanError) and "demand.csv, row 2: zone q is not in --travel" in str(error)


SQUARE = "zone,a,b\na,0,10\nb,10,0\n"


def simulation(folder: Path, days: int = 6) -> dict[str, str]:
    """Options of a simulation: on each day a call in b, and one in a while the first lasts."""
    called = [
        row for day in range(1, days + 1) for row in (f"2026-03-{day:02} 08:00,b,30", f"2026-03-{day:02} 08:05,a,30")
    ]
    texts = {
        "travel": SQUARE,
        "calls": "\n".join(["called_at,zone,on_scene_minutes", *called, ""]),
        "units": "unit_id,zone\n1,b\n2,a\n",
        "compare": "unit_id,zone\n1,b\n",
        "hospitals": "zone\na\n",
        "places": "zone,x,y\na,0,0\nb,1000,0\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    return {f"--{name}": str(folder / f"{name}.csv") for name in texts}


def simulated(options: dict[str, str], folder: Path) -> tuple[int, str, BaseException | None]:
    words = [word for pair in options.items() for word in pair]
    done = CliRunner().invoke(cli.app, ["plan", "simulate", *words, "--within", "5", "--out", str(folder)])
    return done.exit_code, done.output, done.exception


def test_plan_simulate_writes_calls_and_units_and_compares_over_days(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "results"
    code, shown, error = simulated(simulation(tmp_path), folder)
    assert code == 0, error
    calls = pl.read_parquet(folder / "calls.parquet")
    assert calls["unit_id"].to_list() == ["1", "2"] * 6 and calls["response_minutes"].sum() == 0
    other = pl.read_parquet(folder / "calls_compared.parquet")
    assert other["response_minutes"].to_list() == [0, 35] * 6 and other["is_missed"].to_list() == [False, True] * 6
    assert pl.read_parquet(folder / "units.parquet")["calls"].to_list() == [6, 6]
    assert pl.read_parquet(folder / "summary.parquet")["missed_share"].to_list() == [0, 0.5]
    assert "missed, first less second: -50.00 points (95 % interval -50.00 to -50.00)" in shown
    assert "mean response, first less second: -17.50 minutes" in shown and "compare.csv" in shown


def test_without_several_days_a_difference_has_no_interval(tmp_path: Path) -> None:
    code, shown, error = simulated(simulation(tmp_path, days=1), tmp_path / "results")
    assert code == 0, error
    assert "note: no interval is stated: the calls are of fewer than 5 days" in shown
    assert "missed, first less second: -50.00 points\n" in shown


def test_plan_simulate_needs_neither_hospitals_nor_places(tmp_path: Path) -> None:
    options = {name: path for name, path in simulation(tmp_path).items() if name in ("--travel", "--calls", "--units")}
    code, shown, _ = simulated(options, tmp_path / "results")
    assert code == 0 and "first less second" not in shown
    assert not (tmp_path / "results" / "calls_compared.parquet").exists()


def test_ways_in_seconds_and_calls_without_a_time_of_day_are_noted(tmp_path: Path) -> None:
    options = simulation(tmp_path)
    (tmp_path / "travel.csv").write_text("from,to,minutes\na,a,0\na,b,600\nb,a,540\nb,b,0\n", "utf-8")
    (tmp_path / "calls.csv").write_text("called_at,zone,on_scene_minutes\n2026-03-01,a,9\n2026-03-02,b,9\n", "utf-8")
    code, shown, error = simulated(options, tmp_path / "results")
    assert code == 0, error
    assert "travel.csv: half of the ways take over 570 minutes; check that they are not in seconds" in shown
    assert "calls.csv: every call is at 00:00, so all of a day meet; give called_at with its time of day" in shown


def test_plan_simulate_relocates_the_first_units(tmp_path: Path) -> None:
    options = simulation(tmp_path)
    (tmp_path / "demand.csv").write_text("zone,weight\na,1\nb,5\n", "utf-8")
    both = options | {"--compare": options["--units"], "--relocate": str(tmp_path / "demand.csv"), "--busy": "0.3"}
    code, shown, error = simulated(both, tmp_path / "results")
    assert code == 0, error
    assert "units.csv, relocated" in shown
    moved, still = (pl.read_parquet(tmp_path / "results" / f"calls{name}.parquet") for name in ("", "_compared"))
    assert still["response_minutes"].sum() == 0 and moved["response_minutes"].sum() > 0, "both wait in b"
    code, shown, _ = simulated(options | {"--busy": "0.3"}, tmp_path / "results")
    assert code == 2 and "belong together" in shown


def test_results_are_never_written_over_an_input(tmp_path: Path) -> None:
    options = simulation(tmp_path)
    folder = tmp_path / "results"
    folder.mkdir()
    pl.read_csv(options["--calls"]).write_parquet(folder / "calls.parquet")
    _, _, error = simulated(options | {"--calls": str(folder / "calls.parquet")}, folder)
    assert isinstance(error, OwnDataError) and "calls.parquet is a file that is read" in str(error)


def test_plan_simulate_refuses_a_row_and_a_place_to_write(tmp_path: Path) -> None:
    options = simulation(tmp_path)
    (tmp_path / "units.csv").write_text("unit_id,zone\n1,q\n", "utf-8")
    _, _, error = simulated(options, tmp_path / "results")
    assert isinstance(error, PlanError) and "units.csv, row 1: zone q is not in --travel" in str(error)
    _, _, error = simulated(options, tmp_path / "units.csv")
    assert isinstance(error, OwnDataError) and "is a file, so no folder" in str(error)
