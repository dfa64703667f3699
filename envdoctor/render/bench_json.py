"""A benchmark as one JSON document, schema `envdoctor/bench/1`; `check --from` reads it back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from envdoctor import snapshot
from envdoctor.bench import expectation
from envdoctor.bench.demands import Held
from envdoctor.facts.allreduce import AllreduceResult, Pair, Size, Way
from envdoctor.model import Report
from envdoctor.redact import Redactor
from envdoctor.render import Style, json_report
from envdoctor.snapshot import Snapshot


def document(
    result: AllreduceResult,
    report: Report,
    snapshots: Sequence[Snapshot],
    style: Style,
    redactor: Redactor,
    held: Sequence[Held] = (),
) -> dict[str, Any]:
    """The document as a value, redacted. GB is 1e9 bytes."""
    whole = json_report.document(report, style, redactor)
    return {
        "schema": snapshot.BENCH,
        "made_by": whole["made_by"],
        "taken_at": whole["taken_at"],
        "seconds": whole["seconds"],
        "op": result.op,
        "backend": result.backend,
        "dtype": result.dtype,
        "world_size": result.world_size,
        "nodes": [
            redactor.value(
                {
                    "name": member.node,
                    "address": member.address,
                    "ranks": list(member.ranks),
                    "python": member.python,
                    "python_version": member.python_version,
                    "torch": member.torch,
                    "rung": member.rung,
                }
            )
            for member in result.members
        ],
        "stage": result.stage,
        "missing_ranks": list(result.missing_ranks),
        "sizes": [_size(size) for size in result.sizes],
        "expected_busbw_gb_s": result.expected_busbw_gb_s,
        "expected_from": redactor.text(expectation.said(result, style.language)) or None,
        "links": [
            {
                "a": redactor.text(result.named(way.a)),
                "b": redactor.text(result.named(way.b)),
                "gb_s": way.gb_s,
                "latency_us": way.rtt_us,
                "interface": result.nic(way.a, way.rail) or None,
            }
            for way in _links(result)
            if way.gb_s is not None
        ],
        "counters": [
            {
                "node": redactor.text(result.named(one.member)),
                "kind": one.kind,
                "device": one.device or None,
                "name": one.name,
                "by": one.by,
            }
            for one in result.counters
        ],
        "findings": whole["findings"],
        "asserts": [{"expression": one.demand.text, "value": one.value, "held": one.held} for one in held],
        "outcomes": whole["outcomes"],
        "tally": whole["tally"],
        "snapshots": [snapshot.redacted(snapshot.to_json(one), redactor) for one in snapshots],
    }


def failure(op: str, said: str, exit_code: int) -> str:
    """The document of a run that brought no result: one that never started, and `error` says why."""
    from envdoctor.examination import MADE_BY, now

    nothing = Report(MADE_BY, now(), 0.0, (), (), (), (), {})
    whole = document(AllreduceResult(op=op, stage="start"), nothing, (), Style(), Redactor.of_this_user())
    return json.dumps({**whole, "error": {"message": said, "exit_code": exit_code}}, indent=1) + "\n"


def _links(result: AllreduceResult) -> Iterable[Pair | Way]:
    """The streams between machines; of a pair that was measured in several kinds of rounds the first, with all."""
    first: dict[tuple[int, int, int], Pair] = {}
    for pair in result.pairs:
        first.setdefault((pair.a, pair.b, pair.rail), pair)
    return first.values() or result.ways


def _size(size: Size) -> dict[str, Any]:
    return {
        "bytes": size.bytes,
        "iterations": size.iterations,
        "time_us": {"median": size.median_us, "p5": size.p5_us, "p95": size.p95_us},
        "algbw_gb_s": size.algbw_gb_s,
        "busbw_gb_s": size.busbw_gb_s,
        "wrong": size.wrong,
    }


def render(
    result: AllreduceResult,
    report: Report,
    snapshots: Sequence[Snapshot],
    style: Style,
    redactor: Redactor,
    held: Sequence[Held] = (),
) -> str:
    whole = json_report.portable(document(result, report, snapshots, style, redactor, held))
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"
