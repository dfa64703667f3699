"""What --assert demands of a result, for automation: "min-busbw=70%", "max-latency=80" ...."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from envdoctor.errors import UsageError
from envdoctor.facts.allreduce import AllreduceResult

# name -> unit, for people
NAMES = {"min-busbw": "GB/s", "max-latency": "us", "max-wrong": ""}
HINT_ZH = "应为 min-busbw=70%（占预期的比例）、min-busbw=9.5（GB/s）、max-latency=80（最小数据量的微秒数）"
HINT = "give min-busbw=70% (of what is expected), min-busbw=9.5 (GB/s), max-latency=80 (us, of the smallest size)"


@dataclass(frozen=True)
class Demand:
    """One demand. `of_expected`: the limit is a share, 0.7 for 70%, of what the topology allows."""

    text: str
    name: str
    limit: float
    of_expected: bool = False


@dataclass(frozen=True)
class Held:
    """Whether a demand was met. `value` is in the unit of the limit, None where it is not known; that meets nothing."""

    demand: Demand
    value: float | None
    held: bool


def failed(held: Held) -> str:
    """Why a demand is not met, with its unit: "min-busbw=70% does not hold: 43%"."""
    if held.value is None:
        said = "nothing tells"
    elif held.demand.of_expected:
        said = f"{held.value * 100:.3g}%"
    else:
        said = f"{held.value:.4g} {NAMES[held.demand.name]}".rstrip()
    return f"--assert {held.demand.text} does not hold: {said}"


def parse(texts: Iterable[str]) -> tuple[Demand, ...]:
    """The demands of the command line.

    Raises:
        UsageError: one of them is none.
    """
    demands = []
    for text in texts:
        for part in text.split(","):
            found = re.fullmatch(r"\s*([a-z-]+)\s*=\s*(\d{1,12}(?:\.\d{1,6})?)\s*(%?)\s*", part)
            if found is None or found.group(1) not in NAMES or (found.group(3) and found.group(1) != "min-busbw"):
                raise UsageError(f"--assert {text}: {HINT} or max-wrong=0", f"--assert {text}：{HINT_ZH}或 max-wrong=0")
            share = bool(found.group(3))
            limit = float(found.group(2))
            demands.append(Demand(part.strip(), found.group(1), limit / 100 if share else limit, share))
    return tuple(demands)


def judge(demands: Iterable[Demand], result: AllreduceResult) -> tuple[Held, ...]:
    """Whether the result meets each of them; one that came to no end meets none."""
    told = []
    for demand in demands:
        value = _value(demand, result) if result.done else None
        if value is None:
            held = False
        elif demand.name.startswith("min-"):
            held = value >= demand.limit
        else:
            held = value <= demand.limit
        told.append(Held(demand, value, held))
    return tuple(told)


def _value(demand: Demand, result: AllreduceResult) -> float | None:
    best = result.best
    if best is None:
        return None
    if demand.name == "max-wrong":
        return float(sum(size.wrong for size in result.sizes))
    if demand.name == "max-latency":
        return result.sizes[0].median_us
    if not demand.of_expected:
        return best.busbw_gb_s
    return best.busbw_gb_s / result.expected_busbw_gb_s if result.expected_busbw_gb_s else None
