"""How the hosts of a run were reached. Only a run over several hosts has this fact."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

FELL_SILENT = ("silent", "login-hangs", "hung", "died")  # outcomes of hosts that took what they were given,
ANSWERED = ("invalid",)  # and of those that answered something else


@dataclass(frozen=True)
class Reach:
    """How one host was reached.

    Attributes:
        host: as the user named it; user, port: where that named them. way: "ssh" or "srun".
        outcome: "ok" once our program there has said its first word; of OpenSSH's own: "unresolvable", "refused",
            "timeout", "no-route", "no-banner" (connected, and no SSH server spoke), "host-key-unknown",
            "host-key-changed", "denied", "closed" (in the middle of the login), "cut" (logged in, then silence),
            "login-hangs" (it speaks, and does not say whether the user may come in), "no-login" (no time left),
            "failed" (for another reason, which `said` tells); of Slurm's: "not-allocated", "busy" (steps of the job
            hold it), "node-down", "no-slurmd", "no-controller", "job-over", "unauthenticated"; of the host:
            "no-python", "not-executed" (the command ended with `status`), "silent" (it was given the program and said
            nothing), "invalid" (what it said is no answer), "hung" (it answered and went silent; `said` is the section
            it was at), "died" (it answered, and ended before it was through).
        said: the last words that tell. status: exit status, None where it had not ended.
        tried: where nothing was heard of it, the Python that a shell there was about to start, or "PATH=..." that it
            was looking through; "" where no shell had said a word.
    """

    host: str = ""
    way: str = "ssh"
    outcome: str = ""
    said: str = ""
    status: int | None = None
    user: str = ""
    port: int | None = None
    tried: str = ""

    @property
    def options(self) -> str:
        """What ssh is to be given to reach the host as we did."""
        words = ["-p", str(self.port)] if self.port else []
        return shlex.join([*words, f"{self.user}@{self.host}" if self.user else self.host])

    @property
    def there(self) -> str:
        """What a command for a shell on the host is put behind."""
        if self.way == "docker":
            return f"docker exec {shlex.quote(self.host)} sh -c"
        if self.way == "kubectl":
            space, _, rest = self.host.rpartition("/")
            pod, _, container = rest.partition(":")
            of = ["-n", space] if space else []
            words = ["kubectl", "exec", *of, pod, *(["-c", container] if container else [])]
            return f"{shlex.join(words)} -- sh -c"
        if self.way == "srun":
            return f"srun --overlap -N 1 -n 1 -w {shlex.quote(self.host)} sh -c"
        return f"ssh {self.options}"

    @property
    def last_line(self) -> str:
        """Of what was said: OpenSSH and Python both say last what happened. The status where there are no words."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"exit status {self.status}"


@dataclass(frozen=True)
class Reached:
    """How all hosts of a run were reached, in their order."""

    hosts: tuple[Reach, ...] = ()
