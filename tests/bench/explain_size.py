"""How much memory and time `envdoctor explain -` takes for texts of any size: `python -m tests.bench.explain size`.

The text goes through a pipe and lies nowhere, so that ten gigabytes need no disk. What it is made of:

    idle      NCCL INFO lines of 16 ranks that tell nothing
    telling   the same, a fifth of the lines names a fact
    errors    every line is an error of the catalogue, each row in turn
    noise     every line holds a literal and nothing that is known
    line      one line that never ends
    told      one line that never ends, of errors
    tiny      lines of one character
    empty     line ends alone
    zeros     what /dev/zero gives
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from envdoctor.knowledge import signatures
from envdoctor.readers import registry

BLOCK = 1 << 24  # bytes that are repeated
LIMIT_MIB = 150  # what a text of any size may take


@dataclass(frozen=True)
class Took:
    """What reading a text took.

    Attributes:
        size: bytes; wall_s, cpu_s: seconds; the latter of the process alone, whatever else the machine does.
        peak_mib: the most memory that was resident, of the process and all that it started.
        code: its exit code.
    """

    size: int
    wall_s: float
    cpu_s: float
    peak_mib: float
    code: int


def errors() -> Iterator[str]:
    """Examples of the catalogue for ever, each by another rank."""
    while True:
        for number, row in enumerate(signatures.rows()):
            for example in row.example:
                yield from (f"[rank{number % 16}]: {line}\n" for line in example.splitlines())


def noise() -> Iterator[str]:
    """Every literal for ever, in words that nobody knows."""
    needles = sorted({needle for reader in registry.readers() for needle in reader.needles() if "\n" not in needle})
    while True:
        yield from (f"2026-01-02 03:04:05,678 worker: {needle} {number}\n" for number, needle in enumerate(needles))


def block(lines: Iterator[str]) -> bytes:
    """About `BLOCK` bytes of the lines, ending at a line end."""
    made: list[bytes] = []
    size = 0
    while size < BLOCK:
        made.append(next(lines).encode())
        size += len(made[-1])
    return b"".join(made)


KINDS: dict[str, Callable[[], bytes]] = {
    "errors": lambda: block(errors()),
    "noise": lambda: block(noise()),
    "line": lambda: b"a" * BLOCK,
    "told": lambda: block(line.replace("\n", " ") for line in errors()),
    "tiny": lambda: b"a\n" * (BLOCK // 2),
    "empty": lambda: b"\n" * BLOCK,
    "zeros": lambda: bytes(BLOCK),
}


def piped(text: bytes, size: int, answer: Path) -> Took:
    """What `envdoctor explain -` takes for `size` bytes of the text, repeated."""
    command = [sys.executable, "-m", "envdoctor", "explain", "-", "--json", "-o", str(answer)]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert child.stdin is not None
    writer = threading.Thread(target=_write, args=(child.stdin, text, size), daemon=True)
    writer.start()
    peak = 0.0
    while True:
        peak = max(peak, resident(child.pid))
        pid, status, used = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    took = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    writer.join()
    return Took(size, took, used.ru_utime + used.ru_stime, peak, child.returncode)


def resident(pid: int) -> float:
    """MiB that a process had in memory at most since it began, and its children with it.

    The maximum that wait4 tells counts what the parent had when it forked.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    peak = next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)
    return peak + sum(resident(int(child)) for child in children)


def _write(file: IO[bytes], text: bytes, size: int) -> None:
    left, view = size, memoryview(text)
    with contextlib.suppress(BrokenPipeError), file:
        while left:
            left -= file.write(view[: min(left, len(text))])


def size(gigabytes: float, kinds: list[str], blocks: dict[str, Callable[[], bytes]]) -> bool:
    """Print time and memory for texts of this size; False where one of them took more memory than it may."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            took = piped(blocks[kind](), int(gigabytes * 1e9), Path(folder, "answer.json"))
            fits = took.peak_mib < LIMIT_MIB and took.code in (0, 1)
            good &= fits
            print(
                f"{kind:<8} {took.size / 1e9:g} GB: {took.size / took.wall_s / 1e6:.0f} MB/s "
                f"({took.size / took.cpu_s / 1e6:.0f} MB per second of CPU), at most {took.peak_mib:.0f} MiB, "
                f"exit {took.code}{'' if fits else '   TOO MUCH'}",
                flush=True,
            )
    return good


def used_by_children() -> float:
    """CPU seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
