"""Faults of pages, compression and trust; for the drop folder, of its files and signatures."""

import gzip
from collections.abc import Callable

import pytest

from tests.faults.agencies import DAYS, FIRE, KEY, POLICE, STRANGER, portal_error, signed
from tests.faults.injections import (
    FAILED_FILE,
    GIVEN_UP,
    LAST,
    PASSED,
    REFUSED,
    always,
    certificate,
    folder_with,
    gives,
    instead,
    keyless,
    nested,
    on_page,
    packed,
    repeats_the_key,
    resent,
    same_records,
    without,
)
from tests.faults.matrix import ALL, Case, fault
from tests.faults.server import Answer

PAGES = [
    *fault(
        "rows inserted between pages",
        **REFUSED,
        says="changed while",
        police={"answer": on_page(2, lambda page: page | {"total": 13})},
        fire={"answer": on_page(2, lambda page: nested(page, totalCount=13))},
        investigation={
            "says": "SHA-256 differs",
            **gives(lambda content: content + "수사11-20251102-0099".encode("cp949")),
        },
    ),
    *fault(
        "rows shifted between pages, same total",
        **REFUSED,
        says="repeated records of page 2 on page 3|in each of 3 attempts",
        police={"answer": on_page(3, lambda page: page | {"incidents": [POLICE.clean[9], page["incidents"][1]]})},
        fire={"answer": on_page(3, lambda page: nested(page, items={"item": [FIRE.clean[9], FIRE.clean[11]]}))},
        investigation={
            "says": "SHA-256 differs",
            **gives(lambda content: content.replace(b"-0002,", b"-0001,")),
        },
    ),
    *fault(
        "first page again",
        **REFUSED,
        says="instead of 2",
        police={"answer": on_page(2, lambda page: page | {"page": 1})},
        fire={"answer": on_page(2, lambda page: nested(page, pageNo=1))},
        investigation={
            "says": "old one sent again",
            **folder_with(
                lambda files: {name: files[name.replace(f"{DAYS[1]:%Y%m%d}", f"{DAYS[0]:%Y%m%d}")] for name in files}
            ),
        },
    ),
    *fault(
        "same records on every page",
        **REFUSED,
        says="run again",
        police={"answer": same_records},
        fire={"answer": same_records},
        investigation={
            "says": "old one sent again",
            **folder_with(
                lambda files: (
                    files
                    | {
                        f"{LAST}{end}": files[f"cases_{DAYS[0]:%Y%m%d}{end}"]
                        for end in (".csv", ".manifest.json", ".manifest.sig")
                    }
                )
            ),
        },
    ),
    *fault(
        "last page missing",
        **REFUSED,
        answer=lambda answer, question: (
            resent(answer, status=404) if "3" in (question.query.get("page"), question.query.get("pageNo")) else answer
        ),
        says="status 404",
        investigation={**FAILED_FILE, **folder_with(without(f"{LAST}.csv"))},
    ),
    *fault(
        "last page empty",
        **REFUSED,
        says="but sent 10",
        police={"answer": on_page(3, lambda page: page | {"incidents": []})},
        fire={"answer": on_page(3, lambda page: nested(page, items=""))},
        investigation={"says": "unsigned", **folder_with(without(f"{LAST}.manifest.json", f"{LAST}.manifest.sig"))},
    ),
    *fault(
        "counts fewer than it sends",
        **REFUSED,
        says="run again",
        police={
            "answer": lambda answer, question: resent(answer, body=answer.body.replace(b'"total":12', b'"total":8'))
        },
        fire={
            "answer": lambda answer, question: resent(
                answer, body=answer.body.replace(b'"totalCount":12', b'"totalCount":8')
            )
        },
        investigation={
            "says": "rows but its manifest states",
            **folder_with(lambda files: files | signed(DAYS[-1], files[f"{LAST}.csv"], 5)),
        },
    ),
]


