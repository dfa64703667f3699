"""From a fix and its options to a plan, and from an applied plan to the verdict on it."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from envdoctor import decode, engine, facts
from envdoctor.edits import shell_effect
from envdoctor.errors import ExaminationError, UsageError
from envdoctor.facts.asked import Asked
from envdoctor.load import Loaded
from envdoctor.model import Check, Finding, Missing, Node, Outcome, Severity, Text, Why
from envdoctor.patient.sections import SECTIONS
from envdoctor.permission import LocalFiles, settled
from envdoctor.remedy import ByHand, Files, Fix, Place, Plan, Said, Verdict, said
from envdoctor.snapshot import Snapshot
from envdoctor.transport import local
from envdoctor.transport.target import Target

# Measures a fact that only an option asks for: its name and the facts known -> the fact.
Measure = Callable[[str, Mapping[type, object]], object]
Observe = Callable[[Target, local.Request], Snapshot]


@dataclass(frozen=True)
class Prepared:
    """A plan for this machine, and what it was made from.

    Attributes:
        options: of the fix, by the names of the maker's parameters.
        plan: settled: what this user may not do is a command to paste.
        found: what the fix mends or watches, as it is before.
        known: the facts it was made from, by type.
    """

    fix: Fix
    options: Mapping[str, Any]
    plan: Plan
    found: tuple[Finding, ...]
    known: Mapping[type, object] = field(default_factory=dict)

    def arguments(self) -> tuple[str, ...]:
        """The options as the command line has them, defaults left out."""
        told: list[str] = []
        for name, value in self.options.items():
            option = self.fix.options.get(name)
            if value == parameters(self.fix)[name].default:
                continue
            flag = f"--{name.replace('_', '-')}"
            values = value if isinstance(value, tuple) else (value,)
            for one in values:
                told += [flag] if one is True else [str(one)] if option and option.argument else [flag, str(one)]
        return tuple(told)


@dataclass(frozen=True)
class Mender:
    """Prepares and verifies fixes on this machine.

    Attributes:
        observe: examines the target; see `envdoctor.examination.of_this_machine`.
        offline: no address is asked.
        timeout: seconds for each examination.
    """

    loaded: Loaded
    target: Target
    observe: Observe
    measure: Measure
    offline: bool = False
    timeout: float = 60.0
    files: Files = field(default_factory=LocalFiles)

    def prepare(self, fix: Fix, options: Mapping[str, Any], seen: Mapping[str, object] | None = None) -> Prepared:
        """Observe what the fix needs, ask the places it relies on, and make the plan.

        Args:
            seen: what has been observed a moment ago, section -> fact.

        Raises:
            UsageError: the options make no sense here, or a fact the fix cannot do without is missing.
        """
        wanted = [name for name in sections_for(fix, self.loaded) if name not in AFTERWARDS]
        seen = {**(seen or {}), **self.look([name for name in wanted if name not in (seen or {})])}
        known = decode.by_type({"asked": Asked(offline=self.offline), **seen})
        for name, option in fix.options.items():
            if option.measures and options.get(name):
                if self.offline:
                    raise UsageError(
                        f"--{name} measures over the network, which --offline forbids",
                        f"--{name} 需要联网测量，与 --offline 冲突",
                    )
                found = self.measure(option.measures, known)
                known[type(found)] = found
        if fix.asks is not None:
            asked = self._asked(tuple(fix.asks(*_arguments(fix.asks, known, self.files), **options)), seen)
            known[facts.kind("asked-places")] = asked
        plan = fix.make(*_arguments(fix.make, known, self.files), **options)
        return Prepared(fix, options, settled(plan, self.files), self._judge(fix, known), known)

    def verify(self, prepared: Prepared, code: str = "") -> Verdict:
        """Examine again and compare.

        Args:
            code: of the finding that was to be mended, if it was asked for by that.
        """
        fix = prepared.fix
        names = sections_for(fix, self.loaded)
        seen = self.look([name for name in names if name in AFTERWARDS])
        # What only new shells have is judged as it is there.
        environ = shell_effect.environment_there(prepared.plan, seen.get("new-shells"), os.environ)
        seen |= self.look([name for name in names if name not in AFTERWARDS], environ=environ)
        # What was asked over the network or measured is as it was; all else is looked at again.
        known = {**prepared.known, **decode.by_type(seen)}
        against: tuple[Said, ...] = ()
        if fix.verify is not None:
            against = tuple(fix.verify(prepared.plan, *_arguments(fix.verify, known, self.files, skip=1)))
        left = self._judge(fix, known)
        before, now = {finding.code for finding in prepared.found}, {finding.code for finding in left}
        broken = tuple(f for f in left if f.severity is Severity.ERROR and f.code not in before)
        # A fix without a word of its own on success is judged by what it claims to mend.
        meant = {code} if code else set(fix.mends) & before if fix.verify is None else set()
        return Verdict(against, tuple(sorted(before - now)), left, broken, tuple(sorted(meant & now)))

    def look(
        self, only: Iterable[str], offline: bool = True, environ: dict[str, str] | None = None
    ) -> dict[str, object]:
        """Observe these sections, in this environment or another: section -> fact. Nothing is started for none."""
        names = tuple(only)
        if not names:
            return {}
        # That Python answers at all is told from a machine that has nothing of what was asked for.
        only = tuple(sorted({"python", *names}))
        snapshot = self.observe(
            self.target, local.Request(limit_s=self.timeout, offline=offline, environ=environ, only=only)
        )
        return {name: snapshot.sections[name] for name in names}

    def find(self, code: str) -> tuple[tuple[Finding, ...], dict[str, object]]:
        """The findings of a code, or of what may cause it, causes first; with what was observed for that.

        Raises:
            UsageError: no check of a machine reports the code.
            ExaminationError: whether it is there cannot be told; what it is about is not known to be absent.
        """
        codes = chain(code, self.loaded)
        checks = _reporting(codes, self.loaded)
        own = _reporting((code,), self.loaded)
        if not own:
            raise UsageError(
                f"{code} shows in logs and scripts only: `envdoctor explain FILE` looks for it there",
                f"{code} 只出现在日志和脚本中：可用 `envdoctor explain FILE` 在其中查找",
            )
        seen = self.look(_sections([check.judge for check in checks]), self.offline)
        known = decode.by_type({"asked": Asked(offline=self.offline), **seen})
        outcomes = engine.run(checks, {"here": known})
        found = tuple(finding for finding in self._told(outcomes) if finding.code in codes)
        if not any(finding.code == code for finding in found) and not self.absent(code, seen):
            _refuse_unknown(code, [outcome for outcome in outcomes if outcome.check in own])
        return found, seen

    def absent(self, code: str, seen: Mapping[str, object]) -> str:
        """What is not on this machine, in words, where every check of a code looks at what is absent; else ""."""
        told = [_absent(check, seen) for check in _reporting((code,), self.loaded)]
        return told[0] if told and all(told) else ""

    def _asked(self, places: tuple[Place, ...], seen: Mapping[str, object]) -> object:
        if self.offline or not places:
            return Missing("asked-places", "not-asked", "--offline" if self.offline else "no address is to be asked")
        known = {
            name: decode.encode(fact)
            for name, fact in seen.items()
            if name in ("pip-config", "pip-effective", "network-settings") and not isinstance(fact, Missing)
        }
        request = local.Request(
            limit_s=min(10.0, self.timeout),
            only=("asked-places",),
            places=tuple({"kind": place.kind, "url": place.url} for place in places),
            given=known,
        )
        return self.observe(self.target, request).sections["asked-places"]

    def _judge(self, fix: Fix, known: Mapping[type, object]) -> tuple[Finding, ...]:
        wanted = {*fix.mends, *fix.watches}
        found = self._told(engine.run(_reporting(wanted, self.loaded), {"here": known}))
        return tuple(finding for finding in found if finding.code in wanted)

    def _told(self, outcomes: Iterable[Outcome]) -> tuple[Finding, ...]:
        node = Node(python=self.target.python, python_why=self.target.why)
        found = self.loaded.carrying(engine.fold(outcomes), [node])
        return tuple(replace(finding, nodes=()) for finding in found)


# Facts that are missing as "not-here" only where their subject is not on the machine; of others, such as the network
# interfaces, it may also mean that nothing tells of them.
SUBJECTS = ("conda-config", "driver", "gpu", "peer-paths", "rdma", "torch-install", "uv-config", "uv-effective")


def _absent(check: Check, seen: Mapping[str, object]) -> str:
    needed = [_names().get(need.fact, "") for need in engine.needs(check.judge) if need.kind == "required"]
    missing = [fact for name in needed if name in SUBJECTS and isinstance(fact := seen.get(name), Missing)]
    told = [fact.detail for fact in missing if fact.reason == Why.NOT_HERE.value]
    return next((detail.splitlines()[0] for detail in told if detail), "")


def _refuse_unknown(code: str, outcomes: list[Outcome]) -> None:
    """Raise where no check could tell whether a problem is there: what is not known is not fine."""
    if any(outcome.status == "ran" for outcome in outcomes):
        return
    missing = next((outcome.missing for outcome in outcomes if outcome.missing is not None), None)
    why = next((outcome.error for outcome in outcomes if outcome.error), "")
    if missing is not None:
        why = f"{missing.fact}: {(missing.detail or missing.reason).splitlines()[0]}"
    raise ExaminationError(
        f"whether there is {code} cannot be told ({why}); `envdoctor check {code} -v` says more",
        f"无法判断是否存在 {code}（{why}）；详见 `envdoctor check {code} -v`",
    )


def chain(code: str, loaded: Loaded) -> frozenset[str]:
    """A code with all that may cause it, the causes of causes too."""
    found: set[str] = set()
    waiting = [code]
    while waiting:
        one = waiting.pop()
        if one not in found and one in loaded.problems:
            found.add(one)
            waiting += loaded.problems[one].caused_by
    return frozenset(found)


def _reporting(codes: Iterable[str], loaded: Loaded) -> tuple[Check, ...]:
    wanted = set(codes)
    return tuple(check for check in loaded.checks if wanted & {problem.code for problem in check.problems})


@functools.cache
def _names() -> dict[type, str]:
    return {facts.kind(name): name for name in facts.KINDS}


def sections_for(fix: Fix, loaded: Loaded) -> tuple[str, ...]:
    """The sections to observe: what the fix needs, and what the checks need that judge before and after."""
    functions: list[Any] = [function for function in (fix.make, fix.asks, fix.verify) if function is not None]
    return _sections(functions + [check.judge for check in _reporting((*fix.mends, *fix.watches), loaded)])


def _sections(functions: Iterable[Any]) -> tuple[str, ...]:
    names = {_names().get(kind, "") for function in functions for kind in _fact_types(function)}
    return tuple(section.name for section in SECTIONS if section.name in names and section.name not in LATER)


# Observed for a plan, never for an examination.
LATER = ("asked-places",)
# Observed for the verdict on a plan only: they start what the plan has changed.
AFTERWARDS = ("new-shells",)


def _fact_types(function: Any) -> Iterable[type]:
    return [need.fact for need in engine.needs(function) if need.fact not in (Files, Plan)]


def _arguments(function: Any, known: Mapping[type, object], files: Files, skip: int = 0) -> list[object]:
    """The positional arguments of a maker.

    Raises:
        UsageError: a fact it cannot do without is missing.
    """
    arguments: list[object] = []
    for need in engine.needs(function)[skip:]:
        fact = files if need.fact is Files else known.get(need.fact)
        if fact is None:
            fact = Missing(_names().get(need.fact, need.fact.__name__.lower()), "not-here")
        if not isinstance(fact, Missing) or need.kind == "judged":
            arguments.append(fact)
        elif need.kind == "optional":
            arguments.append(None)
        else:
            told = f" ({fact.detail.splitlines()[0]})" if fact.detail else ""
            told_zh = f"（{fact.detail.splitlines()[0]}）" if fact.detail else ""
            raise UsageError(
                f"no plan can be made here: {fact.fact} is not known{told}",
                f"无法给出修复方案：{fact.fact} 未知{told_zh}",
            )
    return arguments


def parameters(fix: Fix) -> dict[str, inspect.Parameter]:
    """The maker's options: its keyword-only parameters."""
    return _parameters(fix.make)


