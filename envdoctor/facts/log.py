"""What a text says happened: the lines in it that are known for a cause, with file, line, node and rank."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a line stands.

    Attributes:
        file: as the user named it, "-" for standard input.
        line: counted from 1.
        node: host name that the line's prefix tells; empty if it tells none.
        rank: global rank that the prefix tells, None if it tells none.
    """

    file: str = ""
    line: int = 0
    node: str = ""
    rank: int | None = None

    def __str__(self) -> str:
        told = [f"rank {self.rank}"] if self.rank is not None else []
        told += [self.node] if self.node else []
        return f"{self.file}:{self.line}" + (f" ({', '.join(told)})" if told else "")


@dataclass(frozen=True)
class Value:
    """A value that a line names, such as a driver release, under the name that the words use for it."""

    name: str = ""
    value: str = ""


@dataclass(frozen=True)
class Sighting:
    """A line that tells of a bad state.

    Attributes:
        signature: id of the row of the signature catalogue that knows the line.
        code: of the problem it tells of; "" for an error that is no problem of the environment (a bug of the
            program): it is not reported, but others may follow from it.
        kind: "root" where the line names a cause or narrows it to a few, "symptom" where it follows from something
            else that happened before or on another rank.
        severity: "error", "warning" or "note"; a line that allows several causes is no error.
        quote: the line, without prefixes, at most 400 characters.
        place: of its first appearance.
        order: place in time among all sightings; smaller is earlier.
        when: time of day or of the epoch that the line, or the nearest one before it, names, in seconds; None without.
        times: how often it was seen, in all files and ranks.
        ranks: the ranks that showed it, ascending, at most 64.
        values: what the line names.
        because_of: code of the problem that it follows from, where the text shows that one too.
    """

    signature: str = ""
    code: str = ""
    kind: str = "root"
    severity: str = "error"
    quote: str = ""
    place: Place = Place()
    order: int = 0
    when: float | None = None
    times: int = 1
    ranks: tuple[int, ...] = ()
    values: tuple[Value, ...] = ()
    because_of: str = ""


@dataclass(frozen=True)
class Told:
    """A fact that the text tells: the name of its section and where it begins."""

    section: str = ""
    place: Place = Place()


@dataclass(frozen=True)
class Log:
    """A text that was read, or several.

    Attributes:
        files: as the user named them.
        lines, size_bytes: of all files.
        sightings: in the order of time.
        told: where the facts stand that were read beside them.
    """

    files: tuple[str, ...] = ()
    lines: int = 0
    size_bytes: int = 0
    sightings: tuple[Sighting, ...] = ()
    told: tuple[Told, ...] = ()

    def of(self, code: str) -> tuple[Sighting, ...]:
        """The sightings of a problem, the first in time first."""
        return tuple(seen for seen in self.sightings if seen.code == code)
