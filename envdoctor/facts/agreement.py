"""What several nodes say of one thing: what most of them say, and who says otherwise."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from envdoctor.facts import hostlist

Value = TypeVar("Value", bound=Hashable)
MOST_SIDES = 6  # opinions that are shown in full


@dataclass(frozen=True)
class Side(Generic[Value]):
    """Nodes that say the same, in their order."""

    value: Value
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        # On one line: a variable that holds a line break must not look like another side.
        return f"{hostlist.fold(self.nodes)}: {' '.join(str(self.value).splitlines())}"


@dataclass(frozen=True)
class Agreement(Generic[Value]):
    """What the nodes say.

    Attributes:
        sides: the largest first, equals in the order of their first nodes.
        unknown: nodes of which it is not known; they are on no side.
    """

    sides: tuple[Side[Value], ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def usual(self) -> Side[Value] | None:
        """The side of more than half of the nodes that say anything; None where there is no such side."""
        known = sum(len(side.nodes) for side in self.sides)
        return self.sides[0] if self.sides and 2 * len(self.sides[0].nodes) > known else None

    @property
    def differs(self) -> bool:
        return len(self.sides) > 1

    @property
    def odd(self) -> tuple[Side[Value], ...]:
        """The sides beside the usual one; all of them where none is."""
        return self.sides[1:] if self.usual is not None else self.sides

    @property
    def odd_nodes(self) -> tuple[str, ...]:
        return tuple(node for side in self.odd for node in side.nodes)

    def listed(self) -> str:
        """All sides, one a line, the odd ones first; "?" for what is not known."""
        shown = [str(side) for side in self.odd[:MOST_SIDES]]
        left = self.odd[MOST_SIDES:]
        shown += [f"{hostlist.fold(node for side in left for node in side.nodes)}: ... (+{len(left)})"] if left else []
        shown += [str(self.usual)] if self.usual is not None else []
        return "\n".join(shown + ([f"{hostlist.fold(self.unknown)}: ?"] if self.unknown else []))


def agreement(values: Mapping[str, Value | None]) -> Agreement[Value]:
    """Sort nodes by what they say.

    Args:
        values: node -> what it says, None where that is not known.
    """
    sides: dict[Value, list[str]] = {}
    unknown = []
    for node, value in values.items():
        if value is None:
            unknown.append(node)
        else:
            sides.setdefault(value, []).append(node)
    told = [Side(value, tuple(nodes)) for value, nodes in sides.items()]
    told.sort(key=lambda side: -len(side.nodes))
    return Agreement(tuple(told), tuple(unknown))


def about(values: Mapping[str, float | None], tolerance: float) -> dict[str, float | None]:
    """The values with those that are nearly the same made the same: the least of them stands for all.

    Args:
        tolerance: values join a group while the next larger one exceeds the group's least by no more than this part.
    """
    stands: dict[float, float] = {}
    least: float | None = None
    for value in sorted({value for value in values.values() if value is not None}):
        if least is None or value > least * (1 + tolerance):
            least = value
        stands[value] = least
    return {node: None if value is None else stands[value] for node, value in values.items()}
