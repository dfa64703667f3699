"""What a check looks at: the parts of its facts that it read, so that another node with the same ones needs no judge.

A check is a function of its facts. What it reads decides what it reads next and, in the end, what it says: facts that
agree in all that was read are judged alike, whatever else is in them (host names, counters, times).
"""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from envdoctor.model import Missing

Told = list[Any]  # findings
# A check that has not met its like among so many nodes looks at what no two nodes share.
TRIES = 12
MOST_WAYS = 8  # through a check, by what is read on it


class Reads:
    """What was read of a fact: fields, of which None stands for all of one, and methods with their arguments.

    The elements of a tuple share what was read of any of them.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Reads | None] = {}
        self.calls: set[tuple[str, tuple[Any, ...]]] = set()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reads) and (self.fields, self.calls) == (other.fields, other.calls)

    def of(self, name: str) -> Reads:
        """What was read of a field."""
        known = self.fields.get(name)
        if known is None:
            known = self.fields[name] = Reads()
        return known


def _is_fact(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _are_facts(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(_is_fact, value))


@functools.cache
def _watching(kind: type) -> type:
    """A class whose instances pass for those of `kind` and note what is read of them.

    Methods that the class names in PARTS are noted with what they were asked, not with what they read for it.
    """
    names = frozenset(field.name for field in fields(kind))
    parts = frozenset(getattr(kind, "PARTS", ()))
    plain = object.__getattribute__

    def __getattribute__(self: Any, name: str) -> Any:
        if name == "__class__":
            return kind
        reads: Reads = plain(self, "_reads")
        if name in names:
            seen = plain(self, "_seen")
            if name not in seen:
                value = plain(self, name)
                if _are_facts(value):
                    seen[name] = tuple([watch(each, reads.of(name)) for each in value])
                elif _is_fact(value):
                    seen[name] = watch(value, reads.of(name))
                else:
                    reads.fields[name] = None
                    seen[name] = value
            return seen[name]
        if name in parts:
            return functools.partial(_part, reads, getattr(plain(self, "_fact"), name), name)
        if name == "__dict__" or name in plain(self, "__dict__"):
            # What was worked out of the fields once and kept there.
            reads.fields.update(dict.fromkeys(names))
        return plain(self, name)

    space = {"__slots__": ("_fact", "_reads", "_seen"), "__getattribute__": __getattribute__}
    return type(kind.__name__, (kind,), space)


def _part(reads: Reads, method: Callable[..., Any], name: str, *asked: Any) -> Any:
    reads.calls.add((name, asked))
    return method(*asked)


def watch(fact: Any, reads: Reads) -> Any:
    """The same fact; what is read of it from now on is noted in `reads`."""
    kind: type = type(fact)
    seen: Any = object.__new__(_watching(kind))
    for name, value in (("_fact", fact), ("_reads", reads), ("_seen", {}), ("__dict__", fact.__dict__)):
        object.__setattr__(seen, name, value)
    return seen


Steps = tuple[tuple[str, bool], ...]


class Part:
    """One part of the facts of a kind, and which of them have it in common: the same number for the same value."""

    def __init__(self, get: Callable[[Any], Hashable]) -> None:
        self._get = get
        self._numbers: dict[Hashable, int] = {}
        self.known: dict[int, int] = {}  # by the identity of a fact

    def of(self, fact: Any) -> int:
        """The number of what a fact holds there. Raises TypeError or AttributeError where it is shaped otherwise."""
        number = self.known.get(id(fact))
        if number is None:
            number = self._numbers.setdefault(self._get(fact), len(self._numbers))
            self.known[id(fact)] = number
        return number


class Parts:
    """The parts that checks have looked at, which others that look at them share. The facts are to be kept alive."""

    def __init__(self) -> None:
        self._parts: dict[Hashable, Part] = {}

    def read(self, reads: Reads, sample: Any) -> list[Part]:
        """The parts of a fact that were read."""
        return list(self._of(type(sample), reads, sample, ()))

    def _of(self, kind: type, reads: Reads, sample: Any, before: Steps) -> Iterator[Part]:
        first = sample[0] if isinstance(sample, tuple) else sample
        for name, asked in reads.calls:
            yield self._part((kind, before, name, asked), before, operator.methodcaller(name, *asked))
        for name, inside in reads.fields.items():
            value = getattr(first, name)
            if inside is not None:
                yield from self._of(kind, inside, value, (*before, (name, isinstance(value, tuple))))
            elif isinstance(value, dict) or _are_facts(value):
                # What is not compared quickly is told by which object it is: readers make the same ones of the same.
                yield self._part((kind, before, name, id), before, _identity_of(name))
            else:
                yield self._part((kind, before, name), before, operator.attrgetter(name))

    def _part(self, key: Hashable, before: Steps, last: Callable[[Any], Any]) -> Part:
        if key not in self._parts:
            get = last
            for name, many in reversed(before):
                get = _through(name, many, get)
            self._parts[key] = Part(get)
        return self._parts[key]


def _identity_of(name: str) -> Callable[[Any], int]:
    """What tells which object a field holds."""
    own = operator.attrgetter(name)
    return lambda fact: id(own(fact))


def _through(name: str, many: bool, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What gets something of a field of a fact, or of each of the facts in it."""
    own = operator.attrgetter(name)
    if many:
        return lambda fact: tuple([inner(each) for each in own(fact)])
    return lambda fact: inner(own(fact))


