"""The arrows: what may import what, and what may read what. No arrow points back."""

import ast
import re
from pathlib import Path

import pytest

from pipelines.store import warehouse

ROOT = Path(__file__).parent.parent
LEAVES = ("errors", "incident")
BEYOND_ERRORS = ("engine", "profile", "ledger")
"""They import the base class of expected faults and nothing else of ours."""
ORDER = ("raw", "reference", "staging", "core", "marts", "patterns", "forecast", "dispatch", "views")


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, as dotted names below `pipelines`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pipelines":
            rest = node.module.split(".")[1:]
            found |= {".".join(rest)} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("pipelines.") for alias in node.names if alias.name.startswith("pipelines.")
            }
    return found


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / "pipelines" / folder).rglob("*.py"))


@pytest.mark.parametrize("leaf", [*LEAVES, *BEYOND_ERRORS])
def test_a_leaf_imports_nothing_of_ours_but_the_base_class_of_errors(leaf: str) -> None:
    assert imports(ROOT / "pipelines" / f"{leaf}.py") <= (set() if leaf in LEAVES else {"errors"})


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("feeds", {"feeds", "incident", "profile"}),
        ("patterns", {"patterns", "profile"}),
        ("forecast", {"forecast", "profile", "patterns", "grid", "engine"}),
        ("dispatch", {"dispatch", "forecast", "profile"}),
        ("simulator", {"simulator", "profile", "areas", "settings"}),
        ("areas", {"areas", "feeds", "profile", "grid", "warehouse"}),
    ],
)
def test_a_room_reaches_only_what_lies_before_it(folder: str, allowed: set[str]) -> None:
    reached = {name.split(".")[0] for path in modules(folder) for name in imports(path)}
    assert reached <= allowed | {"errors"}


def test_every_error_that_says_what_to_do_is_an_expected_fault() -> None:
    """A class of exceptions of its own ends in one line of advice, not in a traceback; these two are for callers."""
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
    assert named == ["quality.py"]


def test_analyses_never_read_the_clock_or_the_environment() -> None:
    pattern = re.compile(r"\b(datetime\.now|date\.today|time\.time|os\.environ)\b")
    folders = ("patterns", "forecast", "dispatch", "simulator", "areas", "feeds")
    named = [str(p) for folder in folders for p in modules(folder) if pattern.search(p.read_text("utf-8"))]
    assert named == []


MODELS = sorted(path for path in (ROOT / "sql").rglob("*.sql") if path.parent.name != "macros")


@pytest.mark.parametrize("path", MODELS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_model_is_one_select_with_its_grain_that_reads_only_what_lies_before_it(path: Path) -> None:
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
