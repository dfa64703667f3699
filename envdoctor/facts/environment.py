"""The environment variables that training looks at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from envdoctor.patient.environment import SECRET


@dataclass(frozen=True)
class Environment:
    """Allowed variables of the process the doctor was started from.

    Attributes:
        variables: name -> value; an allow-list of prefixes and names, see envdoctor/patient/environment.py.
        secret: names of allowed variables that are set and not read, because their value is a secret.
        working_directory: absolute path, empty if it no longer exists.
    """

    variables: dict[str, str] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    working_directory: str = ""

    # What a check asked these for is what it knows of the environment (envdoctor.watched).
    PARTS = ("get", "among")

    def get(self, name: str) -> str | None:
        return self.variables.get(name)

    def among(self, names: frozenset[str], beginnings: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """The variables of these names and of names that begin so, with their values, in the order they were set."""
        found = (
            (name, value) for name, value in self.variables.items() if name in names or name.startswith(beginnings)
        )
        return tuple(found)


def is_secret(name: str) -> bool:
    """Whether the value of a variable of that name is a secret, going by the name."""
    return SECRET.search(re.sub(r"TOKENI[SZ]ERS?_|TOKENS\b", "", name)) is not None
