"""The rungs below torch: does the master's name resolve, is there a way to it, does TCP pass, does a bulk of data pass.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import errno
import select
import socket
import struct
import threading
import time

from envdoctor.bench import rails, rungs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 11, 25, 0x2000
# What says that a port is filtered: (SO_EE_ORIGIN_ICMP or SO_EE_ORIGIN_ICMP6, ICMP type, code), <linux/errqueue.h>,
# <linux/icmp.h>, RFC 4443. Port unreachable counts: a closed TCP port answers with a reset and sends no such message.
# Host and net unreachable do not: a router says them of an address that nobody has.
FILTERED = frozenset([(2, 3, code) for code in (2, 3, 9, 10, 13)] + [(3, 1, code) for code in (1, 4, 5, 6)])
IP_MTU, IPV6_MTU, TCP_MAXSEG = 14, 24, 2
TCP_INFO = 11
MIN_RTT_AT = 148  # bytes into struct tcp_info
NO_RTT = 0xFFFFFFFF  # there before the kernel has seen any (tcp_init_sock)
DIAL_S = 3.0  # one attempt to connect: SYN goes out at 0, 1 and 3 s
MOST_PEERS = 31  # a node dials all others of up to 32, beyond that a spread of them
BULK = 1 << 20  # bytes; far above any MTU, and above what socket buffers take without an answer
RATE_S = 0.4  # for this long each node sends to the next to see what a socket carries, at least
PACE = 20  # and for so many round trips: TCP doubles what it sends in each until it has found its pace (RFC 5681, 3.1)
LONGEST_RATE_S = 2.0
STALL_S = 2.5  # a connection on which nothing is acknowledged this long, on a path that has just answered, stalls


class Cause(Exception):
    """A rung that failed: how, and the values that show it."""

    def __init__(self, how: str, **values: "Any") -> None:
        Exception.__init__(self, how)
        self.how = how
        self.values = values


def within(seconds: float, function: "Callable[[], Any]") -> "Any":
    """Call a function that may block for ever in a thread. Raises TimeoutError where no answer came in time."""
    answer: "List[Any]" = []

    def run() -> None:
        try:
            answer.append((True, function()))
        except Exception as error:
            answer.append((False, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimeoutError
    fine, value = answer[0]
    if not fine:
        raise value
    return value


def name_of(error: OSError) -> str:
    """The name of an error, such as "ECONNREFUSED"."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def resolve(host: str, limit_s: float) -> "List[str]":
    """The addresses of a host, IPv4 first, as torch's TCPStore tries them all. Raises Cause."""
    try:
        found = within(limit_s, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except TimeoutError:
        raise Cause("resolver-silent", host=host, seconds=limit_s) from None
    except (OSError, UnicodeError) as error:
        raise Cause("unresolvable", host=host, error=str(error)) from None
    addresses = []
    for one in sorted(found, key=lambda one: one[0] != socket.AF_INET):
        address = str(one[4][0])
        if address not in addresses:
            addresses.append(address)
    return addresses


def source_to(address: str) -> str:
    """Own address the kernel would use towards another; "" without a route."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def is_here(address: str) -> bool:
    """Whether an address is one of this machine: only those can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
            return True
    except OSError:
        return False


class Dialled(object):
    """What became of an attempt to connect.

    outcome: "connected", "refused", "filtered" (an ICMP message refused it: a firewall's word, never that of a closed
    port), "timeout", or the name of an error. connection: open if connected.
    """

    def __init__(self, outcome: str, seconds: float, connection: "Optional[socket.socket]" = None) -> None:
        self.outcome = outcome
        self.seconds = seconds
        self.connection = connection


def _said_by_icmp(connection: socket.socket) -> str:
    """What an ICMP message said of an attempt to connect: "filtered", the name of an error, or "" without one."""
    connection.setblocking(False)  # with a time limit it would wait for one that may come yet
    try:
        _, ancillary, _, _ = connection.recvmsg(1, 512, MSG_ERRQUEUE)
    except (OSError, AttributeError):
        return ""
    for _, _, data in ancillary:
        if len(data) >= 7:
            # struct sock_extended_err: u32 errno, u8 origin, u8 type, u8 code, ...
            number, origin, kind, code = struct.unpack_from("IBBB", data)
            if (origin, kind, code) in FILTERED:
                return "filtered"
            if origin in (1, 2, 3):
                return errno.errorcode.get(number, "")
    return ""


def in_small_segments(end: socket.socket) -> None:
    """Have both directions of a connection go in packets that pass everywhere, where a larger one may vanish; before it
    is opened, or on the listener."""
    try:
        end.setsockopt(socket.IPPROTO_TCP, TCP_MAXSEG, rungs.SEGMENT)
    except OSError:
        pass


def dial(address: str, port: int, limit_s: float, small: bool = False, rail: "Sequence[str]" = ()) -> "Dialled":
    """Try to connect once; `small`: see `in_small_segments`, `rail`: see `rails.leave_by`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    began = time.monotonic()
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        else:
            connection.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    except OSError:
        pass
    if small:
        in_small_segments(connection)
    connection.settimeout(limit_s)
    try:
        if rail:
            rails.leave_by(connection, rail)
        connection.connect((address, port))
        return Dialled("connected", time.monotonic() - began, connection)
    except socket.timeout:
        outcome = _said_by_icmp(connection) or "timeout"
    except OSError as error:
        known = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout"}
        outcome = known.get(error.errno or 0, name_of(error))
        if _said_by_icmp(connection) == "filtered":
            outcome = "filtered"
    connection.close()
    return Dialled(outcome, time.monotonic() - began)


def mss(connection: socket.socket) -> "Optional[int]":
    """Bytes of data in a segment, as both ends agreed."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, TCP_MAXSEG)
    except OSError:
        return None


def path_mtu(connection: socket.socket) -> "Optional[int]":
    """What the kernel takes for the path's MTU on a connection, bytes."""
    try:
        if connection.family == socket.AF_INET6:
            return connection.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        return connection.getsockopt(socket.IPPROTO_IP, IP_MTU)
    except OSError:
        return None


def round_trip_us(connection: socket.socket) -> "Optional[int]":
    """The shortest round trip the kernel has seen on a connection, microseconds: tcpi_min_rtt of struct tcp_info
    (linux/tcp.h, since Linux 4.6)."""
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 256)
    except OSError:
        return None
    found = int(struct.unpack_from("I", told, MIN_RTT_AT)[0]) if len(told) >= MIN_RTT_AT + 4 else NO_RTT
    return None if found == NO_RTT else found


