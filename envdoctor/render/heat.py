"""A matrix of pairs as a heat map: a row sends, a column receives; the darker, the slower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envdoctor.facts.allreduce import Pair

MOST = 64  # machines; a wider map fits no terminal
UNICODE = " ░▒▓█"
ASCII = " .+*#"
# Up to these shares of what is usual: 90 % and more is blank.
STEPS = (0.9, 0.75, 0.6, 0.3)


def shade(rate: float, usual: float, unicode: bool) -> str:
    """One letter for a rate, blank where it is as usual."""
    share = rate / usual if usual else 1.0
    return (UNICODE if unicode else ASCII)[sum(share < step for step in STEPS)]


def heat(pairs: Sequence[Pair], names: dict[int, str], usual: float, unicode: bool) -> Iterator[str]:
    """The lines of the map; nothing without pairs or for more machines than fit.

    Args:
        names: of the machines, in the order of rows and columns.
        usual: rate that is blank, GB/s.
    """
    if not pairs or len(names) > MOST:
        return
    # Of several measurements the first, in which all send.
    rates = {(pair.a, pair.b): pair.gb_s for pair in reversed(pairs)}
    wide = max(len(name) for name in names.values())
    yield " " * (wide + 1) + "".join(f"{place % 100:>3}" for place in range(len(names)))
    for place, (a, name) in enumerate(names.items()):
        cells = []
        for b in names:
            if a == b:
                cells.append("  " + ("·" if unicode else "-"))
            elif (a, b) in rates:
                cells.append(" " + shade(rates[a, b], usual, unicode) * 2)
            else:
                cells.append("  ?")
        yield f"{name:<{wide}} " + "".join(cells) + f"  {place}"
