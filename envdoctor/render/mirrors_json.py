"""The results of `bench mirrors` as one JSON document, schema `envdoctor/bench/1` with op "mirrors"."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from envdoctor.model import Language
from envdoctor.redact import Redactor
from envdoctor.render.mirror_words import conclusion, why

if TYPE_CHECKING:
    from envdoctor.bench.mirrors import MirrorResult, Survey
    from envdoctor.bench.sites import Patient

SCHEMA = "envdoctor/bench/1"
# The codes of findings.md that the same states have where `check` finds them at the index in effect.
CODES = {
    "blocked": "pip-mirror-blocked",
    "stale": "pip-index-stale",
    "elsewhere": "pip-mirror-foreign-links",
    "tls": "pip-ssl",
    "bad-bundle": "pip-ssl",
    "proxy": "pip-proxy",
    "plain-http": "pip-index-plain-http",
    "slow": "pip-index-slow",
}
UNREACHABLE = "pip-index-unreachable"
SLOWER = 3.0  # "several times faster" is said from here on


def document(survey: Survey, of: Patient, redactor: Redactor, language: Language = "en") -> str:
    """The whole document, ending in a newline."""
    from envdoctor.examination import MADE_BY, now

    best, command = survey.fastest, conclusion(survey, language)[1]
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "op": "mirrors",
        "made_by": MADE_BY,
        "taken_at": now(),
        "seconds": round(survey.seconds, 3),
        "python": of.python.executable if of.python else None,
        "pip": of.effective.version if of.effective else None,
        "user_agent": survey.manner.user_agent,
        "newest_torch": survey.newest,
        "need": {
            "bytes": survey.need.total_bytes, "torch_wheel_bytes": survey.need.wheel_bytes,
            "requests": survey.need.requests, "cuda": survey.need.cuda, "wheel_size_from_sites": survey.need.measured,
        },
        "mirrors": [_row(result, survey, language) for result in survey.results],
        "fastest": best.site.name if best else None,
        "in_effect": survey.in_effect.site.name if survey.in_effect else None,
        "keep": survey.keep,
        "command": command or None,
        "conclusion": conclusion(survey, language)[0],
        "findings": findings(survey, language),
    }  # fmt: skip
    return json.dumps(redactor.value(told), indent=1, allow_nan=False) + "\n"


def failure(said: str, exit_code: int) -> str:
    """The document of a run that brought no result; `error` says why."""
    from envdoctor.examination import MADE_BY, now

    told = {
        "schema": SCHEMA, "op": "mirrors", "made_by": MADE_BY, "taken_at": now(), "seconds": 0.0, "mirrors": [],
        "fastest": None, "command": None, "findings": [], "error": {"message": said, "exit_code": exit_code},
    }  # fmt: skip
    return json.dumps(told, indent=1) + "\n"


def _row(result: MirrorResult, survey: Survey, language: Language) -> dict[str, Any]:
    def rounded(value: float | None, digits: int) -> float | None:
        return round(value, digits) if value is not None and math.isfinite(value) else None

    return {
        "name": result.site.name,
        "url": result.site.url,
        "in_effect": result.site.in_effect,
        "state": result.state,
        "reasons": list(result.reasons),
        "why": why(result, survey.newest, language),
        "status": result.status,
        "status_short_user_agent": result.status_short,
        "newest_torch": result.newest or None,
        "page_host": result.page_host or None,
        "files_host": result.files_host or None,
        "wheel": result.wheel or None,
        "wheel_bytes": result.wheel_bytes,
        "latency_s": rounded(result.latency_s, 4),
        "bytes_per_s": rounded(result.bytes_per_s, 0),
        "expected_s": rounded(result.expected_s, 1),
        "at_least_s": rounded(result.at_least_s, 1),
        "skipped": result.skipped or None,
        "received_bytes": result.received_bytes,
        "proxy": result.proxy or None,
    }


def findings(survey: Survey, language: Language) -> list[dict[str, Any]]:
    """The bad states of the sites under the codes of `check`; of an index that is not in effect they are notes."""
    found = []
    for result in survey.results:
        codes = []
        if result.site.in_effect and result.site.status == "dead":
            codes.append("pip-mirror-dead")
        for reason in result.reasons:
            unusable = result.state == "unusable"
            code = CODES.get(reason) or (UNREACHABLE if unusable else "")
            if code and code not in codes:
                codes.append(code)
        if result.site.in_effect and _is_several_times_slower(result, survey) and "pip-index-slow" not in codes:
            codes.append("pip-index-slow")
        for code in codes:
            worst = "error" if result.state == "unusable" else "warning"
            found.append(
                {
                    "code": code,
                    "mirror": result.site.name,
                    "severity": worst if result.site.in_effect else "note",
                    "title": f"{result.site.name}: {why(result, survey.newest, language) or code}",
                }
            )
    return found


def _is_several_times_slower(result: MirrorResult, survey: Survey) -> bool:
    best = survey.fastest
    if best is None or best.expected_s is None or result.expected_s is None:
        return False
    return result.expected_s > SLOWER * best.expected_s
