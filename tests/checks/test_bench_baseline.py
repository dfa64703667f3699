"""checks/bench_baseline.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, SIZES

FILE = CHECKS / "bench_baseline.py"
FASTER = tuple(replace(size, busbw_gb_s=size.busbw_gb_s * 1.5) for size in SIZES)

CASES = [
    Case("nothing to compare with", (FINE,)),
    Case("as fast as before", (replace(FINE, baseline=SIZES),)),
    Case("faster than before", (replace(FINE, sizes=FASTER, baseline=SIZES),)),
    Case("slower than before", (replace(FINE, baseline=FASTER),), {"slower-than-baseline": "warning"}),
    Case("slower, with more ranks than cores", (replace(FINE, baseline=FASTER, oversubscribed=True),)),
    Case("no size in common", (replace(FINE, baseline=(replace(SIZES[0], bytes=16),)),), {"baseline-differs": "note"}),
    Case(
        "slower than with another backend",
        (replace(FINE, baseline=FASTER, baseline_backend="nccl"),),
        {"baseline-differs": "note"},
    ),
    Case(
        "slower, made alike",
        (replace(FINE, baseline=FASTER, baseline_backend=FINE.backend, baseline_world_size=FINE.world_size),),
        {"slower-than-baseline": "warning"},
    ),
    Case(
        "small sizes only", (replace(FINE, sizes=SIZES[:1], baseline=FASTER[:1]),), {"slower-than-baseline": "warning"}
    ),
    Case("a size that took no time before", (replace(FINE, baseline=(replace(SIZES[1], busbw_gb_s=0.0),)),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_large_sizes_decide() -> None:
    (found,) = CASES[3].assert_holds(FILE)
    assert found.evidence["share"] == pytest.approx(1 / 1.5)
    assert found.evidence["count"] == 1
