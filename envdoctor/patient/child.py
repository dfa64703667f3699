"""One child that may hang, crash or flood: what it has said, whether it moves, and how it is ended."""

import os
import select
import signal
import time

from . import fresh, processes, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple

    from .processes import Process

NOISE = 64 * 1024  # bytes of a child's own output that are kept, from its end
LINES = 20  # lines of it that go into a fact
READ = 1 << 16
PIPE = 1 << 20  # bytes, the most a pipe holds (/proc/sys/fs/pipe-max-size)
STILL_S = 3.0  # a child whose counters stand still this long at its limit hangs; one that moves is slow
# Prints the Python stack of a child that has armed it with faulthandler. USR2: its default action leaves no core file.
STACK = getattr(signal, "SIGUSR2", 0)
# Seconds after the limit at which each signal is sent, and at which the child is given up.
STOPPING = ((0.0, STACK), (0.12, signal.SIGTERM), (0.27, getattr(signal, "SIGKILL", signal.SIGTERM)))
LEFT_BEHIND_S = 0.5


class Child(object):
    """A running child and what it has said so far."""

    def __init__(self, pid: int, records: int, noise: int, limit_at: float) -> None:
        self.pid = pid
        self.records = records  # descriptor of its record pipe
        self.noise_pipe = noise  # descriptor of its stdout and stderr
        self.limit_at = limit_at  # time.monotonic() at which it is stopped
        self.lines = wire.Lines()
        self.noise = b""
        self.printed_into = ""  # key of its facts that takes what it printed before them, the last lines of it
        self.answers: "List[wire.Record]" = []  # facts, and why they are missing, as they came
        self.begun = ""  # section in flight
        self.ended: "Set[str]" = set()  # sections it has answered
        self.status: "Optional[int]" = None  # wait status, once it is dead
        self.stopped = ""  # "hung" or "slow", once it was stopped at its limit
        self.stopped_at = 0.0  # when that was
        self.signalled = 0  # how many of STOPPING it was sent
        self.wchan = ""  # where in the kernel it stays, if it outlived SIGKILL
        self.slept_in = ""  # where in the kernel it slept when it was stopped, if it stood still
        self.patience_s = float("inf")  # stopped before its limit when it stands still this long
        self.family: "Set[int]" = set()  # its descendants, as last seen
        self.executed = False  # a program of its own, not a fork of this one
        self.counters: "Tuple[int, ...]" = ()
        self.moved_at = time.monotonic()

    def descriptors(self) -> "List[int]":
        return [descriptor for descriptor in (self.records, self.noise_pipe) if descriptor >= 0]

    def read(self, descriptor: int) -> "List[wire.Record]":
        """Take what a pipe holds now."""
        try:
            data = os.read(descriptor, READ)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            os.close(descriptor)
            if descriptor == self.records:
                self.records = -1
            else:
                self.noise_pipe = -1
            return []
        if descriptor == self.noise_pipe:
            self.noise = (self.noise + data)[-NOISE:]
            return []
        found = self.lines.feed(data)
        self.answers += [record for record in found if "begin" not in record]
        for record in found:
            if "begin" in record:
                self.begun = str(record["begin"])
            name = record.get("fact", record.get("missing"))
            if name is not None:
                self.ended.add(str(name))
                if self.printed_into and isinstance(record.get("value"), dict):
                    record["value"]["startup"], record["value"][self.printed_into] = self.printed()
        return found

    def printed(self) -> "Tuple[List[str], List[str]]":
        """The last lines it has printed by now, before it began its first section and since; they are forgotten, so
        that the next fact has its own."""
        if self.noise_pipe >= 0:
            self._empty(self.noise_pipe)
        before, mark, since = self.noise.partition(fresh.MARK)
        self.noise = b""
        told = []
        for text in (before if mark else b"", since if mark else before):
            lines = text.decode("utf-8", "replace").splitlines()
            told.append([line[:500] for line in lines if line.strip()][-LINES:])
        return told[0], told[1]

    def drain(self) -> "List[wire.Record]":
        """Take all that is left, without waiting for a helper of the child that holds the pipes open."""
        found: "List[wire.Record]" = []
        for descriptor in self.descriptors():
            found += self._empty(descriptor)
        return found

    def _empty(self, descriptor: int) -> "List[wire.Record]":
        # No more than a pipe can hold: a helper that goes on writing would never let it run dry.
        found: "List[wire.Record]" = []
        for _ in range(PIPE // READ):
            if descriptor not in self.descriptors() or not select.select([descriptor], [], [], 0)[0]:
                break
            found += self.read(descriptor)
        return found

    def close(self) -> None:
        for descriptor in self.descriptors():
            os.close(descriptor)
        self.records = self.noise_pipe = -1

    def look(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 0
            if pid:
                self.status = status
        return self.status is not None

    def watch(self, table: "Dict[int, Process]") -> None:
        """Note whether it or one of its descendants has moved since the last look."""
        # A look may fall into its death: what it had started is somebody else's child by then, and still its doing.
        self.family = {pid for pid in self.family if pid in table} | processes.family(self.pid, table)
        now = processes.counters(self.family | {self.pid}, table)
        if now != self.counters:
            self.counters = now
            self.moved_at = time.monotonic()

    def still_s(self, now: float) -> float:
        """Seconds for which it has not moved, as far as it was seen; 0 where /proc does not tell."""
        return now - self.moved_at if self.counters else 0.0

    def signal_all(self, number: int) -> None:
        """Signal its process group and, once it is being stopped, its descendants in other groups."""
        try:
            os.killpg(self.pid, number)
        except OSError:
            pass
        # After an ordinary end nothing should be left, and their numbers may belong to others by now; after a crash
        # they were seen a second ago.
        for pid in self.family if self.stopped or self.status else ():
            try:
                os.kill(pid, number)
            except OSError:
                pass

    def kill(self, table: "Dict[int, Process]") -> None:
        """Kill it and all that descends from it, at once."""
        self.watch(table)
        self.stopped = self.stopped or "slow"
        self.signal_all(signal.SIGKILL)

    def stop(self) -> bool:
        """Take the next step to its end, without waiting; true once it is dead or left behind.

        A signal that makes Python print its stack, TERM, KILL. One that outlives KILL sleeps in the kernel (D state):
        it is named by its wait channel and nobody waits for it any longer.
        """
        now = time.monotonic()
        if not self.stopped:
            self.watch(processes.table())
            self.stopped = "hung" if self.still_s(now) >= STILL_S else "slow"
            self.stopped_at = now
            self.slept_in = processes.wait_channel(self.pid) if self.stopped == "hung" else ""
        if self.look():
            self.signal_all(signal.SIGKILL)
            return True
        while self.signalled < len(STOPPING) and now - self.stopped_at >= STOPPING[self.signalled][0]:
            number = STOPPING[self.signalled][1]
            self.signalled += 1
            if number != STACK:
                self.signal_all(number)
            elif self.begun or not self.executed:
                # Only Python that has armed it understands the signal; any other would die of it unseen.
                try:
                    os.kill(self.pid, number)
                except OSError:
                    pass
        if now - self.stopped_at > LEFT_BEHIND_S:
            self.wchan = processes.wait_channel(self.pid)
            return True
        return False
