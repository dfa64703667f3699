"""Which index to ask in place of one that fails. Every finding about an index takes its advice from here.

Two findings about one index that named different remedies would undo each other's.
"""

from __future__ import annotations

import ipaddress

from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.names import NameResolution
from envdoctor.facts.pip import host_of
from envdoctor.knowledge import mirrors
from envdoctor.knowledge.versions import numbers

# pip itself waits 15 s per try; an index this slow at its first page makes every install crawl.
SLOW_S = 2.0
UNREACHED = ("no-name", "refused", "reset", "timeout", "no-route", "not-http", "failed")


def other(url: str) -> str:
    """The index to ask in place of this one: what its row of the table names, else one that is another's."""
    mirror = mirrors.pypi_mirror(url)
    better = mirror.instead if mirror and mirror.instead else mirrors.FIRST_CHOICE
    return mirrors.SECOND_CHOICE if host_of(better) == host_of(url) else better


def instead_of(url: str, probes: IndexProbes | None, resolution: NameResolution | None) -> str:
    """The index to ask in place of this one; empty where nothing is known against it that another would do better.

    A mirror that has ended or moved is replaced whatever was asked; another one by what it answered as `index-url`.
    """
    mirror = mirrors.pypi_mirror(url)
    if mirror and mirror.status in ("dead", "redirect"):
        return other(url)
    for probe in probes.indexes if probes else ():
        if probe.option == "index-url" and probe.url.rstrip("/") == url.rstrip("/"):
            here = unreachable(probe) and not is_local(probe, probes, resolution)
            if here or blocked(probe) or (mirror and foreign_files(probe)) or stale(probe) or slow(probe):
                return other(url)
    return ""


def unreachable(probe: IndexProbe) -> bool:
    """No answer, an error of the server's, or a page that is no index."""
    return probe.outcome in UNREACHED or server_fails(probe) or is_portal(probe)


def server_fails(probe: IndexProbe) -> bool:
    return probe.reached and (probe.status or 0) >= 500


def is_portal(probe: IndexProbe) -> bool:
    return probe.reached and probe.status == 200 and probe.page == "other"


def blocked(probe: IndexProbe) -> bool:
    """The same page is refused to pip and given to a browser."""
    return probe.status in (403, 406, 429) and probe.status_plain == 200


def foreign_files(probe: IndexProbe) -> str:
    """The host of another owner that the listed files lie on, empty for none."""
    if probe.status != 200 or not probe.file_hosts:
        return ""
    own = {mirrors.owner(host_of(probe.url)), mirrors.owner(host_of(probe.final_url or probe.url))}
    files = probe.file_hosts[0]
    return files if mirrors.owner(files) not in own else ""


def stale(probe: IndexProbe) -> bool:
    """A list of torch, read to its end, that stops before a release every full index should have by now."""
    full = probe.option == "index-url" and probe.whole and bool(probe.newest)
    return full and numbers(probe.newest) < numbers(mirrors.expected_release().version)


def steps_s(probe: IndexProbe) -> tuple[float, float, float, float]:
    """Seconds for the name, the connection, TLS and the first byte."""
    return (probe.resolve_s or 0.0, probe.connect_s or 0.0, probe.tls_s or 0.0, probe.first_byte_s or 0.0)


def slow(probe: IndexProbe) -> bool:
    return probe.status == 200 and sum(steps_s(probe)) >= SLOW_S


def is_local(probe: IndexProbe, probes: IndexProbes | None, resolution: NameResolution | None) -> bool:
    """Whether an index is out of reach by this machine's network and not by its own fault, so that none would do."""
    if probe.outcome == "no-route":
        return True
    if probe.outcome != "no-name":
        return False
    asked = probes.probes if probes else (probe,)
    if any(_resolved(one) for one in asked) or _finds_public_names(resolution):
        return False
    return any(_should_resolve(one) for one in asked)


def _resolved(probe: IndexProbe) -> bool:
    """Whether the probe shows that this machine's resolver finds names of the world. A proxy looks names up itself."""
    if probe.outcome == "no-name" or not probe.outcome or probe.proxy or _is_address(host_of(probe.url)):
        return False
    if probe.address:
        return _is_public(probe.address)
    return probe.reached or probe.resolve_s is not None or probe.connect_s is not None


def _should_resolve(probe: IndexProbe) -> bool:
    """Whether a name that was not found speaks against the resolver: a cloud's inner one or a dead mirror's does not,
    unless the resolver itself gave up."""
    if probe.outcome != "no-name":
        return False
    mirror = mirrors.pypi_mirror(probe.url)
    expected = mirror is None or not (mirror.intranet or mirror.status == "dead")
    return expected or probe.detail.startswith("Temporary failure")


def _finds_public_names(resolution: NameResolution | None) -> bool:
    """Whether another name led to a public address. A cluster's own name server finds its nodes, and they prove nothing
    of the world outside."""
    told = resolution.resolutions if resolution else ()
    return any(
        not one.own and not _is_address(one.name) and any(map(_is_public, one.addresses)) for one in told
    )  # fmt: skip


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False
