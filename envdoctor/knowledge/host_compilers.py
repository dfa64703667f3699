"""Which host compilers nvcc accepts."""

from __future__ import annotations

from dataclasses import dataclass

from envdoctor.knowledge import rows
from envdoctor.knowledge.versions import numbers


@dataclass(frozen=True)
class Accepted:
    """The newest majors of gcc and clang from CUDA release `since` on, until the next row; None if unsettled."""

    since: str
    gcc: int | None = None
    clang: int | None = None


def newest(cuda: str, kind: str) -> int | None:
    """The newest major version of a compiler that the nvcc of a CUDA release accepts.

    Args:
        cuda: "12.4".
        kind: "gcc" or "clang".

    Returns:
        None for a release before or a minor release after those in the table, and for another compiler.
    """
    wanted = numbers(cuda)[:2]
    told = rows("host_compilers", "compiler", Accepted)
    if not wanted or kind not in ("gcc", "clang") or wanted > numbers(told[-1].since):
        return None
    fitting = [row for row in told if numbers(row.since) <= wanted]
    found: int | None = getattr(fitting[-1], kind) if fitting else None
    return found
