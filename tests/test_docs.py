"""The pages of `docs/`: generated ones are up to date, and every relative link leads somewhere."""

from pathlib import Path

import pytest

from tests import docs, links


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (docs.ROOT / name).read_text("utf-8") == docs.PAGES[name](), f"run `make docs` and commit {name}"


def test_a_schema_that_is_gone_leaves_no_page() -> None:
    written = {str(path.relative_to(docs.ROOT)) for path in (docs.ROOT / "docs" / "dictionary").iterdir()}
    assert written == {name for name in docs.PAGES if name.startswith("docs/dictionary/")}


def test_every_relative_link_of_every_page_leads_somewhere() -> None:
    assert links.broken() == []


def test_a_link_to_a_missing_file_or_heading_is_reported_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page: with `code`\n\n[good](#a-page-with-code) [web](https://example.org/x#y)\n\n"
        "```\n[code](missing.md)\n```\n[gone](missing.md) ![picture](page.md)\n"
        "`[code](missing.md)` [no](page.md#other)\n",
        "utf-8",
    )
    assert list(links.broken_in(page)) == [
        (8, "missing.md: there is no such file"),
        (9, "page.md#other: page.md has no such heading"),
    ]


def test_headings_of_the_same_text_are_numbered(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The [same](x.md)\n## The same\n## Ünder_score!\n", "utf-8")
    assert links.anchors(page) == {"the-same", "the-same-1", "ünder_score"}
