"""Checks that nobody writes: what the signature catalogue saw in a text becomes findings of the problem it names.

Every problem has one of these beside the checks of its file, so that an error line and a fact that tell of the same bad
state share their code, their words and their place among causes and consequences.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from envdoctor import facts
from envdoctor.engine import needs
from envdoctor.facts.log import Log, Place, Sighting
from envdoctor.knowledge import signatures
from envdoctor.model import Check, Finding, Outcome, Problem, Scalar, Severity, Situation, Text, TopicFile

SEEN = Text("{seen}", "{seen}")
# Where a problem's own words need values that a line does not give.
CONSEQUENCE = Text("a run in which this is seen has failed or suffered by it", "出现这一行的运行已因此失败或受到影响")
MOST_QUOTED = 3
# A situation of this name in a Problem holds its words for texts, where a row of the catalogue has none of its own.
IN_TEXT = "in-text"


def checks(files: Iterable[TopicFile]) -> tuple[Check, ...]:
    """One check over `Log` for each problem that no check of its own file judges from the log."""
    return tuple(
        _check(problem, file.topic.name)
        for file in files
        for problem in file.problems
        if not any(problem in check.problems and _reads_log(check) for check in file.checks)
    )


def _reads_log(check: Check) -> bool:
    try:
        return any(need.fact is Log for need in needs(check.judge))
    except TypeError:
        return False  # its own outcome tells what is wrong with it


def _check(problem: Problem, topic: str) -> Check:
    def judge(log: Log) -> Iterable[Finding]:
        return found(problem, log)

    judge.__annotations__["log"] = Log  # as a type, which saves looking it up by name for each of 200 problems
    return Check(f"{problem.code.replace('-', '_')}_in_text", (problem,), judge, topic)


def found(problem: Problem, log: Log) -> list[Finding]:
    """A finding of the problem if the log shows it: the earliest line speaks, the next ones are quoted below it."""
    seen = sorted(log.of(problem.code), key=lambda one: (one.kind != "root", one.order))
    if not seen:
        return []
    return [finding(problem, seen)]


def finding(problem: Problem, seen: list[Sighting]) -> Finding:
    """The finding that these sightings of one problem make, the one that decides first."""
    first = seen[0]
    row = signatures.by_id().get(first.signature) or signatures.told().get(first.signature)
    evidence: dict[str, Scalar] = {
        "seen": "\n".join(_quoted(one) for one in seen[:MOST_QUOTED]),
        "file": first.place.file,
        "line": first.place.line,
        "rank": first.place.rank,
        "node": first.place.node or None,
        "times": sum(one.times for one in seen),
        **{one.name: one.value for one in first.values},
    }
    severity = min((Severity(one.severity) for one in seen), key=lambda told: told.rank)
    base = problem.situations.get(IN_TEXT, Situation())
    name = first.signature or IN_TEXT
    # A problem without situations is one that texts tell of and nothing else: its help was written for them.
    own = None if problem.situations else _safe(problem.help, evidence)
    words = Situation(
        title=(row.title.text if row else None) or base.title or _safe(problem.title, evidence) or _named(problem),
        why=(row.why.text if row else None) or base.why or _safe(problem.why, evidence) or CONSEQUENCE,
        seen=SEEN,
        help=(row.help.text if row else None) or base.help or signatures.remedy(problem.code) or own,
        look=(row.look if row else "") or base.look or None,
    )
    # What mends this machine was made for what is known of this machine; a text may come from another.
    told = replace(
        problem, situations={name: words}, command=None, look=None, help=None, why=words.why or problem.why,
        fix=None,
    )  # fmt: skip
    made = Finding(told, evidence, name, severity, order=first.order)
    return replace(made, because_of=first.because_of or None)


def joined(outcomes: Sequence[Outcome], log: Log, derived: Collection[Check]) -> list[Outcome]:
    """The outcomes with one finding per problem: where a fact and an error line tell of the same, the fact's words stay
    (they know more) and the line is quoted beside them. What facts of a text show says where they were read."""
    of_lines = {id(check) for check in derived}
    by_fact = {
        finding.code for outcome in outcomes if id(outcome.check) not in of_lines for finding in outcome.findings
    }
    lines = {
        finding.code: finding for outcome in outcomes if id(outcome.check) in of_lines for finding in outcome.findings
    }
    places = {facts.kind(told.section): told.place for told in log.told}
    told = []
    for outcome in outcomes:
        if id(outcome.check) in of_lines:
            found = tuple(finding for finding in outcome.findings if finding.code not in by_fact)
        else:
            read_in = _read_in(outcome.check, places)
            found = tuple(_with_line(finding, lines.pop(finding.code, None), read_in) for finding in outcome.findings)
        told.append(replace(outcome, findings=found))
    return told


def _read_in(check: Check, places: Mapping[type, Place]) -> str:
    try:
        wanted = needs(check.judge)
    except TypeError:
        return ""
    return ", ".join(dict.fromkeys(str(places[need.fact]) for need in wanted if need.fact in places))


def _with_line(finding: Finding, line: Finding | None, read_in: str) -> Finding:
    """The finding of a fact, with the place the fact was read in, and with the error line that tells of it as well."""
    evidence = {**finding.evidence, **({"read_in": read_in} if read_in else {})}
    if line is not None:
        quoted = {name: line.evidence[name] for name in ("file", "line", "rank", "node", "times")}
        evidence = {**quoted, "quoted": line.evidence["seen"], **evidence}
    if evidence == finding.evidence:
        return finding
    words = finding.words
    own = words.seen or Text("", "")
    holes = "".join(f"\n{{{name}}}" for name in ("quoted",) if name in evidence) + ("\n({read_in})" if read_in else "")
    seen = Text((own.en + holes).strip(), (own.zh + holes).strip())
    situations = {**finding.problem.situations, finding.situation or "as-usual": replace(words, seen=seen)}
    told = replace(
        finding,
        problem=replace(finding.problem, situations=situations),
        situation=finding.situation or "as-usual",
        evidence=evidence,
    )
    if line is None:
        return told
    worst = min(finding.severity, line.severity, key=lambda severity: severity.rank)
    return replace(told, severity_given=worst, order=line.order, because_of=line.because_of)


def _quoted(seen: Sighting) -> str:
    more = [f"{seen.times}x"] if seen.times > 1 else []
    more += [f"ranks {_ranges(seen.ranks)}"] if len(seen.ranks) > 1 else []
    count = f" ({', '.join(more)})" if more else ""
    return f"{seen.place}: {seen.quote.replace(chr(10), ' ')}{count}"


def _ranges(ranks: Sequence[int]) -> str:
    """ "0-3, 7" of (0, 1, 2, 3, 7)."""
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][-1] + 1:
            runs[-1].append(rank)
        else:
            runs.append([rank])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _safe(text: Text | None, evidence: dict[str, Scalar]) -> Text | None:
    """The text if it needs no value that only an examined machine would give."""
    import string

    if text is None:
        return None
    holes = {name for _, name, _, _ in string.Formatter().parse(text.en) if name}
    return text if holes <= set(evidence) else None


def _named(problem: Problem) -> Text:
    return Text(f"the text shows {problem.code}", f"文本中出现 {problem.code} 的迹象")
