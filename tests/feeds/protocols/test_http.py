"""The HTTP client: what it retries, what it rejects, and what it never shows."""

import gzip
import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx
import pytest

from pipelines.config.environment import Environment
from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import http, transfer
from tests.replay import running

Answer = tuple[int, Mapping[str, str], bytes]
ATTEMPTS = Environment.model_fields["request_attempts"].default
OK: Answer = (200, {"Content-Type": "application/json"}, b'{"fine": true}')


@contextmanager
def answering(answers: Sequence[Answer]) -> Iterator[tuple[str, list[Mapping[str, str]]]]:
    """Serve these answers in turn, then repeat the last.

    Yields the URL and the queries received.
    """
    seen: list[Mapping[str, str]] = []

    def answer(path: str, query: Mapping[str, str]) -> Answer:
        seen.append(query)
        return answers[min(len(seen), len(answers)) - 1]

    with running(answer) as base:
        yield base, seen


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(http, "_sleep", slept.append)
    return slept


def failure(call: Callable[[], object]) -> str:
    with pytest.raises(FeedError) as caught:
        call()
    assert caught.value.__cause__ is None  # a chained exception could show what the message masks
    return str(caught.value)


def test_the_body_is_returned_byte_for_byte_with_the_parameters_sent() -> None:
    with answering([(200, {"Content-Type": "application/json"}, b'{"a" :  1}\n')]) as (base, seen):
        assert http.get(f"{base}/rows?f=json", {"offset": 4, "token": None}) == b'{"a" :  1}\n'
    assert seen == [{"f": "json", "offset": "4"}]


@pytest.mark.parametrize("status", [202, 408, 429, 500, 502, 503, 504])
def test_a_temporary_failure_is_retried(status: int, waits: list[float]) -> None:
    with answering([(status, {}, b""), (status, {}, b""), OK]) as (base, seen):
        assert http.get(base, {}) == OK[2]
    assert len(seen) == 3
    assert 0.5 <= waits[0] <= 1.0 and 1.0 <= waits[1] <= 1.5  # doubled, with jitter


def test_after_the_last_attempt_the_error_states_where_why_and_what_to_do(waits: list[float]) -> None:
    with answering([(503, {}, b"")]) as (base, seen):
        message = failure(lambda: http.get(f"{base}/layer", {"offset": 7}))
    assert len(seen) == ATTEMPTS and len(waits) == ATTEMPTS - 1
    assert f"{base}/layer?offset=7" in message and "503" in message and "next run" in message


def test_a_refused_connection_is_retried_and_reported(waits: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = failure(lambda: http.get(f"http://127.0.0.1:{port}/", {}))
    assert len(waits) == ATTEMPTS - 1 and "connection refused" in message


@pytest.mark.parametrize("url", ["http://agency:pa55word@host:2x2/rows", "http://[::1/rows", "http://host:99999/"])
def test_an_invalid_url_can_be_shown_without_an_error(url: str) -> None:
    assert "pa55word" not in http.place(url) and "invalid URL" in http.place(url)
    assert "pa55word" not in failure(lambda: http.get(url))


def test_a_source_that_does_not_answer_times_out(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONGSU_REQUEST_TIMEOUT_SECONDS", "0.05")
    monkeypatch.setenv("BONGSU_REQUEST_ATTEMPTS", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert "no answer within 0.05 seconds" in failure(lambda: http.get(url))
    assert len(waits) == 1


def test_a_truncated_answer_is_retried(waits: list[float]) -> None:
    cut = (200, {"Content-Length": "900", "Connection": "close"}, b'{"half":')
    with answering([cut, OK]) as (base, _):
        assert http.get(base) == OK[2]
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("stated", "waited"),
    [
        ("7", 7.0),
        ("86400", http.LONGEST_WAIT_SECONDS),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_honoured_up_to_a_limit(stated: str, waited: float, waits: list[float]) -> None:
    later = {"Retry-After": stated, "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    with answering([(429, later, b""), OK]) as (base, _):
        http.get(base)
    assert waits == [waited]


def test_an_invalid_retry_after_falls_back_to_backoff(waits: list[float]) -> None:
    with answering([(503, {"Retry-After": "soon"}, b""), OK]) as (base, _):
        http.get(base)
    assert 0.5 <= waits[0] <= 1.0


@pytest.mark.parametrize(
    ("status", "hint"), [(400, "resource"), (401, "secret"), (403, "access"), (404, "url"), (418, "url")]
)
def test_a_permanent_error_is_reported_at_once_with_what_to_do(status: int, hint: str, waits: list[float]) -> None:
    with answering([(status, {}, b"")]) as (base, seen):
        message = failure(lambda: http.get(base))
    assert len(seen) == 1 and waits == []
    assert f"status {status}" in message and hint in message


def test_redirects_are_reported_and_not_followed(waits: list[float]) -> None:
    with answering([(302, {"Location": "/elsewhere?token=abc"}, b"")]) as (base, seen):
        message = failure(lambda: http.get(base))
    assert len(seen) == 1 and f"{base}/elsewhere" in message and "abc" not in message


@pytest.mark.parametrize(
    "page", [(200, {"Content-Type": "text/html"}, b"{}"), (200, {}, b"\n <!DOCTYPE html><title>Log in</title>")]
)
def test_an_html_page_is_rejected_despite_status_200(page: Answer) -> None:
    with answering([page]) as (base, _):
        assert "HTML" in failure(lambda: http.get(base))


@pytest.mark.parametrize("kind", ["application/pdf", "image/png", "application/zip"])
def test_a_content_type_that_is_not_text_is_rejected(kind: str) -> None:
    with answering([(200, {"Content-Type": kind}, b"{}")]) as (base, _):
        assert f"returned {kind}" in failure(lambda: http.get(base))


def test_a_body_announced_as_too_large_is_rejected_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 10)
    with answering([(200, {"Content-Length": "11"}, b"")]) as (base, _):
        assert "more than 10 bytes" in failure(lambda: http.get(base))


def test_a_compressed_body_is_unpacked() -> None:
    with answering([(200, {"Content-Encoding": "gzip"}, gzip.compress(OK[2]))]) as (base, _):
        assert http.get(base) == OK[2]


def test_a_compressed_body_that_ends_too_early_is_retried(waits: list[float]) -> None:
    # Its length is as announced: only the compression shows the cut.
    cut = (200, {"Content-Encoding": "gzip"}, gzip.compress(OK[2])[:-4])
    with answering([cut, OK]) as (base, _):
        assert http.get(base) == OK[2]
    assert len(waits) == 1


def test_a_compressed_body_over_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 10)
    with answering([(200, {"Content-Encoding": "gzip"}, gzip.compress(OK[2]))]) as (base, _):
        assert "more than 10 bytes" in failure(lambda: http.get(base))


def test_a_compression_bomb_is_rejected() -> None:
    with answering([(200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 20_000_000))]) as (base, _):
        assert "times as much" in failure(lambda: http.get(base))


def test_a_compression_that_was_not_requested_is_rejected() -> None:
    with answering([(200, {"Content-Encoding": "zstd"}, b"x")]) as (base, _):
        assert "not requested" in failure(lambda: http.get(base))


@pytest.mark.parametrize("host", ["10.1.2.3", "127.0.0.1", "[::1]", "169.254.169.254", "localhost", "api.internal"])
def test_a_redirect_into_the_local_network_is_reported(host: str) -> None:
    with answering([(302, {"Location": f"http://{host}/"}, b"")]) as (base, seen):
        assert "inside this network" in failure(lambda: http.get(base))
    assert len(seen) == 1


def test_an_invalid_certificate_is_rejected_at_once_with_what_to_do() -> None:
    wrapped = ssl.SSLCertVerificationError()
    wrapped.verify_message = "certificate has expired"
    error = httpx.ConnectError("no")
    error.__cause__ = wrapped
    assert "certificate has expired" in (http._certificate_refusal(error) or "")


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (socket.gaierror(-2, "unknown"), "unknown host"),
        (ConnectionRefusedError(), "connection refused"),
        (ssl.SSLError(), "TLS handshake failed"),
    ],
)
def test_a_failed_connection_is_reported_with_its_cause(cause: OSError, reason: str) -> None:
    error = httpx.ConnectError("no")
    error.__cause__ = cause
    assert reason in http._connection_failure(error)


