"""An earlier result to compare with: the document that `bench allreduce -o FILE` wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from envdoctor import snapshot
from envdoctor.bench import spoken
from envdoctor.errors import UsageError
from envdoctor.facts.allreduce import AllreduceResult

HINT = "write one with `envdoctor bench allreduce -o FILE`"
HINT_ZH = "可用 `envdoctor bench allreduce -o FILE` 写一个"


def read(path: Path) -> AllreduceResult:
    """The result in a file.

    Raises:
        UsageError: the file cannot be read, holds no benchmark, or one that measured nothing.
    """
    try:
        held = spoken.result_in(snapshot.read_all(path))
    except UsageError as error:
        en, zh = str(error).partition("; write one with")[0], error.zh.partition("；可用")[0]
        raise UsageError(f"--baseline: {en}; {HINT}", f"--baseline：{zh}；{HINT_ZH}") from error
    if held is None or not held.sizes:
        raise UsageError(
            f"--baseline {path} holds no sizes that were measured; {HINT}",
            f"--baseline {path} 中没有测得的数据；{HINT_ZH}",
        )
    return held


def beside(result: AllreduceResult, earlier: AllreduceResult | None) -> AllreduceResult:
    """The result with what it is to be compared with."""
    if earlier is None:
        return result
    return replace(
        result, baseline=earlier.sizes, baseline_backend=earlier.backend, baseline_dtype=earlier.dtype,
        baseline_world_size=earlier.world_size,
    )  # fmt: skip
