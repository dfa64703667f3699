"""Runs the sections and writes their records to standard output, one JSON document per line."""

import importlib
import json
import os
import select
import signal
import sys
import time

from . import children, fresh, processes, wire
from .child import STILL_S
from .sections import SECTIONS, Ask, Denied, NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set

    from .child import Child
    from .sections import Section

    Send = Callable[[wire.Record], None]


def answer(section: "Section", ask: "Ask", send: "Send") -> None:
    """Run one section here and send its record."""
    began = time.monotonic()
    send({"begin": section.name})
    try:
        module, _, function = section.where.partition(":")
        value = getattr(importlib.import_module("." + module, __package__), function)(ask)
        send({"fact": section.name, "value": value, "seconds": round(time.monotonic() - began, 6)})
    except NotHere as error:
        send({"missing": section.name, "reason": "not-here", "detail": str(error)})
    except Denied as error:
        send({"missing": section.name, "reason": "denied", "detail": str(error)})
    except Exception as error:
        # Whatever a section meets is its own answer; the others are not touched.
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = "%s:%d" % (os.path.basename(where.tb_frame.f_code.co_filename), where.tb_lineno) if where else ""
        send({"missing": section.name, "reason": "failed", "detail": "%s (%s)" % (children.describe(error), place)})


class Examination(object):
    """The run of all sections of one request."""

    def __init__(self, ask: "Ask", request: "Dict[str, Any]", send: "Send") -> None:
        self.ask = ask
        self.request = request
        self.send = send
        self.settled: "Set[str]" = set()
        self.running: "List[Child]" = []
        self.groups: "Dict[int, List[Section]]" = {}  # child -> its sections
        wanted = request.get("only")
        self.waiting: "List[List[Section]]" = []
        for section in SECTIONS:
            if wanted and section.name not in wanted:
                self.settled.add(section.name)
            elif section.on_demand and not wanted:
                self.leave_out(section, "not-asked", "it is observed for fixes alone")
            elif section.linux and not sys.platform.startswith("linux"):
                self.leave_out(section, "not-supported", "only Linux tells")
            elif self.ask.quick and (section.heavy or section.network):
                self.leave_out(section, "not-asked", "--quick")
            elif self.ask.offline and section.network:
                self.leave_out(section, "not-asked", "--offline")
            elif self.ask.stands_for and section.fresh:
                self.leave_out(section, "failed", "%s does not run" % self.ask.stands_for)
            else:
                key = (section.group, section.after)
                known = next((g for g in self.waiting if (g[0].group, g[0].after) == key), None)
                if known is None:
                    self.waiting.append([section])
                else:
                    known.append(section)
        # The interpreter that imports torch takes longest: it starts first.
        self.waiting.sort(key=lambda group: not group[0].fresh)

    def leave_out(self, section: "Section", reason: str, detail: str) -> None:
        self.settled.add(section.name)
        self.send({"missing": section.name, "reason": reason, "detail": detail})

    def start_ready(self) -> None:
        """Start every group whose predecessor has ended."""
        started = True
        while started:
            started = False
            for group in list(self.waiting):
                ready = not group[0].after or group[0].after in self.settled
                if ready and self.start(group):
                    self.waiting.remove(group)
                    started = True

    def start(self, group: "List[Section]") -> bool:
        """Start a group, or say why it cannot be; False where it has to wait until another has ended."""
        left_s = self.ask.until - time.monotonic()
        if left_s <= 0:
            for section in group:
                self.leave_out(section, "slow", "no time was left")
            return True
        limit_s = max(0.2, min(sum(section.limit_s for section in group), left_s))
        try:
            if group[0].fresh:
                child = self.in_fresh(group, limit_s)
            else:
                child = children.fork(lambda send: self.answer_all(group, send), limit_s)
        except OSError as error:
            # No process or no descriptor is to be had: what another group leaves may do.
            if not self.running:
                for section in group:
                    self.leave_out(section, "failed", "no process could be started: " + children.describe(error))
            return not self.running
        if len(group) > 1 and not group[0].fresh:
            # One that hangs must leave time for the rest of its group.
            longest_s = max(section.limit_s for section in group)
            child.patience_s = min(longest_s, max(STILL_S, left_s * 0.6))
        self.running.append(child)
        self.groups[child.pid] = group
        return True

    def answer_all(self, group: "List[Section]", send: "Send") -> None:
        for section in group:
            answer(section, self.ask, send)

    def in_fresh(self, group: "List[Section]", limit_s: float) -> "Child":
        request = dict(self.request, limit_s=limit_s, only=[section.name for section in group])
        code = fresh.code(group[0].where.partition(":")[0], request)
        child = children.execute([sys.executable, "-c", code], limit_s, given=fresh.given())
        child.patience_s = 20.0
        child.printed_into = "warnings"
        return child

    def note(self, record: "wire.Record") -> None:
        name = record.get("fact", record.get("missing"))
        if name is not None:
            self.settled.add(str(name))
            if "fact" in record:
                self.ask.facts[str(name)] = record["value"]
            else:
                self.ask.missing[str(name)] = (str(record["reason"]), str(record["detail"]))
        self.send(record)

    def ended(self, child: "Child") -> None:
        """A child has ended: what it left unanswered is said, and the rest of its group gets a new child."""
        group = self.groups.pop(child.pid)
        left = [section for section in group if section.name not in child.ended]
        if left:
            reason, detail = children.outcome(child)
            culprit = next((section for section in left if section.name == child.begun), left[0])
            # The sections of a fresh interpreter stand on one another (torch imported, then CUDA initialised).
            fallen = left if culprit.fresh else [culprit]
            for section in fallen:
                told = detail if section is culprit else "comes after " + culprit.name
                why = reason if section is culprit else "failed"
                self.note({"missing": section.name, "reason": why, "detail": told})
            rest = [section for section in left if section not in fallen]
            if rest:
                self.waiting.append(rest)
        self.start_ready()

    def run(self, listened: "Optional[Callable[[], bool]]" = None) -> None:
        """Run all sections, for as long as somebody listens."""
        self.start_ready()
        for record in children.follow(self.running, self.ask.until, self.ended, listened):
            self.note(record)

    def run_here(self) -> None:
        """Without fork (Windows) the sections run one after the other, and a hang in one ends the answer there."""
        for group in self.waiting:
            for section in group:
                if section.fresh:
                    self.leave_out(section, "not-supported", "not read on this platform")
                elif time.monotonic() > self.ask.until:
                    self.leave_out(section, "slow", "no time was left")
                else:
                    answer(section, self.ask, self.note)

    def stop(self) -> None:
        """Kill all that runs, at once."""
        table = processes.table()
        for child in list(self.running):
            child.kill(table)