class _Way:
    """One way through a check: what is read on it, and what was said by what was read."""

    def __init__(self, reads: Sequence[Reads | None], arguments: Sequence[Any], parts: Parts) -> None:
        self.reads = reads
        self._parts = [
            (number, part.known, part)
            for number, read in enumerate(reads)
            if read is not None
            for part in parts.read(read, arguments[number])
        ]
        self._plain = [number for number, read in enumerate(reads) if read is None]
        self.told: dict[Hashable, Told] = {}

    def key(self, arguments: Sequence[Any]) -> Hashable:
        # Looked up here and not by a call: of thousands of nodes there are millions.
        read = tuple([
            part.of(arguments[number]) if (own := known.get(id(arguments[number]))) is None else own
            for number, known, part in self._parts
        ])  # fmt: skip
        return (read, *[arguments[number] for number in self._plain]) if self._plain else read


class Memory:
    """What a check said of the facts it was shown."""

    def __init__(self, judge: Callable[..., Any], parts: Parts | None = None) -> None:
        self._judge = judge
        self._parts = parts or Parts()
        # By the identities of the facts, which are kept: another object must not get the place of one of them.
        self._same: dict[tuple[int, ...], tuple[Told, Sequence[Any]]] = {}
        self._ways: dict[tuple[type, ...], list[_Way]] = {}
        self._tries = TRIES

    def ask(self, arguments: Sequence[Any]) -> Told:
        """What the check says of these facts, from memory where it has seen their like."""
        same = tuple([id(argument) for argument in arguments])
        if same not in self._same:
            told = self._like(arguments) if self._tries else list(self._judge(*arguments))
            self._same[same] = told, arguments
        return self._same[same][0]

    def _like(self, arguments: Sequence[Any]) -> Told:
        ways = self._ways.setdefault(tuple([type(argument) for argument in arguments]), [])
        for way in ways:
            try:
                told = way.told.get(way.key(arguments))
            except (TypeError, AttributeError, IndexError):
                continue  # shaped otherwise
            if told is not None:
                self._tries = TRIES
                return told
        self._tries -= 1
        shown = list(arguments)
        reads: list[Reads | None] = [None] * len(shown)
        for number, argument in enumerate(arguments):
            if _is_fact(argument) and not isinstance(argument, Missing):
                reads[number] = read = Reads()
                shown[number] = watch(argument, read)
        told = list(self._judge(*shown))
        taken = next((way for way in ways if way.reads == reads), None)
        if taken is None and len(ways) < MOST_WAYS:
            taken = _Way(reads, arguments, self._parts)
            ways.append(taken)
        if taken is not None:
            with contextlib.suppress(TypeError):  # a value that cannot be looked up
                taken.told[taken.key(arguments)] = told
        return told
