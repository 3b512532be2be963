"""Users' own files: read as text, because only the caller knows what a column means, and only the wanted columns."""

import csv
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Final

import polars as pl

from pipelines.config.errors import BongsuError
from pipelines.config.progress import Progress, silent

ENCODINGS: Final = ("utf-8-sig", "cp949")
"""Encodings that are tried, in this order, unless one is stated."""
SEPARATORS: Final = (",", ";", "\t", "|")
TEXT: Final = (".csv", ".tsv", ".txt")
NEITHER: Final = (pl.Binary, pl.Duration, pl.Object)
"""Types of Parquet that are neither text nor numbers, dates or times."""
BLOCK_ROWS: Final = 50_000
"""Rows of a CSV that are in memory as Python text at once."""
BYTE_ORDER_MARK: Final = "\ufeff"
WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
"""How UTF-16 begins, in which Excel saves "Unicode text"."""
BINARY: Final = {b"PK\x03\x04": "a ZIP archive or workbook", b"\x1f\x8b": "compressed (gzip)", b"PAR1": "Parquet"}
"""How files begin that are not text, whatever their name."""
SHOWN: Final = 60
"""Characters of a header that a message shows."""


class OwnDataError(BongsuError, ValueError):
    """Report that own data cannot be read or used as given; the message states what to change."""


def read(
    path: Path, wanted: Collection[str] = (), encoding: str | None = None, note: Progress = silent
) -> pl.DataFrame:
    """Read the wanted columns of a Parquet or CSV file; a CSV's are text, empty where nothing is written.

    Rows of a CSV without any value, such as a blank last line, are skipped.

    Args:
        path: Ends in .parquet, .csv, .tsv or .txt, in upper or lower case.
        wanted: Names of columns in lower case; the rest are left out. Empty: all columns.
        encoding: Of a CSV; without it UTF-16 if the file begins like it, else UTF-8 and then CP949 are tried.
        note: Called if the encoding is a guess.

    Raises:
        OwnDataError: The file does not exist, cannot be opened, is of another format, cannot be decoded or parsed, has
            no wanted column, two of one name, or a row with more or fewer fields than its header.
    """
    with _readable(path) as is_text:
        return _csv(path, wanted, encoding, note) if is_text else _parquet(path, wanted)


def cells(path: Path, encoding: str | None = None, note: Progress = silent) -> list[list[str]]:
    """Read all cells of a file whose first line may be no header, such as a matrix, as text; the first row is line 1.

    Of a Parquet file the first row is its header.

    Raises:
        OwnDataError: As for ``read``, and if a row has more or fewer fields than the first one.
    """
    with _readable(path) as is_text:
        if not is_text:
            frame = pl.read_parquet(path)
            return [frame.columns, *(["" if v is None else str(v) for v in row] for row in frame.iter_rows())]
        with _fields(path, (), encoding, note) as rows:
            filled = list(_filled(path, rows))
    if not filled:
        raise OwnDataError(f"cannot read {path.name}: it is empty")
    # Some programs end every line with a separator.
    width = len(filled[0]) - int(all(not row[-1].strip() for row in filled))
    return [row[:width] for row in (filled[0], *_whole(path, iter(filled[1:]), width))]


@contextmanager
def _readable(path: Path) -> Iterator[bool]:
    """Check that a file exists and is of a known format, yield whether it is text, and name it in errors of reading.

    Raises:
        OwnDataError: It cannot be read.
    """
    if not path.is_file():
        raise OwnDataError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
    suffix = path.suffix.lower()
    if suffix not in (*TEXT, ".parquet"):
        raise OwnDataError(f"cannot read {path.name}: give a .parquet or .csv file")
    try:
        yield suffix in TEXT
    except OSError as error:
        raise OwnDataError(f"cannot read {path.name}: {error.strerror or error}") from None
    except pl.exceptions.PolarsError as error:
        raise OwnDataError(f"cannot read {path.name}: {str(error).strip().splitlines()[0]}") from None


def _parquet(path: Path, wanted: Collection[str]) -> pl.DataFrame:
    schema = pl.read_parquet_schema(path)
    names = list(schema)
    places = _places(path, names, wanted)
    for name, place in places.items():
        if (dtype := schema[names[place]]).is_nested() or dtype in NEITHER:
            raise OwnDataError(f"{path.name}: column {name} is of type {dtype}; give text, numbers, dates or times")
    frame = pl.read_parquet(path, columns=[names[place] for place in places.values()])
    renamed = frame.select(pl.col(names[place]).alias(name) for name, place in places.items())
    # Text that is stored as categories, as pandas does, is text.
    return renamed.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _csv(path: Path, wanted: Collection[str], encoding: str | None, note: Progress) -> pl.DataFrame:
    with _fields(path, wanted, encoding, note) as rows:
        filled = _filled(path, rows)
        header = next(filled, None)
        if header is None:
            raise OwnDataError(f"cannot read {path.name}: it is empty")
        width = max(place for place, name in enumerate(header, start=1) if name.strip())
        places = _places(path, header[:width], wanted)
        whole = _whole(path, filled, width)
        schema = dict.fromkeys(places, pl.String)
        frames = [pl.DataFrame(schema=schema)]
        while block := [[row[place] for place in places.values()] for row in islice(whole, BLOCK_ROWS)]:
            frames.append(pl.DataFrame(block, schema, orient="row"))
    return pl.concat(frames)


