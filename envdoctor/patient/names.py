"""The machine's own name and those of its masters: what the files say, and what the resolver answers."""

import os

from . import children, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from .sections import Ask

LIMIT_S = 3.0


def hosts_lines(wanted: "List[str]") -> "List[Dict[str, Any]]":
    """The lines of /etc/hosts that name one of these."""
    wanted = [name.lower() for name in wanted if name]
    found = []
    for number, line in enumerate((reading.text("/etc/hosts") or "").splitlines(), 1):
        words = line.partition("#")[0].split()
        if len(words) > 1 and any(word.lower() in wanted for word in words[1:]):
            found.append({"line": number, "address": words[0], "names": words[1:20]})
    return found[:50]


def name_services() -> "List[str]":
    """Who is asked for a host's address, in order: nsswitch.conf."""
    for line in (reading.text("/etc/nsswitch.conf") or "").splitlines():
        key, colon, rest = line.partition("#")[0].partition(":")
        if colon and key.strip() == "hosts":
            return [word for word in rest.split() if not word.startswith("[")][:20]
    return []


def outward_address() -> str:
    """This machine's address on the way to the world, "" without a route. Nothing is sent: UDP connect only routes."""
    import socket

    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            made = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:
            continue
        try:
            made.connect((far, 9))
            return str(made.getsockname()[0])
        except OSError:
            continue
        finally:
            made.close()
    return ""


def named_hosts() -> "List[Tuple[str, str]]":
    """The hosts that variables name for the rendezvous: variable and host."""
    from .rendezvous import endpoint

    found = []
    for name in ("MASTER_ADDR", "PET_MASTER_ADDR", "ARNOLD_WORKER_0_HOST", "METIS_WORKER_0_HOST", "MLP_WORKER_0_HOST"):
        value = os.environ.get(name, "").strip()
        if value:
            found.append((name, value))
    host = endpoint(os.environ.get("PET_RDZV_ENDPOINT", ""))[0]
    return found + ([("PET_RDZV_ENDPOINT", host)] if host else [])


def own_name() -> str:
    import platform

    return reading.line("/proc/sys/kernel/hostname") or platform.node()


def host_names(ask: "Ask") -> "Dict[str, Any]":
    """What this machine's files say; no name service is asked."""
    name = own_name()
    return {
        "name": name,
        "hosts_lines": hosts_lines([name, name.partition(".")[0]] + [host for _, host in named_hosts()]),
        "name_services": name_services(),
        "outward_address": outward_address(),
    }


def look_up(name: str) -> "Dict[str, Any]":
    """What the resolver answers. Blocks as long as it likes."""
    import socket

    from .rendezvous import is_local

    told: "Dict[str, Any]" = {"ipv4": [], "ipv6": [], "error": "", "canonical": "", "local": []}
    try:
        answers = socket.getaddrinfo(name, None, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.AI_CANONNAME)
    except (OSError, UnicodeError) as error:
        code = getattr(error, "errno", None)
        names = {getattr(socket, key): key for key in dir(socket) if key.startswith("EAI_")}
        told["error"] = (names.get(code, "") + " " + str(getattr(error, "strerror", None) or error)).strip()
        return told
    for family, _, _, canonical, address in answers:
        key = "ipv4" if family == socket.AF_INET else "ipv6"
        if str(address[0]) not in told[key]:
            told[key].append(str(address[0]))
        told["canonical"] = told["canonical"] or canonical
    told["local"] = [address for address in told["ipv4"] + told["ipv6"] if is_local(address)]
    return told


def fully_qualified(name: str) -> str:
    """What torchrun's agent tells the others as its address, torch/distributed/elastic/rendezvous/api.py."""
    import socket

    return socket.getfqdn(name)


def resolve_all(wanted: "List[str]", limit_s: float) -> "Dict[str, Dict[str, Any]]":
    """Look all names up at once, each in a thread of its own: an answer that does not come is left out."""
    import threading
    import time

    told: "Dict[str, Dict[str, Any]]" = {}

    def resolve(name: str) -> None:
        told[name] = look_up(name)

    threads = [threading.Thread(target=resolve, args=(name,), daemon=True) for name in wanted]
    for thread in threads:
        thread.start()
    until = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(told)


def name_resolution(ask: "Ask") -> "Dict[str, Any]":
    own = own_name()
    wanted = [own]
    for _, host in named_hosts():
        if host not in wanted:
            wanted.append(host)
    reason, value = children.ask(resolve_all, LIMIT_S + 1.0, wanted[:6], LIMIT_S)
    answers = value if reason == "ok" else {}
    by_variable = {host: variable for variable, host in reversed(named_hosts())}
    resolutions = []
    for name in wanted[:6]:
        answer = answers.get(name)
        resolutions.append(
            dict(answer or {}, name=name, source=by_variable.get(name, ""), in_time=answer is not None, own=name == own)
        )
    reason, value = children.ask(fully_qualified, LIMIT_S, own)
    return {"resolutions": resolutions, "fully_qualified": str(value) if reason == "ok" else ""}
