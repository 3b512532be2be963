"""Faults of connections and statuses; for the drop folder, errors of its file system."""

import errno
from collections.abc import Callable

import pytest

from tests.faults.agencies import DAYS, portal_error, signed
from tests.faults.injections import (
    FAILED_FILE,
    FIRST_FILE,
    GIVEN_UP,
    LAST,
    PASSED,
    PRIVATE,
    REFUSED,
    always,
    fails,
    folder_with,
    free_port,
    gives,
    half,
    instead,
    once,
    without,
)
from tests.faults.matrix import ALL, Case, fault
from tests.faults.server import Answer

CONNECTION = [
    *fault(
        "slow answer",
        "accept",
        ALL,
        answer=always(wait_seconds=0.03),
        investigation={"reading": lambda name, again, content: content},
    ),
    *fault(
        "no answer, once",
        **PASSED,
        answer=once(is_silent=True, wait_seconds=1.5),
        patience_seconds=0.4,
        investigation={**FAILED_FILE, **fails(errno.ETIMEDOUT, times=1)},
    ),
    *fault(
        "no answer, ever",
        **GIVEN_UP,
        says="no answer within|next run",
        answer=always(is_silent=True, wait_seconds=0.9),
        patience_seconds=0.2,
        investigation={**FAILED_FILE, **fails(errno.ETIMEDOUT)},
    ),
    *fault(
        "reset before the answer, once",
        **PASSED,
        answer=once(is_silent=True, is_reset=True),
        investigation={**FAILED_FILE, **fails(errno.ECONNRESET, times=1)},
    ),
    *fault(
        "reset before the answer, ever",
        **GIVEN_UP,
        says="connection failed",
        answer=always(is_silent=True, is_reset=True),
        investigation={**FAILED_FILE, **fails(errno.ECONNRESET)},
    ),
    *fault(
        "reset in the middle, ever",
        **GIVEN_UP,
        says="connection failed",
        answer=always(sent_bytes=half, is_reset=True),
        investigation={**FAILED_FILE, **fails(errno.EIO)},
    ),
    *fault(
        "cut off in the middle, once",
        **PASSED,
        answer=once(sent_bytes=half),
        investigation={
            **REFUSED,
            "says": "SHA-256 differs",
            **gives(lambda content: content[: content.rindex(b"\n", 0, -1) + 1]),
        },
    ),
    *fault(
        "slow drip, ever",
        **GIVEN_UP,
        says="exceeded the time limit",
        patience_seconds=0.3,
        answer=always(piece_bytes=200, pause_seconds=0.15),
        investigation={**FAILED_FILE, **fails(errno.EAGAIN)},
    ),
    *fault(
        "announces more than it sends",
        **GIVEN_UP,
        says="connection failed",
        answer=always(length=lambda answer: len(answer.body) + 9),
        investigation={
            **REFUSED,
            "says": "rows but its manifest states",
            "files": lambda files: files | signed(DAYS[-1], files[f"{LAST}.csv"], 7),
        },
    ),
    *fault(
        "announces less than it sends",
        **REFUSED,
        says="cut off|fetch it again",
        answer=always(length=lambda answer: len(answer.body) - 9),
        investigation={"says": "SHA-256 differs", **gives(lambda content: content[:-9])},
    ),
    *fault(
        "announces gigabytes",
        **REFUSED,
        says="more than",
        answer=always(length=300 * 1024 * 1024),
        investigation={"says": "a row of", **gives(lambda content: content + b"x" * 200_000)},
    ),
    *fault(
        "no HTTP at all",
        **GIVEN_UP,
        says="connection failed",
        answer=always(headers={"A": "b" * 200_000}),
        investigation={**FAILED_FILE, **fails(errno.EISDIR)},
    ),
    *fault(
        "unknown host name",
        **GIVEN_UP,
        says="unknown host",
        url=lambda base: "http://nowhere.invalid",
        investigation={**REFUSED, "says": "cannot be opened", "url": lambda url: "nowhere://drop"},
    ),
    *fault(
        "connection refused",
        **GIVEN_UP,
        says="connection refused",
        url=lambda base: f"http://127.0.0.1:{free_port()}",
        investigation={**REFUSED, "says": "cannot be read", "url": lambda url: f"{url}/not-mounted"},
    ),
]

