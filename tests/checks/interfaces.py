"""Machines' interfaces, by hand, for the checks of networks."""

from __future__ import annotations

from envdoctor.facts.environment import Environment
from envdoctor.facts.nics import Address, Nic, Nics

LO = (Nic("lo", 1, "loopback"), ("127.0.0.1/8", "::1/128"))
ETH0 = (Nic("eth0", 2, "physical", speed_mbps=25000, driver="mlx5_core"), ("10.0.0.11/24",))
DOCKER0 = (Nic("docker0", 4, "bridge", speed_is_real=False), ("172.17.0.1/16",))
COMPOSE = (Nic("br-4f2a9100aabb", 5, "bridge", speed_is_real=False), ("172.18.0.1/16",))
VETH = (Nic("veth7", 6, "veth", master="docker0", speed_mbps=10000, speed_is_real=False), ("fe80::7/64",))

SIXTEEN = Environment({"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "RANK": "0", "LOCAL_RANK": "0"})
EIGHT = Environment({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "8", "RANK": "0", "LOCAL_RANK": "0"})
NOTHING = Environment()


def nics(*parts: tuple[Nic, tuple[str, ...]], source: str = "10.0.0.11", source6: str = "") -> Nics:
    """Interfaces with their addresses, listed as getifaddrs would: IPv4 of all, then IPv6 of all.

    Args:
        source, source6: own addresses towards the world, of the default route's interface.
    """
    listed = []
    for family in (4, 6):
        for nic, addresses in parts:
            for text in addresses:
                address, _, prefix = text.partition("/")
                link = address.startswith(("fe80", "169.254")) and family == 6
                scope = "host" if nic.kind == "loopback" else "link" if link else "global"
                if (":" in address) == (family == 6):
                    listed.append(Address(nic.name, nic.name, address, int(prefix), scope))
    return Nics(tuple(nic for nic, _ in parts), tuple(listed), source=source, source6=source6)


def with_variables(environment: Environment = NOTHING, **variables: str) -> Environment:
    return Environment({**environment.variables, **variables})
