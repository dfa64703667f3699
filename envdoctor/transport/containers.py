"""Containers that run already: `docker exec` (or podman's) and `kubectl exec`, and what their last words mean."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from envdoctor.answering import which
from envdoctor.errors import UsageError
from envdoctor.facts import hostlist
from envdoctor.facts.reached import Reach
from envdoctor.transport.commands import MOST_SAID, apart, lacked_python, reached
from envdoctor.transport.hosts import Host

# Names and ids of containers (moby, daemon/names), pods and namespaces (RFC 1123). Nothing that could be an option.
CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
POD = re.compile(r"(?:[a-z0-9][a-z0-9-]{0,62}/)?[a-z0-9][a-z0-9.-]{0,252}(?::[a-z0-9][a-z0-9-]{0,62})?")


@dataclass(frozen=True)
class Exec:
    """A program that starts another one inside of a container.

    Attributes:
        WAY, TITLE, OPTION, END: see `envdoctor.transport.visits.Way`. When the program here ends, the input of what it
            has started there does, and with it the examination.
        programs: of this machine, the first that is there is taken.
        name: what a container may be called. form: how the user writes that.
        outcomes: what happened, by the program's own words, the first that fits.
    """

    WAY: str
    TITLE: str
    OPTION: str
    programs: tuple[str, ...]
    name: re.Pattern[str]
    form: str
    outcomes: Mapping[str, re.Pattern[str]]
    END: signal.Signals = signal.SIGTERM

    def places(self, spec: str) -> tuple[Host, ...]:
        """The containers of "a,b,c" or "trainer-[0-3]".

        Raises:
            UsageError: the list cannot be read, is empty, names one twice, or holds what is no name.
        """
        try:
            names = [name for part in hostlist.parts(spec) for name in hostlist.expand(part)]
        except hostlist.NoList as error:
            raise UsageError(
                f"{self.OPTION} {spec}: {error}; write {self.form}",
                f"{self.OPTION} {spec}：{error.zh}；应写作 {self.form}",
            ) from error
        if not names:
            raise UsageError(
                f"{self.OPTION} {spec}: it names nothing; write {self.form}",
                f"{self.OPTION} {spec}：没有任何名称；应写作 {self.form}",
            )
        for name in names:
            if not self.name.fullmatch(name):
                raise UsageError(
                    f"{self.OPTION} {spec}: {name!r} is no name of one; write {self.form}",
                    f"{self.OPTION} {spec}：{name!r} 不是有效名称；应写作 {self.form}",
                )
            if names.count(name) > 1:
                raise UsageError(
                    f"{self.OPTION} {spec}: {name} is named twice; each takes part once",
                    f"{self.OPTION} {spec}：{name} 出现了两次；每个只参加一次",
                )
        return tuple(Host(name) for name in names)

    def argv(self, host: Host, line: str) -> tuple[str, ...]:
        """The command line that runs `line` in a shell of the container, with our end as its input and output.

        Raises:
            UsageError: none of the programs is here.
        """
        program = next(filter(None, map(which, self.programs)), None)
        if program is None:
            raise UsageError(
                f"{self.OPTION} needs {' or '.join(self.programs)}, and it is not on PATH",
                f"{self.OPTION} 需要 {' 或 '.join(self.programs)}，但 PATH 中没有",
            )
        return (program, *self._arguments(host.name), "/bin/sh", "-c", line)

    def _arguments(self, name: str) -> tuple[str, ...]:
        if self.WAY != "kubectl":
            return ("exec", "-i", name)
        space, _, rest = name.rpartition("/")
        pod, _, container = rest.partition(":")
        chosen = (*(("-n", space) if space else ()), *(("-c", container) if container else ()))
        return ("exec", "-i", *chosen, pod, "--")

    def reach(self, host: Host, status: int | None, said: str, noise: str, heard: bool) -> Reach:
        """How a container was reached, from how the program ended; see `envdoctor.transport.ssh.reach`."""
        said, tried = apart(said)
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if any(words.search(line) for words in self.outcomes.values())]
        words = "\n".join(telling or lines[-6:])[-MOST_SAID:]
        outcome = "ok" if heard else self._outcome(status, said)
        return reached(host, self.WAY, outcome, words, noise, status, heard, tried)

    def _outcome(self, status: int | None, said: str) -> str:
        if status is None:
            return "silent"
        if status == 0:
            return "invalid"
        if lacked_python(status, said):
            return "no-python"
        return next((outcome for outcome, words in self.outcomes.items() if words.search(said)), "not-executed")


def _words(**told: str) -> dict[str, re.Pattern[str]]:
    return {outcome.replace("_", "-"): re.compile(words, re.IGNORECASE) for outcome, words in told.items()}


# Words of docker 19 to 28 (moby, daemon/errors.go, client/errors.go; runc) and podman 3 to 5 (libpod/define/errors.go).
DOCKER = Exec(
    "docker", "docker exec", "--docker", ("docker", "podman"), CONTAINER, "--docker a,b or trainer-[0-3]",
    _words(
        no_daemon="cannot connect to the docker daemon|cannot connect to podman|is the docker daemon running",
        failed="permission denied while trying to connect|got permission denied",
        no_container="no such container|no container with name or id",
        not_running="is not running|can only create exec sessions on running|is paused|is restarting",
        no_shell=r"/bin/sh.*(no such file|not found)|executable file not found|exec format error",
    ),
)  # fmt: skip
# Words of kubectl 1.18 to 1.34 and of the API server (kubectl/pkg/cmd/exec, apimachinery/pkg/api/errors).
KUBECTL = Exec(
    "kubectl", "kubectl exec", "--kubectl", ("kubectl",), POD, "--kubectl pod-0,pod-1 or [NAMESPACE/]POD[:CONTAINER]",
    _words(
        no_daemon="unable to connect to the server|connection to the server .* was refused|no configuration has been",
        failed=r"unauthorized|\(forbidden\)|you must be logged in",
        no_container=r"\(notfound\)|pods? .* not found|container .* is not valid for pod|unable to upgrade connection",
        not_running="cannot exec (in|into) a|completed pod|does not have a host assigned|container not found",
        no_shell=r"/bin/sh.*(no such file|not found)|executable file not found|exec format error",
    ),
)  # fmt: skip
