"""envdoctor/bench/patterns.py: sums that are exact in every dtype, and what a wrong one tells."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from envdoctor.bench import patterns
from tests import needs

DTYPES = ("float32", "float64", "bfloat16", "float16", "int32", "int64")


@pytest.fixture(scope="module")
def torch() -> Any:
    needs.distribution("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch without numpy says so, once
        import torch
    return torch


@pytest.mark.torch
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("world_size", [1, 2, 7, 300])
def test_the_sum_is_exact_for_any_number_of_ranks(torch: Any, dtype: str, world_size: int) -> None:
    whole = patterns.expected(torch, 1000, getattr(torch, dtype), "cpu", turn=5)
    total = torch.zeros_like(whole)
    for rank in range(world_size):
        total += patterns.given(torch, whole, rank, world_size)
    assert patterns.differences(torch, total, whole, world_size) is None
    assert float(whole.min()) >= 1 and float(whole.max()) <= 127


@pytest.mark.torch
def test_what_is_missing_doubled_or_no_number_is_found_with_its_owner(torch: Any) -> None:
    whole = patterns.expected(torch, 100, torch.float32, "cpu", turn=0)
    bad = whole.clone()
    bad[7] = 0.0
    bad[11] *= 2
    bad[12] = float("nan")
    found = patterns.differences(torch, bad, whole, 4)
    assert found is not None
    assert found["wrong"] == 3
    assert found["owners"] == {"0": 1, "3": 2}
    assert found["first"] == {"index": 7, "value": 0.0, "expected": 8.0}


@pytest.mark.torch
def test_a_stale_buffer_shows(torch: Any) -> None:
    before = patterns.expected(torch, 500, torch.float32, "cpu", turn=1)
    now = patterns.expected(torch, 500, torch.float32, "cpu", turn=2)
    found = patterns.differences(torch, before, now, 2)
    assert found is not None and found["wrong"] == 500
