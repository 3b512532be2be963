import pytest

from tests.language import CLEAN, hits, main


@pytest.mark.parametrize(
    "line",
    [
        "# The source tells the day.",
        "# A row that is no call.",
        "# Totals are no calls, and there is no reason.",
        "# Hold the counts of today against those of last week.",
        "def test_a_row_is_told_once(): ...",
        "# a key of 40 signs",
        "found = 1",
        "for one in (): ...",
        "def call(own): ...",
    ],
)
def test_banned_expressions_are_reported_with_their_line(line):
    (hit,) = hits("pipelines/example.py", f'"""Read a file."""\n\n{line}\n')
    assert hit.line == 3 and hit.use


@pytest.mark.parametrize(
    "line",
    [
        "# There is no call, and the feed is no longer read; there are no more than two.",
        "shift = np.sign(x) + frame.sign()",
        "# untold, the families and the signature",
        "matches = find(one)",
    ],
)
def test_plain_uses_are_not_reported(line):
    assert [hit.words for hit in hits("pipelines/example.py", f"{line}\n")] == []


def test_clean_files_have_no_banned_expression(capsys):
    assert main(CLEAN) == 0, capsys.readouterr().out
