"""A faulty drop folder: an fsspec file system whose reading of a file may fail or return other bytes."""

from collections.abc import Callable
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from tests.faults.agencies import Files

Reading = Callable[[str, int, bytes], bytes]
"""File name, number of reads, its bytes → the bytes returned instead, or an OSError."""


class FaultyFolder(MemoryFileSystem):  # type: ignore[misc]
    """Files in memory under ``faulty://``; every reading goes through ``reading``."""

    protocol = "faulty"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    reading: ClassVar[Reading] = staticmethod(lambda name, again, content: content)
    read: ClassVar[dict[str, int]] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("faulty://", "memory://")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        name = path.rsplit("/", 1)[-1]
        self.read[name] = self.read.get(name, 0) + 1
        return type(self).reading(name, self.read[name], super().cat_file(path, start, end, **kwargs))


def filled(files: Files, reading: Reading | None = None) -> str:
    """Put exactly these files into the folder; return its URL."""
    fsspec.register_implementation("faulty", FaultyFolder, clobber=True)
    FaultyFolder.store.clear()
    FaultyFolder.read.clear()
    FaultyFolder.reading = staticmethod(reading or (lambda name, again, content: content))
    system = fsspec.filesystem("faulty")
    for name, content in files.items():
        system.pipe_file(f"/drop/{name}", content)
    return "faulty:///drop"
