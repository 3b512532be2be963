"""The HTTP client of all feeds: it retries temporary failures, rejects the others at once and never shows a secret.

Retried with exponential backoff and jitter: lost connections, time-outs, 202 (the answer is being prepared), 408, 425,
429, 5xx (each after `Retry-After`, if stated, up to a limit), and bodies shorter than announced or truncated inside
their compression. Rejected at once: every other status but 200, redirects (a portal that moved must be updated in the
profile; a redirect could send a key to another host or reach into the local network), invalid certificates, HTML
(log-in and error pages arrive with 200), bodies over the limits of `transfer`, and whatever `byte_checks` rejects.
Proxies and extra certificates come from the usual environment variables, except on loopback.

Private addresses are allowed, because agencies run closed networks. Only addresses in the profile are requested; none
are taken from data or redirects.
"""

import email.utils
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
import tenacity

from pipelines.config import environment
from pipelines.feeds.feed import FeedError
from pipelines.feeds.protocols import byte_checks, transfer

__all__ = ["BOM", "decode", "download", "get", "place", "session"]

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
CONNECT_SECONDS = 10.0
PATIENCE = 10
"""A body may take this many time-outs in total: a server that trickles bytes cannot block a run forever."""

RETRIED_STATUS = frozenset({202, 408, 425, 429, 500, 502, 503, 504})
USER_AGENT = "bongsu (public-safety analytics)"

BOM = b"\xef\xbb\xbf"
"""A UTF-8 byte order mark, with which some exports begin; JSON decoders fail on it."""

_SECRET_WORDS = ("key", "token", "secret", "auth", "pass", "sign", "credential")
_HINTS = {
    400: "the source rejected the request as invalid: check the feed's url and resource in the profile",
    401: "the key is missing or wrong: set the environment variable that the profile names under `secret`",
    403: "the key has no access: ask for access, or check that this machine's address is allowed",
    404: "not found: check the feed's url and resource in the profile",
}

# httpx logs every URL, with its query, at INFO; a key sent as a parameter would appear in the run's log.
logging.getLogger("httpx").setLevel(logging.WARNING)

_sleep = time.sleep