def listened(out: int) -> bool:
    """Whether the doctor still reads what is written to descriptor `out`: it may have been killed."""
    poll = select.poll()
    poll.register(out, 0)
    return not any(events & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, events in poll.poll(0))


def main(argument: str) -> None:
    """Examine this machine and this Python. `argument` is the request, a JSON object; see `sections.Ask`."""
    began = time.monotonic()
    request = json.loads(argument)
    if request.get("more"):
        # Addresses and settings may hold passwords, which every user could read among the arguments.
        request.update(json.loads(os.read(0, os.fstat(0).st_size).decode("ascii")))
    request["until"] = began + float(request.get("limit_s") or 60.0)
    cookie = str(request.get("cookie") or "").encode("ascii")
    # Start-up files and libraries may print to our output: the records keep the real one, the rest gets none.
    out = os.dup(1)
    os.dup2(2, 1)

    def send(record: "wire.Record") -> None:
        data = cookie + wire.encode(record)
        while data:
            data = data[os.write(out, data) :]

    examination = Examination(Ask(request), request, send)
    if hasattr(os, "fork"):

        def stopped(number: int, frame: object) -> None:
            examination.stop()
            os._exit(130)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stopped)
        try:
            examination.run(lambda: listened(out))
        except BrokenPipeError:
            os._exit(130)  # after `finally`: nobody reads the answer any longer
        finally:
            unheard = bool(examination.running)
            examination.stop()
        if unheard:
            os._exit(130)
    else:
        examination.run_here()
    send({"done": True, "seconds": round(time.monotonic() - began, 6)})
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
