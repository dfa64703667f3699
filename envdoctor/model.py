"""The values that every part of the program passes on: words, problems, findings, checks and their outcomes.

All are plain frozen dataclasses. A finding carries a code and values, never sentences; the words stand in the
`Problem` beside the check, in English and Chinese, and are put together last.
"""

from __future__ import annotations

import enum
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar

from envdoctor.filling import fill

Scalar = str | int | float | bool | None
Language = Literal["en", "zh"]
Fact = TypeVar("Fact")


class Severity(str, enum.Enum):
    """error: training fails or hangs; warning: slow or fragile; note: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return ("error", "warning", "note").index(self.value)


@dataclass(frozen=True)
class Text:
    """A sentence in both languages. `{holes}` take the finding's evidence, with Python's format specifications, and
    `{count:node|nodes}` is the word that goes with a number."""

    en: str
    zh: str

    def say(self, language: Language, values: Mapping[str, Scalar] | None = None) -> str:
        """The sentence in `language`; an unknown value shows as `?`."""
        return fill(self.zh if language == "zh" else self.en, values or {})


@dataclass(frozen=True)
class Situation:
    """One of several situations a code covers, with words of its own where they differ from the problem's.

    Attributes:
        title, why, seen, help, look: replace the problem's where given.
        command: the one command that mends it here; replaces the problem's, and so does a `look` without a command.
        severity: the severity in this situation.
    """

    title: Text | None = None
    why: Text | None = None
    seen: Text | None = None
    help: Text | None = None
    command: str | None = None
    look: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True)
class Problem:
    """A bad state: its code, how bad it is, and everything there is to say about it.

    Attributes:
        code: kebab-case name of the bad state, never reused or renamed.
        severity: the usual severity; a situation or a finding may differ.
        title: what is wrong; lower-case, no final stop, never the remedy.
        why: what follows for training.
        seen: the observed values and where they come from, one line each; without it the evidence is listed.
        help: what to do, where no single command does it, or what to know beside the command.
        command: the one command that mends it, to paste; holes take the evidence.
        look: where no command mends it, the one that shows what to decide by; holes take the evidence.
        confirm: how to see the bad state by hand.
        situations: further wordings by name, see `Situation`.
        caused_by: codes that may cause this one, the likeliest first.
        hardware: whether a real machine has shown this state to the check. "unconfirmed" means that the check was
            proven against a fake driver or a made-up sysfs tree only.
        refs: public pages that document it.
        fix: name of the automatic fix, if there is one.
        last_resort: said only where no other error was found: something failed, and nothing tells why.
    """

    code: str
    severity: Severity
    title: Text
    why: Text
    seen: Text | None = None
    help: Text | None = None
    command: str | None = None
    look: str | None = None
    confirm: str | None = None
    situations: Mapping[str, Situation] = field(default_factory=dict)
    caused_by: tuple[str, ...] = ()
    hardware: Literal["not-needed", "confirmed", "unconfirmed"] = "not-needed"
    refs: tuple[str, ...] = ()
    fix: str | None = None
    last_resort: bool = False

    def found(self, situation: str | None = None, /, **evidence: Scalar) -> Finding:
        """A finding of this problem. Raises KeyError for a situation the problem does not know."""
        if situation is not None and situation not in self.situations:
            raise KeyError(f"{self.code} knows no situation {situation!r}")
        return Finding(self, evidence, situation=situation)


@dataclass(frozen=True)
class Finding:
    """A problem that is there, with the values that show it.

    Attributes:
        evidence: name -> value; values fill the holes of the problem's texts.
        nodes: names of the nodes that show it; the engine fills them in.
        because_of: code of the problem that causes this one on the same node; the engine fills it in, unless the check
            knows it from what it judges.
        order: place in time of what shows it, where that is known: of two the earlier one comes first.
        carried: options of this run that its automatic fix needs as well: --python, --checks.
        explained_with: options of this run that `envdoctor explain` needs as well: --checks.
    """

    problem: Problem
    evidence: Mapping[str, Scalar] = field(default_factory=dict)
    situation: str | None = None
    severity_given: Severity | None = None
    command_given: str | None = None
    fix_given: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    because_of: str | None = None
    order: int | None = None
    carried: tuple[str, ...] = ()
    explained_with: tuple[str, ...] = ()

    def at(self, severity: Severity) -> Finding:
        """This finding, as bad as that."""
        return replace(self, severity_given=severity)

    def mended_by(self, command: str | None) -> Finding:
        """This finding with a command made for it, in place of the problem's."""
        return replace(self, command_given=command)

    def fixed_by(self, name: str, *arguments: str) -> Finding:
        """This finding, mended by the automatic fix of that name, called with these arguments."""
        return replace(self, fix_given=(name, *arguments))

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def fix(self) -> tuple[str, ...]:
        """Name and arguments of the automatic fix; empty where there is none."""
        return self.fix_given or ((self.problem.fix,) if self.problem.fix else ())

    @property
    def words(self) -> Situation:
        """The words of this finding: the situation's where it has any, else the problem's."""
        own = self.problem.situations[self.situation] if self.situation else Situation()
        problem = self.problem
        return Situation(
            title=own.title or problem.title,
            why=own.why or problem.why,
            seen=own.seen or problem.seen,
            help=own.help or problem.help,
            command=own.command or (None if own.look else problem.command),
            look=own.look or problem.look,
            severity=own.severity or problem.severity,
        )

    @property
    def severity(self) -> Severity:
        return self.severity_given or self.words.severity or self.problem.severity

    @property
    def command(self) -> str | None:
        """The one command that mends it, with the evidence filled in; None where no command does."""
        if self.fix:
            return shlex.join(("envdoctor", "fix", *self.fix, *self.carried))
        if self.command_given is not None:
            return self.command_given
        return self._filled(self.words.command)

    @property
    def look(self) -> str | None:
        """The command that shows more, where none mends it."""
        return None if self.command else self._filled(self.words.look)

    def _filled(self, template: str | None) -> str | None:
        return Text(template, template).say("en", self.evidence) if template else None


