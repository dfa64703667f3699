"""Packets between two TAP devices wait in here: `python -I relay.py NEAR FAR SECONDS SECONDS LOST ADDRESS`.

It runs in the namespace of a switch, between one port of it and the rest (tests/lab/away.py). It ends when its standard
input does, so with whoever started it, and with it the devices. Frames pass as the kernel offloads them (IFF_VNET_HDR),
64 KiB of TCP in one, so it carries more than 1 Gbit/s; what it adds to the wait is some 0.1 ms.
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
import time

# <linux/if_tun.h>
TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 0x01, 0x02, 0x04
VNET_HDR = 10  # bytes of struct virtio_net_hdr, before every frame
FRAME = VNET_HDR + 14 + 65536
IPV4 = b"\x08\x00"
AT_ONCE = 64  # frames taken from one device before the other is looked at
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
