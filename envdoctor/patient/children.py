"""Children that may hang, crash or flood: each in a session of its own, under a limit, its pipes never waited for."""

import os
import select
import signal
import time
import traceback

from . import fresh, processes, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

    from .processes import Process

NOISE = 64 * 1024  # bytes of a child's own output that are kept, from its end
LINES = 20  # lines of it that go into a fact
READ = 1 << 16
PIPE = 1 << 20  # bytes, the most a pipe holds (/proc/sys/fs/pipe-max-size)
STILL_S = 3.0  # a child whose counters stand still this long at its limit hangs; one that moves is slow
LOOK_S = 1.0  # between two looks at the counters; a look reads /proc of every process
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


def _fork() -> "Tuple[int, int, int, int, int]":
    """Fork with a pipe for records and one for noise: process id, both reading ends, both writing ends.

    Raises OSError, with nothing left open, where no process or no descriptor is to be had.
    """
    opened: "List[int]" = []
    try:
        for _ in range(2):
            opened += os.pipe()
        records, records_in, noise, noise_in = opened
        for descriptor in (records, noise):
            os.set_blocking(descriptor, False)
        pid = os.fork()
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        raise
    if pid:
        os.close(records_in)
        os.close(noise_in)
    return pid, records, noise, records_in, noise_in


def _at_home(records_in: int, noise_in: int, limit_s: float, given: "Optional[bytes]" = None) -> None:
    """What every forked child does first."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY) if given is None else fresh.in_memory(given), 0)
    os.dup2(noise_in, 1)
    os.dup2(noise_in, 2)
    arm(records_in)
    # Should the doctor be killed, nobody would stop this child: then the alarm does. It outlives exec.
    signal.alarm(max(1, int(limit_s) + 5))


def arm(records: int) -> None:
    """Have Python write its stack when it dies of a fault, and at the signal `STACK`: among the records, where no
    output of the examined can drown it."""
    import faulthandler

    faulthandler.enable(records)
    if STACK:
        faulthandler.register(STACK, records, all_threads=False)


def fork(run: "Callable[[Callable[[wire.Record], None]], None]", limit_s: float) -> "Child":
    """Run `run(send)` in a forked child."""
    pid, records, noise, records_in, noise_in = _fork()
    if pid:
        return Child(pid, records, noise, time.monotonic() + limit_s)
    status = 1
    try:
        _at_home(records_in, noise_in, limit_s)
        run(lambda record: wire.send(records_in, record))
        status = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(status)


def no_core_file() -> None:
    """What dies under examination must not leave a core file in the user's folder."""
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        # 1 byte, not 0: it also keeps programs that core_pattern pipes to from being started (core(5)).
        resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
    except (ImportError, OSError, ValueError):
        pass


def execute(
    argv: "List[str]", limit_s: float, env: "Optional[Dict[str, str]]" = None, given: "Optional[bytes]" = None
) -> "Child":
    """Run a program that writes its records to descriptor 3, and finds `given` on its standard input."""
    pid, records, noise, records_in, noise_in = _fork()
    if pid:
        child = Child(pid, records, noise, time.monotonic() + limit_s)
        child.executed = True
        return child
    try:
        _at_home(records_in, noise_in, limit_s, given)
        no_core_file()
        if records_in != 3:
            os.dup2(records_in, 3)
        os.set_inheritable(3, True)
        os.closerange(4, 256)
        os.execve(argv[0], argv, dict(os.environ) if env is None else env)
    except BaseException:
        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(127)


def ask(function: "Callable[..., Any]", limit_s: float, *arguments: "Any") -> "Tuple[str, Any]":
    """Call a function in a child of its own and wait for its answer, at most `limit_s` seconds.

    Returns ("ok", value), ("failed", error), ("crashed", signal and output), ("hung", wait channel) or ("slow", ...).
    The value goes through JSON.
    """
    if not hasattr(os, "fork"):
        try:
            return "ok", function(*arguments)
        except Exception as error:
            return "failed", describe(error)

    def run(send: "Callable[[wire.Record], None]") -> None:
        try:
            send({"fact": "answer", "value": function(*arguments)})
        except Exception as error:
            send({"missing": "answer", "reason": "failed", "detail": describe(error)})

    try:
        child = fork(run, limit_s)
    except OSError as error:
        return "failed", "no process could be started: " + describe(error)
    answer: "List[wire.Record]" = []
    for record in follow([child], time.monotonic() + limit_s):
        answer.append(record)
    if answer and "fact" in answer[-1]:
        return "ok", answer[-1]["value"]
    if answer:
        return str(answer[-1]["reason"]), answer[-1]["detail"]
    return outcome(child)


def describe(error: "BaseException") -> str:
    """An exception in one line."""
    said = str(error).strip()
    return type(error).__name__ + (": " + said if said else "")


def outcome(child: "Child") -> "Tuple[str, str]":
    """Why a child that has ended gave no answer: a reason and a detail, its stack and its last words among it."""
    stack = innermost(child.lines.noise.decode("utf-8", "replace"))
    words = child.noise.replace(fresh.MARK, b"").decode("utf-8", "replace").strip()[-1000 if stack else -4000 :]
    said = "\n".join(part for part in (stack, words) if part)
    if child.stopped:
        return child.stopped, "\n".join(part for part in (child.wchan and "stuck in " + child.wchan, said) if part)
    status = child.status or 0
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else "signal %d" % number
        return "crashed", name + ("\n" + said if said else "")
    return "failed", "ended with exit status %d" % os.WEXITSTATUS(status) + ("\n" + said if said else "")


def innermost(said: str) -> str:
    """The last stack that faulthandler wrote, from its innermost frame on; "" without one."""
    at = max(said.rfind(mark) for mark in ("Current thread 0x", "Stack (most recent call"))
    return said[at : at + 3000].strip() if at >= 0 else ""


def follow(
    children: "List[Child]",
    until: float,
    ended: "Optional[Callable[[Child], None]]" = None,
    listened: "Optional[Callable[[], bool]]" = None,
) -> "Any":
    """Yield the children's records as they come until all have ended or were stopped.

    `children` may grow meanwhile: `ended(child)` is called for each that ends and may append new ones. Once
    `listened()` is false it returns, whatever still runs.
    """
    looked_at = time.monotonic() - LOOK_S / 2
    while children and (listened is None or listened()):
        now = time.monotonic()
        by_descriptor = {descriptor: child for child in children for descriptor in child.descriptors()}
        hurry = any(child.stopped or not child.descriptors() for child in children)
        ready = select.select(list(by_descriptor), [], [], 0.003 if hurry else 0.05)[0]
        for descriptor in ready:
            child = by_descriptor[descriptor]
            if descriptor in child.descriptors():
                for record in child.read(descriptor):
                    yield record
        if now - looked_at > LOOK_S:
            looked_at = now
            seen = processes.table()
            for child in children:
                child.watch(seen)
        for child in list(children):
            if child.stopped:
                ended_now = child.stop()
            elif child.look():
                ended_now = True
            elif now >= min(child.limit_at, until) or child.still_s(now) >= child.patience_s:
                ended_now = child.stop()
            else:
                ended_now = False
            if not ended_now:
                continue
            for record in child.drain():
                yield record
            child.close()
            # Helpers it left in its session end with it.
            child.signal_all(signal.SIGKILL)
            children.remove(child)
            if ended is not None:
                ended(child)
