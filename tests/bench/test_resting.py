"""envdoctor/bench/resting.py: what is measured is measured after the machine was looked at."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from envdoctor.bench import launching, running
from envdoctor.bench.places import Here
from envdoctor.transport.target import choose


class Slow(Here):
    """This machine, where the patient takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(launching.part(launching.Given(master_port=0), {}, 0), choose(sys.executable))
        self.seconds = seconds
        self.looked_at = 0.0
        self.told_at: dict[str, float] = {}
        self.rested = False

    def _look(self, names: tuple[str, ...]) -> None:
        time.sleep(self.seconds)
        super()._look(names)
        self.looked_at = time.monotonic()

    def hear(self, start: int, record: Mapping[str, Any]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        if "end" in record:
            self.told_at[record["end"]] = time.monotonic()
            self.rested = bool(record["values"].get("rested", self.rested))
        return ()


def test_nothing_is_measured_while_the_machine_is_looked_at() -> None:
    places = Slow(1.0)
    ran = running.run(places, running.Wanted(op="links", backend="tcp"), lambda result: None)
    assert ran.result.done
    assert places.rested
    assert places.told_at["join"] < places.looked_at < places.told_at["rest"]
    assert os.path.isabs(ran.snapshots[0].node.python)
