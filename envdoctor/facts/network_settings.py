"""What stands between this machine and a package index."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Proxy:
    """A proxy variable as it is set."""

    name: str = ""
    url: str = ""


@dataclass(frozen=True)
class Bundle:
    """A certificate bundle that a setting names.

    Attributes:
        name: the variable, or "file:line" of pip's configuration.
        certificates: in the file, or files in the folder; 0 where it is no bundle.
    """

    name: str = ""
    path: str = ""
    exists: bool = True
    readable: bool = True
    certificates: int = 0


@dataclass(frozen=True)
class NetworkSettings:
    """Proxies and certificate bundles in effect. `no_proxy` as it is set, the lower-case variable first."""

    proxies: tuple[Proxy, ...] = ()
    no_proxy: str = ""
    bundles: tuple[Bundle, ...] = ()
