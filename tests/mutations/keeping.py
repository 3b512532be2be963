"""Mutations that keep a table's meaning: every reader must return the same totals."""

import csv
import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from tests.mutations.tables import Table

Mutation = Callable[[Table, random.Random], bytes]


def text(table: Table, separator: str = ",", quoting: int = csv.QUOTE_MINIMAL, end: str = "\n") -> str:
    """A table as CSV."""
    lines = io.StringIO()
    writer = csv.writer(lines, delimiter=separator, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    writer.writerow(table.header)
    writer.writerows(table.rows)
    return lines.getvalue()


def with_cells(table: Table, name: str, change: Callable[[str], str]) -> Table:
    """A table with every cell of a column changed."""
    place = table.header.index(name)
    rows = tuple((*row[:place], change(row[place]), *row[place + 1 :]) for row in table.rows)
    return replace(table, rows=rows)


def with_column(table: Table, name: str, cells: Sequence[str], place: int) -> Table:
    """A table with one more column."""
    rows = tuple((*row[:place], cell, *row[place:]) for row, cell in zip(table.rows, cells, strict=True))
    return replace(table, header=(*table.header[:place], name, *table.header[place:]), rows=rows)


def unchanged(table: Table, _: random.Random) -> bytes:
    """As it is."""
    return text(table).encode()


def byte_order_mark(table: Table, _: random.Random) -> bytes:
    """UTF-8 with a byte order mark, as Excel writes it."""
    return text(table).encode("utf-8-sig")


def cp949(table: Table, _: random.Random) -> bytes:
    """Korean Windows encoding with a Korean extra column."""
    return text(with_column(table, "비고", ["강남구"] * len(table.rows), 0)).encode("cp949", "replace")


def korean_utf8(table: Table, _: random.Random) -> bytes:
    """The same in UTF-8."""
    return text(with_column(table, "비고", ["강남구"] * len(table.rows), 0)).encode()


def windows_lines(table: Table, _: random.Random) -> bytes:
    """CRLF."""
    return text(table, end="\r\n").encode()


def old_mac_lines(table: Table, _: random.Random) -> bytes:
    """CR alone."""
    return text(table, end="\r").encode()


def column_order(table: Table, rng: random.Random) -> bytes:
    """Columns shuffled."""
    order = rng.sample(range(len(table.header)), len(table.header))
    shuffled = (tuple(row[place] for place in order) for row in (table.header, *table.rows))
    header, *rows = shuffled
    return text(replace(table, header=header, rows=tuple(rows))).encode()


def row_order(table: Table, rng: random.Random) -> bytes:
    """Rows shuffled."""
    return text(replace(table, rows=tuple(rng.sample(table.rows, len(table.rows))))).encode()


def quoted(table: Table, _: random.Random) -> bytes:
    """Every field in quotation marks."""
    return text(table, quoting=csv.QUOTE_ALL).encode()


def separator(table: Table, rng: random.Random) -> bytes:
    """Another separator."""
    return text(table, separator=rng.choice(";\t|")).encode()


def extra_column(table: Table, rng: random.Random) -> bytes:
    """A column that is not needed, with separators, quotation marks and line breaks in its text."""
    cells = [rng.choice(("", "a, b; c", 'says "no"', "two\nlines", "12|13\t14")) for _ in table.rows]
    return text(with_column(table, rng.choice(("note", "Remarks", "지역", "")), cells, rng.randrange(3))).encode()


def two_extra_columns_of_one_name(table: Table, _: random.Random) -> bytes:
    """Columns that are not needed may have any names."""
    cells = ["7"] * len(table.rows)
    return text(with_column(with_column(table, "Note", cells, 0), "note", cells, 2)).encode()


def blank_last_lines(table: Table, rng: random.Random) -> bytes:
    """Lines without any value at the end."""
    return (text(table) + rng.choice(("\n", "\n\n", "  \n", "," * (len(table.header) - 1) + "\n"))).encode()


def blank_lines_inside(table: Table, rng: random.Random) -> bytes:
    """An empty line between rows, and one before the header."""
    lines = [text(replace(table, header=row, rows=())) for row in (table.header, *table.rows)]
    lines.insert(rng.randrange(len(lines) + 1), "\n")
    return ("\n" + "".join(lines)).encode()


def no_last_line_end(table: Table, _: random.Random) -> bytes:
    """No line end after the last row."""
    return text(table).rstrip("\n").encode()


def trailing_separator(table: Table, _: random.Random) -> bytes:
    """A separator at the end of every line."""
    return text(with_column(table, "", [""] * len(table.rows), len(table.header))).encode()


def header_case(table: Table, rng: random.Random) -> bytes:
    """Names in upper case or with blanks around them."""
    change = rng.choice((str.upper, str.title, " {} ".format))
    return text(replace(table, header=tuple(map(change, table.header)))).encode()


def padded_cells(table: Table, rng: random.Random) -> bytes:
    """Blanks around the cells of a needed column."""
    return text(with_cells(table, rng.choice(table.needed), " {}  ".format)).encode()


def number_style(table: Table, rng: random.Random) -> bytes:
    """Numbers as 7.0, +7 or 7e0."""
    styles: tuple[Callable[[str], str], ...] = (
        lambda cell: cell if "." in cell else f"{cell}.0",
        lambda cell: cell if cell.startswith("-") else f"+{cell}",
        "{}e0".format,
    )
    return text(with_cells(table, rng.choice(table.numbers), rng.choice(styles))).encode()


def thousands(table: Table, _: random.Random) -> bytes:
    """Counts with separators of thousands."""
    if not table.is_series:
        return text(table).encode()
    return text(with_cells(table, "y", lambda cell: f"{int(cell):,}"), quoting=csv.QUOTE_ALL).encode()


def date_style(table: Table, rng: random.Random) -> bytes:
    """Dates with slashes, dots or nothing between, and T before the time."""
    styles: tuple[Callable[[str], str], ...] = (
        lambda cell: cell[:10].replace("-", "/") + cell[10:],
        lambda cell: cell[:10].replace("-", ".") + cell[10:],
        lambda cell: cell[:10].replace("-", "") + cell[10:],
        lambda cell: cell[:10] + cell[10:].replace(" ", "T"),
    )
    return text(with_cells(table, table.time, rng.choice(styles))).encode()


def month_first(table: Table, rng: random.Random) -> bytes:
    """Dates with the year last, where a day above 12 shows the order."""
    place = table.header.index(table.time)
    if not any(row[place][8:10] > "12" for row in table.rows):
        return text(table).encode()
    form = rng.choice(("{1}/{2}/{0}{3}", "{2}.{1}.{0}{3}", "{2}/{1}/{0}{3}", "{1}-{2}-{0}{3}"))
    return text(
        with_cells(table, table.time, lambda cell: form.format(cell[:4], cell[5:7], cell[8:10], cell[10:]))
    ).encode()


KEEPING: Final[Mapping[str, Mutation]] = {
    change.__name__: change
    for change in (
        unchanged, byte_order_mark, cp949, korean_utf8, windows_lines, old_mac_lines, column_order, row_order, quoted,
        separator, extra_column, two_extra_columns_of_one_name, blank_last_lines, blank_lines_inside, no_last_line_end,
        trailing_separator, header_case, padded_cells, number_style, thousands, date_style, month_first,
    )
}  # fmt: skip
