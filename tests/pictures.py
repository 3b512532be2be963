"""Draw the pictures of the README from the current release of a home: `python -m tests.pictures HOME`.

Needs `chromium`, and a font with Hangul for profiles of Korea.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
WIDTH, PAGE_HEIGHT, MARGIN, COLOURS = 1240, 16_000, 12, 128
BROWSER = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
# Appended to a copy of the page: writes into it where the notice of simulated data ends, and where each heading begins.
MEASURE = """<script>addEventListener("load", () => { const pre = document.createElement("pre"); pre.id = "places";
const notice = document.querySelector(".notice");
const headings = [...document.querySelectorAll("h2, h3")].map(
  h => Math.round(h.getBoundingClientRect().y) + " " + h.textContent.trim().replace(/\\s+/g, " "));
pre.textContent = [Math.round(notice ? notice.getBoundingClientRect().bottom : 0) + " ", ...headings].join("\\n");
document.body.append(pre) })</script>"""


class Shot(NamedTuple):
    """A picture: whose briefing, from which heading, and how high at most."""

    audience: str
    heading: str
    height: int


SHOTS = {
    "patterns": Shot("police", "Hot spots of reported crime", 675),
    "risk": Shot("police", "Risk by hour in the coming week", 620),
    "forecast": Shot("dispatch", "Last week and next week", 660),
    "dispatch": Shot("dispatch", "Units required", 1_100),
}


def draw(page: Path, shot: Shot, to: Path) -> None:
    """Draw one section of a briefing, under the notice of simulated data, into a PNG file of few colours."""
    (notice, _), *tops = _places(page)
    start = next(top for top, heading in tops if heading.startswith(shot.heading))
    end = min([start + shot.height, *(top for top, _ in tops if top > start)])
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "page.png"
        _browse(page, f"--screenshot={whole}")
        with Image.open(whole) as image:
            picture = Image.new("RGB", (WIDTH, notice + end - start), "white")
            picture.paste(image.crop((0, 0, WIDTH, notice)))
            picture.paste(image.crop((0, start - MARGIN, WIDTH, end - MARGIN)), (0, notice))
            picture.quantize(COLOURS).save(to, optimize=True)


def _places(page: Path) -> list[tuple[int, str]]:
    """Return, in pixels, the end of the notice (0 without one) and then the top of each heading with its text."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(page.read_text("utf-8").replace("</body>", f"{MEASURE}</body>"), "utf-8")
        dumped = _browse(copy, "--dump-dom")
    (listed,) = re.findall(r'<pre id="places">(.*?)</pre>', dumped, re.S)
    return [(int(top), heading) for top, _, heading in (line.partition(" ") for line in listed.splitlines())]


def _browse(page: Path, *options: str) -> str:
    command = (*BROWSER, f"--window-size={WIDTH},{PAGE_HEIGHT}", *options, page.resolve().as_uri())
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(home: str) -> None:
    """Draw every picture."""
    FOLDER.mkdir(exist_ok=True)
    for name, shot in SHOTS.items():
        page = Path(home) / "published" / "current" / "audiences" / shot.audience / "briefing" / "index.html"
        draw(page, shot, FOLDER / f"{name}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
