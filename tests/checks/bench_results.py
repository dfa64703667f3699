"""Results of benchmarks for the tests of checks: two healthy nodes, and what may befall them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts.allreduce import AllreduceResult, Failure, Member, Size

FIRST = Member(
    0, "gpu01", "gpu01|a|1", "10.0.0.1", (0,), "sweep", "/opt/env/bin/python", "3.11.7", "2.13.0+cu126", "2.29.2",
    cores=64, mtus={"lo": 65536, "eth0": 1500},
)  # fmt: skip
SECOND = replace(FIRST, index=1, node="gpu02", host="gpu02|b|2", address="10.0.0.2", ranks=(1,))
SIZES = (
    Size(8, 200, 50.0, 48.0, 60.0, 0.00000016, 0.00000016),
    Size(64 << 20, 5, 560_000.0, 550_000.0, 570_000.0, 0.1198, 0.1198),
)
FINE = AllreduceResult(
    backend="gloo",
    dtype="float32",
    expected_members=2,
    master_addr="10.0.0.1",
    master_port=29500,
    world_size=2,
    stage="done",
    members=(FIRST, SECOND),
    sizes=SIZES,
)


def stopped(stage: str, *failures: Failure, **changes: Any) -> AllreduceResult:
    """Two nodes that ended on a rung."""
    return replace(FINE, **{"stage": stage, "sizes": (), "failures": failures, **changes})
