"""Reads limits: `ulimit -a` of bash and dash, /proc/self/limits, `df` of /dev/shm.

The text may come from a machine without RDMA, so a low limit is a note unless an error line tells of it as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.readers.passage import Passage

NEEDLES = ("max locked memory", "Max locked memory", "open files  ", "Max open files", "/dev/shm")
MEMLOCK = re.compile(
    r"max locked memory\s{1,20}\(kbytes, -l\)\s{0,4}(\d{1,15})\s*$|Max locked memory\s{1,20}(\d{1,18})\s"
)
FILES = re.compile(r"open files\s{1,40}\(-n\)\s{0,4}(\d{1,12})\s*$|Max open files\s{1,20}(\d{1,12})\s")
DF = re.compile(
    r"^\S{1,80}\s{1,20}(?P<size>\d[\d.]{0,15}[KMGT]?)(?:i?B)?\s{1,20}\S{1,20}\s{1,20}(?P<free>\d[\d.]{0,15}[KMGT]?)\S{0,2}"
    r"\s{1,20}(?P<used>\d{1,3})%\s{1,20}/dev/shm\s*$"
)
UNITS = {"": 1024, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}  # df without -h counts blocks of 1 kB
MEMLOCK_LOW_KB = 1 << 20  # what a rank with 1 GiB of registered buffers needs
FILES_LOW = 1024
SHM_LOW = 512 << 20  # checks/shm.py


class Ulimit:
    """The first value of each limit."""

    def __init__(self) -> None:
        self._found: dict[str, Sighting] = {}

    def needles(self) -> Mapping[str, int]:
        return dict.fromkeys(NEEDLES, 200)

    def read(self, passage: Passage) -> None:
        text = passage.line.text[:300]
        if match := MEMLOCK.search(text):
            kilobytes = int(match[1]) if match[1] else int(match[2]) // 1024
            if kilobytes < MEMLOCK_LOW_KB:
                self._keep(passage, "memlock-limit", "ulimit", kilobytes=str(kilobytes))
        elif match := FILES.search(text):
            limit = int(match[1] or match[2])
            if limit < FILES_LOW:
                self._keep(passage, "too-many-open-files", "ulimit", limit=str(limit))
        elif match := DF.match(text):
            size, free = _bytes(match["size"]), _bytes(match["free"])
            if size < SHM_LOW or int(match["used"]) >= 99:
                self._keep(passage, "shm-too-small", "df", size=f"{size >> 20} MiB, {free >> 20} MiB free")

    def _keep(self, passage: Passage, code: str, situation: str, **values: str) -> None:
        if code not in self._found:
            severity = "warning" if situation == "df" else "note"
            seen = passage.sighting(code, severity, passage.line.text.strip(), f"{code}:{situation}")
            self._found[code] = replace(seen, values=tuple(Value(*one) for one in values.items()))

    def facts(self) -> Mapping[str, object]:
        return {}

    def places(self) -> Mapping[str, Place]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        return list(self._found.values())


def _bytes(written: str) -> int:
    unit = written[-1] if written[-1] in UNITS else ""
    return int(float(written.removesuffix(unit) or 0) * UNITS[unit])
