"""All ranks of one agent: started together, told together, answering together.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import os
import queue
import signal
import sys
import threading
import time

from envdoctor.bench import ranks, ways
from envdoctor.patient import boot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    Record = Dict[str, Any]


class Crew(object):
    """The ranks that an agent starts.

    Attributes:
        over: set once the agent ends them: what dies then has not failed.
    """

    def __init__(self, request: "Record", whole: "Record") -> None:
        self.request = request
        self.whole = whole
        self.ranks: "List[ranks.Rank]" = []
        self.heard: "queue.Queue[Any]" = queue.Queue()  # (place of a rank, its record or None for its end)
        self.over = threading.Event()

    def start(self) -> None:
        """Start them all; they import torch at once."""
        command = [sys.executable, "-c", boot.COMMAND]
        cookie = str(self.request["cookie"]).encode("ascii")
        for place in range(int(self.request["nproc"])):
            given = self.request.get("local_rank")
            local_rank = place if given is None else int(given)
            environ = dict(os.environ, LOCAL_RANK=str(local_rank))
            if not environ.get("OMP_NUM_THREADS"):
                environ["OMP_NUM_THREADS"] = "1"  # as torchrun does for several ranks of a node
            request = dict(self.request, local_rank=local_rank, place=place)
            blob = boot.line(self.whole, "envdoctor.bench.worker", request)
            self.ranks.append(ranks.Rank(place, command, blob, environ, cookie, lambda *said: self.heard.put(said)))

    def end(self, wait_s: float = 1.0) -> None:
        """Kill them all, with everything below them."""
        self.over.set()
        ranks.end(self.ranks, wait_s)

    def do(self, event: "Record") -> "Record":
        """Have every rank do it, and answer for all of them. Raises Cause where one fails, dies or keeps silent."""
        rung = str(event["go"])
        # Only rank 0 opens the store.
        asked = self.ranks[:1] if event.get("open") else self.ranks
        for rank in asked:
            rank.tell(event)
        limit_s = float(event["limit_s"])
        until = time.monotonic() + limit_s
        answers: "Dict[int, Record]" = {}
        while len(answers) < len(asked):
            try:
                place, record = self.heard.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                late = [rank.place for rank in asked if rank.place not in answers]
                raise ways.Cause("silent", places=late, seconds=limit_s) from None
            if record is None:
                raise ways.Cause("died", **self.death_of(place))
            if "failed" in record:
                raise ways.Cause(str(record.get("how")), **dict(record.get("values") or {}, place=place))
            if record.get("end") == rung:
                answers[place] = record.get("values") or {}
        merged: "Record" = {}
        for place in sorted(answers, reverse=True):
            for key, value in answers[place].items():
                merged[key] = combined(key, merged.get(key), value)
        return merged

    def death_of(self, place: int) -> "Record":
        """How the process of a rank ended."""
        rank = self.ranks[place]
        status = rank.status()
        values: "Record" = {"place": place, "status": status, "said": rank.last_words()}
        if status is not None and status < 0:
            try:
                values["signal"] = signal.Signals(-status).name
            except ValueError:
                values["signal"] = "signal %d" % -status
        return values


def combined(key: str, others: "Any", value: "Any") -> "Any":
    """What the ranks of a node say together: of times the longest, what each saw wrong, else what the first says."""
    if others is None:
        return value
    if key == "times":
        return [max(pair) for pair in zip(others, value)]
    if key == "free_bytes":
        return min(others, value)
    if key == "nccl" and isinstance(value, bool):
        return others and value
    if key == "wrong":
        return dict(others, **value)
    if key == "groups":
        return {name: max(others.get(name, 0), value.get(name, 0)) for name in set(others) | set(value)}
    return value