@contextmanager
def _fields(path: Path, wanted: Collection[str], encoding: str | None, note: Progress) -> Iterator[Iterator[list[str]]]:
    """Yield the fields of each line.

    Line by line: the text of a large file as a whole would be several times its rows.
    """
    with path.open(encoding=_encoding(path, encoding, note), newline="") as lines:
        named = (line.lstrip(BYTE_ORDER_MARK) for line in lines)
        first = next((line for line in named if line.strip("\r\n")), "")
        yield csv.reader(chain([first], lines), delimiter=_separator(first, wanted), strict=True, skipinitialspace=True)


def _separator(first: str, wanted: Collection[str]) -> str:
    """Return the separator by which the first line has most of the wanted names, or most names."""

    def names(separator: str) -> tuple[int, int]:
        fields = next(csv.reader([first], delimiter=separator, skipinitialspace=True), [])
        return len({name.strip().lower() for name in fields} & set(wanted)), len(fields)

    return max(SEPARATORS, key=names)


def _places(path: Path, header: Sequence[str], wanted: Collection[str]) -> dict[str, int]:
    """Return the position of every wanted column by its name in lower case.

    Raises:
        OwnDataError: No column has a wanted name, or two have the same.
    """
    places: dict[str, int] = {}
    for place, written in enumerate(header):
        name = written.strip().lower()
        if wanted and name not in wanted:
            continue
        if name in places:
            raise OwnDataError(
                f"{path.name}: columns {places[name] + 1} ({header[places[name]]!r}) and {place + 1} ({written!r}) "
                "have the same name, and upper or lower case makes no difference; rename or remove one of them"
            )
        places[name] = place
    if not places:
        names = ", ".join(header)[:SHOWN]
        how = "" if len(header) > 1 else ", separated by commas, and not in quotes as a whole"
        raise OwnDataError(
            f"{path.name}: its header ({names}) names none of the columns {', '.join(wanted)}: put the names in the "
            f"first line{how}"
        )
    return places


def _filled(path: Path, rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield the rows that have any value.

    Raises:
        OwnDataError: A quotation mark is never closed, or closes in the middle of a field.
    """
    number = 0
    try:
        for row in rows:
            if any(field.strip() for field in row):
                yield row
                number += 1
    except csv.Error as error:
        where = f"row {number}" if number else "the header"
        raise OwnDataError(f"{path.name}, {where}: cannot be split into fields ({error}); check its quotes") from None


def _whole(path: Path, rows: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    """Yield the rows, the first of which is number 1, that have a field for every column.

    Raises:
        OwnDataError: A row has fewer fields, or values beyond the last column.
    """
    for number, row in enumerate(rows, start=1):
        if len(row) < width or any(row[width:]):
            raise OwnDataError(
                f"{path.name}, row {number}: it has {len(row)} fields, but the header has {width}; check for a row "
                "that was cut off, and quote text that contains the separator"
            )
        yield row


def _encoding(path: Path, encoding: str | None, note: Progress) -> str:
    """Return the encoding in which a whole file can be read.

    Raises:
        OwnDataError: It is not text, or not in the encoding, which is not known or not stated.
    """
    content = path.read_bytes()
    if what := next((what for start, what in BINARY.items() if content.startswith(start)), None):
        raise OwnDataError(f"{path.name} is not text, but {what}: unpack it, or save it as .csv or .parquet")
    tried = (encoding,) if encoding else ("utf-16",) if content.startswith(WIDE) else ENCODINGS
    read = -1
    for name in tried:
        try:
            text = content.decode(name)
        except UnicodeDecodeError as error:
            # The encoding that reads furthest is probably the right one.
            read = max(read, error.start)
        except (LookupError, ValueError):
            raise OwnDataError(f"--encoding {name} is not known; try utf-8, cp949 or latin-1") from None
        else:
            if "\0" in text:
                line = text[: text.index("\0")].count("\n") + 1
                raise OwnDataError(
                    f"{path.name}, line {line}: it has a NUL character, which is not text; state its encoding by "
                    "--encoding, such as utf-16-le"
                )
            if name == ENCODINGS[-1] and not encoding:
                note(f"{path.name} is not UTF-8 and is read as CP949; if names look wrong, state --encoding")
            return name
    line = content.count(b"\n", 0, read) + 1
    where = f"byte {content[read]:#x} in line {line}"
    raise OwnDataError(
        f"{path.name} is not text in {' or '.join(tried)} ({where}); correct it, or state its encoding by --encoding"
    )
