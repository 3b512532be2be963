"""Report relative links of the pages that lead nowhere: a file that is missing, or a heading that its page lacks."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|\b(?:href|src)=\"([^\"]+)\"|^\[[^\]]+\]:\s*(\S+)")
FENCE = re.compile(r"^\s*(```|~~~)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
CODE = re.compile(r"`[^`]*`")


def broken() -> list[str]:
    """Return one line, `file:line: reason`, for each relative link of a tracked page that leads nowhere."""
    pages = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).split()
    paths = [ROOT / page for page in pages if (ROOT / page).is_file()]
    return [f"{path.relative_to(ROOT)}:{line}: {reason}" for path in paths for line, reason in broken_in(path)]


def broken_in(page: Path) -> Iterator[tuple[int, str]]:
    """Yield line and reason of each relative link of a page that leads nowhere."""
    for number, line in _prose(page):
        for match in LINK.finditer(CODE.sub("", line)):
            target = next(filter(None, match.groups()))
            name, _, anchor = target.partition("#")
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path = page.parent / unquote(name) if name else page
            if not path.exists():
                yield number, f"{target}: there is no such file"
            elif anchor and path.suffix == ".md" and unquote(anchor) not in anchors(path):
                yield number, f"{target}: {path.name} has no such heading"


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as forges derive them."""
    seen: Counter[str] = Counter()
    names = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", page.read_text("utf-8")))
    for _, line in _prose(page):
        if heading := HEADING.match(line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            names.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(names)


def _prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a page outside its blocks of code."""
    is_code = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            yield number, line
