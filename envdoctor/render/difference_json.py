"""What differs as one JSON document, schema `envdoctor/diff/1`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from envdoctor.difference import Comparison, Difference, OneSided, Share, Side
from envdoctor.examination import MADE_BY
from envdoctor.model import Language
from envdoctor.redact import Redactor
from envdoctor.render import Style
from envdoctor.render.json_report import portable
from envdoctor.render.words import sentence, title

SCHEMA = "envdoctor/diff/1"


def document(told: Comparison, style: Style, redactor: Redactor) -> dict[str, Any]:
    """The document as a value, redacted. A value of "" is absent: not installed, not set."""
    language = style.language
    return {
        "schema": SCHEMA,
        "made_by": MADE_BY,
        "same": told.same,
        "a": _side(told.a, redactor),
        "b": _side(told.b, redactor),
        "problems": [_problem(one, language, redactor) for one in told.problems],
        "differences": [_difference(one, language, redactor) for one in told.differences],
        "hidden": [one.key for one in told.hidden],
        "not_compared": {letter: list(keys) for letter, keys in told.unknown.items()},
        "not_examined_for": {letter: list(codes) for letter, codes in told.unjudged.items()},
    }


def failure(said: str, exit_code: int) -> str:
    """The document of a run that compared nothing."""
    whole = {"schema": SCHEMA, "made_by": MADE_BY, "error": {"message": said, "exit_code": exit_code}}
    return json.dumps(whole, indent=1) + "\n"


def _side(side: Side, redactor: Redactor) -> dict[str, Any]:
    nodes = [
        {
            "name": redactor.text(snapshot.node.name),
            "address": redactor.text(snapshot.node.address),
            "taken_at": snapshot.taken_at,
        }
        for snapshot in side.snapshots
    ]
    return {"source": redactor.text(side.name), "kind": "text" if side.of_text else "snapshot", "nodes": nodes}


def _problem(one: OneSided, language: Language, redactor: Redactor) -> dict[str, Any]:
    finding = one.finding
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "side": one.side,
        "severity_on_the_other_side": one.milder.value
        if one.milder
        else finding.severity.value
        if one.others
        else None,
        "title": title(finding, language, redactor),
        "why": sentence(finding.words.why, finding, language, redactor),
        "nodes": [redactor.text(node) for node in one.nodes],
        "nodes_on_the_other_side": [redactor.text(node) for node in one.others],
        "because_of": finding.because_of,
        "command": redactor.text(finding.command) if finding.command else None,
    }


def _difference(one: Difference, language: Language, redactor: Redactor) -> dict[str, Any]:
    return {
        "group": one.group.name,
        "name": redactor.text(one.name),
        "label": redactor.text(one.called(language)),
        "why": one.group.why.say(language),
        "a": _shares(one.a, redactor),
        "b": _shares(one.b, redactor),
        "separates": one.separates,
        "detail": one.detail,
        "follows": one.follows or None,
    }


def _shares(shares: Sequence[Share], redactor: Redactor) -> list[dict[str, Any]]:
    return [
        {"value": redactor.text(share.value), "nodes": [redactor.text(node) for node in share.nodes]}
        for share in shares
    ]


def render(told: Comparison, style: Style, redactor: Redactor) -> str:
    return json.dumps(portable(document(told, style, redactor)), indent=1, allow_nan=False) + "\n"
