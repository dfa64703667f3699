"""OpenSSH: the command line that reaches a host, and what its last words mean."""

from __future__ import annotations

import re
import signal

from envdoctor.answering import which
from envdoctor.errors import UsageError
from envdoctor.facts.reached import Reach
from envdoctor.transport.commands import MOST_SAID, apart, lacked_python, reached
from envdoctor.transport.hosts import Host

WAY = "ssh"
TITLE = "OpenSSH"
OPTION = "--hosts"
END = signal.SIGKILL  # however it ends, sshd ends the input of what it has started
CONNECT_S = 10  # seconds for the connection and, in OpenSSH since 9.2 too, for the banner
ALIVE_S = 4  # the server is asked this often,
ALIVE_TIMES = 3  # and gone after so many questions without an answer
CUT_S = ALIVE_S * ALIVE_TIMES
FAILED = 255  # exit status of ssh itself; any other is the command's

OPTIONS = (
    "BatchMode=yes",  # never asks for a password or whether a host key is right: nobody sits there
    f"ConnectTimeout={CONNECT_S}",
    f"ServerAliveInterval={ALIVE_S}",
    f"ServerAliveCountMax={ALIVE_TIMES}",
    # A connection that the user holds open is used, for a second factor was paid for it; none is left open by us.
    "ControlMaster=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "EscapeChar=none",
    "LogLevel=INFO",  # "Timeout, server not responding" is said at that level
)

# Pattern -> what happened, the first that fits; words of OpenSSH 6 to 10 (ssh.c, sshconnect.c, packet.c, clientloop.c).
OUTCOMES = tuple(
    (re.compile(pattern, re.IGNORECASE), outcome)
    for pattern, outcome in (
        (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "host-key-changed"),
        (r"Host key verification failed|No \S+ host key is known", "host-key-unknown"),
        (r"Could not resolve hostname", "unresolvable"),
        (r"Too many authentication failures|Permission denied \(", "denied"),
        (r"Connection refused", "refused"),
        (r"No route to host|Network is unreachable", "no-route"),
        (r"during banner exchange|kex_exchange_identification|banner line contains invalid", "no-banner"),
        (r"Timeout, server .* not responding", "cut"),
        # Since 6.x for want of any packet before the user is in; a connection that is not even made has other words.
        (r"Connection (to|with) \S+ port \d+ timed out", "login-hangs"),
        (r"Connection timed out|Operation timed out|timed out", "timeout"),
        (r"Connection (to \S+ )?(closed|reset)|Broken pipe|Received disconnect", "closed"),
    )
)


def argv(host: Host, line: str) -> tuple[str, ...]:
    """The command line that runs `line` in the login shell of a host, with our end as its input and output.

    Raises:
        UsageError: there is no ssh here.
    """
    program = which("ssh")
    if program is None:
        raise UsageError(
            "--hosts needs OpenSSH's ssh, which is not on PATH; install openssh-client",
            "--hosts 需要 OpenSSH 的 ssh，但 PATH 中没有；请安装 openssh-client",
        )
    told = [program, "-T"]
    for option in OPTIONS:
        told += ["-o", option]
    if host.port is not None:
        told += ["-p", str(host.port)]
    if host.user:
        told += ["-l", host.user]
    return (*told, "--", host.name, line)


def reach(host: Host, status: int | None, said: str, noise: str, heard: bool) -> Reach:
    """How a host was reached, from how ssh to it ended.

    Args:
        status: of ssh, None where it had not ended. said: its standard error. noise: what came that is no answer.
        heard: whether our program there had said its first word.
    """
    said, tried = apart(said)
    words = _words(said)
    outcome = _outcome(status, said)
    if heard and outcome != "cut":
        outcome = "ok"  # whatever ended it later is told by the benchmark itself
    return reached(host, WAY, outcome, words, noise, status, heard, tried)


def _outcome(status: int | None, said: str) -> str:
    if status is None:
        return "silent"
    if status == FAILED:
        return next((outcome for pattern, outcome in OUTCOMES if pattern.search(said)), "failed")
    if lacked_python(status, said):
        return "no-python"
    return "invalid" if status == 0 else "not-executed"


def _words(said: str) -> str:
    """The lines that tell, without banners, which come first, and without the ornament of a warning."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not set(line.strip()) <= {"@"}]
    telling = [line for line in lines if any(pattern.search(line) for pattern, _ in OUTCOMES)]
    return "\n".join(telling or lines[-6:])[-MOST_SAID:]