class Why(str, enum.Enum):
    """Why a fact could not be had."""

    NOT_HERE = "not-here"  # the thing does not exist on this machine
    NOT_ASKED = "not-asked"  # left out by --quick or --offline
    NOT_SUPPORTED = "not-supported"  # this platform offers no way to read it
    DENIED = "denied"  # permission
    FAILED = "failed"  # the observer raised
    CRASHED = "crashed"  # the observer died by a signal
    HUNG = "hung"  # stood still until the deadline
    SLOW = "slow"  # still at work at the deadline
    INVALID = "invalid"  # an answer that does not fit the fact


@dataclass(frozen=True)
class Missing:
    """A fact that could not be had. This is a fact in itself: unknown never reads as fine.

    Attributes:
        fact: name of the section, such as "gpu".
        reason: a value of `Why`.
        detail: last words of the observer: a stack, an error, a path; for people.
    """

    fact: str
    reason: str
    detail: str = ""


class PerNode(Mapping[str, "Fact | Missing"], Generic[Fact]):
    """As an annotation, `PerNode[Nics]` gives a check every node's fact: a mapping node -> fact or Missing."""


Judge = Callable[..., Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """A function from facts to findings, with the problems it may report. Made by `check`."""

    name: str
    problems: tuple[Problem, ...]
    judge: Judge
    topic: str = ""

    def __call__(self, *facts: object) -> list[Finding]:
        """Judge these facts, for tests and for curiosity."""
        return list(self.judge(*facts))


def check(*problems: Problem) -> Callable[[Judge], Check]:
    """Make a check of a function whose annotated parameters are the facts it needs.

    `torch: Torch` is needed (else the check is skipped and says why), `torch: Torch | Missing` judges the absence,
    `rdma: Rdma | None` is optional, `nics: PerNode[Nics]` sees all nodes.
    """

    def make(judge: Judge) -> Check:
        return Check(judge.__name__, problems, judge)

    return make


@dataclass(frozen=True)
class Summary:
    """What was seen of a topic, in a line: a function from facts to a text and the values in it. Made by `summary`."""

    line: Callable[..., tuple[Text, Mapping[str, Scalar]] | None]


def summary(line: Callable[..., tuple[Text, Mapping[str, Scalar]] | None]) -> Summary:
    """Make a function over facts the one-line summary of its topic file. Its parameters work like a check's; with
    one of `PerNode` it speaks of all nodes together."""
    return Summary(line)


@dataclass(frozen=True)
class Topic:
    """A subject of the report and its place there. A check file sets `TOPIC = Topic("name", order)`.

    A large subject is split into several files that name the same topic; the one with the lowest order leads.

    Attributes:
        name: what the user types, kebab-case; the file's stem with dashes by default.
        order: smaller comes first.
        about: the question the topic answers.
        bench: it judges what a benchmark measured; where none was run the report does not mention it.
        nodes: it compares nodes; where a single one was looked at the report does not mention it.
    """

    name: str
    order: int = 500
    about: Text = Text("", "")
    bench: bool = False
    nodes: bool = False


@dataclass(frozen=True)
class TopicFile:
    """A loaded topic file. `fixes` are of `envdoctor.remedy.Fix`, which is made of the values here."""

    topic: Topic
    checks: tuple[Check, ...]
    problems: tuple[Problem, ...]
    summary: Summary | None
    path: str
    module: ModuleType | None = None
    fixes: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a check: it ran and has findings, lacked a fact, or crashed with an error and a traceback.

    Attributes:
        skipped_on: the nodes on which it lacked a fact, by what it lacked there; it may have run on others.
    """

    check: Check
    status: Literal["ran", "skipped", "crashed"]
    findings: tuple[Finding, ...] = ()
    missing: Missing | None = None
    error: str = ""
    traceback: str = ""
    seconds: float = 0.0
    skipped_on: tuple[tuple[Missing, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Node:
    """Who was examined.

    Attributes:
        name: the name the node gives itself.
        address: how it was reached; empty for this machine.
        python: the Python under examination, an absolute path.
        python_why: how that Python was chosen, a key of `envdoctor.transport.target.CHOICES`.
    """

    name: str = ""
    address: str = ""
    python: str = ""
    python_version: str = ""
    python_why: str = ""

    @property
    def unheard(self) -> bool:
        """It was asked from afar and nothing there has answered."""
        return bool(self.address) and not self.python


@dataclass(frozen=True)
class TopicLine:
    """A topic's line of the report.

    Attributes:
        same: so many of the nodes show this, of all `nodes`.
    """

    topic: Topic
    text: Text | None = None
    values: Mapping[str, Scalar] = field(default_factory=dict)
    same: int = 1
    nodes: int = 1


@dataclass(frozen=True)
class Report:
    """Everything a renderer needs, and all that it may know.

    Attributes:
        findings: causes before consequences, the chain with the worst member first.
        unloaded: check files that could not be loaded: path -> error.
        seconds: wall time from the start of the program.
    """

    made_by: str
    taken_at: str
    seconds: float
    nodes: tuple[Node, ...]
    findings: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...]
    topics: tuple[TopicLine, ...]
    unloaded: Mapping[str, str] = field(default_factory=dict)

    def count(self, severity: Severity) -> int:
        return sum(1 for finding in self.findings if finding.severity is severity)

    def with_status(self, status: str) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == status)
