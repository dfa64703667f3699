"""Children that may hang, crash or flood: each in a session of its own, under a limit, its pipes never waited for."""

import os
import select
import signal
import time
import traceback

from . import fresh, processes, wire
from .child import STACK, Child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

LOOK_S = 1.0  # between two looks at the counters; a look reads /proc of every process


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
