"""A fact of facts, made up for tests of how facts are compared."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Leaf:
    name: str = ""
    load: int = 0


@dataclass(frozen=True)
class Box:
    label: str = ""
    size: int | None = None
    leaves: tuple[Leaf, ...] = ()
    lid: Leaf = field(default_factory=Leaf)
    notes: dict[str, str] = field(default_factory=dict)

    PARTS = ("heaviest", "holds")

    @property
    def heaviest(self) -> Leaf | None:
        return max(self.leaves, key=lambda leaf: leaf.load, default=None)

    def holds(self, name: str) -> bool:
        return name in self.names

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(leaf.name for leaf in self.leaves)
