"""Faults of text and format: encodings, archives, bombs, broken JSON and CSV. Other content is never loaded."""

import gzip
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.agencies import DAYS, signed
from tests.faults.matrix import ALL, NOTHING, Case, Declared, fault, put

REFUSED: Declared = {"outcome": "reject", "counts": NOTHING}
LAST = f"cases_{DAYS[-1]:%Y%m%d}"
Change = Callable[[bytes], bytes]


def text(change: Callable[[str], str], read: str = "utf-8", written: str = "utf-8") -> Change:
    """Change the text of a page or file, in the given encodings."""
    return lambda content: change(content.decode(read)).encode(written)


def same(content: str) -> str:
    return content


def inside(value: bytes) -> Change:
    """Put JSON into the first record."""
    return lambda content: re.sub(rb'(\[\{|"item":\{)', lambda match: match[0] + value, content, count=1)


def mistaken(encoding: str) -> Change:
    """Return UTF-8 text decoded in another encoding and encoded again."""
    return lambda content: content.decode(encoding, "replace").encode()


def both(change: Change, cases: Change) -> dict[str, Any]:
    """Change the bytes at the two live agencies, and in the dropped file before it is signed."""
    return {"police": {"body": change}, "fire": {"body": change}, "investigation": {"body": cases}}


def with_row(row: str) -> Change:
    """Return a dropped file with another line, in CP949."""
    return lambda content: content + row.encode("cp949") + b"\r\n"


ENCODINGS = [
    *fault(
        "another encoding than declared",
        **REFUSED,
        says="the text is not in the declared|it is",
        **both(text(same, "utf-8", "cp949"), text(same, "cp949", "utf-8")),
    ),
    *fault(
        "byte order mark",
        "accept",
        ALL,
        police={"body": lambda content: b"\xef\xbb\xbf" + content},
        fire={"body": lambda content: b"\xef\xbb\xbf" + content},
        investigation={
            **REFUSED,
            "says": "it is UTF-8",
            "body": lambda content: b"\xef\xbb\xbf" + text(same, "cp949", "utf-8")(content),
        },
    ),
    *fault("UTF-16", **REFUSED, says="UTF-16", **both(text(same, "utf-8", "utf-16"), text(same, "cp949", "utf-16"))),
    *fault(
        "double encoding through Latin-1",
        **REFUSED,
        says="encoded twice|in the declared",
        police={"body": mistaken("latin-1"), "says": "encoded twice"},
        fire={"body": mistaken("latin-1"), "says": "encoded twice"},
        investigation={
            "body": lambda content: content.decode("cp949").encode().decode("latin-1").encode(),
            "says": "it is UTF-8",
        },
    ),
    *fault(
        "double encoding through Windows-1252",
        **REFUSED,
        police={"body": mistaken("cp1252"), "says": "encoded twice"},
        fire={"body": mistaken("cp1252"), "says": "encoded twice"},
        investigation={
            "body": lambda content: mistaken("cp1252")(content.decode("cp949").encode()),
            "says": "it is UTF-8",
        },
    ),
    *fault(
        "UTF-8 read as CP949",
        **REFUSED,
        says="encod",
        police={"body": mistaken("cp949")},
        fire={"body": mistaken("cp949")},
        investigation={
            "body": lambda content: mistaken("cp949")(content.decode("cp949").encode()),
            "says": "it is UTF-8",
        },
    ),
    *fault(
        "words lost to replacement characters",
        **REFUSED,
        says="U+FFFD",
        **both(
            text(lambda content: re.sub(r"[가-힣]", "\ufffd", content)),
            text(lambda content: re.sub(r"[가-힣]", "?", content), "cp949", "cp949"),
        )
        | {
            "investigation": {
                "body": text(lambda content: re.sub(r"[가-힣]", "?", content), "cp949", "cp949"),
                "says": "lacks the columns",
                "counts": (12, 0, 0, 0, 12),
            }
        },
    ),
    *fault("NUL byte", **REFUSED, says="NUL byte", **both(inside(b'"x":"\x00",'), with_row("\x00"))),
    *fault(
        "bytes that are not text",
        **REFUSED,
        says="in no encoding known here",
        **both(inside(b'"x":"\xff\xfe\xff",'), lambda content: content + b"\xff\xff\r\n"),
    ),
]

