"""Mutation check: do the tests of the core modules fail when the code is wrong?

Draws small faults (mutants) uniformly from all that the core modules allow: a comparison flipped, a number one more or
one less, ``and`` for ``or``, a condition inverted, an arithmetic operator swapped, ``None`` returned, ``min`` for
``max``. Each mutant runs the test files mapped to its module in a copy of the tree, never in the checkout. A mutant is
killed if a test fails or the time limit passes. Docstrings, annotations, strings, log calls and what is raised are left
alone, and so are keyword flags such as ``maintain_order=True``.

    python -m tests.benchmarks.mutants [--seed N] [--count N] [--module PART] [--workers N]
"""

import argparse
import ast
import compileall
import copy
import math
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
LOADING: Final = ("tests/ingest/test_load.py", "tests/ingest/test_accounting.py")
STORED: Final = ("tests/store/test_landing.py", "tests/store/test_records.py", "tests/store/test_home.py")
DEMAND: Final = "forecast/demand/evaluation"
RISK: Final = "forecast/risk/evaluation"
TESTS: Final[dict[str, tuple[str, ...]]] = {
    "pipelines/ingest/merge.py": LOADING,
    "pipelines/ingest/accounting.py": LOADING[::-1],
    "pipelines/ingest/load.py": LOADING,
    "pipelines/ingest/reprocess.py": LOADING,
    "pipelines/store/ledger.py": ("tests/store/test_ledger.py", *STORED),
    "pipelines/store/landing.py": (*STORED, "tests/continuity/test_replicas.py"),
    "pipelines/store/records.py": ("tests/store/test_records.py", "tests/store/test_issues.py"),
    "pipelines/store/issues.py": ("tests/store/test_issues.py",),
    f"pipelines/{DEMAND}/calibration.py": (f"tests/{DEMAND}/test_calibration.py", f"tests/{DEMAND}/test_combine.py"),
    f"pipelines/{DEMAND}/scoring.py": (f"tests/{DEMAND}/test_scoring.py",),
    f"pipelines/{DEMAND}/model_weights.py": (f"tests/{DEMAND}/test_model_weights.py",),
    f"pipelines/{DEMAND}/negative_binomial.py": (
        f"tests/{DEMAND}/test_negative_binomial.py",
        f"tests/{DEMAND}/test_calibration.py",
    ),
    f"pipelines/{DEMAND}/combine.py": (f"tests/{DEMAND}/test_combine.py",),
    f"pipelines/{RISK}/scoring.py": (f"tests/{RISK}/test_scoring.py", f"tests/{RISK}/test_calibration.py"),
    f"pipelines/{RISK}/calibration.py": (f"tests/{RISK}/test_calibration.py",),
}
"""The test files that are to notice a fault in each core module, the closest one first."""

NOT_COPIED: Final = (".*", "*.egg-info", "__pycache__", "docs", "deploy", "references", "build", "node_modules")

COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES: Final = {
    single: other
    for pair in (
        ("min", "max"),
        ("minimum", "maximum"),
        ("min_horizontal", "max_horizontal"),
        ("any", "all"),
        ("floor", "ceil"),
        ("first", "last"),
    )
    for single, other in (pair, pair[::-1])
}
SUMMARY: Final = re.compile(r"^\d+ (failed|error)", re.MULTILINE)
LOGGERS: Final = ("log", "logger", "logging", "warnings")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the bytes ``start`` to ``end`` of a module replaced by ``new``."""

    module: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.old} -> {self.new}"

    def applied(self, source: bytes) -> bytes:
        """The module's source with the fault in it."""
        return source[: self.start] + self.new.encode() + source[self.end :]


def mutants(module: str, source: bytes) -> list[Mutant]:
    """All faults that a module's source allows, in the order of the source."""
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    possible = []
    for node, changed in _changes(ast.parse(source)):
        start, end = lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset
        # Brackets keep the precedence; a name, a number or a statement needs none.
        is_plain = isinstance(changed, ast.stmt | ast.Constant | ast.Name | ast.Attribute)
        new = ast.unparse(changed) if is_plain else f"({ast.unparse(changed)})"
        possible.append(Mutant(module, node.lineno, start, end, ast.unparse(node), new))
    return sorted(possible, key=lambda mutant: (mutant.start, mutant.end, mutant.new))


