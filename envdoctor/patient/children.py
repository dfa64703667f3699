"""Children that may hang, crash or flood: each in a session of its own, under a limit, its pipes never waited for."""

import os
import select
import signal
import sys
import time
import traceback

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple, Set

NOISE = 64 * 1024  # bytes of a child's own output that are kept, from its end
STILL_S = 3.0  # a child whose counters stand still this long at its limit hangs; one that moves is slow


class Child(object):
    """A running child and what it has said so far."""

    def __init__(self, pid: int, records: int, noise: int, limit_at: float) -> None:
        self.pid = pid
        self.records = records  # descriptor of its record pipe
        self.noise_pipe = noise  # descriptor of its stdout and stderr
        self.limit_at = limit_at  # time.time() at which it is stopped
        self.lines = wire.Lines()
        self.noise = b""
        self.begun = ""  # section in flight
        self.ended: "Set[str]" = set()  # sections it has answered
        self.status: "Optional[int]" = None  # wait status, once it is dead
        self.stopped = ""  # "hung" or "slow", once it was stopped at its limit
        self.wchan = ""  # where in the kernel it stays, if it outlived SIGKILL
        self.patience_s = float("inf")  # stopped before its limit when it stands still this long
        self.counters: "Tuple[int, ...]" = ()
        self.moved_at = time.time()

    def descriptors(self) -> "List[int]":
        return [descriptor for descriptor in (self.records, self.noise_pipe) if descriptor >= 0]

    def read(self, descriptor: int) -> "List[wire.Record]":
        """Take what a pipe holds now."""
        try:
            data = os.read(descriptor, 1 << 16)
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
        for record in found:
            if "begin" in record:
                self.begun = str(record["begin"])
            name = record.get("fact", record.get("missing"))
            if name is not None:
                self.ended.add(str(name))
        return found

    def drain(self) -> "List[wire.Record]":
        """Take all that is left, without waiting for a helper of the child that holds the pipes open."""
        found: "List[wire.Record]" = []
        for descriptor in self.descriptors():
            while descriptor in self.descriptors() and select.select([descriptor], [], [], 0)[0]:
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

    def watch_counters(self) -> None:
        now = _counters(self.pid)
        if now != self.counters:
            self.counters = now
            self.moved_at = time.time()

    def signal_all(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except OSError:
            pass

    def stop(self) -> None:
        """End it and its helpers: TERM, then KILL. One that outlives KILL is left behind, named by its wait channel."""
        self.watch_counters()
        stood = self.counters != () and time.time() - self.moved_at >= STILL_S
        self.stopped = "hung" if stood else "slow"
        self.signal_all(signal.SIGTERM)
        if not self._dies_within(0.15):
            self.signal_all(signal.SIGKILL)
            if not self._dies_within(0.3):
                self.wchan = _wchan(self.pid)
        else:
            self.signal_all(signal.SIGKILL)

    def _dies_within(self, seconds: float) -> bool:
        until = time.time() + seconds
        while time.time() < until:
            if self.look():
                return True
            time.sleep(0.005)
        return self.look()


def _counters(group: int) -> "Tuple[int, ...]":
    """CPU ticks and bytes moved by all processes of a group; () where /proc does not tell."""
    ticks = moved = members = 0
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return ()
    for pid in pids:
        try:
            with open("/proc/" + pid + "/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            if int(fields[2]) != group and int(fields[3]) != group:
                continue
            members += 1
            ticks += int(fields[11]) + int(fields[12])
            with open("/proc/" + pid + "/io", "rb") as io:
                moved += sum(int(line.split()[1]) for line in io.read().splitlines()[:4])
        except (OSError, IndexError, ValueError):
            continue
    return (ticks, moved, members)


def _wchan(pid: int) -> str:
    try:
        with open("/proc/%d/wchan" % pid) as wchan:
            return wchan.read(200).strip()
    except OSError:
        return ""


def _pipes() -> "Tuple[int, int, int, int]":
    records, records_in = os.pipe()
    noise, noise_in = os.pipe()
    for descriptor in (records, noise):
        os.set_blocking(descriptor, False)
    return records, records_in, noise, noise_in


def _at_home(records_in: int, noise_in: int, limit_s: float) -> None:
    """What every forked child does first."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(noise_in, 1)
    os.dup2(noise_in, 2)
    # Should the doctor be killed, nobody would stop this child: then the alarm does. It outlives exec.
    signal.alarm(max(1, int(limit_s) + 5))


def fork(run: "Callable[[Callable[[wire.Record], None]], None]", limit_s: float) -> "Child":
    """Run `run(send)` in a forked child."""
    records, records_in, noise, noise_in = _pipes()
    pid = os.fork()
    if pid:
        os.close(records_in)
        os.close(noise_in)
        return Child(pid, records, noise, time.time() + limit_s)
    status = 1
    try:
        _at_home(records_in, noise_in, limit_s)
        run(lambda record: wire.send(records_in, record))
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def execute(argv: "List[str]", limit_s: float, env: "Optional[Dict[str, str]]" = None) -> "Child":
    """Run a program that writes its records to descriptor 3."""
    records, records_in, noise, noise_in = _pipes()
    pid = os.fork()
    if pid:
        os.close(records_in)
        os.close(noise_in)
        return Child(pid, records, noise, time.time() + limit_s)
    try:
        _at_home(records_in, noise_in, limit_s)
        if records_in != 3:
            os.dup2(records_in, 3)
        os.set_inheritable(3, True)
        os.closerange(4, 256)
        os.execve(argv[0], argv, dict(os.environ) if env is None else env)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
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

    child = fork(run, limit_s)
    answer: "List[wire.Record]" = []
    for record in follow([child], time.time() + limit_s):
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
    """Why a child that has ended gave no answer: a reason and a detail."""
    said = child.noise.decode("utf-8", "replace").strip()[-4000:]
    if child.stopped:
        return child.stopped, "\n".join(part for part in (child.wchan and "stuck in " + child.wchan, said) if part)
    status = child.status or 0
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else "signal %d" % number
        return "crashed", name + ("\n" + said if said else "")
    return "failed", "ended with exit status %d" % os.WEXITSTATUS(status) + ("\n" + said if said else "")


def follow(
    children: "List[Child]",
    until: float,
    ended: "Optional[Callable[[Child], None]]" = None,
    stop: "Optional[Callable[[], bool]]" = None,
) -> "Any":
    """Yield the children's records as they come until all have ended or were stopped.

    `children` may grow meanwhile: `ended(child)` is called for each that ends and may append new ones.
    """
    looked_at = 0.0
    while children:
        now = time.time()
        by_descriptor = {descriptor: child for child in children for descriptor in child.descriptors()}
        wait = 0.003 if any(not child.descriptors() for child in children) else 0.05
        ready = select.select(list(by_descriptor), [], [], wait)[0]
        for descriptor in ready:
            child = by_descriptor[descriptor]
            if descriptor in child.descriptors():
                for record in child.read(descriptor):
                    yield record
        if now - looked_at > 0.5:
            looked_at = now
            for child in children:
                child.watch_counters()
        for child in list(children):
            if not child.look():
                if now < min(child.limit_at, until) and now - child.moved_at < child.patience_s:
                    continue
                child.stop()
            for record in child.drain():
                yield record
            child.close()
            # Helpers it left in its session end with it.
            child.signal_all(signal.SIGKILL)
            children.remove(child)
            if ended is not None:
                ended(child)
