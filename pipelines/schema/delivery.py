"""What a source delivers: bytes as received, and the window that was requested."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery: its parts (pages, files) byte for byte as received, and the window that was requested.

    ``window_start`` is None for a snapshot. The window is half open; both ends are UTC. ``note`` states what the source
    did not give although it was requested, and why; empty if the delivery is whole.
    """

    parts: tuple[bytes, ...]
    window_start: datetime | None
    window_end: datetime
    note: str = ""
