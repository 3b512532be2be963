"""Names that people read as one are noted."""

import polars as pl
import pytest

from pipelines.forecast import names


@pytest.mark.parametrize(
    "pair",
    [
        ["Gangnam", "gangnam"],
        ["Gangnam gu", "Gangnam  gu"],
        ["0031", "31"],
        ["강남", "\u1100\u1161\u11bc\u1102\u1161\u11b7"],
    ],
    ids=["case", "spaces", "zeros", "Unicode form"],
)
def test_names_that_differ_only_in_how_they_are_written_are_noted(pair: list[str]) -> None:
    sentence = names.note(pl.Series([*pair, "Jongno", *pair]), "series")
    assert sentence is not None and sentence.endswith("if they are the same, give them the same name")
    assert all(repr(name) in sentence for name in pair)


def test_names_that_are_clearly_different_are_not_noted() -> None:
    assert names.note(pl.Series(["0", "00A", "10", "1", "Total", None]), "series") is None
    assert names.note(pl.Series([31.0, 310.0]), "series") is None
