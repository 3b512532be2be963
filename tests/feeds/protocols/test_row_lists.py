"""Answers that are lists of rows: anything else is refused with its beginning."""

import pytest

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import row_lists


def test_a_list_of_rows_is_read_with_or_without_a_byte_order_mark() -> None:
    assert row_lists.decode(b'[{"a": 1}, {}]', "calls") == [{"a": 1}, {}]
    assert row_lists.decode(b'\xef\xbb\xbf[{"a": 1}]', "calls") == [{"a": 1}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>busy</html>", "calls: expected JSON, but the answer begins b'<html>busy</html>'"),
        (b'{"error": 5}', "calls: expected a list of rows, but the answer begins .*check url and resource"),
        (b"[1, 2]", "calls: expected a list of rows"),
    ],
)
def test_an_answer_that_is_not_a_list_of_rows_is_refused_with_its_beginning(body: bytes, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        row_lists.decode(body, "calls")