PACKING = [
    *fault(
        "compressed answer",
        "accept",
        ALL,
        answer=lambda answer, question: packed(answer),
        investigation={"files": dict},
    ),
    *fault(
        "compressed answer cut off, once",
        **PASSED,
        answer=lambda answer, question: (
            resent(packed(answer), body=packed(answer).body[:-9]) if question.number == 1 else answer
        ),
        investigation={**REFUSED, "says": "a gzip file", **gives(lambda content: gzip.compress(content)[:-9])},
    ),
    *fault(
        "compression bomb",
        **REFUSED,
        says="times as much",
        answer=instead(Answer(gzip.compress(b" " * 30_000_000), headers={"Content-Encoding": "gzip"})),
        investigation={"says": "a gzip file", **gives(lambda content: gzip.compress(b" " * 3_000_000))},
    ),
    *fault(
        "compression that was not requested",
        **REFUSED,
        says="not requested",
        answer=always(headers={"Content-Encoding": "zstd"}),
        investigation={"says": "a zstd file", **gives(lambda content: b"\x28\xb5\x2f\xfd" + content)},
    ),
]

TRUST = [
    *fault(
        "certificate that signs itself",
        **REFUSED,
        says="self-signed|SSL_CERT_FILE",
        police={"tls": certificate},
        fire={"tls": certificate},
        investigation={"says": "unsigned", **folder_with(without(f"{LAST}.manifest.sig"))},
    ),
    *fault(
        "certificate out of date",
        **REFUSED,
        says="expired",
        police={"tls": lambda: certificate(days=-2, is_trusted=True)},
        fire={"tls": lambda: certificate(days=-2, is_trusted=True)},
        investigation={
            "says": "old one sent again",
            **folder_with(
                lambda files: (
                    files
                    | signed(
                        DAYS[-1], files[f"{LAST}.csv"], 6, manifest=lambda manifest: manifest | {"date": "2024-11-03"}
                    )
                )
            ),
        },
    ),
    *fault(
        "certificate of another host",
        **REFUSED,
        says="certificate is invalid",
        police={"tls": lambda: certificate(host="10.9.8.7", is_trusted=True)},
        fire={"tls": lambda: certificate(host="10.9.8.7", is_trusted=True)},
        investigation={
            "says": "not have a valid signature",
            **folder_with(lambda files: files | signed(DAYS[-1], files[f"{LAST}.csv"], 6, STRANGER)),
        },
    ),
    *fault(
        "no TLS where TLS is due",
        **GIVEN_UP,
        says="TLS handshake failed",
        url=lambda base: base.replace("http:", "https:"),
        investigation={
            **REFUSED,
            "url": str,
            "says": "signature",
            **gives(lambda content: content.replace(b'"rows":6', b'"rows":7'), f"{LAST}.manifest.json"),
        },
    ),
    *fault(
        "altered on its way",
        **REFUSED,
        police={
            "answer": always(body=lambda answer: answer.body.replace(b'"page"', b'"pag?"')),
            "says": "returned no page",
        },
        fire={
            "answer": always(body=lambda answer: answer.body.replace(b'"body"', b'"bo?y"')),
            "says": "format changed",
        },
        investigation={"says": "SHA-256 differs", **gives(lambda content: content.replace(b"-0001,", b"-0009,"))},
    ),
    *fault(
        "key that is not accepted",
        **REFUSED,
        police={"answer": instead(Answer(b'{"error":"unknown key"}', 401)), "says": "secret"},
        fire={"answer": instead(portal_error("DEADLINE_HAS_EXPIRED_ERROR", 31)), "says": "expired"},
        investigation={"says": "public_key", "setting": lambda settings: keyless(settings)},
    ),
    *fault(
        "answer that repeats the key",
        **REFUSED,
        police={"answer": instead(Answer(f"no access for {KEY}".encode())), "says": "no access|…"},
        fire={"answer": instead(portal_error(f"UNKNOWN KEY {KEY}", 30)), "says": "UNKNOWN KEY …"},
        investigation={**FAILED_FILE, "reading": repeats_the_key},
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", [*PAGES, *PACKING, *TRUST], ids=lambda case: f"{case.fault}: {case.agency.name}")
def test_a_fault_of_pages_or_trust_ends_as_declared(case: Case, run_matrix_case: Callable[[Case], None]) -> None:
    run_matrix_case(case)
