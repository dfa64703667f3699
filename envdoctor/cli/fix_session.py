"""One run of `envdoctor fix`: show, ask, apply, verify, and say what came of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envdoctor import examination, load, mending
from envdoctor.cli import options
from envdoctor.errors import Changed, UsageError
from envdoctor.facts.asked import Asked
from envdoctor.journal import Journal
from envdoctor.model import Finding, Text
from envdoctor.redact import Redactor
from envdoctor.remedy import Fix, Plan, Verdict
from envdoctor.render import Style, fixes
from envdoctor.transport import local
from envdoctor.transport.target import Target, choose

if TYPE_CHECKING:
    from envdoctor.model import Language
    from envdoctor.snapshot import Snapshot

DID_NOT, DONE = 1, 0
QUESTION = Text("Apply?", "应用以上修改？")
UNDO_QUESTION = Text("Take this back?", "撤销以上修改？")


@dataclass(frozen=True)
class Session:
    """The command line of one run; `extra` are the arguments that belong to the fix."""

    name: str
    extra: tuple[str, ...]
    diff: bool
    yes: bool
    python: str
    offline: bool
    timeout: float
    checks: tuple[Path, ...]
    json: bool
    output: Path | None
    style: Style
    redactor: Redactor
    quiet: bool = False

    def help(self, language: Language) -> int:
        """Print what a fix does and its options."""
        from envdoctor.cli import fix_options

        loaded = load.everything(self.checks)
        fix_options.show_help(self._known(loaded), language)
        return DONE

    def list(self) -> int:
        """All fixes and what each mends."""
        loaded = load.everything(self.checks)
        self._write(fixes.listing(tuple(loaded.fixes.values()), self.json, self.style))
        return DONE

    def history(self) -> int:
        """What was applied and what became of it."""
        self._write(fixes.history(tuple(Journal().entries()), self.json, self.style, self.redactor))
        return DONE

    def found_last(self) -> int:
        """What the last check found that can be mended; 1 if there is something."""
        from envdoctor import last_check

        remembered = last_check.read()
        self._write(fixes.found_last(remembered, self.json, self.style, self.redactor))
        return DID_NOT if remembered is not None and remembered.mendable else DONE

    def undo(self) -> int:
        """Take a fix back after showing what that changes."""
        from envdoctor import plan as plans

        journal = Journal()
        entry = journal.get(self.name) if self.name else journal.last()
        if entry is None:
            raise UsageError("no applied fix is left to undo; `envdoctor fix --history` shows all")
        if not entry.undoable:
            raise UsageError(f"{entry.id} is taken back already; `envdoctor fix --history` shows all")
        try:
            edits = plans.still_there(entry)
            shown = fixes.undoing(entry, edits, self.style, self.redactor)
            if not self._agreed(shown, UNDO_QUESTION, f"envdoctor fix --undo {entry.id} --yes"):
                return self._told(fixes.undone(entry, edits, "not-undone", self.style, self.redactor), DID_NOT)
            done = plans.undo(entry, journal)
        except Changed as error:
            # What was changed is shown, so that the user can decide which of the two is wanted.
            sys.stderr.write(fixes.changed_since(error, self.style, self.redactor))
            raise
        return self._told(fixes.undone(done, edits, "undone", self.style, self.redactor), DONE)

    def mend(self) -> int:
        """Show the plan, ask, apply it and look again."""
        loaded = load.everything(self.checks)
        target = choose(self.python)
        mender = mending.Mender(loaded, target, self._observe, self._measure, self.offline, self.timeout)
        chosen = self._chosen(loaded, target)
        if chosen is None:
            return self._told(fixes.nothing_found(self.name, self.style), DONE)
        if isinstance(chosen, Plan):
            return self._told(fixes.planned(None, chosen, "by-hand", self.style, self.redactor), DID_NOT)
        fix, given = chosen
        from envdoctor.cli import fix_options

        wanted = fix_options.parse(fix, [*given, *self.extra], self.style.language)
        prepared = mender.prepare(fix, wanted)
        self._learn(prepared.snapshot)
        plan = prepared.plan
        if not plan.changes:
            return self._nothing_to_change(mender, prepared)
        shown = fixes.proposal(plan, self.style, self.redactor)
        command = mending.command_line(fix.name, prepared.arguments())
        if not self._agreed(shown, QUESTION, f"{command} --yes"):
            return self._told(fixes.planned(fix, plan, "would-change", self.style, self.redactor), DID_NOT)
        return self._apply(mender, prepared)

    def _apply(self, mender: mending.Mender, prepared: mending.Prepared) -> int:
        from envdoctor import plan as plans

        journal = Journal()
        fix, plan = prepared.fix, prepared.plan
        applied = plans.apply(plan, fix, journal, prepared.arguments(), mender.target.python)
        if applied.failed is not None:
            failed = (applied.failed, applied.status)
            return self._told(
                fixes.result(fix, plan, applied.entry, Verdict(), "failed", self.style, self.redactor, failed), DID_NOT
            )
        entry = applied.entry
        try:
            verdict = mender.verify(prepared)
        except BaseException:
            # It is applied, and how to take it back must be known whatever ends the second look.
            sys.stderr.write(fixes.not_verified(entry, self.style))
            raise
        state = "applied" if verdict.effective else "not-effective"
        if verdict.broken:
            entry = plans.roll_back(entry, journal)
            state = "rolled-back"
        elif plan.by_hand:
            state = "by-hand-left" if verdict.effective else state
        said = fixes.result(fix, plan, entry, verdict, state, self.style, self.redactor)
        return self._told(said, DONE if state == "applied" else DID_NOT)

    def _nothing_to_change(self, mender: mending.Mender, prepared: mending.Prepared) -> int:
        plan = prepared.plan
        verdict = mender.verify(prepared) if prepared.fix.verify is not None and not plan.by_hand else Verdict()
        state = "by-hand" if plan.by_hand else "nothing-to-do" if verdict.effective else "not-effective"
        said = fixes.result(prepared.fix, plan, None, verdict, state, self.style, self.redactor)
        return self._told(said, DONE if state == "nothing-to-do" else DID_NOT)

    def _known(self, loaded: load.Loaded) -> Fix:
        from difflib import get_close_matches

        if found := loaded.fixes.get(self.name):
            return found
        near = get_close_matches(self.name, [*loaded.fixes, *loaded.problems], n=1, cutoff=0.6)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(f"{self.name!r} is neither a fix nor a code{hint}; `envdoctor fix --list` shows them all")

    def _chosen(self, loaded: load.Loaded, target: Target) -> tuple[Fix, tuple[str, ...]] | Plan | None:
        """The fix that the name or code stands for; a plan of commands to paste; None where nothing is wrong."""
        if self.name not in loaded.problems or self.name in loaded.fixes:
            return self._known(loaded), ()
        finding = self._finding(loaded, target)
        return None if finding is None else mending.of_finding(finding, loaded)

    def _finding(self, loaded: load.Loaded, target: Target) -> Finding | None:
        from envdoctor import judgement

        snapshot = self._observe(target, local.Request(limit_s=self.timeout, offline=self.offline))
        self._learn(snapshot)
        report = judgement.judge([snapshot], loaded, [self.name])
        return next((finding for finding in report.findings if finding.code == self.name), None)

    def _observe(self, target: Target, request: local.Request) -> Snapshot:
        from envdoctor.cli.progress import Progress

        with Progress(self.style.language, request.limit_s, self.quiet) as progress:
            asked = Asked(offline=request.offline)
            return examination.of_this_machine(target, request, asked, progress.record)

    def _measure(self, name: str, known: Any) -> object:
        from envdoctor.cli import measuring

        return measuring.measure(name, known, self.style, self.quiet)

    def _learn(self, snapshot: Snapshot) -> None:
        from envdoctor.snapshot import to_json

        self.redactor.learn(to_json(snapshot))

    def _agreed(self, shown: str, question: Text, command: str) -> bool:
        """Show what is going to happen and have the user say yes; --diff and a missing terminal mean no."""
        if not self.json:
            self._write(shown)
        if self.diff:
            return False
        if self.yes:
            return True
        if self.json or not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
            hint = Text("not applied; `{command}` does", "未应用；执行 `{command}` 即可应用")
            print(hint.say(self.style.language, {"command": self.redactor.text(command)}), file=sys.stderr)
            return False
        print(f"\n{question.say(self.style.language)} [y/N] ", end="", file=sys.stdout, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes", "是")

    def _told(self, said: fixes.Outcome, code: int) -> int:
        self._write(said.document() if self.json else said.text)
        return code

    def _write(self, document: str) -> None:
        options.write(document, self.output)
