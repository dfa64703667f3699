"""The words that renderers share: why a fact is missing, what a finding says, counts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor.facts.hostlist import fold
from envdoctor.model import Finding, Language, Missing, Outcome, Report, Scalar, Severity, Text, TopicLine
from envdoctor.redact import Redactor
from envdoctor.render import Style, clean, line
from envdoctor.render.alike import alike

SEVERITIES = {
    Severity.ERROR: Text("error", "错误"),
    Severity.WARNING: Text("warning", "警告"),
    Severity.NOTE: Text("note", "提示"),
}

REASONS = {
    "not-here": Text("not on this machine", "本机没有"),
    "not-asked": Text("left out", "已略过"),
    "not-supported": Text("cannot be read on this platform", "此平台无法读取"),
    "denied": Text("not permitted", "没有权限"),
    "failed": Text("could not be read", "读取失败"),
    "crashed": Text("the observer was killed", "观测进程被信号终止"),
    "hung": Text("hung", "卡住没有返回"),
    "slow": Text("did not finish in time", "未能按时完成"),
    "invalid": Text("the answer makes no sense", "返回内容无效"),
}


COUNTS = {
    Severity.ERROR: Text("{n} {n:error|errors}", "{n} 个错误"),
    Severity.WARNING: Text("{n} {n:warning|warnings}", "{n} 个警告"),
    Severity.NOTE: Text("{n} {n:note|notes}", "{n} 个提示"),
}
ON = Text(" on {nodes} {nodes:node|nodes}", "（{nodes} 个节点）")
ON_ALL = Text(" on all {nodes} nodes", "（全部 {nodes} 个节点）")
AND = Text(", ", "、")
COLON = Text(": ", "：")
NOTHING = Text("no problems found", "没有发现问题")
TAIL = Text("; {checks} {checks:check|checks} in {seconds:.1f} s", "；{checks} 项检查，用时 {seconds:.1f} 秒")
NOT_RUN = Text(", {n} not run", "，{n} 项未检查")
WAY_TO_WHY = Text(" (-v says why)", "（-v 查看原因）")
CRASHED = Text(", {n} crashed", "，{n} 项崩溃")

MOST_REASONS = 60  # why something was not checked; of thousands of nodes each may have a reason of its own
LIST = re.compile(r"\{(sides|shown)\}")  # a line of a text that is a list made by the check, an entry a line
STACK = ("Stack (most recent call", "Current thread 0x", "Fatal Python error", "Thread 0x")


def why_missing(missing: Missing, language: Language, redactor: Redactor) -> str:
    """Why a fact is missing, in a line."""
    reason = REASONS.get(missing.reason)
    said = reason.say(language) if reason else missing.reason
    # Of a stack, its innermost frame says where; its heading says nothing.
    lines = [told for told in missing.detail.splitlines() if told.strip() and not told.startswith(STACK)]
    # Cut once the secrets are out of it: half a secret would not be known for one.
    detail = redactor.text(lines[0].strip())[:160] if lines else ""
    # What is absent is named by the detail; "rdma: not on this machine" before it would say it twice.
    if missing.reason == "not-here" and detail:
        return clean(detail)
    whole = redactor.text(f"{missing.fact}: {said}") + (f" ({detail})" if detail else "")
    return clean(whole)


def summed_up(told: TopicLine, language: Language, redactor: Redactor) -> str:
    """What was seen of a topic, in a line, and on how many of the nodes; "" for nothing."""
    if not told.text:
        return ""
    said = line(redactor.text(told.text.say(language, told.values)))
    if not said or told.same >= told.nodes:
        return said
    some = Text("{said} on {same} of {nodes}", "{said}（{same}/{nodes} 个节点）")
    return some.say(language, {"said": said, "same": told.same, "nodes": told.nodes})


def lacking(outcomes: Iterable[Outcome]) -> list[str]:
    """The nodes on which some of these checks lacked a fact, though they ran on others."""
    return list(dict.fromkeys(node for outcome in outcomes for _, nodes in outcome.skipped_on for node in nodes))


def not_checked(report: Report, language: Language, redactor: Redactor) -> list[tuple[str, str, list[str]]]:
    """What was not checked: why, where (" [gpu07]", "" for everywhere), and the checks. The same reason on the same
    nodes is told once."""
    told: dict[tuple[Missing, tuple[str, ...]], list[str]] = {}
    every = len(report.nodes)
    for outcome in report.outcomes:
        for missing, nodes in outcome.skipped_on or (((outcome.missing, ()),) if outcome.missing else ()):
            told.setdefault((missing, () if len(nodes) >= every else nodes), []).append(outcome.check.name)
    rows: dict[tuple[str, str], list[str]] = {}
    for (missing, nodes), names in told.items():
        where = f" [{fold(line(redactor.text(node)) for node in nodes)}]" if nodes else ""
        rows.setdefault((why_missing(missing, language, redactor), where), []).extend(names)
    shown = [(reason, where, names) for (reason, where), names in rows.items()]
    left = len(shown) - MOST_REASONS
    return shown[:MOST_REASONS] + ([(f"... (+{left})", "", [])] if left > 0 else [])


def sentence(text: Text | None, finding: Finding, language: Language, redactor: Redactor) -> str:
    """One of a finding's texts with the evidence filled in; "" for none."""
    if not text:
        return ""
    template = text.zh if language == "zh" else text.en
    lists = {each[1:-1] for each in template.splitlines() if LIST.fullmatch(each)}
    # A line break inside a value must not begin what would pass for a line of ours; a list is one entry a line.
    values = {
        k: v.replace("\n", "\n  ") if isinstance(v, str) and k not in lists else v for k, v in finding.evidence.items()
    }
    try:
        said = text.say(language, values)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        # A value that does not fit its hole, in words of other people: the report is not lost over it.
        said = f"{template} {values}"
    return clean(redactor.text(said))


