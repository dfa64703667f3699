"""Facts that only an option of a fix asks for, because having them costs time and traffic."""

from __future__ import annotations

from collections.abc import Mapping

from envdoctor.errors import UsageError
from envdoctor.render import Style


def measure(name: str, known: Mapping[type, object], style: Style, quiet: bool) -> object:
    """Measure a fact.

    Args:
        name: of the fact, as `Option.measures` has it.
        known: the facts observed so far.

    Raises:
        UsageError: nothing measures a fact of that name.
    """
    raise UsageError(f"nothing measures {name!r}")
