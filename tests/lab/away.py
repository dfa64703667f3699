"""A longer way to a host of a lab, over a relay (tests/lab/relay.py) between its port and the switch.

with Lab(4) as lab, away(lab, 3, rtt_s=0.010):
    ...                                       # node3 is 10 ms away from the others

with several(4) as nodes, Relay(switch_of(nodes[3]), "pw3", "br0", rtt_s=0.010):
"""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import needs
from tests.lab.hosts import Lab
from tests.lab.made import Made

PROGRAM = Path(__file__).with_name("relay.py")
READY_S = 10.0


class Relay(Made):
    """A relay between a port and its switch, for as long as the context lasts.

    Args:
        namespace: of the switch; port: the interface there; bridge: the switch.
        rtt_s: how much longer a round trip takes. only: the address of the one host for which it does; all if empty.
        jitter_s, lost: see `relay`.
    """

    def __init__(
        self, namespace: str, port: str, bridge: str, *, rtt_s: float, only: str = "", jitter_s: float = 0.0,
        lost: float = 0.0,
    ) -> None:  # fmt: skip
        self.namespace, self.port, self.bridge = namespace, port, bridge
        self._spur = f"far-{port}"[:15]  # a switch of its own for the port and the near end
        self._told = [f"{port}-a", f"{port}-b", str(rtt_s / 2), str(jitter_s), str(lost), only or "0.0.0.0"]
        self._process: subprocess.Popen[bytes] | None = None

    def _ip(self, words: str) -> None:
        subprocess.run(["ip", "-n", self.namespace, *words.split()], check=True, capture_output=True)

    def make(self) -> None:
        needs.tap()
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, sys.executable, "-I", str(PROGRAM), *self._told],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], READY_S)[0], "the relay does not start"
        assert self._process.stdout.readline() == b"ready\n", "the relay has ended"
        near, far, *_ = self._told
        self._ip(f"link add {self._spur} up type bridge")
        self._ip(f"link set {near} master {self._spur} up")
        self._ip(f"link set {far} master {self.bridge} up")
        self._ip(f"link set {self.port} master {self._spur}")

    def close(self) -> None:
        """The port is where it was; nothing is left of the relay."""
        for words in (f"link set {self.port} master {self.bridge}", f"link delete {self._spur}"):
            subprocess.run(["ip", "-n", self.namespace, *words.split()], capture_output=True)
        if self._process is not None:
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.close()
            self._process.stdout.close()
            try:
                self._process.wait(READY_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


@contextmanager
def away(lab: Lab, place: int, *, rtt_s: float, other: int | None = None) -> Iterator[None]:
    """Take a host of a lab so far away from the others, or from one other."""
    only = "" if other is None else lab[other].address
    with Relay(lab.hub, f"port{place}", "bridge", rtt_s=rtt_s, only=only):
        yield
