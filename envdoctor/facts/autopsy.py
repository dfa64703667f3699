"""A failed `import torch`, tried again under changed conditions: which of them it was."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """`import torch` once more, with one thing changed.

    Attributes:
        change: "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHONHOME" (unset), "user-site" (left out, -s), "cwd"
            (left out of sys.path), or "all": every one of them at once, with -I.
        was: value of the variable, or the folder that was left out; empty for "all".
        command: what a user types to try it.
        works: torch came in; None where the trial did not come to an end.
        error: what it died of otherwise, one line.
    """

    change: str = ""
    was: str = ""
    command: str = ""
    works: bool | None = None
    error: str = ""


@dataclass(frozen=True)
class ImportAutopsy:
    """Trials after an import of torch that raised or crashed. Missing where it came in, hung or was not tried."""

    trials: tuple[Trial, ...] = ()

    @property
    def cure(self) -> Trial | None:
        """The one change that lets torch in; several at once only where no single one does."""
        working = [trial for trial in self.trials if trial.works]
        return next((trial for trial in working if trial.change != "all"), working[0] if working else None)

    @property
    def intrinsic(self) -> bool:
        """Whether torch fails in its environment alone, with all that surrounds it left out: this is certain proof."""
        return any(trial.change == "all" and trial.works is False for trial in self.trials)
