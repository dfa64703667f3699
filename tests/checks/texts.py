"""Logs by hand, for the problems that error lines tell of."""

from __future__ import annotations

from envdoctor.facts.log import Log, Place, Sighting


def log(*codes: str, kind: str = "root", severity: str = "error") -> Log:
    """A log that shows these problems, in this order, on rank 3."""
    return Log(
        ("train.log",), 100, 9000,
        tuple(
            Sighting("", code, kind, severity, f"a line of {code}", Place("train.log", number, "", 3), number)
            for number, code in enumerate(codes, 1)
        ),
    )  # fmt: skip
