"""envdoctor/bench/knock.py"""

from __future__ import annotations

import socket
import time

import pytest

from envdoctor.bench import knock, ways


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_rank_0_says_that_it_is_there_while_it_listens(address: str) -> None:
    port, listens = free_port(), [True]
    assert not knock.answers(address, port)
    knock.answer(port, lambda: listens[0])
    assert knock.answers(address, port)
    listens[0] = False
    assert not knock.answers(address, port)


def test_what_says_anything_else_is_not_rank_0() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        began = time.monotonic()
        assert not knock.answers("127.0.0.1", port)
        assert time.monotonic() - began >= knock.TRIES * knock.WAIT_S * 0.9
        knock.answer(port, lambda: True)  # the port is taken: nobody answers, and nothing is raised
        assert not knock.answers("127.0.0.1", port)


def test_a_host_that_is_silent_lives_if_the_login_came_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(address: str, port: int, limit_s: float) -> ways.Dialled:
        return ways.Dialled("timeout", limit_s)

    monkeypatch.setattr(ways, "dial", silent)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert knock.lives("10.0.0.1") == "timeout"
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 50000 10.0.0.2 22")
    assert (knock.lives("10.0.0.1"), knock.lives("10.0.0.9")) == ("login", "timeout")
    monkeypatch.setenv("SSH_CONNECTION", "fe80::1%eth0 50000 fe80::2%eth0 22")
    assert knock.lives("fe80::1") == "login"
