"""Examines many machines at once. Each has its own deadline, and none waits for another."""

from __future__ import annotations

import functools
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Protocol

from envdoctor.facts.clock import Clock
from envdoctor.facts.reached import Reach
from envdoctor.patient import boot, examining, wire
from envdoctor.transport import commands, login, streamed
from envdoctor.transport.hosts import Host
from envdoctor.transport.local import GRACE_S, Answer, Request
from envdoctor.transport.login import Login
from envdoctor.undisturbed import undisturbed

FAN_OUT = 64  # logins at once: a file server that all homes lie on, and sshd's MaxStartups on a gateway, stand that
FIRST_WORD_S = 20.0  # ConnectTimeout, and a Python on a cold network file system
STARTS_SHARE = 2 / 3  # of the time of a host, at most, for the Python that is meant to start
LEAST_S = 2.0  # with less than this left it is not tried with another
NOT_STARTED = ("silent", "not-executed", "invalid")  # outcomes where another Python may have more to say
MOST_BYTES = 16 << 20  # of an answer; that of a big machine is below one megabyte
MOST_NOISE = 1 << 20  # bytes before the first word: banners, and what a wild start-up file prints


class Way(Protocol):
    """How hosts are reached: `envdoctor.transport.ssh` is one.

    Attributes:
        TITLE: its name for people. OPTION: of ours, which asks for it. END: the signal that ends it with what it has
            started on the host.
    """

    @property
    def TITLE(self) -> str: ...

    @property
    def OPTION(self) -> str: ...

    @property
    def END(self) -> signal.Signals: ...

    def argv(self, host: Host, line: str) -> tuple[str, ...]:
        """The command line that runs `line` in a shell of the host, with our end as its input and output."""

    def reach(self, host: Host, status: int | None, said: str, noise: str, heard: bool) -> Reach:
        """How the host was reached, from how that command ended; see `envdoctor.transport.ssh.reach`."""


@dataclass(frozen=True)
class Visit:
    """What came of one host: how it was reached, its answer, and the interpreter examined, "" where none answered.

    Where that one does not start, another gave the answer.
    """

    host: Host
    reach: Reach
    answer: Answer
    python: str = ""
    clock: Clock | None = None


# Called with the number of a host and a record of its patient, as it comes; {"over": outcome} is the last.
OnRecord = Callable[[int, dict[str, Any]], None]


def examine(
    hosts: Sequence[Host],
    way: Way,
    python: str,
    request: Request,
    environ: Mapping[str, str] | None = None,
    on_record: OnRecord = lambda number, record: None,
    fan_out: int = FAN_OUT,
) -> list[Visit]:
    """Have the patient look at every host, in the given Python where it is there; where it does not start, in another.

    Args:
        request: its limit is that of each host, the login included.
        environ: variables to set there.

    Returns:
        One visit for each host, in their order, whatever became of it.
    """
    round_ = _Round(way, python, request, environ or {}, on_record)
    try:
        return round_.run(hosts, fan_out)
    finally:
        with undisturbed():
            round_.stop()


