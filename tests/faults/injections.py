"""Faults of a source's answers, a folder's files and a server's certificate."""

import gzip
import ipaddress
import os
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipelines.config.settings import Settings
from tests.faults.agencies import DAYS, FIRE, KEY, POLICE, Files, Row
from tests.faults.drops import Reading
from tests.faults.matrix import ALL, NOTHING, Declared
from tests.faults.server import Answer, Question

Change = Callable[[Answer, Question], Answer]
FIRST_FILE = f"cases_{DAYS[0]:%Y%m%d}.csv"
LAST = f"cases_{DAYS[-1]:%Y%m%d}"
PRIVATE = "http://169.254.169.254/latest"


def always(**sent: Any) -> Change:
    """Change how every answer is sent."""
    return lambda answer, question: resent(answer, **sent)


def once(**sent: Any) -> Change:
    """Change how only the first answer is sent."""
    return lambda answer, question: resent(answer, **sent) if question.number == 1 else answer


def instead(answer: Answer) -> Change:
    """Always send the same answer."""
    return lambda _, question: answer


def on_page(number: int, change: Callable[[Row], Row]) -> Change:
    """Change the content of one page."""

    def changed(answer: Answer, question: Question) -> Answer:
        if question.query.get("page", question.query.get("pageNo")) != str(number):
            return answer
        return resent(answer, body=orjson.dumps(change(orjson.loads(answer.body))))

    return changed


def resent(answer: Answer, **sent: Any) -> Answer:
    """Change how an answer is sent; functions are called with the answer."""
    given = {name: value(answer) if callable(value) else value for name, value in sent.items()}
    return replace(answer, **given)


def half(answer: Answer) -> int:
    return len(answer.body) // 2


def fails(code: int, name: str = FIRST_FILE, times: int = 99) -> dict[str, Reading]:
    """Reading a file raises an error of the operating system."""

    def reading(question: str, again: int, content: bytes) -> bytes:
        if question == name and again <= times:
            raise OSError(code, os.strerror(code), question)
        return content

    return {"reading": reading}


def gives(change: Callable[[bytes], bytes], name: str = FIRST_FILE) -> dict[str, Reading]:
    """Reading a file returns other bytes than stored."""
    return {"reading": lambda question, again, content: change(content) if question == name else content}


def repeats_the_key(question: str, again: int, content: bytes) -> bytes:
    """Reading a file raises an error of the file system's own type, as SFTP and S3 do, that contains the key."""
    raise RuntimeError(f"no access to {question} for {KEY}")


def folder_with(change: Callable[[Files], Files]) -> dict[str, Callable[[Files], Files]]:
    """The folder has other files than the agency left."""
    return {"files": change}


def without(*names: str) -> Callable[[Files], Files]:
    return lambda files: {name: content for name, content in files.items() if name not in names}


def nested(page: Row, **changed: object) -> Row:
    """Return a page in the portal's convention with other values in its body."""
    response = page["response"]
    return page | {"response": response | {"body": response["body"] | changed}}


def same_records(answer: Answer, question: Question) -> Answer:
    """Return the first records again, whatever page is requested."""
    page = orjson.loads(answer.body)
    content = (
        page | {"incidents": POLICE.clean[:5]} if "incidents" in page else nested(page, items={"item": FIRE.clean[:5]})
    )
    return resent(answer, body=orjson.dumps(content))


def packed(answer: Answer) -> Answer:
    return resent(answer, body=gzip.compress(answer.body), headers={"Content-Encoding": "gzip"})


REFUSED: Declared = {"outcome": "reject", "counts": NOTHING}
GIVEN_UP: Declared = {"outcome": "retry", "counts": NOTHING}
PASSED: Declared = {"outcome": "retry", "counts": ALL}
FAILED_FILE: Declared = {**REFUSED, "says": "cannot be read|the next run reads it"}


def certificate(
    host: str = "127.0.0.1", days: int = 2, is_trusted: bool = False
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a self-signed server certificate that expires in this many days, and what the client trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    signed_by_itself = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    written = signed_by_itself.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(written + secret)
        file.flush()
        server.load_cert_chain(file.name)
    client = ssl.create_default_context()
    if is_trusted:
        client.load_verify_locations(cadata=written.decode())
    return server, client


def free_port() -> int:
    """Return a port of this machine without a listener."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def keyless(settings: Settings) -> Settings:
    """Return a profile without a key of the investigation agency."""
    feeds = {name: entry.model_copy(update={"public_key": None}) for name, entry in settings.profile.feeds.items()}
    return settings.model_copy(update={"profile": settings.profile.model_copy(update={"feeds": feeds})})
