"""What a check looks at: the parts of its facts that it read, so that another node with the same ones needs no judge.

A check is a function of its facts. What it reads decides what it reads next and, in the end, what it says: facts that
agree in all that was read are judged alike, whatever else is in them (host names, counters, times).
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Hashable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from envdoctor.model import Missing


class Reads:
    """What was read of a fact: fields, of which None stands for all of one, and methods with their arguments. A
    property that the class names in PARTS counts as a field.

    The elements of a tuple share what was read of any of them.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Reads | None] = {}
        self.calls: set[tuple[str, tuple[Any, ...]]] = set()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reads) and (self.fields, self.calls) == (other.fields, other.calls)

    def of(self, name: str) -> Reads:
        """Where to note what is read of a field. Once all of it counts, what is read besides adds nothing."""
        known = self.fields.setdefault(name, Reads())
        return Reads() if known is None else known


def _is_fact(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _are_facts(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(_is_fact, value))


@functools.cache
def _watching(kind: type) -> type:
    """A class whose instances pass for those of `kind` and note what is read of them.

    Methods and properties that the class names in PARTS are noted with what they were asked, not with what they read
    for it.
    """
    names = frozenset(field.name for field in fields(kind))
    named = frozenset(getattr(kind, "PARTS", ()))
    properties = frozenset(name for name in named if isinstance(getattr(kind, name), property))
    held, parts = names | properties, named - properties
    plain = object.__getattribute__

    def __getattribute__(self: Any, name: str) -> Any:
        if name == "__class__":
            return kind
        reads: Reads = plain(self, "_reads")
        if name in held:
            seen = plain(self, "_seen")
            if name not in seen:
                value = getattr(plain(self, "_fact"), name)
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


def _part(reads: Reads, method: Callable[..., Any], part: str, /, *asked: Any, **named: Any) -> Any:
    if named:
        asked = inspect.signature(method).bind(*asked, **named).args
    reads.calls.add((part, asked))
    return method(*asked)


def watch(fact: Any, reads: Reads) -> Any:
    """The same fact; what is read of it from now on is noted in `reads`."""
    kind: type = type(fact)
    seen: Any = object.__new__(_watching(kind))
    for name, value in (("_fact", fact), ("_reads", reads), ("_seen", {}), ("__dict__", fact.__dict__)):
        object.__setattr__(seen, name, value)
    return seen


def reads(fact: Any) -> Reads | None:
    """Where to note what is read of a fact; None for what is not looked into: what is missing, or no dataclass."""
    return Reads() if _is_fact(fact) and not isinstance(fact, Missing) else None


Steps = tuple[tuple[str, bool], ...]  # fields, and whether of each of several facts
Part = tuple[tuple[Any, ...], Callable[[Any], Hashable]]


def parts(fact: Any, read: Reads | None) -> Iterator[Part]:
    """The parts of a fact that were read, each by its name and by how to get it from another fact of its kind."""
    if read is None:
        yield ((), lambda other: other)
    else:
        yield from _parts(read, fact, ())


def _parts(read: Reads, sample: Any, before: Steps) -> Iterator[Part]:
    first = sample[0] if isinstance(sample, tuple) else sample
    if before and not read.fields and not read.calls:
        # Whether it is there, or how many there are, shows without anything of them being read.
        (*around, (name, many)) = before
        yield (before, len if many else type), _getter(tuple(around), f"{'len' if many else 'type'}({{}}.{name})")
    for name, asked in read.calls:
        yield (before, name, asked), _getter(before, "call({})", operator.methodcaller(name, *asked))
    for name, inside in read.fields.items():
        value = getattr(first, name)
        if inside is not None:
            yield from _parts(inside, value, (*before, (name, isinstance(value, tuple))))
        elif (isinstance(value, dict) or _are_facts(value)) and name in vars(first):
            # What is not compared quickly is told by which object a field holds: readers make the same ones of the
            # same. What a property makes anew is no object that stays.
            yield (before, name, id), _getter(before, f"id({{}}.{name})")
        else:
            yield (before, name), _getter(before, f"{{}}.{name}")


def _getter(before: Steps, last: str, call: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """What gets something of a fact, of what lies behind a field of it, or of each of the facts there.

    It is compiled from one expression, such as "tuple([each.name for each in fact.leaves])", as it is asked for every
    leaf of every node, and calls within calls take half as long again.

    Args:
        last: what to get of the last fact, which stands for "{}"; it may be to `call` it.
    """
    return _compiled(_expression("fact", before, last))(call)


@functools.cache
def _compiled(expression: str) -> Callable[[Callable[[Any], Any] | None], Callable[[Any], Any]]:
    made: Callable[[Callable[[Any], Any] | None], Callable[[Any], Any]]
    made = eval(
        f"lambda call: lambda fact: {expression}",
        {"__builtins__": {"tuple": tuple, "id": id, "len": len, "type": type}},
    )
    return made


def _expression(fact: str, before: Steps, last: str) -> str:
    if not before:
        return last.format(fact)
    (name, many), *rest = before
    if many:
        return f"tuple([{_expression('each', tuple(rest), last)} for each in {fact}.{name}])"
    return _expression(f"{fact}.{name}", tuple(rest), last)
