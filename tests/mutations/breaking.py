"""Mutations that break something which a reader can notice: read right, or refused or reported by name."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tests.mutations.keeping import Mutation, text
from tests.mutations.tables import Table

NULLS: Final = ("", " ", "NULL", "NA", "n/a", "NaN", "None", "-", "#N/A", "?", "missing", "999999999999")
BAD_NUMBERS: Final = (
    "1O", "l2", "1.2.3", "--5", "5%", "$5", "1,23", "12,3456", "0x1F", "5e", "inf", "-inf", "Infinity", "1e400", "-1",
    "-0.5", "−75.5", "１２", "1 2", "NaN%", "true", "1_000", "+", ".", "e5", "=A1+1", "'7",
)  # fmt: skip
BAD_TIMES: Final = (
    "2016-13-01", "2016-02-30", "2016-00-10", "2O16-01-05", "20160-01-05", "16-01-05", "0016-01-05", "9999-01-05",
    "2016-01", "2016", "42370", "1451606400", "yesterday", "05 Jan 2016", "2016-1-", "2016--01-05", "２０１６-01-05",
    "13/13/2016", "2016-01-05 24:00", "2016-01-05 25:00", "2016-01-05 12:60", "2016-01-05Z12", "2016/01-05x",
)  # fmt: skip
BAD_PLACES: Final = ("0", "-1", "90", "999", "inf", "-inf", "nan", "1e12", "REDACTED", "POINT(1 2)", "40.1N", "40°12'")


def _with_row(table: Table, rng: random.Random, change: Callable[[list[str]], list[str]]) -> Table:
    place = rng.randrange(len(table.rows))
    row = tuple(change(list(table.rows[place])))
    return replace(table, rows=(*table.rows[:place], row, *table.rows[place + 1 :]))


def _with_cell(table: Table, rng: random.Random, name: str, cell: str) -> Table:
    place = table.header.index(name)
    return _with_row(table, rng, lambda row: [*row[:place], cell, *row[place + 1 :]])


def cut_row(table: Table, rng: random.Random) -> bytes:
    """A row that lacks its last fields."""
    return text(_with_row(table, rng, lambda row: row[: rng.randrange(1, len(row))])).encode()


def cut_file(table: Table, rng: random.Random) -> bytes:
    """A file that ends within a row, before its last separator."""
    whole = text(table).rstrip("\n")
    line = whole.rfind("\n") + 1
    return whole[: rng.randrange(line + 1, whole.rfind(",") + 1)].encode()


def long_row(table: Table, rng: random.Random) -> bytes:
    """A row with more values than the header has names."""
    return text(_with_row(table, rng, lambda row: [*row[:1], "7", *row[1:]])).encode()


def joined_rows(table: Table, rng: random.Random) -> bytes:
    """A line end lost between two rows."""
    lines = text(table).split("\n")
    place = rng.randrange(1, len(lines) - 2)
    return "\n".join([*lines[:place], lines[place] + lines[place + 1], *lines[place + 2 :]]).encode()


def split_row(table: Table, rng: random.Random) -> bytes:
    """A line break within a row."""
    lines = text(table).split("\n")
    place = rng.randrange(1, len(lines) - 1)
    lines[place] = lines[place].replace(",", ",\n", 1)
    return "\n".join(lines).encode()


def swapped_cells(table: Table, rng: random.Random) -> bytes:
    """Two needed cells of a row swapped."""
    first, second = (table.header.index(name) for name in rng.sample(table.needed, 2))

    def swapped(row: list[str]) -> list[str]:
        row[first], row[second] = row[second], row[first]
        return row

    return text(_with_row(table, rng, swapped)).encode()


def swapped_columns(table: Table, rng: random.Random) -> bytes:
    """The names of two needed columns swapped."""
    first, second = rng.sample(table.needed, 2)
    names = {first: second, second: first}
    return text(replace(table, header=tuple(names.get(name, name) for name in table.header))).encode()


def bad_number(table: Table, rng: random.Random) -> bytes:
    """A number with a typing slip."""
    return text(_with_cell(table, rng, rng.choice(table.numbers), rng.choice(BAD_NUMBERS))).encode()


def bad_time(table: Table, rng: random.Random) -> bytes:
    """A date or time that does not exist or is not written as one."""
    return text(_with_cell(table, rng, table.time, rng.choice(BAD_TIMES))).encode()


def bad_place(table: Table, rng: random.Random) -> bytes:
    """A coordinate that is a placeholder, infinite or text; of a series, its count, which may be a small number."""
    cells = [cell for cell in BAD_PLACES if not (table.is_series and cell.isdigit())]
    return text(_with_cell(table, rng, rng.choice(table.numbers), rng.choice(cells))).encode()


def null(table: Table, rng: random.Random) -> bytes:
    """No value in a needed cell."""
    return text(_with_cell(table, rng, rng.choice(table.needed), rng.choice(NULLS))).encode()


def empty_column(table: Table, rng: random.Random) -> bytes:
    """No value in a whole needed column."""
    place, cell = table.header.index(rng.choice(table.needed)), rng.choice(NULLS)
    return text(replace(table, rows=tuple((*row[:place], cell, *row[place + 1 :]) for row in table.rows))).encode()


def ambiguous_date(table: Table, rng: random.Random) -> bytes:
    """A day and month in either order among dates that begin with the year."""
    return text(_with_cell(table, rng, table.time, "03/04/2016")).encode()


def offset(table: Table, rng: random.Random) -> bytes:
    """An offset after one of the times."""
    place, end = table.header.index(table.time), rng.choice(("Z", "+09:00", "-0500"))

    def stamped(row: list[str]) -> list[str]:
        time = row[place] if ":" in row[place] else f"{row[place]} 00:00"
        return [*row[:place], time + end, *row[place + 1 :]]

    return text(_with_row(table, rng, stamped)).encode()


def no_header(table: Table, _: random.Random) -> bytes:
    """Rows alone."""
    return text(table).split("\n", 1)[1].encode()


def header_again(table: Table, rng: random.Random) -> bytes:
    """The header once more between rows, as in files put one after another."""
    place = rng.randrange(1, len(table.rows))
    return text(replace(table, rows=(*table.rows[:place], table.header, *table.rows[place:]))).encode()


def misspelt_header(table: Table, rng: random.Random) -> bytes:
    """The name of a needed column with a typing slip."""
    wrong = rng.choice(table.needed)
    slip = rng.choice((wrong + "s", wrong[:-1] + "q", "_" + wrong, wrong[::-1] + "1"))
    return text(replace(table, header=tuple(slip if name == wrong else name for name in table.header))).encode()


def missing_column(table: Table, rng: random.Random) -> bytes:
    """A needed column left out."""
    place = table.header.index(rng.choice(table.needed))
    header, *rows = (row[:place] + row[place + 1 :] for row in (table.header, *table.rows))
    return text(replace(table, header=header, rows=tuple(rows))).encode()


def column_twice(table: Table, rng: random.Random) -> bytes:
    """A needed column twice, in one or another case, with other values."""
    name = rng.choice(table.needed)
    header = (*table.header, rng.choice((name, name.upper(), f" {name}")))
    rows = tuple((*row, "7") for row in table.rows)
    return text(replace(table, header=header, rows=rows)).encode()


def other_separator(table: Table, rng: random.Random) -> bytes:
    """A separator that is none of the usual ones, or another one in one line."""
    if rng.random() < 0.5:
        return text(table, separator=rng.choice(":~^")).encode()
    lines = text(table).split("\n")
    place = rng.randrange(1, len(lines) - 1)
    lines[place] = lines[place].replace(",", ";")
    return "\n".join(lines).encode()


def open_quote(table: Table, rng: random.Random) -> bytes:
    """A quotation mark that is never closed."""
    lines = text(table).split("\n")
    place = rng.randrange(1, len(lines) - 1)
    lines[place] = '"' + lines[place]
    return "\n".join(lines).encode()


def wrong_bytes(table: Table, rng: random.Random) -> bytes:
    """A byte that no encoding of ours has, or a NUL, in a needed cell."""
    marked = text(_with_cell(table, rng, rng.choice((table.time, *table.numbers)), "\x01")).encode()
    return marked.replace(b"\x01", rng.choice((b"\xff", b"\x00", b"\xc3(", b"\xff\xfe")))


def utf16(table: Table, _: random.Random) -> bytes:
    """UTF-16, which Excel calls Unicode text."""
    return text(table).encode("utf-16")


def no_rows(table: Table, rng: random.Random) -> bytes:
    """Nothing, a header alone, or blank lines."""
    return rng.choice((b"", b"\n\n", b"\xef\xbb\xbf", text(replace(table, rows=())).encode()))


def binary(_: Table, rng: random.Random) -> bytes:
    """Random bytes."""
    return rng.randbytes(rng.randrange(1, 4000))


def row_twice(table: Table, rng: random.Random) -> bytes:
    """A row of a series twice; of points, where equal rows are real, none."""
    rows = (*table.rows, rng.choice(table.rows)) if table.is_series else table.rows
    return text(replace(table, rows=rows)).encode()


BREAKING: Final[Mapping[str, Mutation]] = {
    change.__name__: change
    for change in (
        cut_row, cut_file, long_row, joined_rows, split_row, swapped_cells, swapped_columns, bad_number, bad_time,
        bad_place, null, empty_column, ambiguous_date, offset, no_header, header_again, misspelt_header, missing_column,
        column_twice, other_separator, open_quote, wrong_bytes, utf16, no_rows, binary, row_twice,
    )
}  # fmt: skip
