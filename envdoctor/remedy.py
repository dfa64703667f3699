"""The values a remedy is made of: fixes, their plans, and the edits and commands of a plan.

A fix is a pure function of facts, files and options to a `Plan`. It changes nothing: `envdoctor.plan` alone
applies, records and undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from envdoctor.model import Finding, Language, Scalar, Text


@dataclass(frozen=True)
class Said:
    """A sentence with the values of its holes."""

    text: Text
    values: Mapping[str, Scalar] = field(default_factory=dict)

    def say(self, language: Language) -> str:
        return self.text.say(language, self.values)


def said(en: str, zh: str, /, **values: Scalar) -> Said:
    """A sentence in both languages; `{holes}` take the values."""
    return Said(Text(en, zh), values)


class Files:
    """The files of the machine to be mended, as a maker of plans may look at them.

    Args:
        content: path -> bytes; what is not named is absent.
        locked: paths this user may not replace, because of their owner, mode or folder.
        links: path -> the file it leads to.
    """

    def __init__(
        self,
        content: Mapping[str, bytes] | None = None,
        locked: Iterable[str] = (),
        links: Mapping[str, str] | None = None,
    ) -> None:
        self._content = dict(content or {})
        self._locked = frozenset(locked)
        self._links = dict(links or {})

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, None where there is none. Raises OSError where it cannot be read."""
        return self._content.get(self.resolve(path))

    def writable(self, path: str) -> bool:
        """Whether this user may replace the file, or make it with the folders above it."""
        return path not in self._locked and self.resolve(path) not in self._locked

    def resolve(self, path: str) -> str:
        """The file a path leads to."""
        return self._links.get(path, path)


@dataclass(frozen=True)
class EditFile:
    """A file's bytes, before and after.

    Attributes:
        path: as the user knows it; a symbolic link stays one.
        before: the bytes the plan was made for; None where there is no file.
        after: the new bytes; None takes the file away.
        mode: permission bits of a file that is made; an existing one keeps its own.
        by_hand: the command that does the same, for a user who may not write there but may use sudo; "" for one
            that writes the whole file.
    """

    path: str
    before: bytes | None
    after: bytes | None
    mode: int = 0o644
    by_hand: str = ""

    @property
    def changes(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class RunCommand:
    """A command that is run after the edits.

    Attributes:
        argv: the program and its arguments; no shell reads them.
        why: what it does.
        undo: the command that takes it back; empty where there is none, which is said before it runs.
    """

    argv: tuple[str, ...]
    why: Said
    undo: tuple[str, ...] = ()


@dataclass(frozen=True)
class ByHand:
    """A command for the user to paste: it needs root, the owner of a container, or this very shell."""

    command: str
    why: Said


@dataclass(frozen=True)
class Remark:
    """Something to know about a plan: what it will not do, what stands against it."""

    said: Said
    level: Literal["note", "warning"] = "note"


@dataclass(frozen=True)
class Plan:
    """What a fix would do, whole, before any of it is done.

    Attributes:
        title: what will be so afterwards.
        edits: files to change, applied in order and all or none.
        commands: run after the edits, in order.
        by_hand: what envdoctor does not do itself; shown, labelled as not automatic.
        remarks: what to know before saying yes.
        wants: values for the fix's `verify` to compare with.
    """

    title: Said
    edits: tuple[EditFile, ...] = ()
    commands: tuple[RunCommand, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    remarks: tuple[Remark, ...] = ()
    wants: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether applying it would do anything."""
        return bool(self.commands) or any(edit.changes for edit in self.edits)


@dataclass(frozen=True)
class Place:
    """An address that a plan relies on and that is asked before it is made. `kind` is "index" or "channel"."""

    url: str
    kind: Literal["index", "channel"] = "index"


@dataclass(frozen=True)
class Option:
    """An option of a fix on the command line: a keyword-only parameter of its maker.

    Attributes:
        help: what it does.
        metavar: the name of its value.
        argument: it is given without its name, as NAME=VALUE is.
        measures: the option needs this measured fact, "mirror-speeds".
    """

    help: Text
    metavar: str = ""
    argument: bool = False
    measures: str = ""


@dataclass(frozen=True)
class Fix:
    """A maker of plans and what is known of it. Made by `fix`.

    Attributes:
        name: kebab-case, what the user types.
        about: what it does, in a line.
        make: parameters are facts and `Files`, keyword-only parameters are options; gives a Plan.
        mends: codes of problems it can mend.
        watches: further codes that are judged before and after: what a change could break or leave without effect.
        asks: facts and options -> the places to be asked over the network before the plan is made.
        verify: the plan and the facts afterwards -> why it is not in effect, in sentences; nothing where it is.
        options: keyword-only parameter -> what the command line says of it.
    """

    name: str
    about: Text
    make: Callable[..., Plan]
    mends: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    asks: Callable[..., Iterable[Place]] | None = None
    verify: Callable[..., Iterable[Said]] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    topic: str = ""

    def __call__(self, *facts: object, **options: Any) -> Plan:
        """Make the plan, for tests and for curiosity."""
        return self.make(*facts, **options)


def fix(
    name: str,
    about: Text,
    *,
    mends: tuple[str, ...] = (),
    watches: tuple[str, ...] = (),
    asks: Callable[..., Iterable[Place]] | None = None,
    verify: Callable[..., Iterable[Said]] | None = None,
    options: Mapping[str, Option] | None = None,
) -> Callable[[Callable[..., Plan]], Fix]:
    """Make a fix of a function from facts, files and options to a `Plan`.

    Its positional parameters are annotated with facts, as a check's are, or with `Files`; each keyword-only parameter
    is an option of the command line: bool is a flag, str and int take a value, tuple[str, ...] may be given again.
    """

    def make(maker: Callable[..., Plan]) -> Fix:
        return Fix(name, about, maker, mends, watches, asks, verify, dict(options or {}))

    return make


@dataclass(frozen=True)
class Verdict:
    """What was seen when the machine was examined again after a plan was applied.

    Attributes:
        against: why it is not in effect; empty where it is.
        gone: codes that were found before and no longer are.
        left: findings about what the fix mends or watches that are there now.
        broken: errors that were not there before: the plan is rolled back for them.
        unmended: codes that it was to mend and that are there still.
    """

    against: tuple[Said, ...] = ()
    gone: tuple[str, ...] = ()
    left: tuple[Finding, ...] = ()
    broken: tuple[Finding, ...] = ()
    unmended: tuple[str, ...] = ()

    @property
    def effective(self) -> bool:
        return not self.against and not self.broken and not self.unmended