STATUSES = [
    *fault(
        "status 400",
        **REFUSED,
        says="status 400",
        answer=always(status=400),
        investigation={**FAILED_FILE, **fails(errno.EINVAL)},
    ),
    *fault(
        "status 401",
        **REFUSED,
        says="status 401|secret",
        answer=always(status=401),
        investigation={**FAILED_FILE, **fails(errno.EACCES)},
    ),
    *fault(
        "status 403",
        **REFUSED,
        says="status 403",
        answer=always(status=403),
        investigation={**FAILED_FILE, **fails(errno.EPERM)},
    ),
    *fault(
        "status 404",
        **REFUSED,
        says="status 404",
        answer=always(status=404),
        investigation={**FAILED_FILE, **folder_with(without(FIRST_FILE))},
    ),
    *fault(
        "status 429 with Retry-After, once",
        **PASSED,
        answer=once(status=429, headers={"Retry-After": "7"}),
        investigation={**FAILED_FILE, **fails(errno.EBUSY, times=1)},
    ),
    *fault(
        "status 429 without Retry-After, once",
        **PASSED,
        answer=once(status=429),
        investigation={**FAILED_FILE, **fails(errno.EMFILE, times=1)},
    ),
    *fault(
        "status 429, ever",
        **GIVEN_UP,
        says="status 429",
        answer=always(status=429),
        investigation={**FAILED_FILE, **fails(errno.EBUSY)},
    ),
    *fault(
        "status 500, once",
        **PASSED,
        answer=once(status=500),
        investigation={**FAILED_FILE, **fails(errno.EIO, times=1)},
    ),
    *fault(
        "status 503, ever",
        **GIVEN_UP,
        says="status 503",
        answer=always(status=503),
        investigation={**FAILED_FILE, **fails(errno.ENXIO)},
    ),
    *fault(
        "HTML page with status 200",
        **REFUSED,
        says="HTML page",
        answer=instead(Answer(b"<!doctype html><title>Maintenance</title>", kind="text/html")),
        investigation=gives(lambda content: b"<html>Maintenance</html>"),
    ),
    *fault(
        "HTML page called JSON",
        **REFUSED,
        says="HTML page",
        answer=instead(Answer(b"\n<html><body>Log in</body></html>")),
        investigation=folder_with(lambda files: files | signed(DAYS[-1], b"\n<html><body>Log in</body></html>", 0)),
    ),
    *fault(
        "PDF with status 200",
        **REFUSED,
        says="application/pdf",
        answer=always(kind="application/pdf"),
        investigation={"says": "PDF", **gives(lambda content: b"%PDF-1.7 " + content)},
    ),
    *fault(
        "empty answer with status 200",
        **REFUSED,
        says="empty",
        answer=always(body=b""),
        investigation=gives(lambda content: b""),
    ),
    *fault(
        "error with status 200",
        **REFUSED,
        police={"answer": instead(Answer(b'{"error":"internal"}')), "says": "returned no page"},
        fire={"answer": instead(portal_error("SERVICE_KEY_IS_NOT_REGISTERED_ERROR", 30)), "says": "30|secret"},
        investigation={**gives(lambda content: "오류: 관리자에게 문의".encode("cp949")), "says": "SHA-256"},
    ),
    *fault(
        "error with status 200, once",
        **PASSED,
        police={**REFUSED, "answer": once(body=b'{"error":"busy"}'), "says": "returned no page"},
        fire={
            "answer": lambda answer, question: portal_error("APPLICATION_ERROR", 1) if question.number == 1 else answer
        },
        investigation={
            **REFUSED,
            "says": "SHA-256",
            "reading": lambda name, again, content: b"busy" if name == FIRST_FILE and again == 1 else content,
        },
    ),
    *fault(
        "allowance used up",
        **REFUSED,
        police={**GIVEN_UP, "answer": always(status=429, headers={"Retry-After": "86400"}), "says": "status 429"},
        fire={
            "answer": instead(portal_error("LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR", 22)),
            "says": "22|midnight",
        },
        investigation={**FAILED_FILE, **fails(errno.EDQUOT)},
    ),
    *fault(
        "redirect to itself",
        **REFUSED,
        says="redirects are not followed",
        answer=always(status=302, headers={"Location": "?again"}),
        investigation={**FAILED_FILE, **fails(errno.ELOOP)},
    ),
    *fault(
        "redirect to a private address",
        **REFUSED,
        says="inside this network",
        answer=always(status=307, headers={"Location": PRIVATE}),
        investigation={
            "says": "old one sent again",
            **folder_with(
                lambda files: (
                    files
                    | signed(
                        DAYS[-1],
                        files[f"{LAST}.csv"],
                        6,
                        manifest=lambda manifest: (
                            manifest | {"files": [manifest["files"][0] | {"name": "../../etc/passwd"}]}
                        ),
                    )
                )
            ),
        },
    ),
    *fault(
        "redirect to a stranger",
        **REFUSED,
        says="https://stranger.example/",
        answer=always(status=301, headers={"Location": "https://stranger.example/"}),
        investigation={
            "says": "old one sent again",
            **folder_with(
                lambda files: (
                    files
                    | signed(
                        DAYS[-1], files[f"{LAST}.csv"], 6, manifest=lambda manifest: manifest | {"agency": "stranger"}
                    )
                )
            ),
        },
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CONNECTION, *STATUSES], ids=lambda case: f"{case.fault}: {case.agency.name}")
def test_a_fault_of_the_connection_ends_as_declared(case: Case, run_matrix_case: Callable[[Case], None]) -> None:
    run_matrix_case(case)
