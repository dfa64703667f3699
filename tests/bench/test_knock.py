"""envdoctor/bench/knock.py"""

from __future__ import annotations

import socket
import time

import pytest

from envdoctor.bench import knock


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
