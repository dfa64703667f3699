"""Asks the package indexes and conda channels in effect as pip would: each in a child, all at once, within 3 s."""

import os
import re
import sys
import time
from functools import partial

from . import children, pip_config, probe_http
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from .child import Child
    from .sections import Ask

LIMIT_S = 2.8  # for all probes together; every one has a child of its own
PLAIN_AGENT = "Mozilla/5.0 (X11; Linux x86_64) envdoctor"
PACKAGE = "torch"
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
MOST = 300 * 1024  # bytes of a page; torch's list is the longest anyone asks for
TAIL = 64 * 1024
NAME = re.compile(r"\btorch-(\d+(?:\.\d+)*)((?:a|b|rc|\.dev)\d+)?(\+[a-z0-9.]+)?-(?:cp|py)\d", re.I)
LINK = re.compile(r"href\s*=\s*[\"']([^\"'#]+)|\"url\"\s*:\s*\"([^\"#]+)", re.I)


def newest(page: str) -> str:
    """The newest release of torch that a page lists, previews left out; empty if it lists none."""
    found = [match.group(1) for match in NAME.finditer(page) if not match.group(2)]
    return max(found, key=lambda version: tuple(int(part) for part in version.split(".")), default="")


def hosts_of_files(page: str, own: str) -> "List[str]":
    """The hosts a page's files come from, the commonest first; `own` for links without one."""
    counted: "Dict[str, int]" = {}
    for match in LINK.finditer(page):
        url = match.group(1) or match.group(2)
        host = re.match(r"(?:https?:)?//(?:[^/@]*@)?([^/:?#]+)", url, re.I)
        name = host.group(1).lower() if host else own
        counted[name] = counted.get(name, 0) + 1
    return sorted(counted, key=lambda name: -counted[name])[:5]


def kind_of_page(kind: str, page: str) -> str:
    """What a page is: "index" (PEP 503 or 691), "files" (links, but no index) or "other" (a login, a portal)."""
    if "vnd.pypi.simple" in kind:
        return "index"
    if "pypi:repository-version" in page or "Links for" in page[:2000]:
        return "index"
    links = [match.group(1) or match.group(2) for match in LINK.finditer(page)]
    if any(re.search(r"\.(?:whl|tar\.gz|zip)$", link) for link in links[:2000]):
        return "index" if len(links) and not re.search(r"<form|<script", page[:4000], re.I) else "files"
    return "other"


def probe_index(url: str, how: "Dict[str, Any]") -> "Dict[str, Any]":
    """One index: torch's page as pip asks for it, again with another name where it is refused."""
    until = time.monotonic() + LIMIT_S - 0.3
    page_url = url.rstrip("/") + "/" + PACKAGE + "/"
    found = probe_http.fetch(page_url, how, how["user_agent"] or PLAIN_AGENT, ACCEPT, MOST, until)
    body = found.pop("body", "")
    if found["status"] in (401, 403, 406, 429) and how["user_agent"] and time.monotonic() < until:
        again = probe_http.fetch(page_url, how, PLAIN_AGENT, "text/html", 4096, until)
        found["status_plain"] = again["status"]
    if found["status"] == 200:
        found["page"] = kind_of_page(found.get("content_type", ""), body)
        found["whole"] = found["bytes"] < MOST and time.monotonic() < until
        if not found["whole"] and time.monotonic() < until:
            # Releases are listed oldest first by most: the end of a long page is asked for by itself.
            tail = probe_http.fetch(
                page_url, how, how["user_agent"] or PLAIN_AGENT, ACCEPT, TAIL, until, "bytes=-%d" % TAIL
            )
            found["whole"] = tail["status"] == 206
            body += tail.get("body", "") if found["whole"] else ""
        found["newest"] = newest(body)
        found["file_hosts"] = hosts_of_files(body, probe_http.host_of(found.get("final_url") or page_url))
    return found


def platform_folder() -> str:
    """The folder of a channel that holds the packages of this platform: "linux-64"; "" for a platform without one."""
    import platform

    machine = platform.machine().lower()
    system = {"linux": "linux", "darwin": "osx", "win32": "win"}.get(sys.platform, "")
    kind = {"x86_64": "64", "amd64": "64", "arm64": "arm64"}.get(machine, machine)
    kind = "aarch64" if (system, kind) == ("linux", "arm64") else kind
    return system + "-" + kind if system and kind else ""


def probe_channel(url: str, how: "Dict[str, Any]") -> "Dict[str, Any]":
    """One conda channel: the first bytes of its list of packages for every platform, then of those for this one."""
    until = time.monotonic() + LIMIT_S - 0.3

    def listing(folder: str) -> "Dict[str, Any]":
        place = url.rstrip("/") + "/" + folder + "/repodata.json"
        answer = probe_http.fetch(place, how, PLAIN_AGENT, "*/*", 256, until)
        if answer["status"] == 404 and time.monotonic() < until:
            packed = probe_http.fetch(place + ".zst", how, PLAIN_AGENT, "*/*", 256, until)
            answer = packed if packed["status"] == 200 else answer
        answer.pop("body", "")
        return answer

    found = listing("noarch")
    folder = platform_folder()
    if found["status"] == 200 and folder and time.monotonic() < until:
        found["status_platform"] = listing(folder)["status"]
    return found


