"""Which machine, path or group of machines holds back the others, and what is to be measured again to be sure of it."""

from __future__ import annotations

from collections.abc import Sequence

from envdoctor.facts import link_fit, link_groups
from envdoctor.facts.allreduce import Pair
from envdoctor.facts.link_fit import Culprit

ALL_PAIRS = 32  # up to so many machines every pair is measured

# A round of streams at the same time: the rail, its pairs, and its kind as of `Pair.kind`.
Round = tuple[int, list[list[int]], str]


def _all_pairs(pairs: Sequence[Pair]) -> bool:
    return all(not pair.kind for pair in pairs)


def blamed(pairs: Sequence[Pair]) -> tuple[Culprit, ...]:
    """Those that are slow beyond doubt."""
    return link_fit.blamed(pairs) if _all_pairs(pairs) else link_groups.blamed(pairs)


def again(pairs: Sequence[Pair]) -> list[Round]:
    """What is to be measured next; nothing once all is settled."""
    if _all_pairs(pairs):
        return [(rail, each, "") for rail, each in link_fit.again(pairs)]
    return link_groups.again(pairs)
