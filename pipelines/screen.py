"""The screen: what the command line prints its tables on, and its sign of life during long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    import polars as pl

# A table is as wide as its words: a terminal or pager may cut it, a wrapped identifier cannot be copied.
out = Console(width=max(Console().width, 300), highlight=False)
err = Console(stderr=True)


@contextmanager
def progress_of(name: str) -> Iterator[Callable[[str], None]]:
    """Show on the error stream that something runs, with the text it was last told."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        yield _progress_text(progress, progress.add_task(name, total=None))


def table_of(frame: pl.DataFrame) -> Table:
    """A frame as a table."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in frame.columns:
        table.add_column(name, overflow="fold")
    for row in frame.rows():
        table.add_row(
            *("" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value) for value in row)
        )
    return table


def _progress_text(progress: Progress, task: TaskID) -> Callable[[str], None]:
    def show(text: str) -> None:
        progress.update(task, description=text)

    return show
