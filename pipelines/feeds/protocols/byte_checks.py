"""Check a delivery's bytes against the feed's declaration, before any parser reads them.

The checks come first because Polars crashes the process on JSON nested a thousand levels deep (memory runs out before
the parser's limit of 1024 applies), reads an HTML page as an empty CSV table, and needs memory for every column name,
so a page of ever new names exhausts it. All checks run in compiled code on whole parts, at a small share of the cost of
parsing. Faults of single values do not fail a part: suites divert such rows.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import polars as pl

from pipelines.feeds.feed import FeedError

__all__ = ["inspect"]

MAX_DEPTH: Final = 32
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_ROW_BYTES: Final = 4 * 1024 * 1024
MAX_NAMES: Final = 500
"""Distinct names in the sampled records: sources here have about 20, the widest known source about 100."""

_BOM = b"\xef\xbb\xbf"
_MAGIC: Final = {
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip file",
    b"PK\x05\x06": "a zip file",
    b"7z\xbc\xaf\x27\x1c": "a 7z file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"%PDF-": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_STRUCTURE = b'{}[]"'
_NO_STRUCTURE = bytes(set(range(256)) - set(_STRUCTURE))
_NAME = re.compile(rb'"([^"\\]{1,256})"\s*:')
_WORDS = re.compile(rb"[\x80-\xff]{6,}")
# Hangul in UTF-8 begins with bytes EA to ED; read as Latin-1 or Windows-1252 and encoded again, it begins with ê, ë, ì
# or í and two characters that no language writes there. Four characters of the Latin-1 supplement in a row are CP949
# read as Latin-1.
_READ_AS_LATIN = re.compile(
    rb"\xc3[\xaa-\xad](?:\xc2[\x80-\xbf]|\xc5[\x92\x93\xa0\xa1\xb8\xbd\xbe]|\xc6\x92|\xcb[\x86\x9c]|\xe2[\x80-\x84][\x80-\xbf]){2}"
    rb"|\xc3\x83\xc2[\x80-\xbf]|(?:[\xc2\xc3][\x80-\xbf]){4}"
)
_REPLACED = b"\xef\xbf\xbd"
_REPLACED_SHARE = 0.1
_ASCII = bytes(range(128))
_SAMPLES, _SAMPLE_BYTES = 8, 2048
_PIECE_BYTES = 512 * 1024


def inspect(part: bytes, content_type: str, encoding: str, where: str) -> None:
    """Reject a part that does not match the feed's declaration, or that would exhaust its parser.

    A UTF-8 byte order mark is accepted: Excel writes one, and the parsers skip it.

    Args:
        part: One page or file, byte for byte as received.
        content_type: `json`, `csv` or `xml`.
        encoding: Python's name of the encoding. Text in another encoding is rejected, never guessed.
        where: Source named in the message: a URL without secrets, a file, a batch.

    Raises:
        FeedError: The part is empty, an archive, an image, of another content type, cut off, in another encoding,
            encoded twice, nested too deep, or has an oversized value or record or too many names.
    """
    head = part[:512].removeprefix(_BOM).lstrip()
    if not head:
        raise FeedError(
            f"{where}: the answer is empty, without the frame or header expected even when there is no data: ask the "
            "source"
        )
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise FeedError(
                f"{where}: received {kind} instead of the declared {content_type.upper()}; ask the source for plain "
                f"{content_type}"
            )
    if b"\x00" in part:
        raise FeedError(
            f"{where}: a NUL byte at {part.index(0)}: the file is not text, or was damaged in transfer; fetch it again"
        )
    _is_media(part, head, content_type, where)
    _is_encoded(part, encoding, where)
    _CHECKS[content_type](part, where)


def _is_media(part: bytes, head: bytes, content_type: str, where: str) -> None:
    if head.startswith(b"<") != (content_type == "xml"):
        actual = (
            "text that is not XML" if content_type == "xml" else "an HTML page" if b"<html" in head.lower() else "XML"
        )
        raise FeedError(
            f"{where}: received {actual} instead of the declared {content_type.upper()}: a log-in or error page, or "
            "another format; it "
            f"begins {head[:80]!r}; open the address and correct the feed's url or format in the profile"
        )
    if content_type == "json" and (head[:1] not in (b"{", b"[") or part[-64:].rstrip()[-1:] not in (b"}", b"]")):
        raise FeedError(
            f"{where}: the JSON is cut off or invalid: it begins {head[:40]!r} and ends {part[-40:]!r}; fetch it again"
        )


def _is_encoded(part: bytes, encoding: str, where: str) -> None:
    if part.isascii():
        return
    is_utf8 = _is_utf8(part)
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        if not is_utf8:
            _refuse_encoding(part, "utf-8", "CP949" if _decodes(part, "cp949") else None, where)
        _is_encoded_once(part, where)
    elif is_utf8:
        _refuse_encoding(part, encoding, "UTF-8", where)
    elif not _decodes(part, encoding):
        _refuse_encoding(part, encoding, None, where)


def _refuse_encoding(part: bytes, declared: str, actual: str | None, where: str) -> None:
    at = re.search(rb"[\x80-\xff]", part)
    shown = part[at.start() : at.start() + 24] if at else b""
    guess = f": it is {actual}" if actual else " and in no encoding known here"
    raise FeedError(
        f"{where}: the text is not in the declared {declared.upper()}{guess} (first invalid bytes {shown!r}); if the "
        "source changed its encoding on purpose, change it in the feed; no encoding is guessed"
    )


def _is_utf8(part: bytes) -> bool:
    # Polars validates with SIMD, five times as fast as Python's decoder.
    try:
        pl.Series([part], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True


def _decodes(part: bytes, encoding: str) -> bool:
    try:
        part.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_encoded_once(part: bytes, where: str) -> None:
    """Reject text that was decoded in a wrong encoding and encoded again: its words match no category."""
    # Search for one byte before the pattern: Hangul never contains it, and searching one byte is ten times as fast.
    twice = _READ_AS_LATIN.search(part) if b"\xc3" in part or b"\xc2" in part else None
    if twice:
        raise FeedError(
            f"{where}: the text was encoded twice, for example "
            f"{part[twice.start() : twice.start() + 24].decode(errors='replace')!r}: the source read it in a wrong "
            "encoding and wrote it again; ask the source to correct its export"
        )
    words = [word for sample in _samples(part) for word in _WORDS.findall(sample)]
    replaced = part.count(_REPLACED) if b"\xef" in part else 0
    if replaced and replaced * len(_REPLACED) > _REPLACED_SHARE * len(part.translate(None, _ASCII)):
        raise FeedError(
            f"{where}: {replaced} characters are U+FFFD, the replacement character: the source decoded its text in a "
            "wrong encoding and the original text is lost; ask the source to correct its export"
        )
    if words and sum(_is_utf8_read_as_cp949(word) for word in words) * 2 > len(words):
        raise FeedError(
            f"{where}: the text was encoded twice (UTF-8 read as CP949), for example "
            f"{words[0].decode(errors='replace')!r}; ask the source to correct its export"
        )


def _is_utf8_read_as_cp949(word: bytes) -> bool:
    try:
        return len(word.decode("utf-8", "ignore").encode("cp949").decode("utf-8")) > 1
    except UnicodeError:
        return False


def _check_json(part: bytes, where: str) -> None:
    if (depth := _depth(part)) > MAX_DEPTH:
        raise FeedError(
            f"{where}: JSON is nested {depth} or more levels deep, more than {MAX_DEPTH}: no known export needs it and "
            "it "
            "would exhaust the parser; ask the source what it sent"
        )
    for first, last in _gaps(part, b"}", MAX_ROW_BYTES):
        raise _too_long("a record", part, first, last, MAX_ROW_BYTES, where)
    quotes = seen = 0
    for first, last in _gaps(part, b'"', MAX_FIELD_BYTES):
        quotes, seen = quotes + _unescaped(part[seen:first]).count(b'"'), first
        # After an even number of quotation marks there is no text but, say, a polygon's coordinates.
        if quotes % 2:
            raise _too_long("a value", part, first, last, MAX_FIELD_BYTES, where)
    names = {name for sample in _samples(part) for name in _NAME.findall(sample)}
    if len(names) > MAX_NAMES:
        raise FeedError(
            f"{where}: more than {MAX_NAMES} distinct names in a sample of the records, for example "
            f"{sorted(names)[:3]}: the source puts data in field names; ask it what changed"
        )


def _check_csv(part: bytes, where: str) -> None:
    for first, last in _gaps(part, b"\n", MAX_FIELD_BYTES):
        raise _too_long("a row", part, first, last, MAX_FIELD_BYTES, where)
    # A quotation mark is never the second byte of a CP949 character.
    if part.count(b'"') % 2:
        raise FeedError(f"{where}: an unclosed quotation mark: the file is cut off or damaged; fetch it again")


def _check_xml(part: bytes, where: str) -> None:
    if re.search(rb"<!(?:DOCTYPE|ENTITY)", part, re.IGNORECASE):
        raise FeedError(
            f"{where}: the XML declares a document type or entities, which may expand without limit: it is rejected"
        )
    for first, last in _gaps(part, b"<", MAX_FIELD_BYTES):
        raise _too_long("a value", part, first, last, MAX_FIELD_BYTES, where)


_CHECKS: Final[dict[str, Callable[[bytes, str], None]]] = {"json": _check_json, "csv": _check_csv, "xml": _check_xml}


def _depth(part: bytes) -> int:
    """Return the nesting depth of brackets outside strings; stop at `MAX_DEPTH`.

    Reads chunk by chunk: all of the part at once would take many times its size in memory.
    """
    deepest = depth = 0
    is_text, carried = False, b""
    for at in range(0, len(part), _PIECE_BYTES):
        chunk = carried + part[at : at + _PIECE_BYTES]
        # A backslash at the end of a chunk escapes the first character of the next one, unless it is escaped itself.
        carried = b"\\" if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 else b""
        characters = np.frombuffer(_unescaped(chunk.removesuffix(carried)).translate(None, _NO_STRUCTURE), np.uint8)
        if not characters.size:
            continue
        quotes = characters == ord('"')
        texts = np.logical_xor.accumulate(quotes) ^ is_text
        brackets = characters[~quotes & ~texts]
        is_text = bool(texts[-1])
        # "[" and "{" differ in one bit only, and so do "]" and "}".
        steps = ((brackets & 0xDF) == ord("[")).astype(np.int8) * np.int8(2) - np.int8(1)
        depths = steps.cumsum(dtype=np.int32)
        deepest = max(deepest, depth + int(depths.max(initial=0)))
        depth += int(depths[-1]) if depths.size else 0
        if deepest > MAX_DEPTH:
            break
    return deepest


def _unescaped(part: bytes) -> bytes:
    """Remove escaped quotation marks from JSON.

    First whole pairs of backslashes, then a backslash and what it escapes.
    """
    return part.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in part else part


def _gaps(part: bytes, end: bytes, limit: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of stretches longer than the limit without `end`.

    Half the limit is searched at a time: any such stretch contains one such half completely.
    """
    step, start = limit // 2, 0
    while start + step <= len(part):
        if part.find(end, start, start + step) >= 0:
            start += step
            continue
        first, last = part.rfind(end, 0, start) + 1, part.find(end, start + step)
        last = len(part) if last < 0 else last
        if last - first > limit:
            yield first, last
        start = last


def _too_long(what: str, part: bytes, first: int, last: int, limit: int, where: str) -> FeedError:
    return FeedError(
        f"{where}: {what} of {last - first:,} bytes, more than {limit:,}, begins {part[first : first + 40]!r}: no "
        "known "
        "export is that long; a quotation mark or line end may be missing: ask the source"
    )


def _samples(part: bytes) -> list[bytes]:
    """Return evenly spaced samples of a part, or all of it when it is small."""
    whole = _SAMPLES * _SAMPLE_BYTES
    if len(part) <= whole:
        return [part]
    stride = (len(part) - _SAMPLE_BYTES) // (_SAMPLES - 1)
    return [part[at : at + _SAMPLE_BYTES] for at in range(0, stride * _SAMPLES, stride)]
