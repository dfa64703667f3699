"""The doctor's answers to the coordinator: whether to look for who is slow, and which pairs to measure again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envdoctor.bench import expectation
from envdoctor.facts import link_fit as fit
from envdoctor.facts import links
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.knowledge import fabric


def answer(question: str, result: AllreduceResult) -> Mapping[str, Any]:
    """What a run is to do next.

    Args:
        question: "blame" after the sweep, "suspects" after every pair was measured.
    """
    if question == "blame":
        return {"go": worthwhile(result)}
    return {"again": links.again(result.pairs)} if question == "suspects" else {}


def worthwhile(result: AllreduceResult) -> bool:
    """Whether one machine or path may hold back the others: one stream is far below the usual one, or gloo below it.

    What NCCL reaches over its own fabric says nothing about TCP, and nothing at all where processors are short.
    """
    usual = expectation.usual_stream(result)
    if not usual:
        return False
    streams = [(way.gb_s, way.busy or 0.0) for way in result.ways if way.gb_s is not None]
    others = fit.usually_busy(busy for gb_s, busy in streams if gb_s >= fit.SLOW * usual)
    if any(gb_s < fit.SLOW * usual and not fit.held_back(gb_s, busy, usual, others) for gb_s, busy in streams):
        return True
    best = result.best
    if result.backend != "gloo" or result.oversubscribed or best is None:
        return False
    busy = max((way.busy or 0.0 for way in result.ways), default=0.0)
    return busy < expectation.ALL_BUSY and best.busbw_gb_s < fabric.GOOD * usual
