"""What a text lists of a machine's network: interfaces by `ip` or `ifconfig`, RDMA adapters by rdma-core's tools."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class ListedAdapter:
    """An RDMA adapter in the output of ibstat or ibstatus.

    Attributes:
        name, model: "mlx5_0"; "MT4129" where it is told.
        active: its port is.
        rate_gbps: of the port; 0 where it is not told.
        layer: "InfiniBand" or "Ethernet"; empty where it is not told.
    """

    name: str = ""
    model: str = ""
    active: bool = False
    rate_gbps: float = 0.0
    layer: str = ""


@dataclass(frozen=True)
class ListedGid:
    """A row of show_gids: adapter, slot, GID."""

    adapter: str = ""
    index: int = 0
    gid: str = ""

    @property
    def link_local(self) -> bool:
        """fe80::/10: not routed, and on Ethernet not reachable from behind another switch."""
        return self.gid.lower().startswith("fe80")


@dataclass(frozen=True)
class NetworkListing:
    """What is listed, of all listings in the text together: names of interfaces, adapters, and their GIDs.

    `speed_mbps` is that of the fastest interface that ethtool tells of, 0 without one.
    """

    interfaces: tuple[str, ...] = ()
    adapters: tuple[ListedAdapter, ...] = ()
    gids: tuple[ListedGid, ...] = ()
    speed_mbps: int = 0

    @property
    def slower(self) -> tuple[ListedAdapter, ...]:
        """Active adapters that run at less than most of their kind do: same model and layer, at least three of them."""
        found: list[ListedAdapter] = []
        for kind in {(one.model, one.layer) for one in self.adapters}:
            alike = [one for one in self.adapters if (one.model, one.layer) == kind and one.active and one.rate_gbps]
            if len(alike) < 3:
                continue
            usual, count = Counter(one.rate_gbps for one in alike).most_common(1)[0]
            if count * 2 > len(alike):
                found += [one for one in alike if one.rate_gbps < usual]
        return tuple(found)
