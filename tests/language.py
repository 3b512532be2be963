"""Report lines that contain an expression the project's language rules ban, with the replacement to use.

Exit with 1 if there is one. Arguments are globs of tracked files; without any, CLEAN except PENDING (in `make check`).
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FILES = ("*.py", "*.sql", "*.md", "*.yml", "*.toml", "*.j2", "Makefile")
# Globs of the files that are enforced, and of those that are not reworded yet.
CLEAN = ["*"]
PENDING = ["expectations/*"]

# A blank matches a blank or an underscore, and letters and digits bound a word: names of tests are checked too.
BANNED = {
    r"told|tells|telling": "reported, received, stated; `known_at` for when a version was known",
    r"(held|holds?|holding) (\w+ ){0,6}against": "compare with, check with",
    r"(gives?|given|giving|gave) away": "discloses, disclosed by differencing",
    r"mend(s|ed|ing)?": "fix, correct",
    r"asked": "requested, queried (plain only of a person or an HTTP request)",
    r"said": "stated, reported, received",
    r"lies|stands": "is, is in (of data)",
    r"(?<!there )(?<!there_)(is|are) no(?= (?!longer|more than))": "is not a, are not",
    r"such are": "these are",
    r"(?<!\.)signs?(?!\()": "character, digit",
    r"anew": "again",
    r"beside": "next to, alongside, with",
    r"what came": "actual value, observed value",
    r"nobody": "no one; unknown, not used",
    r"dearest": "most expensive",
    r"ends red": "fails, the run failed",
    r"leaves the house": "is published",
}
PATTERNS = {
    re.compile(rf"(?<![a-z0-9])(?:{banned.replace(' ', '[ _]')})(?![a-z0-9])", re.IGNORECASE): use
    for banned, use in BANNED.items()
}
NAMES = {"found", "told", "said", "asked", "made", "held", "one", "mine", "own", "beside", "taught", "lesson"}
NAME_THE_CONTENT = "a name that states the content, such as matches, scores or record"


Allowed = NamedTuple("Allowed", [("files", str), ("pattern", str), ("reason", str)])  # noqa: UP014
ALLOWED = [
    Allowed("tests/language.py", "", "the list itself"),
    Allowed("tests/test_language.py", "", "examples of banned expressions"),
    Allowed("pipelines/config/profile.py", "agency signs its deliveries", "a signature"),
    Allowed("pipelines/config/profiles/toronto.toml", "^purpose =", "a stored value"),
    Allowed("docs/feeds.md", r"^\| purpose", "a stored value"),
    Allowed("tests/faults/test_rows.py", "still stands", "a stored reason of quarantine"),
    Allowed("tests/faults/*", "certificate that signs itself", "a signature"),
    Allowed("pipelines/feeds/protocols/http.py", "_SECRET_WORDS", "part of the name of a secret"),
    Allowed("pipelines/patterns/displacement.py", "whatever their signs", "plus or minus"),
    Allowed("pipelines/release/pages/page.py", "with its sign", "plus or minus"),
    Allowed("tests/patterns/test_emerging.py", "has_the_sign", "plus or minus"),
]


Hit = NamedTuple("Hit", [("line", int), ("words", str), ("use", str)])  # noqa: UP014


def hits(path: str, text: str) -> Iterator[Hit]:
    """Yield the banned expressions in `text`, the content of `path`."""
    lines = text.splitlines()
    reported = [
        Hit(n, m[0], use) for n, line in enumerate(lines, 1) for p, use in PATTERNS.items() for m in p.finditer(line)
    ]
    if path.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            name = node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else ""
            name = node.arg if isinstance(node, ast.arg) else name
            if name in NAMES:
                reported.append(Hit(node.lineno, name, NAME_THE_CONTENT))
    for hit in sorted(set(reported)):
        if not any(fnmatch(path, a.files) and re.search(a.pattern, lines[hit.line - 1]) for a in ALLOWED):
            yield hit


def main(globs: list[str]) -> int:
    """Print every hit in the tracked files that match `globs`, with a summary; return the exit status."""
    tracked = subprocess.check_output(["git", "ls-files", *FILES], cwd=ROOT, text=True).split()
    paths = [path for path in tracked if any(fnmatch(path, glob) for glob in globs) and (ROOT / path).is_file()]
    paths = [path for path in paths if globs != CLEAN or not any(fnmatch(path, glob) for glob in PENDING)]
    reported = [(path, hit) for path in paths for hit in hits(path, (ROOT / path).read_text("utf-8"))]
    for path, hit in reported:
        print(f"{path}:{hit.line}: `{hit.words}`; use: {hit.use}")
    print(f"{len(reported)} banned expressions in {len(paths)} files")
    return 1 if reported else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or CLEAN))