@functools.cache
def _parameters(make: Callable[..., Plan]) -> dict[str, inspect.Parameter]:
    found = inspect.signature(make, eval_str=True).parameters
    return {name: one for name, one in found.items() if one.kind is inspect.Parameter.KEYWORD_ONLY}


def of_finding(finding: Finding, loaded: Loaded) -> tuple[Fix, tuple[str, ...]] | Plan:
    """The automatic fix of a finding with its arguments, or a plan that shows the command to paste.

    Raises:
        UsageError: no command mends it.
    """
    if finding.fix and finding.fix[0] in loaded.fixes:
        return loaded.fixes[finding.fix[0]], finding.fix[1:]
    if not finding.command:
        raise UsageError(
            f"no command mends {finding.code}; `envdoctor explain {finding.code}` says what does",
            f"没有命令能修复 {finding.code}；处理办法见 `envdoctor explain {finding.code}`",
        )
    title = finding.words.title or Text(finding.code, finding.code)
    why = said("envdoctor does not do this by itself", "envdoctor 不会自动执行这一步")
    return Plan(title=Said(title, finding.evidence), by_hand=(ByHand(finding.command, why),))


def command_line(fix: str, arguments: Iterable[str]) -> str:
    """How the user asks for a fix."""
    return shlex.join(("envdoctor", "fix", fix, *arguments))
