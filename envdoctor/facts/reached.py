"""How the hosts of a run were reached. Only a run over several hosts has this fact."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reach:
    """How one host was reached.

    Attributes:
        host: as the user named it; user, port: where that named them. way: "ssh" or "srun".
        outcome: "ok" once our program there has said its first word; of OpenSSH's own: "unresolvable", "refused",
            "timeout", "no-route", "no-banner" (connected, and no SSH server spoke), "host-key-unknown",
            "host-key-changed", "denied", "closed" (in the middle of the login), "cut" (logged in, then silence),
            "failed" (for another reason, which `said` tells); of Slurm's: "not-allocated", "busy" (steps of the job
            hold it), "node-down", "no-slurmd", "no-controller", "job-over", "unauthenticated"; of the host:
            "no-python", "not-executed" (the command ended with `status`), "silent" (it was given the program and said
            nothing), "invalid" (what it said is no answer), "hung" (it answered and went silent; `said` is the section
            it was at), "died" (it answered, and ended before it was through).
        said: the last words that tell. status: exit status, None where it had not ended.
    """

    host: str = ""
    way: str = "ssh"
    outcome: str = ""
    said: str = ""
    status: int | None = None
    user: str = ""
    port: int | None = None


@dataclass(frozen=True)
class Reached:
    """How all hosts of a run were reached, in their order."""

    hosts: tuple[Reach, ...] = ()
