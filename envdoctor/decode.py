"""Turns a section's JSON value into its fact, checked field by field against the dataclass."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from envdoctor import facts
from envdoctor.model import Missing, Why

# msgspec 0.22 shows what it knows of a class on the class while it still finds that out: a second thread that
# converts to the same class meanwhile reads a null pointer, and the process dies.
_one_at_a_time = threading.Lock()


def fact(name: str, value: Any) -> object:
    """The fact of section `name`.

    Args:
        value: what the JSON held; unknown fields are dropped, absent ones take their default.

    Returns:
        The dataclass, or Missing with reason "invalid" for a value that does not fit it.
    """
    import msgspec

    try:
        with _one_at_a_time:
            try:
                return msgspec.convert(value, facts.kind(name))
            except UnicodeEncodeError:
                # msgspec looks at some texts as UTF-8, which the bytes of a file name need not be.
                return msgspec.convert(_utf8(value), facts.kind(name))
    except (msgspec.ValidationError, RecursionError) as error:
        return Missing(name, Why.INVALID.value, str(error))


def field(kind: Any, data: bytes) -> object:
    """A field of a fact straight from its JSON, the same as `fact` makes of it.

    Args:
        kind: the field's type.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it does not fit, or not in a way that this sees.
    """
    import msgspec

    with _one_at_a_time:
        return msgspec.json.decode(data, type=kind)


def _utf8(value: Any) -> Any:
    """`value` with what no UTF-8 can hold written as escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_utf8(key): _utf8(item) for key, item in value.items()}
    return [_utf8(item) for item in value] if isinstance(value, list) else value


def encode(found: object) -> Any:
    """The JSON value of a fact, the inverse of `fact`."""
    import msgspec

    return msgspec.to_builtins(found)


def by_type(sections: Mapping[str, object]) -> dict[type, object]:
    """Section name -> fact, turned into fact type -> fact, as the engine wants it."""
    return {facts.kind(name): found for name, found in sections.items() if name in facts.KINDS}
