"""Turns a section's JSON value into its fact, checked field by field against the dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envdoctor import facts
from envdoctor.model import Missing, Why


def fact(name: str, value: Any) -> object:
    """The fact of section `name`.

    Args:
        value: what the JSON held; unknown fields are dropped, absent ones take their default.

    Returns:
        The dataclass, or Missing with reason "invalid" for a value that does not fit it.
    """
    import msgspec

    try:
        return msgspec.convert(value, facts.kind(name))
    except (msgspec.ValidationError, RecursionError) as error:
        return Missing(name, Why.INVALID.value, str(error))


def encode(found: object) -> Any:
    """The JSON value of a fact, the inverse of `fact`."""
    import msgspec

    return msgspec.to_builtins(found)


def by_type(sections: Mapping[str, object]) -> dict[type, object]:
    """Section name -> fact, turned into fact type -> fact, as the engine wants it."""
    return {facts.kind(name): found for name, found in sections.items() if name in facts.KINDS}
