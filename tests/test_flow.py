"""The order of rooms: what may import what, and what may read what."""

import ast
import re
from pathlib import Path

import pytest

from pipelines.store import warehouse

ROOT = Path(__file__).parent.parent
ROOMS = (
    ("cli",),
    ("steps",),
    ("dispatch", "forecast", "patterns", "release", "monitoring", "continuity"),
    ("ingest", "transform"),
    ("simulator",),
    ("quality", "areas"),
    ("feeds",),
    ("store",),
    ("schema",),
    ("config",),
)
"""Rooms by level: a room imports only rooms of lower levels, which are further down here."""
SIDEWAYS = {("dispatch", "forecast"), ("forecast", "patterns"), ("dispatch", "patterns")}
ORDER = ("raw", "reference", "staging", "core", "marts", "patterns", "forecast", "dispatch", "views")


def dotted(path: Path) -> str:
    """The name of a module below `pipelines`; empty for the package itself."""
    parts = path.relative_to(ROOT / "pipelines").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, as dotted names below `pipelines`."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pipelines":
            base = ROOT.joinpath(*node.module.split("."))
            parent = node.module.removeprefix("pipelines").removeprefix(".")
            for name in (alias.name for alias in node.names):
                is_module = (base / f"{name}.py").is_file() or (base / name).is_dir()
                modules.add(f"{parent}.{name}".removeprefix(".") if is_module else parent)
        elif isinstance(node, ast.Import):
            modules |= {
                alias.name.removeprefix("pipelines.") for alias in node.names if alias.name.startswith("pipelines.")
            }
    return modules - {""}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / "pipelines" / folder).rglob("*.py"))


def room(module: str) -> str:
    return module.split(".")[0]


def test_a_room_imports_only_rooms_below_it() -> None:
    level = {name: number for number, names in enumerate(ROOMS) for name in names}
    pairs = {
        (module, imported)
        for path in modules(".")
        if (module := dotted(path))
        for imported in imports(path)
        if room(module) != room(imported) and (room(module), room(imported)) not in SIDEWAYS
    }
    assert {pair for pair in pairs if level[room(pair[0])] >= level[room(pair[1])]} == set()


def test_every_module_is_in_a_room() -> None:
    assert {path.name for path in (ROOT / "pipelines").glob("*.py")} == {"__init__.py"}
    rooms = {path.name for path in (ROOT / "pipelines").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= {name for names in ROOMS for name in names}


def test_every_error_that_states_what_to_do_is_an_expected_error() -> None:
    """An exception class of ours ends in one line of advice, not in a traceback; these two are for callers."""
    declared = {
        match[1]: match[2]
        for path in modules(".")
        for match in re.finditer(r"^class (\w+Error)\((.+)\):", path.read_text("utf-8"), re.M)
    }
    assert {name for name, bases in declared.items() if "BongsuError" not in bases} == {
        "BongsuError",
        "PathsError",
        "TreeError",
    }


def test_nothing_in_the_library_imports_airflow() -> None:
    named = [path for path in modules(".") if re.search(r"^\s*(from|import) airflow", path.read_text("utf-8"), re.M)]
    assert named == []


def test_only_quality_imports_great_expectations() -> None:
    named = [path.name for path in modules(".") if "great_expectations" in _imported(path)]
    assert named == ["suites.py"]


def test_analyses_never_read_the_clock_or_the_environment() -> None:
    pattern = re.compile(r"\b(datetime\.now|date\.today|time\.time|os\.environ)\b")
    folders = ("patterns", "forecast", "dispatch", "simulator", "areas", "feeds")
    named = [p.name for folder in folders for p in modules(folder) if pattern.search(p.read_text("utf-8"))]
    assert named == ["parallel.py"], "it says how many threads each process may use"


MODELS = sorted(path for path in (ROOT / "sql").rglob("*.sql") if path.parent.name != "macros")


@pytest.mark.parametrize("path", MODELS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_model_is_one_select_with_its_grain_that_reads_earlier_models_only(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.match(r"(--.*\n)*--.* Grain: .+\.\n", text), "the header names the grain"
    assert not re.search(r"\b(pivot|unpivot|query_table|read_\w+|st_read\w*)\s*\(", text, re.I)
    import duckdb

    with duckdb.connect() as con:
        read = warehouse.references(con, text)
    schemas = {name.split(".")[0] for name in read} - {"ops"}
    assert schemas <= set(ORDER[: ORDER.index(path.parent.name) + 1])


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
