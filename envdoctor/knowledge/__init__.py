"""What is known of the world beyond this machine: dated TOML tables with their origin, and the one reader for them.

Every table has a `[meta]` with `as_of` (a date) and `source`; every row that differs from it has a `source` of its own.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any, TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Row = TypeVar("Row")
FOLDER = Path(__file__).parent


@functools.cache
def table(name: str) -> dict[str, Any]:
    """The whole table `name`.toml. Raises FileNotFoundError for a name that is none."""
    found: dict[str, Any] = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return found


@functools.cache
def rows(name: str, key: str, row: type[Row]) -> tuple[Row, ...]:
    """The rows `[[key]]` of table `name` as frozen dataclasses of type `row`; keys a dataclass lacks are left out.

    Raises:
        msgspec.ValidationError: a row does not fit; the tests hold that none of ours does.
    """
    import msgspec

    kind: Any = row
    return msgspec.convert(tuple(table(name)[key]), tuple[kind, ...])
