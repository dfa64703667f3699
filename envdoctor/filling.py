"""Puts values into the `{holes}` of a sentence.

A hole is written as for `str.format`. One with a bar in its format is a word that goes with a number elsewhere in the
sentence: "{count} {count:node is|nodes are} down" says "1 node is down" and "3 nodes are down".
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BAR = "|"


class _Unknown:
    """Stands in a sentence for a value that is not known, whatever format it was to be shown in."""

    def __format__(self, spec: str) -> str:
        return "?"


class _Values(dict[str, Any]):
    def __missing__(self, key: str) -> object:
        return _Unknown()


class _Counting(string.Formatter):
    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return super().get_value(key, args, kwargs) if isinstance(key, int) else kwargs[key]

    def format_field(self, value: Any, format_spec: str) -> str:
        one, bar, many = format_spec.partition(BAR)
        if bar:
            return one if value == 1 or value == "1" else many
        return str(super().format_field(value, format_spec))


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The sentence; a value that is None or absent shows as `?`.

    Raises:
        ValueError, TypeError, LookupError: a value does not fit the format of its hole.
    """
    known = _Values({name: _Unknown() if value is None else value for name, value in values.items()})
    if BAR in template:
        return _Counting().vformat(template, (), known)
    return template.format_map(known)


def counted(number: int, one: str, many: str = "") -> str:
    """A number with the word that goes with it, in English: "1 host", "3 hosts"; `many` where no s makes the plural."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def pieces(template: str) -> Iterator[tuple[str, str]]:
    """What a template is made of, in order: texts, and the holes for values behind them by name, "" for none.

    A word that goes with a number is text, as it is for several.
    """
    for literal, name, spec, _ in string.Formatter().parse(template):
        _, bar, many = (spec or "").partition(BAR)
        if name is None or bar:
            yield literal + many, ""
        else:
            yield literal, name
