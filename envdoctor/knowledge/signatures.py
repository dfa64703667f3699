"""The signature catalogue: what error lines look like, what they mean and what else must be known to be sure.

One table per field of knowledge in signatures/*.toml. A row's words are its own where the problem's do not fit a
line of text; rules that need more than one line are functions of `envdoctor.readers.decisions`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from envdoctor import knowledge
from envdoctor.model import Text

TABLES = (
    "cuda",
    "container",
    "gpu_health",
    "imports",
    "host",
    "rendezvous",
    "launch",
    "nccl",
    "fabric",
    "packages",
    "mentions",
    "general",
)


@dataclass(frozen=True)
class Words:
    """A sentence in both languages, without holes for values that the row's expression does not name."""

    en: str = ""
    zh: str = ""

    @property
    def text(self) -> Text | None:
        """None where nothing is said."""
        return Text(self.en, self.zh) if self.en else None


@dataclass(frozen=True)
class Signature:
    """A row.

    Attributes:
        id: never reused.
        code: of the problem it tells of; "" for an error that is no matter of the environment.
        kind: "root" where the line names a cause or narrows it to a few, "symptom" where it follows from another
            failure that must be looked for first, "noise" where it is normally harmless (kept so that nobody adds it).
        severity: "error" only where the line settles the class; "warning" or "note" where it does not.
        needles: literals; a line that holds none of them is never tried. Lower and upper case count.
        pattern: Python's re, searched in the line without its prefixes; named groups become evidence.
        lines: how many lines of the same rank the pattern may span, the first with the needle.
        title, why, help: the words of the finding; without `why` and `help` the problem's, if they have no holes.
        look: the command that shows the fact to decide by.
        consequence_of: ids of rows or codes; where one of them was seen as well, this line follows from it.
        decide: "module.function" of `envdoctor.readers.decisions` that settles the reading from all that was read.
        example: a line that it matches, made up around the real wording; none: what it must not match.
        source: the file that prints it, or where the wording is known from.
    """

    id: str
    code: str
    needles: tuple[str, ...]
    pattern: str
    kind: str = "root"
    severity: str = "error"
    lines: int = 1
    title: Words = field(default_factory=Words)
    why: Words = field(default_factory=Words)
    help: Words = field(default_factory=Words)
    look: str = ""
    consequence_of: tuple[str, ...] = ()
    decide: str = ""
    example: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    source: str = ""


@functools.cache
def rows() -> tuple[Signature, ...]:
    """All rows of all tables."""
    return tuple(row for name in TABLES for row in knowledge.rows(f"signatures/{name}", "signature", Signature))


@functools.cache
def by_id() -> dict[str, Signature]:
    return {row.id: row for row in rows()}


@dataclass(frozen=True)
class Told:
    """Words for what a reader finds by a rule over several lines; its sightings name the row in place of a signature.

    Attributes:
        id: code:situation. title, why, help, look, decide: as of a signature, with holes for what the reader tells.
    """

    id: str
    title: Words
    why: Words = field(default_factory=Words)
    help: Words = field(default_factory=Words)
    look: str = ""
    decide: str = ""


@functools.cache
def told() -> dict[str, Told]:
    """The words of readers' rules by their id."""
    return {row.id: row for row in knowledge.rows("signatures/told", "told", Told)}


@dataclass(frozen=True)
class Remedy:
    """What to do about a problem that a text tells of, wherever the text comes from."""

    code: str
    en: str
    zh: str


@functools.cache
def remedy(code: str) -> Text | None:
    """The remedy for texts of a code; None where the problem's own help was written for texts."""
    known = knowledge.rows("signatures/remedies", "remedy", Remedy)
    return next((Text(row.en, row.zh) for row in known if row.code == code), None)
