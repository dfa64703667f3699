"""The words are those of OpenSSH itself; tests/bench/test_over_ssh.py has the real program say most of them."""

from __future__ import annotations

import pytest

from envdoctor.errors import UsageError
from envdoctor.transport import ssh
from envdoctor.transport.hosts import Host
from tests import needs


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("ssh: Could not resolve hostname gpu02: Name or service not known", "unresolvable"),
        ("ssh: Could not resolve hostname gpu02: Temporary failure in name resolution", "unresolvable"),
        ("ssh: connect to host gpu02 port 22: Connection refused", "refused"),
        ("ssh: connect to host gpu02 port 22: Connection timed out", "timeout"),
        ("ssh: connect to host gpu02 port 22: Operation timed out", "timeout"),
        ("ssh: connect to host gpu02 port 22: No route to host", "no-route"),
        ("ssh: connect to host gpu02 port 22: Network is unreachable", "no-route"),
        ("Connection timed out during banner exchange\nConnection to 10.0.0.2 port 22 timed out", "no-banner"),
        ("kex_exchange_identification: Connection closed by remote host", "no-banner"),
        ("Host key verification failed.", "host-key-unknown"),
        ("@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@@\nHost key verification failed.",
         "host-key-changed"),
        ("ada@gpu02: Permission denied (publickey,password).", "denied"),
        ("Received disconnect from 10.0.0.2 port 22:2: Too many authentication failures", "denied"),
        ("Connection closed by 10.0.0.2 port 22", "closed"),
        ("Connection reset by 10.0.0.2 port 22", "closed"),
        ("Timeout, server gpu02 not responding.", "cut"),
        ("Connection to 10.0.0.2 port 22 timed out", "login-hangs"),
        ("Bad owner or permissions on /home/ada/.ssh/config", "failed"),
    ],
)  # fmt: skip
def test_words_of_openssh(said: str, outcome: str) -> None:
    told = ssh.reach(Host("gpu02"), ssh.FAILED, f"*** Unauthorised use is forbidden ***\n{said}\n", "", heard=False)
    assert told.outcome == outcome
    assert told.said and "@@@" not in told.said
    assert outcome == "failed" or "Unauthorised" not in told.said


def test_how_the_command_ended_there() -> None:
    host = Host("gpu02", "ada", 2222)
    assert ssh.reach(host, 0, "", "Welcome to the menu", False).said == "Welcome to the menu"
    assert ssh.reach(host, 0, "", "Welcome to the menu", False).outcome == "invalid"
    assert ssh.reach(host, 127, "envdoctor: no Python: neither", "", False).outcome == "no-python"
    assert ssh.reach(host, 127, "sh: python: not found", "", False).outcome == "not-executed"
    assert ssh.reach(host, 1, "", "This account is currently not available.", False).said.startswith("This account")
    assert ssh.reach(host, None, "", "", False).outcome == "silent"
    told = ssh.reach(host, -9, "", "", False)
    assert (told.host, told.user, told.port) == ("gpu02", "ada", 2222)


def test_one_that_has_answered_was_reached_unless_the_connection_broke() -> None:
    assert ssh.reach(Host("a"), 130, "terminated", "", heard=True).outcome == "ok"
    assert ssh.reach(Host("a"), 255, "Connection to a closed by remote host.", "", heard=True).outcome == "ok"
    assert ssh.reach(Host("a"), 255, "Timeout, server a not responding.", "", heard=True).outcome == "cut"


def test_the_command_line() -> None:
    needs.program("ssh", "openssh-client")
    words = ssh.argv(Host("gpu02", "ada", 2222), "exec true")
    assert words[-3:] == ("--", "gpu02", "exec true")
    assert words[words.index("-p") + 1] == "2222" and words[words.index("-l") + 1] == "ada"
    assert "BatchMode=yes" in words and "ControlMaster=no" in words
    assert not any("StrictHostKeyChecking" in word for word in words), "whom to trust is the user's to say"


def test_without_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageError, match="install openssh-client"):
        ssh.argv(Host("a"), "true")
