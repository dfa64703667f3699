"""Starts agents, here or wherever a command line leads, and takes what they say until they have ended."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from envdoctor.patient import boot, wire
from envdoctor.undisturbed import undisturbed

# What is sent to every node, in the order in which it is imported there.
STREAMED = (
    "envdoctor.patient.wire",
    "envdoctor.patient.boot",
    *(
        f"envdoctor.bench.{name}"
        for name in (
            "rungs",
            "identity",
            "ranks",
            "rails",
            "ways",
            "lifeline",
            "knock",
            "peers",
            "counters",
            "crew",
            "schedule",
            "rounds",
            "coordinator",
            "memory",
            "patterns",
            "worker",
            "agent",
        )
    ),
)
AGENT = "envdoctor.bench.agent"
TAIL = 8192  # bytes of a program's standard error that are kept
PULSE_S = 1.0  # a doctor far away shows this often that it is still there
END_S = 2.0  # an agent ends its ranks and itself within this after its input has ended


@dataclass(frozen=True)
class Start:
    """How one agent is started: a command line that runs `boot.COMMAND` in a Python, and what goes to its input.

    Attributes:
        name: where that is, for people; "" for this machine.
        argv: of the program, `python(...)` for one on this machine.
        request: see `envdoctor.bench.agent.Agent`, without the cookie.
        environ: of the program, None for ours. pulse: a network lies between, so the lifeline needs a pulse.
    """

    argv: tuple[str, ...]
    request: Mapping[str, Any]
    name: str = ""
    environ: Mapping[str, str] | None = None
    folder: str | None = None
    pulse: bool = False


@dataclass
class Ended:
    """How a program ended: its exit status, negative for a signal, and the last it wrote to standard error."""

    status: int | None = None
    said: str = ""
    noise: str = ""


def python(interpreter: str) -> tuple[str, ...]:
    """The command line of an agent in an interpreter of this machine."""
    return (interpreter, "-I", "-c", boot.COMMAND)


def whole() -> dict[str, Any]:
    """The sources that go to every node, as `boot` takes them."""
    sources = {}
    for name in STREAMED:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        sources[name] = Path(spec.origin).read_text(encoding="utf-8")
    return {"boot": sources[boot.__name__], "modules": sources}


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    lines: wire.Lines
    errors: bytearray = field(default_factory=bytearray)
    threads: list[threading.Thread] = field(default_factory=list)


class Conduct:
    """The agents of a run. As a context manager: whatever happens inside, none of them is left behind.

    Args:
        cookie: stands before every record of this run.
    """

    def __init__(self, starts: Sequence[Start], cookie: str) -> None:
        self.starts = starts
        self.cookie = cookie
        self.ended: dict[int, Ended] = {}
        self._running: dict[int, _Running] = {}
        self._said: queue.Queue[tuple[int, dict[str, Any] | None]] = queue.Queue()
        self._until = float("inf")
        self._beating: set[int] = set()

    def __enter__(self) -> Conduct:
        sources = whole()
        try:
            for number, start in enumerate(self.starts):
                self._start(number, start, sources)
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # Who presses Ctrl-C twice must not leave ranks behind on other hosts.
        with undisturbed() as heard:
            self.stop()
        if heard and kind is None:
            raise KeyboardInterrupt

    def _start(self, number: int, start: Start, sources: dict[str, Any]) -> None:
        try:
            process = subprocess.Popen(
                start.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=dict(start.environ) if start.environ is not None else None, cwd=start.folder,
                # Ctrl-C reaches this process alone, and this process ends the agents in order.
                start_new_session=True, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            self.ended[number] = Ended(127, f"{start.argv[0]}: {error.strerror or error}")
            self._said.put((number, None))
            return
        running = _Running(process, wire.Lines(self.cookie.encode("ascii")))
        self._running[number] = running
        assert process.stdin and process.stdout and process.stderr
        line = boot.line(sources, AGENT, dict(start.request, cookie=self.cookie))
        running.threads = [
            threading.Thread(target=run, args=arguments, daemon=True)
            for run, arguments in (
                (_write, (process.stdin, line)),
                (self._read, (number, running, process.stdout)),
                (_keep, (running, process.stderr)),
            )
        ]
        for thread in running.threads:
            thread.start()

    def _read(self, number: int, running: _Running, pipe: IO[bytes]) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), 1 << 16):
                for record in running.lines.feed(data):
                    if "hello" in record and self.starts[number].pulse:
                        # It has read all that it was sent first: nothing can come into the midst of that.
                        self._beat(number)
                    self._said.put((number, record))
        self._beating.discard(number)
        self._said.put((number, None))

    def _beat(self, number: int) -> None:
        if not self._beating:
            self._beating.add(number)
            threading.Thread(target=self._beat_all, daemon=True).start()
        self._beating.add(number)

    def _beat_all(self) -> None:
        while self._beating:
            for number in tuple(self._beating):
                pipe = self._running[number].process.stdin
                if pipe is not None:
                    _write(pipe, b"\n")
            time.sleep(PULSE_S)

    def say(self, number: int, record: Mapping[str, Any]) -> None:
        """Answer an agent's question."""
        running = self._running.get(number)
        if running is not None and running.process.stdin is not None:
            _write(running.process.stdin, json.dumps(dict(record)).encode("ascii") + b"\n")

    def hurry(self, seconds: float) -> None:
        """Follow the agents for so much longer at most."""
        self._until = min(self._until, time.monotonic() + seconds)

    def follow(
        self,
        take: Callable[[int, dict[str, Any]], None],
        until: float,
        over: Callable[[int, Ended], None] = lambda number, ended: None,
    ) -> bool:
        """Hand every record to `take(number of the start, record)` until all agents have ended, or `until` on the
        monotonic clock; whether they have ended. `over(number, how)` hears of each that has."""
        self._until = min(self._until, until)
        open_ = set(range(len(self.starts)))
        while open_:
            left_s = self._until - time.monotonic()
            if left_s <= 0:
                return False
            try:
                number, record = self._said.get(timeout=min(left_s, 1.0))
            except queue.Empty:
                continue
            if record is None:
                open_.discard(number)
                self._settle(number)
                over(number, self.ended.get(number, Ended()))
            else:
                take(number, record)
        return True

    def _settle(self, number: int, wait_s: float = END_S) -> None:
        """Keep how a program ended whose output has ended."""
        running = self._running.get(number)
        if running is None or number in self.ended:
            return
        try:
            status: int | None = running.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            status = None
        running.threads[2].join(min(wait_s, 0.3))  # its last words; others may hold that pipe
        said = running.errors.decode("utf-8", "replace").strip()
        self.ended[number] = Ended(status, said, running.lines.noise.decode("utf-8", "replace").strip())

    def stop(self) -> None:
        """End every agent that still runs: its input ends, then TERM, then KILL for its group."""
        left = {number: one for number, one in self._running.items() if one.process.poll() is None}
        for one in self._running.values():
            assert one.process.stdin is not None
            try:
                one.process.stdin.close()
            except (OSError, ValueError):
                pass
        for wait_s, number in ((END_S, signal.SIGTERM), (0.5, signal.SIGKILL), (0.5, None)):
            until = time.monotonic() + wait_s
            for one in left.values():
                try:
                    one.process.wait(max(0.0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    if number is not None:
                        _signal_group(one.process.pid, number)
        until = time.monotonic() + END_S
        for place in self._running:
            self._settle(place, max(0.0, until - time.monotonic()))


def _write(pipe: IO[bytes], line: bytes) -> None:
    """Write all of it; the pipe stays open, for the agent lives as long as it does.

    No buffer with a lock lies between: one who does not read must not keep another thread from closing the pipe.
    """
    try:
        while line:
            line = line[os.write(pipe.fileno(), line) :]
    except (OSError, ValueError):
        pass  # it has ended, which its output tells


def _keep(running: _Running, pipe: IO[bytes]) -> None:
    with pipe:
        while data := os.read(pipe.fileno(), 1 << 16):
            running.errors += data
            del running.errors[:-TAIL]


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        pass
