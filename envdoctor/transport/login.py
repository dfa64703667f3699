"""One login to a host: the program that reaches it, what it has said so far, and its end."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from envdoctor.facts.clock import Clock
from envdoctor.patient import wire
from envdoctor.transport import commands
from envdoctor.transport.hosts import Host
from envdoctor.transport.local import Answer

if TYPE_CHECKING:
    from envdoctor.transport.visits import Visit

TAIL = 8192  # bytes of standard error that are kept
PIECE = 1 << 16

# Logins under way in whatever thread: it ends with this process, and what it has started must not outlive that.
_under_way: dict[subprocess.Popen[bytes], signal.Signals] = {}  # -> what ends it


@atexit.register
def _end_all() -> None:
    for process, how in tuple(_under_way.items()):
        process.send_signal(how)


@dataclass
class Login:
    """A login under way."""

    number: int
    host: Host
    process: subprocess.Popen[bytes]
    to_send: memoryview
    lines: wire.Lines
    until: float
    deadline: float
    errors: bytearray = field(default_factory=bytearray)
    answer: Answer = field(default_factory=Answer)
    taken: int = 0
    python: str = ""
    words: int = 0
    asked: tuple[float, float] = (0.0, 0.0)  # Unix and monotonic time when it was asked for its own
    clock: Clock | None = None
    trip_s: float = float("inf")  # how long the question took for which the clock was told
    flooded: bool = False
    late: bool = False
    first: Visit | None = None  # what came of the host before, where this is the second login to it,
    meant: str = ""  # and the Python for which another stands in

    @property
    def tried(self) -> str:
        """What the shell there said last that it tries."""
        return commands.apart(self.errors.decode("utf-8", "replace"))[1]


def begin(argv: Sequence[str], how: signal.Signals) -> subprocess.Popen[bytes]:
    """Start the program; `how` is the signal that ends it with what it has started.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        start_new_session=True,  # Ctrl-C reaches this process alone, and this process ends them
    )  # fmt: skip
    _under_way[process] = how
    return process


def status(process: subprocess.Popen[bytes]) -> int | None:
    """How it ended; what has closed its output is given a moment to, and the others wait no longer."""
    try:
        return process.wait(0.2)
    except subprocess.TimeoutExpired:
        return None


def drain(pipe: IO[bytes], into: bytearray) -> None:
    """Take what has been said and not been read."""
    os.set_blocking(pipe.fileno(), False)
    try:
        while data := os.read(pipe.fileno(), PIECE):
            into += data
            del into[:-TAIL]
    except OSError:
        pass


def end(process: subprocess.Popen[bytes]) -> None:
    """End a login with what it has started here, a ProxyCommand for one."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
    if process.poll() is None:
        try:
            os.killpg(process.pid, _under_way.get(process, signal.SIGKILL))
        except OSError:
            pass
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            process.returncode = -signal.SIGKILL  # it sleeps in the kernel: nobody waits for it
    _under_way.pop(process, None)
