"""envdoctor/bench/baseline.py"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from envdoctor.bench import baseline
from envdoctor.errors import UsageError
from tests.checks.bench_results import FINE


@pytest.mark.parametrize("text", [None, "", "{", '{"schema": "envdoctor/other/1"}'])
def test_what_is_no_result_is_refused_with_the_command_that_writes_one(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "old.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=r"--baseline.*; write one with `envdoctor bench allreduce -o FILE`$"):
        baseline.read(file)


def test_a_result_holds_what_it_is_compared_with_and_how_that_was_made() -> None:
    assert baseline.beside(FINE, None) is FINE
    told = baseline.beside(FINE, replace(FINE, backend="nccl", world_size=16))
    assert told.baseline == FINE.sizes
    assert (told.baseline_backend, told.baseline_dtype, told.baseline_world_size) == ("nccl", FINE.dtype, 16)