def _changes(node: ast.AST) -> Iterator[tuple[Any, ast.AST]]:
    """Every node that may be changed below a node, with what it becomes."""
    yield from ((node, changed) for changed in _variants(node))
    yield from ((test, ast.UnaryOp(ast.Not(), test)) for test in _conditions(node))
    for child in _children(node):
        yield from _changes(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node in which a fault would change what the code does."""
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func).partition(".")[0] in LOGGERS:
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_flag = isinstance(child, ast.keyword) and isinstance(getattr(child.value, "value", None), bool)
            if isinstance(child, ast.AST) and not is_flag:
                yield child


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (ast.Constant(value + step) for step in (1, -1))
        case ast.BoolOp(op=operator):
            yield _with(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            yield _with(node, op=OPERATORS[type(operator)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert(), operand=operand):
            yield operand
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Name(NAMES[name])
        case ast.Attribute(attr=name) if name in NAMES:
            yield _with(node, attr=NAMES[name])
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()


def _conditions(node: ast.AST) -> list[ast.expr]:
    """The conditions of a node that no other fault inverts."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            conditions = [test]
        case ast.comprehension(ifs=tests):
            conditions = tests
        case _:
            return []
    return [test for test in conditions if not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant)]


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def drawn(root: Path, seed: int, count: int, part: str = "") -> list[Mutant]:
    """So many mutants, drawn uniformly from all of the core modules whose path contains ``part``."""
    modules = [module for module in TESTS if part in module]
    possible = [mutant for module in modules for mutant in mutants(module, (root / module).read_bytes())]
    return random.Random(seed).sample(possible, min(count, len(possible)))


def passes(tree: Path, module: str, limit: float | None = None) -> bool:
    """Whether the tests mapped to a module pass in a tree, within so many seconds.

    Raises:
        RuntimeError: no test could be run, and not because of the module: a broken environment kills no mutant.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow"]
    # The same examples and the same order every time, the tree's own code, and no bytecode of a fault.
    variables = {"CI": "true", "PYTHONHASHSEED": "0", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [*command, *TESTS[module]],
        cwd=tree,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            # Its children too, or they would go on for ever.
            os.killpg(process.pid, signal.SIGKILL)
            return False
    is_verdict = process.returncode < 0 or SUMMARY.search(output) or module in output
    if process.returncode and not is_verdict:
        raise RuntimeError(f"the tests of {module} cannot run: {output[-500:]}")
    return process.returncode == 0


def is_killed(tree: Path, mutant: Mutant, limit: float) -> bool:
    """Whether the tests notice a fault; the tree is as before afterwards."""
    path = tree / mutant.module
    source, before = path.read_bytes(), path.stat()
    try:
        path.write_bytes(mutant.applied(source))
        # Bytecode counts as current where time and size agree.
        os.utime(path, (before.st_atime, before.st_mtime + 100))
        return not passes(tree, mutant.module, limit)
    finally:
        path.write_bytes(source)
        os.utime(path, (before.st_atime, before.st_mtime))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, run and count; 1 if the tests of a module fail without any fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.mutants", description="Mutation check.")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--module", default="", help="only core modules whose path contains this")
    parser.add_argument("--workers", type=int, default=2, help="trees, each with one test process at a time")
    options = parser.parse_args(arguments)
    chosen = drawn(ROOT, options.seed, options.count, options.module)
    trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(options.workers) as pool:
        for number in range(options.workers):
            tree = Path(folder) / str(number)
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
            compileall.compile_dir(tree, quiet=2)
            trees.put(tree)

        def timed(module: str) -> float:
            tree, start = trees.get(), time.monotonic()
            try:
                return time.monotonic() - start if passes(tree, module) else math.inf
            finally:
                trees.put(tree)

        def judged(mutant: Mutant) -> bool:
            tree = trees.get()
            try:
                return is_killed(tree, mutant, limit=30 + 4 * seconds[mutant.module])
            finally:
                trees.put(tree)

        modules = sorted({mutant.module for mutant in chosen})
        seconds = dict(zip(modules, pool.map(timed, modules), strict=True))
        if failing := [module for module, taken in seconds.items() if taken == math.inf]:
            print(f"without any fault the tests fail of: {', '.join(failing)}; run them with pytest first")
            return 1
        killed: Counter[str] = Counter()
        for mutant, is_noticed in zip(chosen, pool.map(judged, chosen), strict=True):
            killed[mutant.module] += is_noticed
            if not is_noticed:
                print(f"survived: {mutant}", flush=True)
    for module, total in sorted(Counter(mutant.module for mutant in chosen).items()):
        print(f"{module}: killed {killed[module]} of {total} ({seconds[module]:.0f} s a run)")
    print(f"killed {killed.total()} of {len(chosen)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
