"""How the target's pip talks to package indexes: its name, proxy, certificates and trust."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from envdoctor.facts.pip import PipConfig, PipEffective, host_of
from envdoctor.facts.python import Python
from envdoctor.model import Missing

# From this version on (and Python 3.10) pip asks the system's certificate store instead of its own bundle.
SYSTEM_STORE_SINCE = (24, 2)
LOCAL = re.compile(r"127\.\d+\.\d+\.\d+|localhost|::1")


@dataclass(frozen=True)
class Manner:
    """How pip talks to an index.

    Attributes:
        user_agent: in full; of pip's name alone where pip could not say it.
        proxy: of pip's own setting; the environment's are looked up for each request.
        cert: bundle file or folder in effect, empty for none.
        system_store: the system's certificates count too.
        timeout_s: pip's patience.
    """

    user_agent: str = "pip"
    proxy: str = ""
    cert: str = ""
    system_store: bool = True
    client_cert: str = ""
    trusted_hosts: tuple[str, ...] = ()
    timeout_s: float = 15.0

    @property
    def short_agent(self) -> str:
        """pip's name without what it tells of the machine: what a firewall stumbles over."""
        return self.user_agent.partition(" ")[0]

    def trusts(self, url: str) -> bool:
        """pip takes what comes from there without looking at certificates."""
        host, port = host_of(url), _port(url)
        return any(entry.lower() in (host, f"{host}:{port}", f"[{host}]:{port}") for entry in self.trusted_hosts)

    def ignores(self, url: str) -> bool:
        """pip leaves out such an index: http from another machine, and not trusted."""
        return url.lower().startswith("http://") and not self.trusts(url) and not LOCAL.fullmatch(host_of(url))


def manner(
    effective: PipEffective | Missing | None, config: PipConfig | Missing | None, python: Python | Missing | None
) -> Manner:
    """How the target's pip talks, as far as its facts tell."""
    # requests, inside pip, lets these variables win over pip's own setting (psf/requests#3829).
    variables = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""
    if not isinstance(effective, PipEffective):
        return Manner(cert=variables)
    taken = effective.command()
    minor = python.minor if isinstance(python, Python) else (0, 0)
    number = re.match(r"(\d+)\.(\d+)", effective.version)
    system = number is not None and (int(number[1]), int(number[2])) >= SYSTEM_STORE_SINCE and minor >= (3, 10)
    own = _own_bundle(config) if isinstance(config, PipConfig) else ""
    cert = variables or taken.cert
    return Manner(
        user_agent=effective.user_agent or (f"pip/{effective.version}" if effective.version else "pip"),
        proxy=taken.proxy,
        cert=cert or ("" if system else own),
        # Distributions point their pip's own bundle at the system's store.
        system_store=system or not (cert or own),
        client_cert=taken.client_cert,
        trusted_hosts=taken.trusted_hosts,
        timeout_s=taken.timeout or 15.0,
    )


def _own_bundle(config: PipConfig) -> str:
    """The certificates that pip brings along, "" where a distribution has replaced them."""
    path = os.path.join(config.pip_folder, "_vendor", "certifi", "cacert.pem")
    return path if config.pip_folder and "dist-packages" not in path and os.path.exists(path) else ""


def _port(url: str) -> int | None:
    try:
        parts = urlsplit(url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
