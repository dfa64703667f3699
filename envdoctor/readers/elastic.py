"""Reads torchrun's block of failed workers: which rank failed first, on which host, and how it ended.

The block is printed by torch/distributed/elastic/multiprocessing/errors; its root cause is the failure with the
earliest time, which an interleaved log does not show.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.readers.passage import Passage

FAILED = ("ChildFailedError", "Root Cause (first observed failure)")
BLOCK = 12  # lines of the root cause
FIELD = re.compile(r"\s{0,8}(?P<name>host|rank|exitcode)\s{0,12}:\s{0,4}(?P<value>[^\n]{1,200})")
RANK = re.compile(r"(\d{1,7})\s{0,4}\(local_rank:\s{0,4}(\d{1,5})\)")
EXITCODE = re.compile(r"(-?\d{1,4})\b")
MEANINGS = {
    1: ("a Python exception, or sys.exit", "Python 异常或 sys.exit"),
    2: ("the script's argument parser refused the command line", "脚本的参数解析器不接受命令行"),
    -4: ("an instruction that this CPU does not know", "CPU 不支持的指令"),
    -6: ("it aborted itself, as NCCL's watchdog does after a timeout", "进程自行中止，NCCL watchdog 超时后会这样做"),
    -7: ("a bus error, as when /dev/shm is full", "bus error，例如 /dev/shm 已满"),
    -9: ("it was killed, as the kernel does when memory runs out", "进程被杀死，内存耗尽时内核会这样做"),
    -11: ("a crash in native code", "本地代码崩溃（SIGSEGV）"),
    -15: ("something asked it to end", "被要求终止（SIGTERM）"),
    126: ("the program could not be executed", "程序无法执行"),
    127: ("the program was not found", "找不到程序"),
}
OTHER = ("see its own output", "请看其自身输出")


class Elastic:
    """The first block that names a root cause, else the first line that tells of one."""

    def __init__(self) -> None:
        self._seen: Sighting | None = None
        self._named = False
        self._times = 0

    def needles(self) -> Mapping[str, int]:
        return dict.fromkeys(FAILED, 2000)

    def read(self, passage: Passage) -> None:
        if not passage.held.intersection(FAILED):
            return
        self._times += FAILED[0] in passage.held
        if self._seen is None:
            self._seen = passage.sighting("peer-died", "error", signature="peer-died:child-failed")
        if FAILED[1] not in passage.held or self._named:
            return
        told: dict[str, str] = {}
        for line in passage.after(BLOCK):
            if match := FIELD.match(line.text):
                told.setdefault(match["name"], match["value"].strip())
        rank, code = RANK.search(told.get("rank", "")), EXITCODE.match(told.get("exitcode", ""))
        if rank is None or code is None:
            return
        self._named = True
        meaning, zh = MEANINGS.get(int(code[1]), OTHER)
        values = {"failed": rank[1], "local_rank": rank[2], "host": told.get("host") or "?", "exitcode": code[1]}
        self._seen = replace(
            self._seen,
            signature="peer-died:first-failure",
            values=tuple(Value(*one) for one in {**values, "meaning": meaning, "meaning_zh": zh}.items()),
        )

    def facts(self) -> Mapping[str, object]:
        return {}

    def places(self) -> Mapping[str, Place]:
        return {}

    def sightings(self) -> Sequence[Sighting]:
        return [] if self._seen is None else [replace(self._seen, kind="symptom", times=max(1, self._times))]
