"""What an all-reduce may reach on a fabric, and how that is said.

n ranks, k nodes of g ranks, B = bandwidth of a node's network ports together. In a ring every byte of the bus
bandwidth crosses each node's ports once: busbw <= B. With a tree over the nodes and NVLink inside them, a node's ports
carry only what is left after the sum inside: busbw <= B (n-1) / (g (k-1)). Neither exceeds what NVLink carries inside a
node. Measured by others: 2 x p4de (B 50 GB/s, bound 93.8) 78.3; 8 x 8 H100 NDR (bound 450) 386.6; 4 x B200 (bound 517)
381.8; so 75 % of the bound is good, and below 50 % something is broken.
"""

from __future__ import annotations

import math

from envdoctor.model import Text

GOOD = 0.75  # of the bound
BROKEN = 0.50

# GB/s in one direction of one NVLink, by the GPU's compute capability (NVIDIA's data sheets: P100 4 x 20, V100 6 x 25,
# A100 12 x 25, H100 18 x 25, B200 18 x 50).
NVLINK_GB_S = ((10, 50.0), (7, 25.0), (6, 20.0))

# A TCP connection of one core carries about this much on fast links (2 to 5 GB/s, nccl#450, nccl-tests#182): up to here
# the link decides, above it the measured connection does. gloo sends over one connection a pair.
ONE_CONNECTION_GB_S = 2.0

# The network is judged by none of these: what the processors or the memory of the nodes manage is no fault of a link.
NOT_OF_THE_NETWORK = ("processor", "memory", "unknown")

# Bytes that a TCP connection has under way at most where nobody has tuned it: the larger default of the two limits,
# tcp_wmem and tcp_rmem (Linux, Documentation/networking/ip-sysctl.rst: 4 and 6 MB; tcp(7)).
WINDOW = 4 << 20
FIRST_WINDOW = 10 * 1460  # bytes in the first round trip (RFC 6928)
# A stream lasts STREAM_S, or for so many round trips, up to LONGEST_STREAM_S: see envdoctor/bench/ways.py.
STREAM_S, STREAM_TRIPS, LONGEST_STREAM_S = 0.4, 20, 2.0
# A stream that carries this share of what its round trip allows is held back by that: losses, and receivers that are
# not tuned, take some of it.
OF_DISTANCE = 0.1

# Of all segments that TCP sent: who looks for the limit of a link sends less than this again on a healthy one.
RESENT = 0.001

# Why so much is expected, by `AllreduceResult.expected_by`.
SENTENCES = {
    "link": Text(
        "{interface} of {node} is a link of {gbit:.4g} Gbit/s",
        "{node} 的 {interface} 链路速率为 {gbit:.4g} Gbit/s",
    ),
    "stream": Text(
        "one TCP connection carries {gbit:.3g} Gbit/s from a node to the next; {interface} is virtual and has no rate "
        "of its own",
        "相邻节点之间一条 TCP 连接实测为 {gbit:.3g} Gbit/s；{interface} 是虚拟接口，本身没有速率",
    ),
    "processor": Text(
        "a processor that sends and receives at once keeps up with {gbit:.3g} Gbit/s of TCP here",
        "在这里，一个 CPU 核同时收发 TCP 时最多跟上 {gbit:.3g} Gbit/s",
    ),
    "connection": Text(
        "gloo uses one TCP connection a pair, which carries {gbit:.3g} of the {link:.4g} Gbit/s of {interface}",
        "gloo 每对节点只用一条 TCP 连接，它只能达到 {interface} 的 {link:.4g} Gbit/s 中的 {gbit:.3g} Gbit/s",
    ),
    "ports": Text(
        "{interface} of {node} carry {gbit:.4g} Gbit/s, shared by {ranks} {ranks:rank|ranks} of each of {nodes} nodes",
        "{node} 的 {interface} 合计 {gbit:.4g} Gbit/s，由 {nodes} 个节点各 {ranks} 个 rank 共享",
    ),
    "nvlink": Text(
        "each GPU of {node} has {links} {links:NVLink|NVLinks}, {each:g} GB/s each way",
        "{node} 的每张 GPU 有 {links} 条 NVLink，每条单向 {each:g} GB/s",
    ),
    "memory": Text(
        "all ranks are on one machine, where no link has a rate to go by",
        "所有 rank 都在同一台机器上，没有可作依据的链路速率",
    ),
    "unknown": Text(
        "the rate of the interfaces between the nodes is not known",
        "节点之间网络接口的速率未知",
    ),
}


def through_ports(ports_gb_s: float, nodes: int, ranks: int) -> float:
    """Bus bandwidth that the ports of each node allow, GB/s: the larger of ring and tree.

    Args:
        ports_gb_s: of all ports of a node together; nodes: 2 or more; ranks: on each of them.
    """
    every = nodes * ranks
    return ports_gb_s * max(1.0, (every - 1) / (ranks * (nodes - 1)))


def nvlink_gb_s(compute_capability: str) -> float | None:
    """One NVLink of a GPU in one direction, GB/s; None if unknown."""
    major = compute_capability.partition(".")[0]
    return next((rate for since, rate in NVLINK_GB_S if major.isdigit() and int(major) >= since), None)


def over_distance(rtt_s: float) -> float:
    """What a fresh TCP connection carries on average while it is measured, GB/s, on a way without any other limit.

    It sends ten segments in the first round trip and twice as much in each that follows (RFC 5681, 3.1), until a window
    is under way.
    """
    if rtt_s <= 0:
        return math.inf
    seconds = min(LONGEST_STREAM_S, max(STREAM_S, STREAM_TRIPS * rtt_s))
    trips = seconds / rtt_s
    growing = min(trips, math.log2(WINDOW / FIRST_WINDOW))
    sent = FIRST_WINDOW * (2**growing - 1) + (trips - growing) * WINDOW
    return sent / (seconds + rtt_s) / 1e9


def explained(rtt_s: float, gb_s: float) -> bool:
    """Whether a stream carries as much as can be told from what its round trip allows: no fault is needed for it."""
    return gb_s >= OF_DISTANCE * over_distance(rtt_s)


def least_s(machines: int, rtt_s: float) -> float:
    """What a ring takes for the smallest sum, seconds: 2(n-1) steps, each half a round trip (Thakur et al. 2005,
    "Optimization of Collective Communication Operations in MPICH", the ring's 2(p-1) alpha)."""
    return (machines - 1) * rtt_s


def of_size(gb_s: float, size: int, ranks: int, wait_s: float) -> float:
    """Bus bandwidth to expect of one size, GB/s, where the least time is added to that of the data (Hockney's model).

    Args:
        gb_s: without that wait. size: bytes. ranks: 2 or more. wait_s: see `least_s`.
    """
    through = 2 * (ranks - 1) / ranks * size / (gb_s * 1e9)
    return gb_s * through / (through + wait_s)


def half_at(gb_s: float, ranks: int, wait_s: float) -> float:
    """The size, bytes, of which as much time goes into waiting as into data: half of `gb_s` is reached there."""
    return wait_s * gb_s * 1e9 * ranks / (2 * (ranks - 1))