class _Passing(Exception):
    """A failure that may be temporary: retried after a wait."""

    def __init__(self, reason: str, wait_seconds: float | None = None, status: int | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds, self.status = wait_seconds, status


class Unavailable(FeedError):
    """Report that a source does not give an answer, with the status of its last one, if there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@cache
def _certificates() -> ssl.SSLContext:
    # Reading the certificates takes longer than many a request, so it is done once per process.
    return httpx.create_ssl_context()


def session() -> httpx.Client:
    """Return a client that keeps its connection open over many calls of `get`: use it in a `with` statement."""
    direct: dict[str, httpx.BaseTransport | None] = {
        "all://127.0.0.1": None,
        "all://localhost": None,
        "all://[::1]": None,
    }
    return httpx.Client(
        verify=_certificates(),
        follow_redirects=False,
        mounts=direct,
        headers={"user-agent": USER_AGENT, "accept-encoding": transfer.PACKING},
    )


def get(
    url: str,
    params: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    client: httpx.Client | None = None,
) -> bytes:
    """Read a URL and return the body byte for byte (transfer compression undone): JSON or XML in UTF-8.

    A wait for more bytes ends after `BONGSU_REQUEST_TIMEOUT_SECONDS`, one for a connection after ten seconds.

    Args:
        url: http or https; may have a query, to which `params` are added.
        params: Query parameters; those that are None are left out.
        headers: Sent with the request; never shown in an error.
        client: From `session()`, to keep one connection open; without it, one is opened for this call.

    Raises:
        FeedError: The source cannot be read; the message states where (without secrets), why and what to do next.
    """
    if client is None:
        with session() as opened:
            return get(url, params, headers=headers, client=opened)
    query = {name: value for name, value in (params or {}).items() if value is not None}
    request = client.build_request("GET", _target(url).copy_merge_params(query), headers=headers)
    return _fetched(client, request, place(url, query))


def download(url: str) -> bytes:
    """Read a file of any type, such as an archive, and return it byte for byte.

    Raises:
        FeedError: As `get`.
    """
    with session() as client:
        return _received(client, client.build_request("GET", _target(url)), place(url), is_text=False)


def post(url: str, form: Mapping[str, Any], *, client: httpx.Client) -> bytes:
    """Send a form, for queries that are too long for a URL, and return the body as `get` does.

    Raises:
        FeedError: As `get`.
    """
    request = client.build_request("POST", _target(url), data=dict(form))
    return _fetched(client, request, place(url))


def _fetched(client: httpx.Client, request: httpx.Request, where: str) -> bytes:
    body = _received(client, request, where)
    # The caller checks which of the two was requested: portals send errors as XML whatever was requested.
    byte_checks.inspect(body, "xml" if body.removeprefix(BOM).lstrip()[:1] == b"<" else "json", "utf-8", where)
    return body


def _received(client: httpx.Client, request: httpx.Request, where: str, *, is_text: bool = True) -> bytes:
    """Return the body of the first attempt that succeeds."""
    limits = environment.load()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Passing),
        stop=tenacity.stop_after_attempt(limits.request_attempts),
        wait=_wait,
        sleep=lambda seconds: _sleep(seconds),
        reraise=True,
    )
    try:
        return retrying(_read, client, request, limits.request_timeout_seconds, where, is_text)
    except _Passing as failure:
        raise Unavailable(
            f"{where}: {failure} ({limits.request_attempts} attempts); no data is lost, the next run continues from "
            "this feed's cursor; if it persists, look at the source's status page",
            failure.status,
        ) from None


def decode(body: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FeedError: The body is not JSON or not an object; the message shows `where` and how the body begins.
    """
    try:
        content = orjson.loads(body.removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        raise FeedError(f"{where}: expected JSON, but the answer begins {body[:80]!r} ({error})") from error
    if not isinstance(content, dict):
        raise FeedError(f"{where}: expected a JSON object, but the answer begins {body[:80]!r}")
    return content


def place(url: str, params: Mapping[str, Any] | None = None) -> str:
    """Return a URL that is safe to show: without user, password, fragment and any parameter that may be a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        # Its message would show the text in place of the port, which may be part of a password.
        return "an invalid URL (check its port)"
    query = [*parse_qsl(parts.query, keep_blank_values=True), *(params or {}).items()]
    shown = "&".join(f"{name}={_shown(name, str(value))}" for name, value in query)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}{port}{parts.path}" + (f"?{shown}" if shown else "")


def _target(url: str) -> httpx.URL:
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        raise FeedError("the feed's url in the profile is not a valid URL: correct it") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise FeedError(f"{place(url)} is not an http or https address: correct the feed's url in the profile")
    return target


def _shown(name: str, value: str) -> str:
    return "…" if any(word in name.lower() for word in _SECRET_WORDS) else value


def _read(
    client: httpx.Client,
    request: httpx.Request,
    timeout_seconds: float,
    where: str,
    is_text: bool,
) -> bytes:
    """Make one attempt: return the body, or raise `_Passing` or FeedError."""
    limits = httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, CONNECT_SECONDS))
    request.extensions = {**request.extensions, "timeout": limits.as_dict()}
    try:
        response = client.send(request, stream=True)
        try:
            _check(response, where)
            body = transfer.receive(response, time.monotonic() + timeout_seconds * PATIENCE, where, is_text=is_text)
        finally:
            response.close()
    except httpx.ConnectTimeout:
        raise _Passing("no connection in time") from None
    except httpx.TimeoutException:
        raise _Passing(f"no answer within {timeout_seconds:g} seconds") from None
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError):
        # The message may contain a header's value, so it is not shown.
        raise FeedError(f"{where} cannot be requested: check the feed's url and key for stray characters") from None
    except transfer.CutOff as error:
        raise _Passing(str(error)) from None
    except httpx.TransportError as error:
        if refusal := _certificate_refusal(error):
            raise FeedError(f"{where}: {refusal}") from None
        raise _Passing(_connection_failure(error)) from None
    if _is_html(response, body):
        raise FeedError(
            f"{where} returned an HTML page instead of data: a log-in page, a portal's error page or a wrong "
            "address; open it in a browser and correct the feed's url in the profile"
        )
    return body


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _certificate_refusal(error: Exception) -> str | None:
    """Return what to do about an invalid certificate; a retry would not help."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is invalid ({cause.verify_message}), so nothing was sent to it; if it is the "
                "agency's "
                "own, put the certificate of its authority into the file that SSL_CERT_FILE names; if it has expired, "
                "inform the source"
            )
    return None


def _connection_failure(error: Exception) -> str:
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "unknown host: check the feed's url in the profile and this machine's DNS"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused: no service listens there, or a firewall blocks it"
        if isinstance(cause, ssl.SSLError):
            return f"the TLS handshake failed ({getattr(cause, 'reason', None) or 'TLS'})"
    return f"the connection failed: {error or type(error).__name__}"


def _check(response: httpx.Response, where: str) -> None:
    status = response.status_code
    if status == 200:
        return
    if status in RETRIED_STATUS:
        raise _Passing(f"status {status}", _retry_after(response), status)
    if response.is_redirect:
        target = response.url.join(response.headers.get("location", ""))
        private = ", an address inside this network," if _is_private(target.host) else ""
        raise FeedError(
            f"{where} redirects to {place(str(target))}{private} (status {status}); redirects are not followed: if "
            "that is the source's new address, set it in the profile"
        )
    raise Unavailable(f"{where}: status {status}; {_HINTS.get(status, 'check the url in the profile')}", status)


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".internal", ".local"))


def _is_html(response: httpx.Response, body: bytes) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml") or body[:256].lstrip().lower().startswith(
        (b"<!doctype html", b"<html")
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds to wait that the source states: a number, or a date relative to the answer's own `Date`."""
    stated = response.headers.get("retry-after", "")
    if stated.strip().isdigit():
        return float(stated)
    try:
        until = email.utils.parsedate_to_datetime(stated)
        return (until - email.utils.parsedate_to_datetime(response.headers["date"])).total_seconds()
    except (ValueError, TypeError, KeyError):
        return None


_backoff = tenacity.wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS) + tenacity.wait_random(
    0, FIRST_WAIT_SECONDS
)


def _wait(state: tenacity.RetryCallState) -> float:
    """Return the wait that the source states, up to the limit; otherwise a doubling wait with jitter."""
    failure = state.outcome.exception() if state.outcome else None
    stated = failure.wait_seconds if isinstance(failure, _Passing) else None
    if stated is None:
        return _backoff(state)
    return min(max(stated, 0.0), LONGEST_WAIT_SECONDS)
