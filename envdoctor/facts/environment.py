"""The environment variables that training looks at."""

from __future__ import annotations

from dataclasses import dataclass, field


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

    def get(self, name: str) -> str | None:
        return self.variables.get(name)
