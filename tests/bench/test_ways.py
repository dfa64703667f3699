"""envdoctor/bench/ways.py"""

from __future__ import annotations

import socket
import sys
import time

import pytest

from envdoctor.bench import rungs, ways


def test_a_silent_port_is_dialled_no_longer_than_allowed() -> None:
    """A queue that is full drops what comes, as a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        began = time.monotonic()
        tried = ways.dial("127.0.0.1", port, 3.0)
        took = time.monotonic() - began
        for one in waiting:
            one.close()
    assert (tried.outcome, tried.connection) == ("timeout", None)
    assert 2.9 < took < 5.5  # twice as long where the error queue is waited for


def test_what_agents_say_goes_in_packets_that_pass_anywhere() -> None:
    with socket.socket() as server:
        ways.in_small_segments(server)
        server.bind(("127.0.0.1", 0))
        server.listen()
        tried = ways.dial("127.0.0.1", server.getsockname()[1], 5.0, small=True)
        assert tried.connection is not None
        taken, _ = server.accept()
        with tried.connection, taken:
            assert (ways.mss(tried.connection) or 0) <= rungs.SEGMENT
            assert (ways.mss(taken) or 0) <= rungs.SEGMENT


@pytest.mark.skipif(sys.platform != "linux", reason="struct tcp_info is Linux's")
def test_a_round_trip_that_nobody_has_seen_is_none() -> None:
    with socket.socket() as fresh, socket.create_server(("127.0.0.1", 0)) as server:
        assert ways.round_trip_us(fresh) is None
        with socket.create_connection(server.getsockname()) as made:
            trip = ways.round_trip_us(made)
            assert trip is not None and trip < 10_000_000
