"""The terminal: tables, and progress during long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import polars as pl

# A table is as wide as its content: a terminal or pager may cut it, but a wrapped identifier cannot be copied.
out = Console(width=max(Console().width, 300), highlight=False)
err = Console(stderr=True)


@contextmanager
def progress_of(name: str) -> Iterator[Callable[[str], None]]:
    """Show on the error stream that something is running, with the text it last reported."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda text: progress.update(task, description=text)


@contextmanager
def bar_of(name: str) -> Iterator[Callable[[float, int], None]]:
    """Show a bar on the error stream, by the share done and the rows so far."""
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(name, total=1.0)

        def show(share: float, rows: int) -> None:
            rate = rows / max(progress.tasks[task].elapsed or 0.0, 1e-3)
            progress.update(task, completed=share, description=f"{rows:,} rows, {rate:,.0f} a second")

        yield show


def table_of(frame: pl.DataFrame) -> Table:
    """Convert a frame to a table; brackets in its values are text, not markup."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in frame.columns:
        table.add_column(escape(name), overflow="fold")
    for row in frame.rows():
        table.add_row(
            *(
                "" if value is None else f"{value:.4g}" if isinstance(value, float) else Text(str(value))
                for value in row
            )
        )
    return table
