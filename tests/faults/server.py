"""A faulty source: an HTTP server whose every answer may be late, cut, slow, reset or mis-declared."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

TLS_HANDSHAKE = b"\x16"


@dataclass(frozen=True, slots=True)
class Question:
    """One request; ``number`` counts all requests to this server, from 1."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    number: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, and how.

    ``wait_seconds`` before the first byte; ``length`` declared instead of the true one; ``sent_bytes`` of the body,
    then the end, by a reset if ``is_reset``; ``piece_bytes`` at a time with ``pause_seconds`` between; nothing at all
    if ``is_silent``.
    """

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: float = 0
    length: int | None = None
    sent_bytes: int | None = None
    is_reset: bool = False
    is_silent: bool = False
    piece_bytes: int = 0
    pause_seconds: float = 0


@contextmanager
def serving(answer: Callable[[Question], Answer], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve answers on loopback from a separate thread; yield the base URL."""
    ready = threading.Event()
    ending: list[Callable[[], object]] = []
    source = _Source(answer)

    async def run() -> None:
        # TLS faults end handshakes on purpose; the loop would print each.
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda *_: None)
        server = await asyncio.start_server(source.converse, "127.0.0.1", 0, ssl=tls)
        source.base = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ending.append(lambda: loop.call_soon_threadsafe(over.set))
        ready.set()
        await over.wait()
        server.close()
        talking = asyncio.all_tasks() - {asyncio.current_task()}
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        # Closed connections are released in the loop's next iterations.
        await asyncio.sleep(0.001)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield source.base
    finally:
        ending[0]()
        thread.join()


class _Source:
    def __init__(self, answer: Callable[[Question], Answer]) -> None:
        self.base = ""
        self._answer = answer
        self._number = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _send(writer, self._answer(await self._question(reader))):
                pass
        except ConnectionAbortedError:
            writer.write(b"HTTP/1.1 400 Plain HTTP is spoken here\r\nContent-Length: 0\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            task = asyncio.current_task()
            if task and task.cancelling():
                writer.transport.abort()
            writer.close()

    async def _question(self, reader: asyncio.StreamReader) -> Question:
        begin = await reader.readexactly(1)
        if begin == TLS_HANDSHAKE:
            raise ConnectionAbortedError
        first, *rest = (begin + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        target = first.split(" ")[1]
        self._number += 1
        parts = urlsplit(target)
        return Question(
            path=parts.path,
            query={name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()},
            headers={name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)},
            number=self._number,
        )


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> bool:
    """Send one answer; return whether the connection stays open."""
    await asyncio.sleep(answer.wait_seconds)
    is_whole = answer.sent_bytes is None and answer.length is None
    if not answer.is_silent:
        length = len(answer.body) if answer.length is None else answer.length
        headers = {"Content-Type": answer.kind, "Content-Length": str(length), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} Answer", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        body = answer.body[: answer.sent_bytes]
        step = answer.piece_bytes or max(1, len(body))
        for at in range(0, len(body), step):
            writer.write(body[at : at + step])
            await writer.drain()
            await asyncio.sleep(answer.pause_seconds)
    if answer.is_reset:
        _reset(writer)
    return is_whole and not answer.is_reset and not answer.is_silent


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
