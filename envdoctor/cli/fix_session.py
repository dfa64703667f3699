"""One run of `envdoctor fix`: show, ask, apply, verify, and say what came of it."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from envdoctor import examination, load, mending
from envdoctor.cli import options
from envdoctor.errors import CannotMend, Changed, Interrupted, UsageError
from envdoctor.facts.asked import Asked
from envdoctor.journal import Journal
from envdoctor.model import Finding, Text
from envdoctor.redact import Redactor
from envdoctor.remedy import Fix, Plan, Verdict
from envdoctor.render import Style
from envdoctor.transport import local
from envdoctor.transport.target import Target, choose

if TYPE_CHECKING:
    from envdoctor.journal import Entry
    from envdoctor.model import Language
    from envdoctor.render import fixes
    from envdoctor.snapshot import Snapshot

DID_NOT, DONE = 1, 0
QUESTION = Text("Apply?", "应用以上修改？")
UNDO_QUESTION = Text("Take this back?", "撤销以上修改？")
DECLINED = Text("nothing was changed", "未作任何修改")
HINT = Text("not applied; `{command}` does", "未应用；执行 `{command}` 即可应用")
CAUSE = Text("it comes of {cause}: `{command}` mends that", "它由 {cause} 引起：`{command}` 可修复")
INTERRUPTED = Text(
    "{id} was interrupted: `envdoctor fix --undo {id}` takes back what it has done",
    "{id} 中途被打断：执行 `envdoctor fix --undo {id}` 可撤销已做的部分",
)
# Why a Python was taken, where it is the one the user named or activated.
CHOSEN = ("asked", "virtual-env")
YES = ("y", "yes", "是")
# What the answer is written with; imported while the patient is at work.
NEEDED_LATER = ("envdoctor.render.fixes", "rich.console", "rich.text", "envdoctor.plan")


@dataclass(frozen=True)
class Session:
    """The command line of one run; `extra` are the arguments that belong to the fix.

    `target` is the Python it is about, once that is chosen.
    """

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
    target: Target | None = None
    _shown: list[str] = field(default_factory=list)

    def help(self, language: Language) -> int:
        """Print what a fix does and its options."""
        from envdoctor.cli import fix_options

        fix_options.show_help(self._known(load.everything(self.checks)), language)
        return DONE

    def list(self) -> int:
        """All fixes and what each mends."""
        from envdoctor.render import fix_lists

        loaded = load.everything(self.checks)
        self._write(fix_lists.listing(tuple(loaded.fixes.values()), self.json, self.style))
        return DONE

    def history(self) -> int:
        """What was applied and what became of it."""
        from envdoctor.render import fix_lists

        journal = Journal()
        self._write(fix_lists.history(tuple(journal.entries()), self.json, self.style, self.redactor))
        for broken in journal.unreadable():
            print(f"envdoctor: {self.redactor.text(broken)}", file=sys.stderr)
        return DONE

    def found_last(self) -> int:
        """What the last check found that can be mended; 1 if there is something."""
        from envdoctor import last_check
        from envdoctor.render import fix_lists

        remembered = last_check.read()
        self._write(fix_lists.found_last(remembered, self.json, self.style, self.redactor))
        with contextlib.suppress(CannotMend):  # without a home folder nothing can have been applied
            for entry in Journal().entries():
                if entry.state == "begun":
                    self._hint(INTERRUPTED, id=entry.id)
        return DID_NOT if remembered is not None and remembered.mendable else DONE

    def undo(self) -> int:
        """Take a fix back after showing what that changes."""
        from envdoctor import plan as plans
        from envdoctor.render import fixes

        journal = Journal()
        # `fix pip-mirror --undo` is what people type: the last one of that fix.
        entry = journal.last(self.name) or (journal.get(self.name) if self.name else None)
        if entry is None:
            raise UsageError(
                "no applied fix is left to undo; `envdoctor fix --history` shows all",
                "没有可撤销的修复；全部记录见 `envdoctor fix --history`",
            )
        if not entry.undoable:
            raise UsageError(
                f"{entry.id} is taken back already; `envdoctor fix --history` shows all",
                f"{entry.id} 已经撤销；全部记录见 `envdoctor fix --history`",
            )
        try:
            edits = plans.still_there(entry, journal.entries())
            left = bool(edits) or any(command.began and command.undo for command in entry.commands)
            shown = fixes.undoing(entry, edits, self.style, self.redactor)
            if self.diff and not left:
                self._show(shown)
                return self._told(fixes.undone(entry, edits, "nothing-to-do", self.style, self.redactor), DONE)
            if not self._agreed(shown, UNDO_QUESTION, f"envdoctor fix --undo {entry.id} --yes", sure=not left):
                return self._told(fixes.undone(entry, edits, "not-undone", self.style, self.redactor), DID_NOT)
            done = plans.undo(entry, journal)
        except Changed as error:
            # What was changed is shown, so that the user can decide which of the two is wanted.
            sys.stderr.write(fixes.changed_since(error, self.style, self.redactor))
            raise
        return self._told(fixes.undone(done, edits, "undone", self.style, self.redactor), DONE)

    def mend(self) -> int:
        """Show the plan, ask, apply it and look again."""
        target = choose(self.python)
        return replace(self, target=target)._mend(target)

    def _mend(self, target: Target) -> int:
        from envdoctor.cli import fix_options

        loaded = load.everything(self.checks)
        mender = mending.Mender(loaded, target, self._observe, self._measure, self.offline, self.timeout)
        _import_meanwhile()
        seen: Mapping[str, object] = {}
        given: tuple[str, ...] = ()
        fix, code = loaded.fixes.get(self.name), ""
        if fix is None:
            if self.name not in loaded.problems:
                self._refuse(loaded)
            found, seen = mender.find(self.name)
            finding = next((one for one in found if one.code == self.name), None)
            if finding is None:
                return self._not_there(mender.absent(self.name, seen))
            self._blame(finding, found)
            chosen = mending.of_finding(finding, loaded)
            if isinstance(chosen, Plan):
                return self._by_hand(chosen)
            (fix, given), code = chosen, self.name
        wanted = fix_options.parse(fix, [*given, *self.extra], self.style.language)
        prepared = mender.prepare(fix, wanted, seen)
        self._name_python()
        if not prepared.plan.changes:
            return self._nothing_to_change(mender, prepared, code)
        from envdoctor.render import fixes

        shown = fixes.proposal(prepared.plan, self.style, self.redactor)
        command = mending.command_line(fix.name, [*prepared.arguments(), *self._same_run(loaded, fix), "--yes"])
        if not self._agreed(shown, QUESTION, command):
            said = fixes.planned(fix, prepared.plan, "would-change", self.style, self.redactor)
            return self._told(said, DID_NOT)
        return self._apply(mender, prepared, code)

    def _apply(self, mender: mending.Mender, prepared: mending.Prepared, code: str) -> int:
        from envdoctor import plan as plans
        from envdoctor.render import fixes

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
            verdict = mender.verify(prepared, code)
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"interrupted before it was checked again; {_way_back(entry)}",
                f"已中断，未能再次检查；修复已应用，可用 `envdoctor fix --undo {entry.id}` 撤销",
            ) from error
        except BaseException:
            # It is applied, and how to take it back must be known whatever ends the second look.
            print(f"envdoctor: {_way_back(entry)}", file=sys.stderr)
            raise
        state = "applied" if verdict.effective else "not-effective"
        if verdict.broken:
            entry = plans.roll_back(entry, journal)
            state = "rolled-back"
        elif plan.by_hand:
            state = "by-hand-left" if verdict.effective else state
        said = fixes.result(fix, plan, entry, verdict, state, self.style, self.redactor)
        return self._told(said, DONE if state == "applied" else DID_NOT)

    def _nothing_to_change(self, mender: mending.Mender, prepared: mending.Prepared, code: str) -> int:
        from envdoctor.render import fixes

        plan = prepared.plan
        verdict = Verdict() if plan.by_hand else mender.verify(prepared, code)
        state = "by-hand" if plan.by_hand else "nothing-to-do" if verdict.effective else "not-effective"
        said = fixes.result(prepared.fix, plan, None, verdict, state, self.style, self.redactor)
        return self._told(said, DONE if state == "nothing-to-do" else DID_NOT)

    def _not_there(self, absent: str) -> int:
        from envdoctor.render import fixes

        self._name_python()
        return self._told(fixes.nothing_found(self.name, absent, self.style, self.redactor), DONE)

    def _by_hand(self, plan: Plan) -> int:
        """Show the command that mends a finding and that is not envdoctor's to run."""
        from envdoctor.render import fixes

        if self.extra:
            raise UsageError(
                f"{self.extra[0]!r} belongs to no fix: none mends {self.name} by itself",
                f"{self.extra[0]!r} 不属于任何修复：没有修复能自动处理 {self.name}",
            )
        self._name_python()
        return self._told(fixes.planned(None, plan, "by-hand", self.style, self.redactor), DID_NOT)

    def _blame(self, finding: Finding, found: tuple[Finding, ...]) -> None:
        """Say so where something else causes what is to be mended."""
        cause = next((one for one in found if one.code == finding.because_of), None)
        if cause is not None:
            self._hint(CAUSE, cause=cause.code, command=cause.command or f"envdoctor explain {cause.code}")

    def _name_python(self) -> None:
        """Say which Python it is about, where the user has not chosen it."""
        from envdoctor.render import fixes

        if self.target is not None and self.target.why not in CHOSEN and not (self.json or self.quiet):
            self._show(fixes.looked_at(self.target, self.style, self.redactor))

    def _known(self, loaded: load.Loaded) -> Fix:
        return loaded.fixes.get(self.name) or self._refuse(loaded)

    def _refuse(self, loaded: load.Loaded) -> NoReturn:
        near = _near(self.name, self.extra, loaded)
        hint = f" (did you mean {near!r}?)" if near else ""
        hint_zh = f"（是否指 {near!r}？）" if near else ""
        broken = "".join(f"; {path} did not load: {error}" for path, error in loaded.broken.items())
        broken_zh = "".join(f"；{path} 未能加载：{error}" for path, error in loaded.broken.items())
        raise UsageError(
            f"{self.name!r} is neither a fix nor a code{hint}; `envdoctor fix --list` shows them all{broken}",
            f"{self.name!r} 既不是修复名也不是问题代码{hint_zh}；全部修复见 `envdoctor fix --list`{broken_zh}",
        )

    def _same_run(self, loaded: load.Loaded, fix: Fix) -> tuple[str, ...]:
        """The common options without which the same command line would do something else."""
        python = ("--python", self.python) if self.python else ()
        return (*python, *loaded.carried(fix.name), *(("--offline",) if self.offline else ()))

    def _observe(self, target: Target, request: local.Request) -> Snapshot:
        from envdoctor.cli.progress import Progress
        from envdoctor.snapshot import to_json

        with Progress(self.style.language, request.limit_s, self.quiet) as progress:
            asked = Asked(offline=request.offline)
            snapshot = examination.of_this_machine(target, request, asked, progress.record)
        self.redactor.learn(to_json(snapshot))
        return snapshot

    def _measure(self, name: str, known: Mapping[type, object]) -> object:
        from envdoctor.cli import measuring

        return measuring.measure(name, known, self.style, self.quiet)

    def _agreed(self, shown: str, question: Text, command: str, sure: bool = False) -> bool:
        """Show what is going to happen and have the user say yes; --diff and a missing terminal mean no."""
        here = bool(sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()) and not self.json
        asking = here and not (self.diff or self.yes or sure)
        if not self.json and not (self.quiet and self.yes):
            self._show(shown)
        if asking and self.output is not None:
            options.write(shown, None)  # nobody can agree to what went into a file
        if self.diff:
            return False
        if self.yes or sure:
            return True
        if not asking:
            self._hint(HINT, command=command)
            return False
        print(f"\n{question.say(self.style.language)} [y/N] ", end="", flush=True)
        try:
            answer = sys.stdin.buffer.readline().decode("utf-8", "replace").strip().lower()
        except KeyboardInterrupt as error:
            print(flush=True)
            raise Interrupted("interrupted; nothing was changed", "已中断；未做任何改动") from error
        if answer not in YES:
            self._hint(DECLINED)
        return answer in YES

    def _hint(self, text: Text, **values: str) -> None:
        if not self.quiet:
            exact = {name: self.redactor.text(value, names=False) for name, value in values.items()}
            print(text.say(self.style.language, exact), file=sys.stderr)

    def _show(self, text: str) -> None:
        """Print a part of the report; a file takes it with the rest, in the end."""
        if self.output is None:
            self._write(text)
        else:
            self._shown.append(text)

    def _told(self, said: fixes.Outcome, code: int) -> int:
        if self.target is not None:
            python = {"python": self.redactor.own(self.target.python), "python_why": self.target.why}
            said = replace(said, told={**said.told, **python})
        self._write(said.document() if self.json else "".join(self._shown) + said.text)
        return code

    def _write(self, document: str) -> None:
        options.write(document, self.output)


def _near(name: str, extra: tuple[str, ...], loaded: load.Loaded) -> str:
    """The fix or code that was meant: written otherwise, in two words, by its beginning or with a slip; "" for none."""
    from difflib import get_close_matches

    known = [*loaded.fixes, *loaded.problems]
    asked = name.lower().replace("_", "-")
    likely = [asked, f"{asked}-{extra[0].lower()}" if extra else ""]
    likely += [fix for fix in loaded.fixes if fix.startswith(f"{asked}-")]
    return next(iter([one for one in likely if one in known] or get_close_matches(asked, known, n=1, cutoff=0.6)), "")


def _way_back(entry: Entry) -> str:
    return f"the change is applied; `envdoctor fix --undo {entry.id}` takes it back"


def _import_meanwhile() -> None:
    """Import what the answer is written with while the patient is at work."""

    def work() -> None:
        for name in NEEDED_LATER:
            importlib.import_module(name)

    try:
        threading.Thread(target=work, daemon=True).start()
    except RuntimeError:
        return  # no thread may start: they are imported when they are needed
