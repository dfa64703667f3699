"""The lines that go from the patient to the doctor.

A record is one of
    {"begin": section}
    {"fact": section, "value": {...}, "seconds": 0.01}
    {"missing": section, "reason": "...", "detail": "..."}
    {"done": true, "seconds": 1.2}
On the way to the doctor each line starts with a cookie made for the run, so that a banner printed by a start-up file,
even on the same line, cannot be mistaken for a record.
"""

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Record = Dict[str, Any]

LIMIT = 32 * 1024 * 1024  # bytes; no section comes near it
NOISE = 16 * 1024  # bytes that are kept of what is no record: a stack of a hundred frames, a banner


def encode(record: "Record") -> bytes:
    """One record as a line. Text that is not valid Unicode (file names) is carried as surrogate escapes in JSON."""
    return json.dumps(record, separators=(",", ":"), default=str).encode("ascii") + b"\n"


def send(descriptor: int, record: "Record") -> None:
    data = encode(record)
    while data:
        data = data[os.write(descriptor, data) :]


class Lines(object):
    """Cuts a stream of bytes into records; what is no record is kept as noise."""

    def __init__(self, cookie: bytes = b"") -> None:
        self.cookie = cookie
        self.rest = bytearray()
        self.noise = b""

    def feed(self, data: bytes) -> "List[Record]":
        """The records completed by `data`."""
        if b"\n" not in data:
            self.rest += data
            lines: "List[bytes]" = []
        else:
            *lines, rest = (bytes(self.rest) + data).split(b"\n")
            self.rest = bytearray(rest)
        if len(self.rest) > LIMIT:
            self.rest.clear()
        found = [self._record(line) for line in lines]
        return [record for record in found if record is not None]

    def _record(self, line: bytes) -> "Optional[Record]":
        before, mark, body = line.partition(self.cookie) if self.cookie else (b"", b"", line)
        if self.cookie and not mark:
            self.noise = (self.noise + line + b"\n")[-NOISE:]
            return None
        self.noise = (self.noise + before)[-NOISE:]
        try:
            record = json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            self.noise = (self.noise + body + b"\n")[-NOISE:]
            return None
        return record if isinstance(record, dict) else None