class _Round:
    def __init__(
        self, way: Way, python: str, request: Request, environ: Mapping[str, str], on_record: OnRecord
    ) -> None:
        self._way = way
        self._line = commands.start(python, boot.COMMAND)
        self._request = request
        self._cookie = streamed.cookie()
        self._program = streamed.program(request, self._cookie, environ)
        # Such a program by the Python that is meant and its words; many hosts may each have words of their own.
        self._standing_in = functools.lru_cache(8)(functools.partial(streamed.program, request, self._cookie, environ))
        self._on_record = on_record
        self._guests: dict[int, Login] = {}
        self._visits: dict[int, Visit] = {}
        self._selector = selectors.DefaultSelector()

    def run(self, hosts: Sequence[Host], fan_out: int) -> list[Visit]:
        waiting = deque(enumerate(hosts))
        while waiting or self._guests:
            while waiting and len(self._guests) < fan_out:
                self._start(*waiting.popleft())
            now = time.monotonic()
            nearest = min((guest.until for guest in self._guests.values()), default=now)
            for key, _ in self._selector.select(max(0.0, nearest - now)):
                guest, step = key.data
                if self._guests.get(guest.number) is guest:  # else it ended a moment ago
                    step(guest, key.fileobj)
            now = time.monotonic()
            for guest in [guest for guest in self._guests.values() if guest.until <= now]:
                guest.late = True
                self._over(guest)
        return [self._visits[number] for number in range(len(hosts))]

    def stop(self) -> None:
        """End what is still under way."""
        for guest in list(self._guests.values()):
            login.end(guest.process)
        self._selector.close()

    def _start(self, number: int, host: Host) -> None:
        limit_s = self._request.limit_s
        began = time.monotonic()
        until = (began + min(FIRST_WORD_S, limit_s), began + limit_s)
        self._login(number, host, self._line, self._program, until)

    def _login(
        self, number: int, host: Host, line: str, program: bytes, until: tuple[float, float],
        first: Visit | None = None, meant: str = "",
    ) -> None:  # fmt: skip
        """Log in. `until` is when the first word must have come, and the last."""
        argv = self._way.argv(host, line)
        try:
            process = login.begin(argv, self._way.END)
        except OSError as error:
            said = f"{argv[0]}: {error.strerror or error}"
            self._tell(number, first or Visit(host, self._way.reach(host, 127, said, "", False), Answer(failure=said)))
            return
        guest = Login(
            number, host, process, memoryview(program), wire.Lines(self._cookie.encode("ascii")), *until,
            first=first, meant=meant,
        )  # fmt: skip
        self._guests[number] = guest
        assert process.stdin and process.stdout and process.stderr
        os.set_blocking(process.stdin.fileno(), False)
        self._selector.register(process.stdin, selectors.EVENT_WRITE, (guest, self._send))
        self._selector.register(process.stdout, selectors.EVENT_READ, (guest, self._take))
        self._selector.register(process.stderr, selectors.EVENT_READ, (guest, self._keep))

    def _send(self, guest: Login, pipe: IO[bytes]) -> None:
        try:
            sent = os.write(pipe.fileno(), guest.to_send[: login.PIECE])
        except BlockingIOError:
            return
        except OSError:
            sent = len(guest.to_send)  # it reads no more; how it ended tells why
        guest.to_send = guest.to_send[sent:]
        if not guest.to_send:
            # The pipe stays open: its end would mean that the doctor is gone.
            self._selector.unregister(pipe)

    def _keep(self, guest: Login, pipe: IO[bytes]) -> None:
        data = os.read(pipe.fileno(), login.PIECE)
        if not data:
            self._selector.unregister(pipe)
        guest.errors += data
        del guest.errors[: -login.TAIL]
        if not guest.python and guest.first is None and guest.tried:
            # A shell is at work there: what is left after a Python that hangs must do for another one.
            began = guest.deadline - self._request.limit_s
            guest.until = min(guest.until, began + self._request.limit_s * STARTS_SHARE)

    def _take(self, guest: Login, pipe: IO[bytes]) -> None:
        data = os.read(pipe.fileno(), login.PIECE)
        if not data:
            self._over(guest)
            return
        guest.taken += len(data)
        if guest.taken > (MOST_BYTES if guest.python else MOST_NOISE):
            guest.flooded = True
            self._over(guest)
            return
        for record in guest.lines.feed(data):
            if "clock" in record:
                self._compare(guest, record)
                continue
            guest.answer.take(record)
            self._on_record(guest.number, record)
            if guest.answer.complete:
                self._over(guest)
                return

    def _compare(self, guest: Login, record: Mapping[str, Any]) -> None:
        """Its clock against ours, and what time is left to it."""
        world, now = time.time(), time.monotonic()
        if "hello" in record:
            guest.python = str(record["hello"])[:4096] or "?"
            guest.until = guest.deadline + GRACE_S
            self._on_record(guest.number, {"hello": guest.python})
        else:
            try:
                told = float(record["clock"])
            except (TypeError, ValueError):
                return
            asked, since = guest.asked
            if now - since < guest.trip_s:
                guest.trip_s = now - since
                guest.clock = Clock(told, asked, asked + guest.trip_s)
        if guest.words < examining.WORDS and guest.process.stdin is not None:
            guest.words += 1
            guest.asked = (world, now)
            try:
                os.write(guest.process.stdin.fileno(), b"%.3f\n" % max(0.5, guest.deadline - now))
            except OSError:
                pass  # it has ended

    def _over(self, guest: Login) -> None:
        """The visit ends, by itself or because its time is up."""
        del self._guests[guest.number]
        process = guest.process
        status = 0 if guest.answer.complete else None if guest.late or guest.flooded else login.status(process)
        assert process.stdin and process.stdout and process.stderr
        if not guest.late:
            login.drain(process.stderr, guest.errors)
        for pipe in (process.stdin, process.stdout, process.stderr):
            try:
                self._selector.unregister(pipe)
            except (KeyError, ValueError):
                pass  # it has been before
        login.end(process)
        visit = Visit(guest.host, self._reach(guest, status), self._answer(guest, status), guest.python, guest.clock)
        if guest.first is not None:
            visit = replace(visit, python=guest.meant or guest.python) if guest.python else guest.first
        elif not guest.python and not guest.flooded and visit.reach.tried and self._again(guest, visit):
            return
        self._tell(guest.number, visit)

    def _again(self, guest: Login, visit: Visit) -> bool:
        """Log in once more, to look at the host with another Python than that which did not start there."""
        tried = visit.reach.tried
        line = commands.stand_in(tried, boot.COMMAND)
        if line is None or visit.reach.outcome not in NOT_STARTED or guest.deadline - time.monotonic() < LEAST_S:
            return False
        meant = "" if tried.startswith("PATH=") else tried
        waited_s = time.monotonic() - (guest.deadline - self._request.limit_s)
        failure = f"it did not say a word in {waited_s:.0f} s" if guest.late else visit.reach.said or "it ended"
        program = self._standing_in(meant, failure if meant else "")
        until = (guest.deadline, guest.deadline)
        self._login(guest.number, guest.host, line, program, until, visit, meant)
        return True

    def _tell(self, number: int, visit: Visit) -> None:
        self._visits[number] = visit
        self._on_record(number, {"over": visit.reach.outcome})

    def _reach(self, guest: Login, status: int | None) -> Reach:
        said = guest.errors.decode("utf-8", "replace")
        rest = commands.apart(said)[0].strip()
        noise = guest.lines.noise.decode("utf-8", "replace")
        heard = bool(guest.python)
        reach = self._way.reach(guest.host, status, said, noise, heard)
        if guest.flooded:
            size = f"more than {guest.taken // 1000000 or 1} MB of it; the last: " if heard else ""
            return replace(reach, outcome="invalid", said=size + noise.strip()[-200:], status=None)
        if guest.late and guest.to_send and (reach.way, reach.outcome) == ("ssh", "silent"):
            # ssh reads its input once it is in: this much of the program nobody has taken.
            return replace(reach, outcome="no-login")
        if not heard or guest.answer.complete or reach.outcome != "ok":
            return reach
        if guest.late:
            settled = {*guest.answer.values, *guest.answer.missing}
            at = [name for name in guest.answer.begun if name not in settled]
            return replace(reach, outcome="hung", said=at[-1] if at else "", status=None)
        return replace(reach, outcome="died", said=rest[-600:], status=status)

    def _answer(self, guest: Login, status: int | None) -> Answer:
        answer = guest.answer
        answer.died = None if answer.complete else status
        said, _ = commands.apart(guest.errors.decode("utf-8", "replace"))
        answer.last_words = "" if answer.complete else said.strip()[-1000:]
        if not guest.python:
            answer.failure = "the node was not reached"
        return answer