def unacknowledged(connection: socket.socket) -> "Optional[int]":
    """Bytes sent that the other end has not acknowledged: ioctl SIOCOUTQ, tcp(7)."""
    try:
        import fcntl
        import termios

        data = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        return int(struct.unpack("i", data)[0])
    except (ImportError, OSError, AttributeError):
        return None


def rate_s(rtt_s: float) -> float:
    """For how many seconds a stream is sent over a way whose round trip takes so long."""
    return min(LONGEST_RATE_S, max(RATE_S, PACE * rtt_s))


WANTED: "List[float]" = []  # seconds each stream's thread has run or waited for a processor


def wanted_s() -> float:
    """Seconds this thread has run or waited for a processor (schedstat of the kernel), 0 where the kernel does
    not tell."""
    try:
        with open("/proc/thread-self/schedstat") as file:
            ran, waited = file.read().split()[:2]
        return (int(ran) + int(waited)) / 1e9
    except (OSError, ValueError):
        return 0.0


class Listener(object):
    """Takes what the other nodes dial and send, on a port of the kernel's choice. Every connection says one line who
    it is ("dial", "bulk" or "rate", node), is answered "ok", and then drained; the end of it is answered with the
    number of bytes that came."""

    def __init__(self) -> None:
        try:
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.socket.bind(("::", 0))
        except OSError:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.bind(("0.0.0.0", 0))
        self.socket.listen(256)
        self.port = int(self.socket.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        taken = 0
        try:
            with connection:
                connection.settimeout(30.0)
                head = b""
                while not head.endswith(b"\n") and len(head) < 64:
                    one = connection.recv(1)
                    if not one:
                        return
                    head += one
                if not head.startswith(b"envdoctor "):
                    return
                connection.sendall(b"ok\n")
                while True:
                    data = connection.recv(1 << 18)
                    if not data:
                        break
                    taken += len(data)
                connection.sendall(b"%d\n" % taken)
        except OSError:
            pass
        finally:
            WANTED.append(wanted_s())


def meet(
    address: str, port: int, what: str, limit_s: float = DIAL_S, rail: "Sequence[str]" = ()
) -> "Tuple[str, Optional[socket.socket]]":
    """Dial a node's listener and hear its answer: an outcome as in `Dialled`, or "mute" where TCP connects and nobody
    answers."""
    tried = dial(address, port, limit_s, rail=rail)
    if tried.connection is None:
        return tried.outcome, None
    try:
        tried.connection.settimeout(limit_s)
        tried.connection.sendall(b"envdoctor %s\n" % what.encode("ascii"))
        if tried.connection.recv(3) == b"ok\n":
            return "connected", tried.connection
    except OSError:
        pass
    tried.connection.close()
    return "mute", None


def dial_all(peers: "Dict[int, Tuple[str, int]]") -> "Dict[str, Tuple[str, Optional[int]]]":
    """Dial the listeners of other nodes, all at once: node -> outcome and the shortest round trip, microseconds."""
    outcomes: "Dict[str, Tuple[str, Optional[int]]]" = {}

    def one(node: int, address: str, port: int) -> None:
        outcome, connection = meet(address, port, "dial")
        rtt_us = None
        if connection is not None:
            rtt_us = round_trip_us(connection)
            connection.close()
        outcomes[str(node)] = outcome, rtt_us

    threads = [threading.Thread(target=one, args=(node,) + place, daemon=True) for node, place in peers.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 2 * DIAL_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {str(node): outcomes.get(str(node), ("timeout", None)) for node in peers}


def push(address: str, port: int, size: int, seconds: float, rail: "Sequence[str]" = ()) -> "Dict[str, Any]":
    """Send `size` bytes, or for `seconds` where that is more than 0, and wait until all has arrived.

    Returns: "outcome" ("ok", "stalled", or as of `meet`), "sent" and "unacknowledged" bytes, "gb_s" (1e9 bytes a
    second, from the first byte to the receiver's word that all have come; not of a bulk), "mss", "mtu" and "rtt_us" as
    the kernel sees them.
    """
    outcome, connection = meet(address, port, "rate" if seconds else "bulk", rail=rail)
    if connection is None:
        return {"outcome": outcome}
    told: "Dict[str, Any]" = {"outcome": "ok", "mss": mss(connection)}
    piece = bytes(1 << 18)
    sent = 0
    began = moved = time.monotonic()
    waiting: "Optional[int]" = None
    connection.setblocking(False)
    try:
        while sent < size if not seconds else time.monotonic() - began < seconds:
            ready = select.select([], [connection], [], 0.1)[1]
            now = time.monotonic()
            if ready:
                sent += connection.send(piece[: size - sent] if not seconds else piece)
            left = unacknowledged(connection)
            if left is None or waiting is None or sent - left > waiting:
                waiting, moved = sent - (left or 0), now
            if now - moved > STALL_S:
                told["outcome"] = "stalled"
                break
        if told["outcome"] == "ok":
            connection.shutdown(socket.SHUT_WR)
            while True:
                ready = select.select([connection], [], [], 0.05)[0]
                now = time.monotonic()
                left = unacknowledged(connection)
                if left is not None and (waiting is None or sent - left > waiting):
                    waiting, moved = sent - left, now
                if ready:
                    if not connection.recv(64):
                        told["outcome"] = "reset"
                    break
                if now - moved > STALL_S:
                    told["outcome"] = "stalled"
                    break
    except OSError as error:
        told["outcome"] = name_of(error)
    seconds_taken = time.monotonic() - began
    told.update(sent=sent, unacknowledged=unacknowledged(connection), mtu=path_mtu(connection))
    told["rtt_us"] = round_trip_us(connection)
    if told["outcome"] == "ok" and seconds:  # a bulk is over before TCP has found its pace
        told["gb_s"] = sent / seconds_taken / 1e9
    connection.close()
    WANTED.append(wanted_s())
    return told
