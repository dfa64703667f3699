"""What the user asked of the doctor, which decides how a missing thing is to be judged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """The question.

    Attributes:
        topics: topics or codes named on the command line.
        log: whether a log was given with --log.
        port: the rendezvous port given with --port, 0 if none.
    """

    topics: tuple[str, ...] = ()
    quick: bool = False
    offline: bool = False
    log: bool = False
    port: int = 0
