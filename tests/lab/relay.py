"""A longer way to a host of a lab: packets between its port and the switch wait in a relay between two TAP devices.

    with Lab(4) as lab, away(lab, 3, rtt_s=0.010):
        ...                                       # node3 is 10 ms away from the others

    with several(4) as nodes, Relay(switch_of(nodes[3]), "pw3", "br0", rtt_s=0.010):

The relay is a process in the namespace of the switch. It ends when its standard input does, so with whoever started it,
and with it the TAP devices. Frames pass as the kernel offloads them (IFF_VNET_HDR), 64 KiB of TCP in one, so it carries
more than 1 Gbit/s; what it adds to the wait is some 0.1 ms.
"""

from __future__ import annotations

import argparse
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.hosts import Lab

# <linux/if_tun.h>
TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 0x01, 0x02, 0x04
VNET_HDR = 10  # bytes of struct virtio_net_hdr, before every frame
FRAME = VNET_HDR + 14 + 65536
IPV4 = b"\x08\x00"
AT_ONCE = 64  # frames taken from one device before the other is looked at
READY_S = 10.0
# A frame, when it is due, in the order in which it came, and where it goes.
Waiting = tuple[float, int, int, bytes]


def opened(name: str) -> int:
    """A TAP device that takes what the kernel would let a network card do."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(device, TUNSETVNETHDRSZ, struct.pack("i", VNET_HDR))
    fcntl.ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
    return device


def concerns(frame: bytes, address: bytes) -> bool:
    """Whether a frame comes from an IPv4 address or goes there."""
    if frame[VNET_HDR + 12 : VNET_HDR + 14] != IPV4:
        return False
    return address in (frame[VNET_HDR + 26 : VNET_HDR + 30], frame[VNET_HDR + 30 : VNET_HDR + 34])


def relay(ends: tuple[int, int], one_way_s: float, jitter_s: float, lost: float, only: bytes) -> None:
    """Pass frames on until standard input ends.

    Args:
        jitter_s: each waits up to so much longer, and may be overtaken. lost: share of frames that are not passed on.
        only: an IPv4 address; frames neither from nor to it are passed on at once.
    """
    across = {ends[0]: ends[1], ends[1]: ends[0]}
    waiting: list[Waiting] = []
    number = 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, end, frame = heapq.heappop(waiting)
            try:
                os.write(end, frame)
            except OSError:
                pass  # its device is down: as with any switch, the frame is gone
        left_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select([0, *ends], [], [], left_s)[0]:
            if end == 0:
                return
            for _ in range(AT_ONCE):
                try:
                    frame = os.read(end, FRAME)
                except OSError:
                    break
                if lost and random.random() < lost:
                    continue
                wait_s = one_way_s if not only or concerns(frame, only) else 0.0
                wait_s += random.random() * jitter_s
                number += 1
                heapq.heappush(waiting, (time.monotonic() + wait_s, number, across[end], frame))


class Relay:
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

    def __enter__(self) -> Relay:
        from tests import needs  # the relay itself is started without them

        needs.tap()
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, sys.executable, "-I", __file__, *self._told],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            assert self._process.stdout is not None
            assert select.select([self._process.stdout], [], [], READY_S)[0], "the relay does not start"
            assert self._process.stdout.readline() == b"ready\n", "the relay has ended"
            near, far, *_ = self._told
            self._ip(f"link add {self._spur} up type bridge")
            self._ip(f"link set {near} master {self._spur} up")
            self._ip(f"link set {far} master {self.bridge} up")
            self._ip(f"link set {self.port} master {self._spur}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("devices", nargs=2)
    parser.add_argument("times", nargs=2, type=float, metavar="SECONDS", help="one way, and up to how much longer")
    parser.add_argument("lost", type=float)
    parser.add_argument("only")
    asked = parser.parse_args()
    near, far = (opened(name) for name in asked.devices)
    print("ready", flush=True)
    only = socket.inet_aton(asked.only)
    one_way_s, jitter_s = asked.times
    relay((near, far), one_way_s, jitter_s, asked.lost, only if any(only) else b"")


if __name__ == "__main__":
    main()
