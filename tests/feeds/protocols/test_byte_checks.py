"""Byte checks: what is accepted for the parsers, and what is rejected with its fault named."""

import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import byte_checks

WORDS = '{"rows":[{"구분":"절도","관서":"종로경찰서"},{"구분":"폭력","관서":"중부경찰서"}]}'
SHEET = "사건번호,접수일\r\n수사11,2025-11-01\r\n"


def refusal(part: bytes, media: str = "json", encoding: str = "utf-8") -> str:
    with pytest.raises(FeedError, match=r"^page 3: ") as caught:
        byte_checks.inspect(part, media, encoding, "page 3")
    return str(caught.value)


def passes(part: bytes, media: str = "json", encoding: str = "utf-8") -> None:
    byte_checks.inspect(part, media, encoding, "page 3")


@pytest.mark.parametrize(
    ("part", "media", "encoding"),
    [
        (WORDS.encode(), "json", "utf-8"),
        (b"\xef\xbb\xbf" + WORDS.encode(), "json", "utf-8"),
        (SHEET.encode("cp949"), "csv", "cp949"),
        (b"\xef\xbb\xbf" + SHEET.encode(), "csv", "utf-8"),
        ('<?xml version="1.0"?><rows><row>절도</row></rows>'.encode(), "xml", "utf-8"),
        ('{"a":"Montréal, façade, São Paulo, 10 µm², °C"}'.encode(), "json", "utf-8"),
        ('{"a":"日本語 中文 한국어 हिन्दी"}'.encode(), "json", "utf-8"),
    ],
)
def test_valid_text_is_accepted(part: bytes, media: str, encoding: str) -> None:
    passes(part, media, encoding)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text('"\\[]{}:,가나<\n', max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text('"\\[]{}가', max_size=4), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_brackets_inside_strings_are_not_counted(value: object) -> None:
    def depth(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    assert byte_checks._depth(orjson.dumps(value)) == depth(value)


@given(st.lists(st.sampled_from(['"', "\\", "[", "]", "{", "}", "가", "a"]), max_size=60), st.integers(1, 9))
def test_depth_does_not_depend_on_chunk_boundaries(characters: list[str], size: int) -> None:
    part = "".join(characters).encode()
    whole = byte_checks._depth(part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_checks, "_PIECE_BYTES", size)
        assert byte_checks._depth(part) == whole


def test_depth_is_computed_in_little_memory() -> None:
    part = orjson.dumps([{"a": ['"x"', {}]}] * 600_000)
    tracemalloc.start()
    depth = byte_checks._depth(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert depth == 4 and peak < 2 * len(part)


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (b"PK\x03\x04", "a zip file"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x89PNG", "an image"),
        (WORDS.encode("utf-16"), "UTF-16"),
        (b'{"a":"\x00"}', "NUL byte"),
        (b"<!doctype html><html>", "received an HTML page instead of the declared JSON"),
        (b"<?xml version='1.0'?><a/>", "received XML instead of the declared JSON"),
        (WORDS.encode()[:-9], "cut off"),
        (b"error", "cut off or invalid"),
        (WORDS.encode("cp949"), "not in the declared UTF-8: it is CP949"),
        (b'{"a":"\xff\xfe\xff"}', "no encoding known here"),
        (WORDS.encode().decode("latin-1").encode(), "encoded twice"),
        (WORDS.encode().decode("cp1252", "replace").encode(), "encoded twice"),
        (WORDS.encode("cp949").decode("latin-1").encode(), "encoded twice"),
        (WORDS.encode("cp949").decode("utf-8", "replace").encode(), "U+FFFD"),
        ('{"a":"寃쎌같","b":"援ш툒","c":"醫낅줈"}'.encode(), "encoded twice (UTF-8 read as CP949)"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "nested 41 or more levels deep"),
        (b'{"a":["]]]]\\"]]]",' + b"[" * 40 + b"]" * 40 + b"]}", "nested 42 or more levels deep"),
        (orjson.dumps({"a": "y" * 100_000}), "a value of 100,000 bytes"),
        (b'{"a":[' + b",".join(b'{"n%d":1}' % n for n in range(900)) + b"]}", "distinct names"),
        (
            orjson.dumps([{str(n % 9): "y" * 1000} for n in range(9)])[:-2] + b' ,"z":' + b"1" * 5_000_000 + b"}]",
            "a record",
        ),
    ],
)
def test_invalid_json_is_rejected_with_its_fault(part: bytes, fault: str) -> None:
    assert fault in refusal(part)


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        (SHEET.encode(), "not in the declared CP949: it is UTF-8"),
        (SHEET.encode("cp949")[:5], "no encoding known here"),
        (SHEET.encode("cp949") + b'"open', "unclosed quotation mark"),
        (SHEET.encode("cp949") + b"x" * 100_000, "a row of 100,000 bytes"),
        (b"<html>", "received an HTML page instead of the declared CSV"),
        (b"PK\x03\x04", "a zip file"),
    ],
)
def test_invalid_csv_is_rejected_with_its_fault(part: bytes, fault: str) -> None:
    assert fault in refusal(part, "csv", "cp949")


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        (WORDS.encode(), "received text that is not XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', "entities"),
        (b"<a>" + b"y" * 100_000 + b"</a>", "a value of"),
    ],
)
def test_invalid_xml_is_rejected_with_its_fault(part: bytes, fault: str) -> None:
    assert fault in refusal(part, "xml")


def test_long_coordinates_are_not_a_long_value() -> None:
    passes(orjson.dumps({"features": [{"geometry": {"coordinates": [[126.97, 37.56]] * 20_000}}]}))


def test_a_single_replacement_character_does_not_fail_the_part() -> None:
    passes(orjson.dumps([{"구분": "절도"}] * 30 + [{"구분": "�도"}]))