def test_a_byte_order_mark_is_not_part_of_the_json() -> None:
    with answering([(200, {}, http.BOM + OK[2])]) as (base, _):
        assert http.decode(http.get(base), base) == {"fine": True}


def test_input_that_would_exhaust_a_parser_is_rejected_on_receipt() -> None:
    with answering([(200, {}, b"[" * 999 + b"]" * 999)]) as (base, _):
        assert "nested 999 or more levels deep" in failure(lambda: http.get(base))


def test_a_body_over_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 10)
    with answering([OK]) as (base, _):
        assert "more than 10 bytes" in failure(lambda: http.get(base))


def test_secrets_never_appear_in_errors_or_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with answering([(404, {}, b"")]) as (base, _):
        url = base.replace("http://", "http://user:hidden@") + "/x?apikey=hidden"
        message = failure(lambda: http.get(url, {"serviceKey": "hidden", "page": 2}, headers={"X-Api-Key": "hidden"}))
    assert "hidden" not in message and "page=2" in message and "serviceKey=…" in message
    assert "hidden" not in " ".join(record.getMessage() for record in caplog.records if record.name == "httpx")


def test_a_key_with_a_line_break_is_rejected_without_showing_it(waits: list[float]) -> None:
    with answering([OK]) as (base, _):
        message = failure(lambda: http.get(base, headers={"X-Api-Key": "hidden\n"}))
    assert "stray characters" in message and "hidden" not in message and waits == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "simulator:", "ftp://example.org/x", "http:///no-host"])
def test_only_http_urls_are_requested(url: str) -> None:
    assert "not an http or https address" in failure(lambda: http.get(url))


def test_an_invalid_url_is_rejected() -> None:
    assert "not a valid URL" in failure(lambda: http.get("http://127.0.0.1:port/"))


def test_corrupt_compression_is_retried(waits: list[float]) -> None:
    broken = (200, {"Content-Encoding": "gzip"}, b"not gzip at all")
    with answering([broken, OK]) as (base, _):
        assert http.get(base) == OK[2]
    assert len(waits) == 1


def test_a_body_that_trickles_times_out(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    monkeypatch.setattr(http, "PATIENCE", 0)
    with answering([OK]) as (base, _):
        assert "exceeded the time limit" in failure(lambda: http.get(base))


def test_a_session_keeps_one_connection_open() -> None:
    with answering([OK]) as (base, seen), http.session() as client:
        assert [http.get(base, client=client) for _ in range(3)] == [OK[2]] * 3
    assert len(seen) == 3


@pytest.mark.parametrize("body", [b"<xml/>", b"[1, 2]"])
def test_an_answer_that_is_not_a_json_object_is_rejected_and_its_beginning_shown(body: bytes) -> None:
    with pytest.raises(FeedError, match="page 3: expected"):
        http.decode(body, "page 3")
