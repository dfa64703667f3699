"""envdoctor/bench/schedule.py, the sweep, and the sums of envdoctor/bench/worker.py: how many, and what they tell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from envdoctor.bench import schedule
from tests import ROOT, needs

Record = dict[str, Any]


class Fabric:
    """Stands for the coordinator: a sum takes `wait_s` and so long for its bytes."""

    def __init__(self, wait_s: float, gb_s: float, sizes: list[int]) -> None:
        self.request: Record = {"sizes": sizes}
        self.free_bytes, self.devices, self.world_size = 1 << 60, 1, 4
        self.wait_s, self.gb_s = wait_s, gb_s
        self.told: list[Record] = []
        self.asked: list[Record] = []

    def tell(self, record: Record) -> None:
        self.told.append(record)

    def together(
        self, rung: str, arguments: Callable[[Record], Record], limit_s: float | None = None
    ) -> dict[int, Record]:
        command = arguments({})
        self.asked.append(dict(command, rung=rung))
        once = self.wait_s + command["bytes"] / self.gb_s / 1e9
        return {0: {"times": [once] * command["iterations"]}}

    @property
    def rows(self) -> list[Record]:
        return [record["size"] for record in self.told if "size" in record]

    def seconds(self) -> float:
        """What all sums take, the ones that gather the ranks and those that are verified included."""
        each = ((one["iterations"] + one["verified"] + one["gather"], one["bytes"]) for one in self.asked)
        return float(sum(sums * (self.wait_s + size / self.gb_s / 1e9) for sums, size in each))


def swept(wait_s: float, gb_s: float, *sizes: int) -> Fabric:
    fabric = Fabric(wait_s, gb_s, list(sizes))
    for _ in schedule.sweep(fabric):  # type: ignore[arg-type]
        pass
    return fabric


SMALL = tuple(8 << 2 * step for step in range(8))


def test_on_a_long_way_no_sum_is_made_but_those_that_are_timed_or_verified() -> None:
    fabric = swept(0.5, 0.01, *SMALL)
    assert [row["bytes"] for row in fabric.rows] == list(SMALL)
    each = [one for one in fabric.asked if one["rung"] == "sweep"]
    assert [(one["iterations"], one["verified"], one["gather"]) for one in each] == [(3, 1, False)] * (
        len(SMALL) - 1
    ) + [(3, 1, True)]
    assert fabric.seconds() < len(SMALL) * 4 * 0.6 + 2.5


def test_on_a_short_way_the_first_sums_tell_how_many_there_will_be() -> None:
    fabric = swept(1e-4, 1.0, *SMALL)
    each = [one for one in fabric.asked if one["rung"] == "sweep"]
    assert len(each) == 2 * len(SMALL) and all(one["gather"] for one in each)
    assert {row["iterations"] for row in fabric.rows} == {200}


def test_what_takes_long_for_its_bytes_is_measured_three_times_and_what_takes_longer_is_left_out() -> None:
    fabric = swept(1e-4, 0.125, 1 << 20, 64 << 20, 1 << 30)
    assert [(row["bytes"], row["iterations"]) for row in fabric.rows] == [(1 << 20, 58), (64 << 20, 3)]
    assert [one["gather"] for one in fabric.asked if one["bytes"] == 64 << 20 and one["rung"] == "sweep"] == [True]
    assert {"left_out": 1 << 30, "node": 0} in fabric.told


# A rank that is alone measures; what it sums with is another function each time.
ALONE = """
import json
import torch
import torch.distributed as dist
from envdoctor.bench.worker import Worker

worker = object.__new__(Worker)
worker.__dict__.update(torch=torch, dist=dist, group=None, device="cpu", rank=0, world_size=1, turn=0)
worker.request = {"dtype": "float32"}
sums = []
told = {}
for name, done in (("fine", lambda buffer: None), ("spoilt", lambda buffer: buffer[-1:].add_(1))):
    dist.all_reduce = lambda buffer, group=None: (sums.append(buffer.numel()), done(buffer))
    for gather in (True, False):
        for verified in (0, 2):
            del sums[:]
            command = {"bytes": 4096, "iterations": 3, "verified": verified, "gather": gather}
            measured = worker.measure(command)
            told["%s %d %d" % (name, gather, verified)] = [
                list(sums), len(measured["times"]), measured["wrong"].get("0", {}).get("wrong", 0)
            ]
print(json.dumps(told))
"""


@pytest.mark.torch
def test_what_is_verified_is_compared_wherever_it_stands() -> None:
    needs.distribution("torch")
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    timed, each = [1024] * 3, [1024] * 2
    assert json.loads(done.stdout) == {
        "fine 1 0": [[1, *timed], 3, 0],
        "fine 1 2": [[1, *timed, *each], 3, 0],
        "fine 0 0": [timed, 3, 0],
        "fine 0 2": [[*each, *timed], 3, 0],
        "spoilt 1 0": [[1, *timed], 3, 1],
        "spoilt 1 2": [[1, *timed, *each], 3, 1],
        "spoilt 0 0": [timed, 3, 1],
        "spoilt 0 2": [[*each, *timed], 3, 1],
    }
