"""Made-up facts, for what asks no more of a fact than that it is one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Apples:
    count: int = 0


@dataclass(frozen=True)
class Pears:
    count: int = 0
