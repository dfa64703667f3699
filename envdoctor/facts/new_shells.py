"""What new shells of the user's have in their environment."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class NewShell:
    """A shell that was started afresh to be asked.

    Attributes:
        mode: "interactive" (a new terminal), "login" (ssh to this machine), "command" (`ssh host command`),
            "activated" (with the scripts of the conda environment, where envdoctor has put some there).
        variables: values of the variables that training looks at and of those that envdoctor's block sets.
        names: names of all variables it has.
        error: why it did not answer, empty if it did.
        seconds: how long it took.
    """

    mode: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class NewShells:
    """New shells, started with no more than a login gives them. Observed only for fixes that change start-up files.

    Attributes:
        shell: its name. program: its path.
    """

    shell: str = ""
    program: str = ""
    shells: tuple[NewShell, ...] = ()

    def of(self, mode: str) -> NewShell | None:
        return next((one for one in self.shells if one.mode == mode), None)
