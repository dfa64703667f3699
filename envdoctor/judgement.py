"""From snapshots to a report: run the checks, fold consequences under causes, sum up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from envdoctor import engine, facts, summaries
from envdoctor.columns import Crowd
from envdoctor.errors import UsageError
from envdoctor.examination import MADE_BY
from envdoctor.facts.log import Log
from envdoctor.facts.python import Python
from envdoctor.facts.reached import Reached
from envdoctor.load import Loaded
from envdoctor.model import Check, Language, Outcome, Report, Text, TopicFile
from envdoctor.snapshot import Snapshot

REACHING = "nodes"  # the topic about machines that were not reached, or not examined to their end
NOT_STARTING = "python-does-not-start"
TOLD_BY_THE_PYTHON = ("python", "torch-install", "torch-import", "packages", "pip-config")


def chosen(loaded: Loaded, names: Iterable[str]) -> tuple[tuple[TopicFile, ...], tuple[Check, ...]]:
    """The topic files and checks that the names stand for; everything without names.

    Args:
        names: topics, finding codes or check names.

    Raises:
        UsageError: a name is none of these.
    """
    wanted = list(names)
    if not wanted:
        return loaded.files, loaded.checks
    files: list[TopicFile] = []
    checks: list[Check] = []
    for name in wanted:
        hits = [
            (file, check)
            for file in loaded.files
            for check in file.checks
            if name == file.topic.name
            or name in {problem.code for problem in check.problems}
            or name in (check.name, check.name.replace("_", "-"))
        ]
        # A problem that only texts show has no check of its own (envdoctor.sighted).
        topics = [
            file
            for file in loaded.files
            if file.topic.name == name or name in {problem.code for problem in file.problems}
        ]
        if not hits and not topics:
            raise UsageError(
                f"{name!r} is neither a topic nor a code{nearest(name, loaded)}; `envdoctor list` shows them all",
                f"{name!r} 既不是主题也不是问题代码{nearest(name, loaded, 'zh')}；全部见 `envdoctor list`",
            )
        files += [file for file in [*topics, *(file for file, _ in hits)] if file not in files]
        checks += [check for _, check in hits if check not in checks]
    return tuple(file for file in loaded.files if file in files), tuple(
        check for check in loaded.checks if check in checks
    )


def nearest(name: str, loaded: Loaded, language: Language = "en") -> str:
    """A hint at the known topic or code most like `name`, "" if none is close."""
    from difflib import get_close_matches

    known = [file.topic.name for file in loaded.files] + list(loaded.problems)
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    asked = Text(" (did you mean {near!r}?)", "（是否指 {near!r}？）")
    return asked.say(language, {"near": near[0]}) if near else ""


def facts_of(file: TopicFile) -> set[type]:
    """The fact types that the checks and the summary of a file look at."""
    functions = [check.judge for check in file.checks] + ([file.summary.line] if file.summary else [])
    found: set[type] = set()
    for function in functions:
        try:
            found |= {need.fact for need in engine.needs(function)}
        except Exception:
            # A signature that says no facts: the check's own outcome tells what is wrong with it.
            continue
    return found


def _of_benches(file: TopicFile) -> bool:
    """Whether a file has nothing to say of a machine that was only examined: by its topic, or by what it looks at."""
    wanted = facts_of(file)
    return file.topic.bench or (bool(wanted) and wanted <= {facts.kind(name) for name in facts.OF_BENCHES})


def _is_silent(file: TopicFile, snapshots: Sequence[Snapshot]) -> bool:
    """Whether a file has nothing to say of these: it judges benchmarks, or compares nodes, and there are none."""
    if file.topic.nodes:
        return len(snapshots) < 2 and not _measured(file, snapshots)
    return _of_benches(file) and not _measured(file, snapshots)


def _measured(file: TopicFile, snapshots: Sequence[Snapshot]) -> bool:
    """Whether a benchmark was run whose result the file judges. What it looks at beside it, an examination has too."""
    wanted = facts_of(file) & {facts.kind(name) for name in facts.OF_BENCHES}
    # The sections of benchmarks alone: thousands of nodes have a hundred thousand others.
    held = (snapshot.sections.get(name) for snapshot in snapshots for name in facts.OF_BENCHES)
    return bool(wanted) and any(type(fact) in wanted for fact in held)


def _told_apart(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The snapshots with a name of its own for each node: two hosts may give themselves the same one."""
    times = Counter(snapshot.node.name for snapshot in snapshots)
    numbers: dict[str, int] = {}
    taken: set[str] = set()
    told: list[Snapshot] = []
    for snapshot in snapshots:
        node = snapshot.node
        name = base = f"{node.name} ({node.address})" if times[node.name] > 1 and node.address else node.name
        while name in taken:
            numbers[base] = numbers.get(base, 1) + 1
            name = f"{base} #{numbers[base]}"
        taken.add(name)
        told.append(replace(snapshot, node=replace(node, name=name)))
    return told


