"""Runs the sections and writes their records to standard output, one JSON document per line."""

import importlib
import json
import os
import signal
import sys
import time

from . import children, wire
from .sections import SECTIONS, Ask, Denied, NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Set

    from .sections import Section

    Send = Callable[[wire.Record], None]

# Runs in a new interpreter of the target, started as a training script would be: the working directory, PYTHONPATH
# and the user's site-packages count. Our own modules must not be found through them, nor hide what they shadow.
FRESH = """
import sys, os
_path, sys.path = sys.path, [p for p in sys.path if p.startswith(os.path.dirname(os.__file__))]
_package = type(sys)("envdoctor_patient"); _package.__path__ = [{folder!r}]
sys.modules["envdoctor_patient"] = _package
_module = __import__("envdoctor_patient.{module}", fromlist=["main"])
sys.path = _path
_module.main({request!r})
"""


def fresh_code(module: str, request: "Dict[str, Any]") -> str:
    """A program for `python -c` that calls `main(request)` of a module of this package. No JSON: see torch_import."""
    return FRESH.format(folder=os.path.dirname(os.path.abspath(__file__)), module=module, request=request)


def answer(section: "Section", ask: "Ask", send: "Send") -> None:
    """Run one section here and send its record."""
    began = time.time()
    send({"begin": section.name})
    try:
        module, _, function = section.where.partition(":")
        value = getattr(importlib.import_module("." + module, __package__), function)(ask)
        send({"fact": section.name, "value": value, "seconds": round(time.time() - began, 6)})
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
        self.running: "List[children.Child]" = []
        self.groups: "Dict[int, List[Section]]" = {}  # child -> its sections
        wanted = request.get("only")
        self.waiting: "List[List[Section]]" = []
        for section in SECTIONS:
            if wanted and section.name not in wanted:
                self.settled.add(section.name)
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
        for group in list(self.waiting):
            if not group[0].after or group[0].after in self.settled:
                self.waiting.remove(group)
                self.start(group)

    def start(self, group: "List[Section]") -> None:
        limit_s = max(0.2, min(sum(section.limit_s for section in group), self.ask.until - time.time()))
        if group[0].fresh:
            child = self.fresh(group, limit_s)
        else:
            child = children.fork(lambda send: self.answer_all(group, send), limit_s)
        self.running.append(child)
        self.groups[child.pid] = group

    def answer_all(self, group: "List[Section]", send: "Send") -> None:
        for section in group:
            answer(section, self.ask, send)

    def fresh(self, group: "List[Section]", limit_s: float) -> "children.Child":
        request = dict(self.request, limit_s=limit_s, only=[section.name for section in group])
        code = fresh_code(group[0].where.partition(":")[0], request)
        child = children.execute([sys.executable, "-c", code], limit_s)
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

    def ended(self, child: "children.Child") -> None:
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

    def run(self) -> None:
        self.start_ready()
        for record in children.follow(self.running, self.ask.until, self.ended):
            self.note(record)

    def run_here(self) -> None:
        """Without fork (Windows) the sections run one after the other, and a hang in one ends the answer there."""
        for group in self.waiting:
            for section in group:
                if section.fresh:
                    self.leave_out(section, "not-supported", "not read on this platform")
                elif time.time() > self.ask.until:
                    self.leave_out(section, "slow", "no time was left")
                else:
                    answer(section, self.ask, self.note)

    def stop(self) -> None:
        for child in self.running:
            child.kill()


def main(argument: str) -> None:
    """Examine this machine and this Python. `argument` is the request, a JSON object; see `sections.Ask`."""
    began = time.time()
    request = json.loads(argument)
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
        examination.run()
    else:
        examination.run_here()
    send({"done": True, "seconds": round(time.time() - began, 6)})
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
