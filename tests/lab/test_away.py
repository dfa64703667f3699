"""The longer way to a host: it takes as long as is asked for, for those it is asked for, and nothing is left of it."""

from __future__ import annotations

import subprocess
import sys

from tests.lab.away import away
from tests.lab.hosts import Lab

RTT_S = 0.05
# The shortest of some connections to sshd, seconds: a handshake of TCP takes one round trip.
TRIP = """
import socket, sys, time
def one():
    began = time.monotonic()
    socket.create_connection((sys.argv[1], 22), 10).close()
    return time.monotonic() - began
print(min(one() for _ in range(8)))
"""


def trip_s(lab: Lab, place: int, other: int) -> float:
    done = lab[place].run(sys.executable, "-I", "-c", TRIP, lab[other].address)
    assert done.status == 0, done.err
    return float(done.out)


def links(lab: Lab) -> str:
    return subprocess.run(["ip", "-n", lab.hub, "-br", "link"], check=True, capture_output=True, text=True).stdout


def test_a_host_is_far_from_all_or_from_one_and_comes_back() -> None:
    with Lab(3) as lab:
        before = links(lab)
        with away(lab, 2, rtt_s=RTT_S):
            far, near = trip_s(lab, 0, 2), trip_s(lab, 0, 1)
            assert far >= RTT_S > near
        with away(lab, 2, rtt_s=RTT_S, other=1):
            assert trip_s(lab, 1, 2) >= RTT_S > trip_s(lab, 0, 2)
        assert trip_s(lab, 0, 2) < RTT_S
        assert {line.split()[0] for line in links(lab).splitlines()} == {
            line.split()[0] for line in before.splitlines()
        }