def _log(snapshots: Iterable[Snapshot]) -> Log | None:
    """What texts told of the errors of a run, if any were read."""
    logs = (snapshot.sections.get("log") for snapshot in snapshots)
    return next((log for log in logs if isinstance(log, Log)), None)


def _without_texts(
    files: tuple[TopicFile, ...], checks: tuple[Check, ...]
) -> tuple[tuple[TopicFile, ...], tuple[Check, ...]]:
    """What is left where no text was read: a machine is not told what could not be checked in a text of it."""
    of_texts = {facts.kind(name) for name in facts.OF_TEXTS}
    judged = {file.topic.name for file in files if any(not _needs(check, of_texts) for check in file.checks)}
    return (
        tuple(file for file in files if file.summary or file.topic.name in judged),
        tuple(check for check in checks if not _needs(check, of_texts)),
    )


def _needs(check: Check, wanted: set[type]) -> bool:
    return any(need.fact in wanted and need.kind == "required" for need in _needs_of(check))


def _needs_of(check: Check) -> Sequence[engine.Need]:
    try:
        return engine.needs(check.judge)
    except Exception:
        return ()  # the check's own outcome tells what is wrong with it


def asked(names: Sequence[str], snapshots: Sequence[Snapshot], loaded: Loaded) -> list[str]:
    """What is to be judged where these topics and codes were asked for: with them what says that nothing is known.

    A machine that was not reached, or a Python that does not start, would pass for one without a problem in what was
    asked for: in the report, in the exit code and in lists of good hosts.
    """
    wanted = list(names)
    if not wanted:
        return wanted
    held = (snapshot.sections.get("reached") for snapshot in snapshots)
    if any(one.outcome != "ok" for fact in held if isinstance(fact, Reached) for one in fact.hosts):
        wanted += [REACHING] if any(file.topic.name == REACHING for file in loaded.files) else []
    held = (snapshot.sections.get("python") for snapshot in snapshots)
    if any(isinstance(fact, Python) and fact.failure for fact in held) and _look_at_the_python(loaded, names):
        wanted += [NOT_STARTING] if NOT_STARTING in loaded.problems else []
    return wanted


def _look_at_the_python(loaded: Loaded, names: Sequence[str]) -> bool:
    """Whether what was asked for cannot be told without the Python under examination."""
    told = {facts.kind(name) for name in TOLD_BY_THE_PYTHON}
    return any(
        need.fact in told and need.kind in ("required", "judged")
        for check in chosen(loaded, names)[1]
        for need in _needs_of(check)
    )


def judge(
    snapshots: Sequence[Snapshot],
    loaded: Loaded,
    names: Iterable[str] = (),
    only: Sequence[TopicFile] | None = None,
) -> Report:
    """Judge the snapshots with the chosen checks; whoever holds the clock fills in the report's seconds.

    Args:
        names: topics or codes; empty for everything. That nothing is known is said whatever they are, see `asked`.
        only: judge these files alone; the report still lists all chosen topics, the others without a word.

    Raises:
        UsageError: a name is unknown.
    """
    names = asked(list(names), snapshots, loaded)
    files, checks = chosen(loaded, names)
    known = files  # a text may tell of what is measured otherwise
    if not names:
        files = tuple(file for file in files if not _is_silent(file, snapshots))
        checks = tuple(check for check in checks if check.topic in {file.topic.name for file in files})
    if only is not None:
        checks = tuple(check for check in checks if check.topic in {file.topic.name for file in only})
    snapshots = _told_apart(snapshots)
    node_facts = Crowd({snapshot.node.name: snapshot.facts for snapshot in snapshots})
    log = _log(snapshots)
    if log is None:
        files, checks = _without_texts(files, checks)
        outcomes: list[Outcome] = engine.run(checks, node_facts)
    else:
        from envdoctor import sighted

        wanted = set(names)
        derived = tuple(
            check
            for check in sighted.checks(known)
            if not wanted or wanted & {check.topic, *(problem.code for problem in check.problems)}
        )
        outcomes = sighted.joined(engine.run(checks + derived, node_facts), log, derived)
    heard = {one.node.name: node_facts[one.node.name] for one in snapshots if not one.node.unheard}
    heard = heard if 0 < len(heard) < len(node_facts) else node_facts
    return Report(
        made_by=MADE_BY,
        taken_at=snapshots[0].taken_at if snapshots else "",
        seconds=0.0,
        nodes=tuple(snapshot.node for snapshot in snapshots),
        findings=loaded.carrying(engine.fold(outcomes), [snapshot.node for snapshot in snapshots]),
        outcomes=tuple(outcomes),
        topics=summaries.summarise(files, heard, node_facts),
        unloaded=loaded.broken,
    )
