"""A node's clock against the doctor's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """What time it was on the node, and what the doctor's clock said before and after.

    Attributes:
        time_s: Unix time on the node when it was asked.
        asked_s, answered_s: Unix time by the doctor's clock, when the node was given its program and when this answer
            was in; None where nobody compared the two, as on a machine examined by itself.
    """

    time_s: float | None = None
    asked_s: float | None = None
    answered_s: float | None = None

    @property
    def ahead_s(self) -> tuple[float, float] | None:
        """Seconds by which the node's clock is ahead of the doctor's, at least and at most; None if unknown.

        The node read its clock at some time between the two readings of the doctor's (RFC 5905, section 8).
        """
        if self.time_s is None or self.asked_s is None or self.answered_s is None or self.answered_s < self.asked_s:
            return None
        return self.time_s - self.answered_s, self.time_s - self.asked_s
