"""The rendezvous: the port on this machine, and the master on another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PortHolder:
    """A socket on the rendezvous port.

    Attributes:
        listens: it accepts connections; else it is a connection that uses the port as its own end.
        pid, command: 0 and "" where this user may not see the process. The command has no arguments.
        own: the process is an ancestor of the doctor (torchrun's agent) or of the same job step.
    """

    address: str = ""
    listens: bool = True
    pid: int = 0
    user: str = ""
    command: str = ""
    own: bool = False


@dataclass(frozen=True)
class Binding:
    """What binding the wildcard address said: "" for success, else the name of the error, such as "EADDRINUSE".

    "?" where it was not tried.
    """

    ipv4: str = "?"
    ipv6: str = "?"


@dataclass(frozen=True)
class RendezvousPort:
    """Whether rank 0 could listen on the rendezvous port of this machine.

    Attributes:
        port: None where what was given is no port.
        given: as it was given. source: "--port", the variable, or "" for torch's usual 29500.
        free_port: the next port that could be bound, 0 if the wanted one is free or none was found.
        ephemeral: first and last port that the kernel hands out to clients; empty if unknown.
        reserved: ports it leaves out, net.ipv4.ip_local_reserved_ports: "29400-29600,40000".
        unprivileged_from: lowest port that does not need CAP_NET_BIND_SERVICE.
    """

    port: int | None = None
    given: str = ""
    source: str = ""
    bind: Binding = Binding()
    holders: tuple[PortHolder, ...] = ()
    free_port: int = 0
    ephemeral: tuple[int, ...] = ()
    reserved: str = ""
    unprivileged_from: int | None = None

    @property
    def error(self) -> str:
        """Why TCPStore could not listen, "" if it could. It takes [::] or, failing that, 0.0.0.0."""
        if "" in (self.bind.ipv4, self.bind.ipv6) or "?" in (self.bind.ipv4, self.bind.ipv6):
            return ""
        return self.bind.ipv4

    @property
    def in_use(self) -> bool:
        return self.error == "EADDRINUSE"

    @property
    def ours(self) -> bool:
        """Whether the own job holds it: torchrun's agent keeps the store there for its workers."""
        return any(holder.own for holder in self.holders)

    @property
    def may_be_taken_by_a_client(self) -> bool:
        """Whether the kernel may give the port to any outgoing connection."""
        if self.port is None or len(self.ephemeral) != 2 or not self.ephemeral[0] <= self.port <= self.ephemeral[1]:
            return False
        for part in self.reserved.split(","):
            first, _, last = part.partition("-")
            if first.strip().isdigit() and int(first) <= self.port <= int(last or first):
                return False
        return True


@dataclass(frozen=True)
class Target:
    """An endpoint the ranks of this node would connect to.

    Attributes:
        source: the variable that names it. kind: "store" (TCPStore) or "etcd".
        addresses: what the host resolves to; local: one of them is this machine's.
        outcome: "connected", "refused", "filtered" (refused by an ICMP message), "reset" (refused though somebody is
            known to listen there), "timeout", "unresolvable", "unresolved-in-time", the name of another error
            ("EHOSTUNREACH"), or "" where it is local and was not dialled.
        waited_s: seconds for which it was tried again and again; 0 where it was dialled once.
        elsewhere: after a timeout, the outcome on port 22; empty if not tried. Of a benchmark also "login" (silent
            there too, and the login with which the doctor came from it works) and "listens" (silent there too, and rank
            0 has told the doctor that it listens).
        http_status: of etcd's /version, 0 where no HTTP is spoken; None if not asked.
    """

    host: str = ""
    port: int = 0
    source: str = ""
    kind: str = "store"
    addresses: tuple[str, ...] = ()
    local: bool = False
    outcome: str = ""
    elsewhere: str = ""
    error: str = ""
    http_status: int | None = None
    waited_s: float = 0.0


@dataclass(frozen=True)
class RendezvousReach:
    """What answers at the rendezvous endpoints that variables name."""

    targets: tuple[Target, ...] = ()