def title(finding: Finding, language: Language, redactor: Redactor) -> str:
    """What is wrong, in one line."""
    return line(sentence(finding.words.title, finding, language, redactor))


def seen(finding: Finding, language: Language, redactor: Redactor) -> list[str]:
    """The observed values, one line each."""
    words = finding.words
    if words.seen:
        return sentence(words.seen, finding, language, redactor).splitlines()
    shown = [
        f"{name.replace('_', ' ')} {_value(value)}" for name, value in finding.evidence.items() if value is not None
    ]
    return [line(redactor.text(one)) for one in shown]


def points(finding: Finding, language: Language, redactor: Redactor) -> list[str]:
    """What follows, what was seen, and the command that mends it or, without one, what to do: for compact formats."""
    remedy = finding.command or sentence(finding.words.help, finding, language, redactor)
    told = [sentence(finding.words.why, finding, language, redactor), *seen(finding, language, redactor)]
    return [*told, clean(redactor.text(remedy))] if remedy else told


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tally(report: Report, style: Style, at_hand: bool = False) -> str:
    """How many problems and where, how many checks, how long: the last line. Problems are counted as they are told.

    Args:
        at_hand: who reads it has typed the command, and may do so again with -v.
    """
    language = style.language
    told = alike(report)
    counts = [_count(severity, told, report, language) for severity in Severity if report.count(severity)]
    skipped = len(report.with_status("skipped"))
    crashed = len(report.with_status("crashed")) + len(report.unloaded)
    tail = TAIL.say(language, {"checks": len(report.outcomes), "seconds": report.seconds})
    tail += NOT_RUN.say(language, {"n": skipped}) if skipped else ""
    tail += WAY_TO_WHY.say(language) if skipped and at_hand and style.verbosity < 1 else ""
    tail += CRASHED.say(language, {"n": crashed}) if crashed else ""
    return (AND.say(language).join(counts) or NOTHING.say(language)) + tail


def _count(severity: Severity, told: Iterable[Finding], report: Report, language: Language) -> str:
    """ "2 errors", of several nodes "2 errors on 36 nodes"; where notes are is of no interest."""
    found = [finding for finding in told if finding.severity is severity]
    nodes = {node for finding in found for node in finding.nodes}
    values: dict[str, Scalar] = {"n": len(found), "nodes": len(nodes)}
    said = COUNTS[severity].say(language, values)
    if len(report.nodes) < 2 or not nodes or severity is Severity.NOTE:
        return said
    return said + (ON_ALL if len(nodes) >= len(report.nodes) > 2 else ON).say(language, values)
