"""For testing checks, bundled and your own: facts by hand in, findings out, every sentence in both languages tried.

CASES = [
    Case("64 MB, docker's default", (Limits(shm=SharedMemory(64 << 20, 60 << 20)), Host(container="docker")),
         {"shm-too-small": "warning"}),
    Case("plenty", (Limits(shm=SharedMemory(32 << 30, 30 << 30)), Host())),
]

@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(checks / "shm.py")
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envdoctor import engine, facts, load, sighted
from envdoctor.model import Check, Finding, Language, Missing, Outcome, Problem, Text, TopicFile

# Node name -> the facts of that node.
Nodes = Mapping[str, tuple[object, ...]]


def topic_file(path: Path | str) -> TopicFile:
    """Load one check file. Raises AssertionError with the reason if it does not load."""
    path = Path(path)
    state = path.stat()
    return _loaded(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=256)
def _loaded(path: Path, mtime_ns: int, size: int) -> TopicFile:
    """The file in this state. A folder takes as long to load as a hundred cases take to judge."""
    loaded = load.load([path.parent])
    assert str(path) not in loaded.broken, f"{path.name} does not load: {loaded.broken[str(path)]}"
    return next(file for file in loaded.files if file.path == str(path))


def checks_of(file: TopicFile) -> tuple[Check, ...]:
    """The checks of a file, and those that report its problems from texts (`envdoctor.sighted`)."""
    return (*file.checks, *sighted.checks((file,)))


def facts_by_type(given: tuple[object, ...]) -> dict[type, object]:
    """Facts and Missing facts, as the engine wants them."""
    return {facts.kind(fact.fact) if isinstance(fact, Missing) else type(fact): fact for fact in given}


def outcomes(checks: tuple[Check, ...], *given: object, nodes: Nodes | None = None) -> list[Outcome]:
    """What becomes of the checks on one node with these facts, or on several `nodes`.

    Raises:
        AssertionError: one of them crashes.
    """
    told = engine.run(checks, {name: facts_by_type(own) for name, own in (nodes or {"here": given}).items()})
    crashed = [f"{outcome.check.name}: {outcome.traceback}" for outcome in told if outcome.status == "crashed"]
    assert not crashed, "\n".join(crashed)
    return told


def findings(checks: tuple[Check, ...], *given: object, nodes: Nodes | None = None) -> tuple[Finding, ...]:
    """The findings of the checks on one node or several, causes first, every sentence of them tried."""
    found = engine.fold(outcomes(checks, *given, nodes=nodes))
    for finding in found:
        speak(finding)
    return found


def speak(finding: Finding) -> None:
    """Say everything there is to say about a finding, in both languages.

    Raises:
        AssertionError: a sentence needs a value that the evidence does not hold, or cannot be put together.
    """
    words = finding.words
    command = Text(words.command, words.command) if words.command and finding.command_given is None else None
    look = Text(words.look, words.look) if words.look and not finding.command else None
    for text in (words.title, words.why, words.seen, words.help, command, look):
        if text is None:
            continue
        languages: tuple[Language, ...] = ("en", "zh")
        for language in languages:
            holes = holes_of(text.zh if language == "zh" else text.en)
            unfilled = holes - set(finding.evidence)
            assert not unfilled, (
                f"{finding.code} [{finding.situation}] lacks the values {sorted(unfilled)} for {text.en!r}"
            )
            assert text.say(language, finding.evidence)


def holes_of(template: str) -> set[str]:
    """The names of the `{holes}` of a template."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@dataclass(frozen=True)
class Case:
    """Facts, and exactly the problems that all checks of a file find in them.

    Attributes:
        about: the situation, in words.
        facts: fact objects, or `Missing` where a fact could not be had.
        expect: code -> severity. Nothing else may be found.
        nodes: for checks over several nodes, name -> facts of each; `facts` stays empty then.
    """

    about: str
    facts: tuple[object, ...] = ()
    expect: Mapping[str, str] = field(default_factory=dict)
    nodes: Nodes = field(default_factory=dict)

    def __str__(self) -> str:
        return self.about

    def assert_holds(self, path: Path | str) -> tuple[Finding, ...]:
        """Judge the facts with all checks of the file and compare; the findings are returned for a closer look.

        Raises:
            AssertionError: other findings than expected, a crash, or a sentence that cannot be said.
        """
        found = findings(checks_of(topic_file(path)), *self.facts, nodes=self.nodes)
        seen = {finding.code: finding.severity.value for finding in found}
        assert seen == dict(self.expect), f"{self.about}: found {seen}, expected {dict(self.expect)}"
        return found

    def passes(self, problem: Problem, file: TopicFile) -> bool:
        """Whether a check that can report the problem ran on these facts and did not report it."""
        if problem.code in self.expect:
            return False
        able = tuple(check for check in checks_of(file) if problem in check.problems)
        return any(outcome.status == "ran" for outcome in outcomes(able, *self.facts, nodes=self.nodes))