FORMS = [
    *fault(
        "JSON cut in a number, CSV cut in a row",
        **REFUSED,
        says="cut off",
        police={"body": lambda content: content[: content.rindex(b":") - 40]},
        fire={"body": lambda content: content[: content.rindex(b":") - 40]},
        investigation={
            "outcome": "quarantine",
            "counts": (12, 11, 0, 1, 0),
            "says": "instant of change",
            "files": lambda files: files | signed(DAYS[-1], files[f"{LAST}.csv"][:-10], 6),
        },
    ),
    *fault(
        "malformed JSON, ragged CSV",
        **REFUSED,
        **both(
            lambda content: content.replace(b",", b",,", 1),
            with_row("수사11-20251103-0099,2025-11-03,경제,11,서울특별시,접수,N,2025-11-03 20:00:00,넘치는,칸"),
        ),
    ),
    *fault(
        "words after the end",
        **REFUSED,
        **both(lambda content: content + b'{"more": 1}', with_row('"끝나지 않는 인용')),
    ),
    *fault(
        "NaN",
        **REFUSED,
        police={"body": inside(b'"lon":NaN,')},
        fire={"outcome": "quarantine", "counts": (12, 11, 0, 1, 0), "rows": put({"damg_rgn_lot": "NaN"})},
        investigation={"outcome": "quarantine", "counts": (12, 11, 0, 1, 0), "rows": put({"시도코드": "NaN"})},
    ),
    *fault(
        "infinity",
        **REFUSED,
        police={"body": inside(b'"lon":1e999,')},
        fire={"outcome": "quarantine", "counts": (12, 11, 0, 1, 0), "rows": put({"damg_rgn_lot": "1e999"})},
        investigation={"outcome": "quarantine", "counts": (12, 11, 0, 1, 0), "rows": put({"시도코드": "inf"})},
    ),
    *fault(
        "XML where another format was requested",
        **REFUSED,
        police={"body": lambda content: b"<?xml version='1.0'?><incidents/>"},
        fire={
            "body": lambda content: (
                b"<?xml version='1.0'?><response><header><resultCode>00</resultCode></header></response>"
            )
        },
        investigation={"body": lambda content: b"<?xml version='1.0'?><cases/>", "says": "received XML instead"},
    ),
    *fault(
        "XML with entities",
        **REFUSED,
        **both(
            lambda content: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            lambda content: b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        ),
    ),
    *fault(
        "other line ends",
        "accept",
        ALL,
        **both(lambda content: content.replace(b",", b",\r\n "), lambda content: content.replace(b"\r\n", b"\n")),
    ),
]

KINDS: dict[str, Change] = {
    "a gzip file": gzip.compress,
    "a zip file": lambda content: b"PK\x03\x04" + content,
    "an image": lambda content: b"\x89PNG" + content,
    "an old Office file": lambda content: b"\xd0\xcf\x11\xe0" + content,
}
ARCHIVES = [
    case
    for kind, change in KINDS.items()
    for case in fault(f"{kind} in place of records", **REFUSED, says=kind, **both(change, change))
]

BOMBS = [
    *fault(
        "nested a thousand deep",
        **REFUSED,
        says="deep",
        **both(inside(b'"x":' + b"[" * 1000 + b"]" * 1000 + b","), with_row('"' * 999))
        | {"investigation": {"body": with_row('"' * 999), "says": "unclosed quotation mark"}},
    ),
    *fault(
        "thousands of names",
        **REFUSED,
        says="distinct names",
        **both(
            inside(b"".join(b'"n%d":1,' % n for n in range(3000))),
            lambda content: b",".join(b"n%05d" % n for n in range(12_000)) + b"\r\n" + content,
        )
        | {
            "investigation": {
                "body": lambda content: b",".join(b"n%05d" % n for n in range(12_000)) + b"\r\n" + content,
                "says": "a row of",
            }
        },
    ),
    *fault(
        "value of 200 kilobytes",
        **REFUSED,
        says="bytes, more than",
        **both(inside(b'"x":"' + b"y" * 200_000 + b'",'), with_row("y" * 200_000)),
    ),
    *fault(
        "record of five megabytes",
        **REFUSED,
        says="bytes, more than",
        **both(
            inside(b"".join(b'"x%d":"%s",' % (n, b"y" * 1000) for n in range(100)) * 50),
            with_row('"' + ("y" * 1000 + " ") * 5000 + '"'),
        ),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [*ENCODINGS, *FORMS, *ARCHIVES, *BOMBS], ids=lambda case: f"{case.fault}: {case.agency.name}"
)
def test_a_fault_of_text_or_form_ends_as_declared(case: Case, run_matrix_case: Callable[[Case], None]) -> None:
    run_matrix_case(case)
