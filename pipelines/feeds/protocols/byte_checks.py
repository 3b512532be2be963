"""Inspection: a delivery's bytes held against what its feed declares, before any parser sees them.

Why before: Polars ends the whole process on JSON nested a thousand deep (memory is used up; the parser's own limit of
1024 comes too late), reads an HTML page as an empty CSV table, and needs memory for every name in every record, so a
page of ever new names takes it all. All checks run in compiled code on whole parts, at a small share of what parsing
costs. What is wrong with single values is not a part's fault: suites divert such rows.
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
"""Different names among the sampled records: sources here have some 20, the widest real one some 100."""

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
# Hangul in UTF-8 begins with EA to ED; read as Latin-1 or Windows-1252 and written again, it begins with ê, ë, ì or í
# and two signs that no language writes there. Four signs of the Latin-1 supplement in a row are CP949 read as Latin-1.
_READ_AS_LATIN = re.compile(
    rb"\xc3[\xaa-\xad](?:\xc2[\x80-\xbf]|\xc5[\x92\x93\xa0\xa1\xb8\xbd\xbe]|\xc6\x92|\xcb[\x86\x9c]|\xe2[\x80-\x84][\x80-\xbf]){2}"
    rb"|\xc3\x83\xc2[\x80-\xbf]|(?:[\xc2\xc3][\x80-\xbf]){4}"
)
_REPLACED = b"\xef\xbf\xbd"
_REPLACED_SHARE = 0.1
_ASCII = bytes(range(128))
_SAMPLES, _SAMPLE_BYTES = 8, 2048
_PIECE_BYTES = 512 * 1024


def inspect(part: bytes, media: str, encoding: str, where: str) -> None:
    """Refuse a part that is not what its feed declares, or that would harm its parser.

    A UTF-8 byte order mark is let through: Excel writes one, and the parsers skip it.

    Args:
        part: one page or file, byte for byte as received.
        media: `json`, `csv` or `xml`.
        encoding: as Python names it; text that is not in it is refused, never guessed.
        where: what the message names: a URL without secrets, a file, a batch.

    Raises:
        FeedError: the part is empty, an archive, an image, another medium, cut off, in another encoding, encoded
            twice, nested too deep, or has a value, record or number of names beyond reason.
    """
    head = part[:512].removeprefix(_BOM).lstrip()
    if not head:
        raise FeedError(f"{where}: the answer is empty; a quiet time has its frame or header: ask the source")
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise FeedError(f"{where}: {kind} came where {media.upper()} is declared; ask the source for plain {media}")
    if b"\x00" in part:
        raise FeedError(f"{where}: a NUL byte at {part.index(0)}: not text, or text damaged on its way; fetch it again")
    _is_media(part, head, media, where)
    _is_encoded(part, encoding, where)
    _CHECKS[media](part, where)


def _is_media(part: bytes, head: bytes, media: str, where: str) -> None:
    if head.startswith(b"<") != (media == "xml"):
        found = "no XML" if media == "xml" else "an HTML page" if b"<html" in head.lower() else "XML"
        raise FeedError(
            f"{where}: {found} came where {media.upper()} is declared: a log-in or error page, or another format; it "
            f"begins {head[:80]!r}; open the address and correct the feed's url or format in the profile"
        )
    if media == "json" and (head[:1] not in (b"{", b"[") or part[-64:].rstrip()[-1:] not in (b"}", b"]")):
        raise FeedError(
            f"{where}: JSON that is cut off or none: it begins {head[:40]!r} and ends {part[-40:]!r}; fetch it again"
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


def _refuse_encoding(part: bytes, declared: str, found: str | None, where: str) -> None:
    at = re.search(rb"[\x80-\xff]", part)
    shown = part[at.start() : at.start() + 24] if at else b""
    guess = f": it is {found}" if found else " and in no encoding known here"
    raise FeedError(
        f"{where}: the text is not in the declared {declared.upper()}{guess} (first such bytes {shown!r}); if the "
        "source changed its encoding on purpose, change it in the feed; nothing is guessed"
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
    """Refuse text that was read in a wrong encoding and written again: its words are lost to every category map."""
    # One byte is sought before the pattern: Hangul never holds it, and a search for one byte is ten times as fast.
    twice = _READ_AS_LATIN.search(part) if b"\xc3" in part or b"\xc2" in part else None
    if twice:
        raise FeedError(
            f"{where}: the text was encoded twice, for example "
            f"{part[twice.start() : twice.start() + 24].decode(errors='replace')!r}: the source read it in a wrong "
            "encoding and wrote it again; ask the source to mend its export"
        )
    words = [word for sample in _samples(part) for word in _WORDS.findall(sample)]
    replaced = part.count(_REPLACED) if b"\xef" in part else 0
    if replaced and replaced * len(_REPLACED) > _REPLACED_SHARE * len(part.translate(None, _ASCII)):
        raise FeedError(
            f"{where}: {replaced} signs were replaced by U+FFFD before they were sent: the source read its text in a "
            "wrong encoding and the words are lost; ask the source to mend its export"
        )
    if words and sum(_is_utf8_read_as_cp949(word) for word in words) * 2 > len(words):
        raise FeedError(
            f"{where}: the text was encoded twice (UTF-8 read as CP949), for example "
            f"{words[0].decode(errors='replace')!r}; ask the source to mend its export"
        )


def _is_utf8_read_as_cp949(word: bytes) -> bool:
    try:
        return len(word.decode("utf-8", "ignore").encode("cp949").decode("utf-8")) > 1
    except UnicodeError:
        return False


def _check_json(part: bytes, where: str) -> None:
    if (depth := _depth(part)) > MAX_DEPTH:
        raise FeedError(
            f"{where}: JSON nested {depth} deep or deeper, more than {MAX_DEPTH}: no export here needs it and it would "
            "exhaust the parser; ask the source what it sent"
        )
    for first, last in _gaps(part, b"}", MAX_ROW_BYTES):
        raise _too_long("a record", part, first, last, MAX_ROW_BYTES, where)
    quotes = seen = 0
    for first, last in _gaps(part, b'"', MAX_FIELD_BYTES):
        quotes, seen = quotes + _unescaped(part[seen:first]).count(b'"'), first
        # After an even number of quotation marks stands no text but, say, a polygon's coordinates.
        if quotes % 2:
            raise _too_long("a value", part, first, last, MAX_FIELD_BYTES, where)
    names = {name for sample in _samples(part) for name in _NAME.findall(sample)}
    if len(names) > MAX_NAMES:
        raise FeedError(
            f"{where}: more than {MAX_NAMES} different names in a sample of the records, for example "
            f"{sorted(names)[:3]}: the source puts data where names belong; ask it what changed"
        )


def _check_csv(part: bytes, where: str) -> None:
    for first, last in _gaps(part, b"\n", MAX_FIELD_BYTES):
        raise _too_long("a row", part, first, last, MAX_FIELD_BYTES, where)
    # A quotation mark is never the second byte of a CP949 character.
    if part.count(b'"') % 2:
        raise FeedError(f"{where}: a quotation mark is never closed: the file was cut off or damaged; fetch it again")


def _check_xml(part: bytes, where: str) -> None:
    if re.search(rb"<!(?:DOCTYPE|ENTITY)", part, re.IGNORECASE):
        raise FeedError(f"{where}: the XML declares a document type or entities, which may expand without end: refused")
    for first, last in _gaps(part, b"<", MAX_FIELD_BYTES):
        raise _too_long("a value", part, first, last, MAX_FIELD_BYTES, where)


_CHECKS: Final[dict[str, Callable[[bytes, str], None]]] = {"json": _check_json, "csv": _check_csv, "xml": _check_xml}


def _depth(part: bytes) -> int:
    """How deep brackets nest outside of strings; beyond `MAX_DEPTH`, how deep as far as was read.

    A piece at a time: all of it at once would take many times the part's size in memory.
    """
    deepest = depth = 0
    is_text, held = False, b""
    for at in range(0, len(part), _PIECE_BYTES):
        piece = held + part[at : at + _PIECE_BYTES]
        # A backslash that ends a piece escapes what begins the next one, unless it is escaped itself.
        held = b"\\" if (len(piece) - len(piece.rstrip(b"\\"))) % 2 else b""
        signs = np.frombuffer(_unescaped(piece.removesuffix(held)).translate(None, _NO_STRUCTURE), np.uint8)
        if not signs.size:
            continue
        quotes = signs == ord('"')
        texts = np.logical_xor.accumulate(quotes) ^ is_text
        brackets = signs[~quotes & ~texts]
        is_text = bool(texts[-1])
        # "[" and "{" have the same bits but one, and so have "]" and "}".
        steps = ((brackets & 0xDF) == ord("[")).astype(np.int8) * np.int8(2) - np.int8(1)
        depths = steps.cumsum(dtype=np.int32)
        deepest = max(deepest, depth + int(depths.max(initial=0)))
        depth += int(depths[-1]) if depths.size else 0
        if deepest > MAX_DEPTH:
            break
    return deepest


def _unescaped(part: bytes) -> bytes:
    """JSON in which no quotation mark is escaped: first whole pairs of backslashes go, then what one escapes."""
    return part.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in part else part


def _gaps(part: bytes, end: bytes, limit: int) -> Iterator[tuple[int, int]]:
    """Where stretches longer than the limit without `end` begin and end.

    Half the limit is searched at a time: any such stretch covers one such half wholly.
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
        f"{where}: {what} of {last - first:,} bytes, more than {limit:,}, begins {part[first : first + 40]!r}: none "
        "here is that long; a quotation mark or line end may be missing: ask the source"
    )


def _samples(part: bytes) -> list[bytes]:
    """Evenly spaced pieces of a part, or all of it when it is small."""
    whole = _SAMPLES * _SAMPLE_BYTES
    if len(part) <= whole:
        return [part]
    stride = (len(part) - _SAMPLE_BYTES) // (_SAMPLES - 1)
    return [part[at : at + _SAMPLE_BYTES] for at in range(0, stride * _SAMPLES, stride)]
