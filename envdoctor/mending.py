"""From a fix and its options to a plan, and from an applied plan to the verdict on it."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from envdoctor import decode, engine, facts
from envdoctor.errors import UsageError
from envdoctor.load import Loaded
from envdoctor.model import Check, Finding, Missing, Severity, Text
from envdoctor.plan import LocalFiles, settled
from envdoctor.remedy import Files, Fix, Place, Plan, Said, Verdict, said
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
        snapshot: what was observed for it.
    """

    fix: Fix
    options: Mapping[str, Any]
    plan: Plan
    found: tuple[Finding, ...]
    snapshot: Snapshot

    def arguments(self) -> tuple[str, ...]:
        """The options as the command line has them, defaults left out."""
        told: list[str] = []
        for name, value in self.options.items():
            option, default = self.fix.options.get(name), _default(self.fix, name)
            if value == default:
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

    def prepare(self, fix: Fix, options: Mapping[str, Any]) -> Prepared:
        """Observe what the fix needs, ask the places it relies on, and make the plan.

        Raises:
            UsageError: the options make no sense here, or a fact the fix cannot do without is missing.
        """
        snapshot = self._look(fix)
        known = decode.by_type(snapshot.sections)
        for name, option in fix.options.items():
            if option.measures and options.get(name):
                found = self.measure(option.measures, known)
                known[type(found)] = found
        if fix.asks is not None:
            asked = self._asked(tuple(fix.asks(*_arguments(fix.asks, known, self.files), **options)), snapshot)
            known[facts.kind("asked-places")] = asked
        plan = fix.make(*_arguments(fix.make, known, self.files), **options)
        return Prepared(fix, options, settled(plan, self.files), self._judge(fix, known), snapshot)

    def verify(self, prepared: Prepared) -> Verdict:
        """Examine again and compare."""
        fix = prepared.fix
        known = decode.by_type(self._look(fix).sections)
        against: tuple[Said, ...] = ()
        if fix.verify is not None:
            against = tuple(fix.verify(prepared.plan, *_arguments(fix.verify, known, self.files, skip=1)))
        left = self._judge(fix, known)
        before, now = {finding.code for finding in prepared.found}, {finding.code for finding in left}
        broken = tuple(f for f in left if f.severity is Severity.ERROR and f.code not in before)
        return Verdict(against, tuple(sorted(before - now)), left, broken)

    def _look(self, fix: Fix) -> Snapshot:
        request = local.Request(limit_s=self.timeout, offline=True, only=sections_for(fix, self.loaded))
        return self.observe(self.target, request)

    def _asked(self, places: tuple[Place, ...], snapshot: Snapshot) -> object:
        if self.offline or not places:
            return Missing("asked-places", "not-asked", "--offline" if self.offline else "no address is to be asked")
        known = {
            name: decode.encode(fact)
            for name, fact in snapshot.sections.items()
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
        checks = _checks(fix, self.loaded)
        wanted = {*fix.mends, *fix.watches}
        found = engine.fold(engine.run(checks, {"here": known}))
        return tuple(replace(finding, nodes=()) for finding in found if finding.code in wanted)


def _checks(fix: Fix, loaded: Loaded) -> tuple[Check, ...]:
    wanted = {*fix.mends, *fix.watches}
    return tuple(check for check in loaded.checks if wanted & {problem.code for problem in check.problems})


@functools.cache
def _names() -> dict[type, str]:
    return {facts.kind(name): name for name in facts.KINDS}


def sections_for(fix: Fix, loaded: Loaded) -> tuple[str, ...]:
    """The sections to observe: what the fix needs, and what the checks need that judge before and after."""
    functions: list[Any] = [function for function in (fix.make, fix.asks, fix.verify) if function is not None]
    functions += [check.judge for check in _checks(fix, loaded)]
    wanted = {need for function in functions for need in _fact_types(function)}
    return tuple(sorted(_names()[kind] for kind in wanted if kind in _names() and _names()[kind] not in LATER))


# Observed for a plan, never for an examination.
LATER = ("asked", "asked-places")


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
            raise UsageError(f"no plan can be made here: {fact.fact} is not known{told}")
    return arguments


def parameters(fix: Fix) -> dict[str, inspect.Parameter]:
    """The maker's options: its keyword-only parameters."""
    found = inspect.signature(fix.make, eval_str=True).parameters
    return {name: one for name, one in found.items() if one.kind is inspect.Parameter.KEYWORD_ONLY}


def _default(fix: Fix, name: str) -> Any:
    return parameters(fix)[name].default


def of_finding(finding: Finding, loaded: Loaded) -> tuple[Fix, tuple[str, ...]] | Plan:
    """The automatic fix of a finding with its arguments, or a plan that shows the command to paste.

    Raises:
        UsageError: no command mends it.
    """
    if finding.fix and finding.fix[0] in loaded.fixes:
        return loaded.fixes[finding.fix[0]], finding.fix[1:]
    if not finding.command:
        raise UsageError(f"no command mends {finding.code}; `envdoctor explain {finding.code}` says what does")
    from envdoctor.remedy import ByHand

    title = finding.words.title or Text(finding.code, finding.code)
    why = said("envdoctor does not do this by itself", "envdoctor 不会自动执行这一步")
    return Plan(title=Said(title, finding.evidence), by_hand=(ByHand(finding.command, why),))


def command_line(fix: str, arguments: Iterable[str]) -> str:
    """How the user asks for a fix."""
    return shlex.join(("envdoctor", "fix", fix, *arguments))