def sources(facts: "Dict[str, Any]") -> "List[Dict[str, Any]]":
    """The indexes pip asks and the channels conda asks, at most eight."""
    found: "List[Dict[str, Any]]" = []
    effective = facts.get("pip-effective") or {}
    commands = [command for command in effective.get("commands", ()) if command["command"] == "install"]
    if commands and not commands[0]["no_index"]:
        taken = commands[0]
        urls = [("index-url", taken["index_url"])] + [("extra-index-url", url) for url in taken["extra_index_urls"]]
        found += [{"kind": "index", "option": option, "url": url} for option, url in urls if url]
    elif not commands and facts.get("pip-config"):
        config = facts["pip-config"]
        won = config["winners"]["install"]
        for option in ("index-url", "extra-index-url"):
            if option in won:
                words = config["values"][won[option]]["value"].split()
                found += [{"kind": "index", "option": option, "url": url} for url in words]
    channels = (facts.get("conda-config") or {}).get("channel_urls", ())
    found += [{"kind": "channel", "option": "channels", "url": url} for url in channels]
    return [source for source in found if source["url"].lower().startswith(("http://", "https://"))][:8]


def asks_the_system(config: "Dict[str, Any]") -> bool:
    """Whether pip verifies with the system's store, beside any bundle: from 24.2 on, on Python 3.10 and newer."""
    return pip_config.numbers(config.get("pip_version") or "") >= (24, 2) and sys.version_info >= (3, 10)


def bundle_of_pip(config: "Dict[str, Any]") -> str:
    """The certificates pip brings along, where it uses them."""
    folder = config.get("pip_folder") or ""
    # Distributions point their pip at the system's store instead.
    if not folder or asks_the_system(config) or "dist-packages" in folder:
        return ""
    path = os.path.join(folder, "_vendor", "certifi", "cacert.pem")
    return path if os.path.exists(path) else ""


def settings(facts: "Dict[str, Any]") -> "Dict[str, Any]":
    """How pip talks: its name, proxy, certificates and trusted hosts."""
    effective = facts.get("pip-effective") or {}
    taken: "Dict[str, Any]" = next(
        (command for command in effective.get("commands", ()) if command["command"] == "install"), {}
    )
    environ = os.environ
    config = facts.get("pip-config") or {}
    return {
        "user_agent": effective.get("user_agent", ""),
        # requests, inside pip, lets these variables win over pip's own setting (psf/requests#3829).
        "cert": environ.get("REQUESTS_CA_BUNDLE")
        or environ.get("CURL_CA_BUNDLE")
        or taken.get("cert")
        or bundle_of_pip(config),
        "system_store": asks_the_system(config),
        "client_cert": taken.get("client_cert", ""),
        "proxy": taken.get("proxy", ""),
        "trusted_hosts": taken.get("trusted_hosts", []),
    }


def _answer(probe: "Any", url: str, how: "Dict[str, Any]", send: "Any") -> None:
    send({"fact": url, "value": probe(url, how)})


def probe_all(asked: "List[Dict[str, Any]]", how: "Dict[str, Any]") -> "List[Dict[str, Any]]":
    """Probe everything at once; one that does not come back within the limit is told as a timeout."""
    running: "List[Child]" = []
    by_child: "Dict[int, Dict[str, Any]]" = {}
    for source in asked:
        probe = probe_index if source["kind"] == "index" else probe_channel
        child = children.fork(partial(_answer, probe, source["url"], how), LIMIT_S)
        running.append(child)
        by_child[child.pid] = source
    answers: "Dict[str, Any]" = {}
    failed: "Dict[str, str]" = {}

    def ended(child: "Child") -> None:
        reason, detail = children.outcome(child)
        failed[by_child[child.pid]["url"]] = "timeout" if reason in ("slow", "hung") else detail

    for record in children.follow(running, time.monotonic() + LIMIT_S, ended):
        if "fact" in record:
            answers[str(record["fact"])] = record["value"]
    probes = []
    for source in asked:
        answer = answers.get(source["url"])
        if answer is None:
            why = failed.get(source["url"], "timeout")
            answer = {"outcome": "timeout" if why == "timeout" else "failed", "detail": why}
        probes.append(dict(source, **answer))
    return probes


def asked_places(ask: "Ask") -> "Dict[str, Any]":
    """The addresses the doctor wants to know about before it writes them anywhere."""
    if not ask.places:
        raise NotHere("no address was asked for")
    facts = dict(ask.facts)
    if "pip-config" not in facts:
        facts["pip-config"] = pip_config.pip_config(ask)
    if not hasattr(os, "fork"):
        raise NotHere("this platform offers no way to probe in a child")
    asked = [{"kind": place["kind"], "option": "", "url": place["url"]} for place in ask.places]
    # Whether its certificate verifies must be known before a trusted-host that hides that is left or taken away.
    return {"probes": probe_all(asked, dict(settings(facts), trusted_hosts=[]))}


def index_probes(ask: "Ask") -> "Dict[str, Any]":
    facts = dict(ask.facts)
    if "pip-config" not in facts:
        facts["pip-config"] = pip_config.pip_config(ask)
    asked = sources(facts)
    if not asked:
        raise NotHere("no index or channel over http is known")
    if not hasattr(os, "fork"):
        raise NotHere("this platform offers no way to probe in a child")
    return {"probes": probe_all(asked, settings(facts))}
