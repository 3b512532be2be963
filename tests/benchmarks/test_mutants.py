"""The mutation check itself: what it changes, what it leaves alone, and that it runs what it says."""

import ast
from pathlib import Path

import pytest

from tests.benchmarks import mutants
from tests.benchmarks.mutants import ROOT, TESTS, Mutant

SOURCE = '''
"""Words with 1 number."""
import logging

LIMIT: "int | None" = 3


def share(part: float, whole: float = 1.0, *, is_known: "bool | None" = True) -> "float | None":
    """Divide 1 by 2."""
    logging.info("took %s", 1 + 1)
    if not is_known or whole <= 0:
        raise ValueError(f"{whole + 1} is too little" + "!")
    return sorted([part / whole], reverse=True)[0]
'''


def changes(source: str) -> set[tuple[str, str]]:
    return {(mutant.old, mutant.new) for mutant in mutants.mutants("m.py", source.encode())}


def test_comparisons_numbers_operators_conditions_and_returns_are_changed() -> None:
    assert changes(SOURCE) >= {
        ("3", "4"),
        ("3", "2"),
        ("whole <= 0", "(whole < 0)"),
        ("whole <= 0", "(whole > 0)"),
        ("not is_known", "is_known"),
        ("not is_known or whole <= 0", "(not is_known and whole <= 0)"),
        ("part / whole", "(part * whole)"),
        ("return sorted([part / whole], reverse=True)[0]", "return None"),
    }


def test_docstrings_annotations_log_calls_errors_and_keyword_flags_are_left_alone() -> None:
    lines = SOURCE.splitlines()
    for mutant in mutants.mutants("m.py", SOURCE.encode()):
        assert not any(word in lines[mutant.line - 1] for word in ('"""', "logging.", "raise ")), mutant
        assert "reverse=False" not in mutant.new and "None | None" not in mutant.new


@pytest.mark.parametrize(
    ("source", "change"),
    [
        ("x = a and b", ("a and b", "(a or b)")),
        ("x = max(a, b)", ("max", "min")),
        ("x = pl.col(a).any()", ("pl.col(a).any", "pl.col(a).all")),
        ("x = -a", ("-a", "a")),
        ("x = a if b else c", ("b", "(not b)")),
        ("x = [a for a in b if a.c]", ("a.c", "(not a.c)")),
        ("x = a is None", ("a is None", "(a is not None)")),
        ("x = a in b", ("a in b", "(a not in b)")),
        ("x = f(False)", ("False", "True")),
        ("for a in b:\n    continue", ("continue", "break")),
    ],
)
def test_each_kind_of_fault_is_made(source: str, change: tuple[str, str]) -> None:
    assert change in changes(source)


def test_a_mutant_changes_its_place_alone_also_after_korean_text() -> None:
    source = 'name = "봉수"; limit = 1 + 2\n'.encode()
    (swapped,) = [mutant for mutant in mutants.mutants("m.py", source) if mutant.old == "1 + 2"]
    assert swapped.applied(source).decode() == 'name = "봉수"; limit = (1 - 2)\n'
    assert str(swapped) == "m.py:1 1 + 2 -> (1 - 2)"


@pytest.mark.parametrize("module", TESTS)
def test_every_fault_of_a_core_module_is_valid_python_and_differs(module: str) -> None:
    source = (ROOT / module).read_bytes()
    possible = mutants.mutants(module, source)
    assert len(possible) > 3
    for mutant in possible:
        ast.parse(mutant.applied(source))
        assert mutant.old != mutant.new


def test_every_core_module_is_mapped_to_tests_that_exist() -> None:
    for module, paths in TESTS.items():
        assert all((ROOT / path).exists() for path in paths), module


def test_the_same_seed_draws_the_same_mutants() -> None:
    assert mutants.drawn(ROOT, 15, 20) == mutants.drawn(ROOT, 15, 20) != mutants.drawn(ROOT, 16, 20)
    assert {mutant.module for mutant in mutants.drawn(ROOT, 1, 5, "ledger")} == {"pipelines/store/ledger.py"}


@pytest.mark.slow
def test_a_fault_that_the_tests_notice_is_killed_and_the_tree_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = b"def double(number: int) -> int:\n    return 2 * number\n\n\ndef unused() -> int:\n    return 5\n"
    (tmp_path / "doubling.py").write_bytes(source)
    (tmp_path / "test_it.py").write_text(
        "import doubling\n\ndef test_it() -> None:\n    assert doubling.double(3) == 6\n"
    )
    monkeypatch.setattr(mutants, "TESTS", {"doubling.py": ("test_it.py",)})
    possible = mutants.mutants("doubling.py", source)

    def mutant_of(old: str, new: str) -> Mutant:
        return next(mutant for mutant in possible if (mutant.old, mutant.new) == (old, new))

    assert mutants.passes(tmp_path, "doubling.py")
    assert mutants.is_killed(tmp_path, mutant_of("2", "3"), limit=60)
    assert not mutants.is_killed(tmp_path, mutant_of("return 5", "return None"), limit=60)
    assert (tmp_path / "doubling.py").read_bytes() == source


def test_tests_that_cannot_run_kill_no_mutant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.py").write_text("x = 1\n")
    (tmp_path / "test_it.py").write_text("def test_it() -> None: ...\n")
    (tmp_path / "conftest.py").write_text("import not_installed\n")
    monkeypatch.setattr(mutants, "TESTS", {"m.py": ("test_it.py",)})
    with pytest.raises(RuntimeError, match=r"(?s)the tests of m\.py cannot run: .*not_installed"):
        mutants.passes(tmp_path, "m.py", 60)
