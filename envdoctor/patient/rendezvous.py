"""The rendezvous port of this machine and the master of another: can the port be bound, who holds it, who answers."""

import errno
import os
import re

from . import children, processes, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Set, Tuple

    from .sections import Ask

USUAL = 29500  # torchrun --master-port, torch.distributed's own examples, accelerate and DeepSpeed
USUAL_C10D = 29400  # --rdzv-endpoint without a port, torch/distributed/elastic/rendezvous/c10d_rendezvous_backend.py
# Where a platform tells the port; a list of ports means its first.
PORT_VARIABLES = (
    "MASTER_PORT",
    "PET_MASTER_PORT",
    "ARNOLD_WORKER_0_PORT",
    "METIS_WORKER_0_PORT",
    "MLP_WORKER_0_PORT",
)
# Two processes whose variables of one of these groups are equal belong to one job step.
JOB_MARKS = (
    ("TORCHELASTIC_RUN_ID",),
    ("SLURM_JOB_ID", "SLURM_STEP_ID"),
    ("PMIX_NAMESPACE",),
    ("OMPI_MCA_ess_base_jobid",),
    ("PALS_APID",),
    ("FLUX_JOB_ID",),
)
LISTEN, TIME_WAIT = "0A", "06"
LIMIT_S = 3.0


def endpoint(text: str) -> "Tuple[str, str]":
    """Host and port of "host:port", "[v6]:port" or a host alone."""
    text = text.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.lstrip(":")
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, ""


def wanted_port(asked: int) -> "Tuple[str, str]":
    """The port's text and who says so: "--port", a variable, or "" for the usual one."""
    if asked:
        return str(asked), "--port"
    for name in PORT_VARIABLES:
        value = os.environ.get(name, "").strip()
        if value:
            return (value if name.endswith("MASTER_PORT") else value.partition(",")[0]), name
    given = endpoint(os.environ.get("PET_RDZV_ENDPOINT", ""))[1]
    if given:
        return given, "PET_RDZV_ENDPOINT"
    return str(USUAL), ""


def bind(port: int) -> "Dict[str, str]":
    """Bind the wildcard addresses as TCPStore does and let go at once: family -> "" or the name of the error.

    TCPStore (libuv and not, torch 2.13) sets SO_REUSEADDR, tries [::] with IPv4 in it, and falls back on 0.0.0.0.
    """
    import socket

    said: "Dict[str, str]" = {}
    for name, family, address in (("ipv6", socket.AF_INET6, "::"), ("ipv4", socket.AF_INET, "0.0.0.0")):
        try:
            made = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno or 0, str(error))
            continue
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            made.bind((address, port))
            said[name] = ""
        except OSError as error:
            said[name] = errno.errorcode.get(error.errno or 0, str(error))
        finally:
            made.close()
    return said


def sockets(port: int) -> "List[Dict[str, Any]]":
    """The TCP sockets of this network namespace on a local port, listening ones first; TIME_WAIT hinders nobody."""
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (reading.text(path, 1 << 24) or "").splitlines()[1:]:
            fields = line.split()
            if len(fields) < 10 or fields[3] == TIME_WAIT:
                continue
            address, _, local = fields[1].rpartition(":")
            try:
                if int(local, 16) != port:
                    continue
                found.append(
                    {
                        "address": readable(address),
                        "listens": fields[3] == LISTEN,
                        "uid": int(fields[7]),
                        "inode": int(fields[9]),
                    }
                )
            except ValueError:
                continue
    return sorted(found, key=lambda one: not one["listens"])[:10]


def readable(address: str) -> str:
    """An address of /proc/net/tcp, which has 32-bit words in the machine's byte order, as people write it."""
    import socket
    import struct

    words = [int(address[i : i + 8], 16) for i in range(0, len(address), 8)]
    packed = struct.pack("=%dI" % len(words), *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def owners(inodes: "Set[int]") -> "Dict[int, int]":
    """Which process has each socket open, as far as this user may see."""
    found: "Dict[int, int]" = {}
    wanted = {"socket:[%d]" % inode: inode for inode in inodes}
    for pid in reading.names("/proc"):
        if not pid.isdigit() or not wanted:
            continue
        folder = "/proc/" + pid + "/fd"
        for name in reading.names(folder):
            try:
                inode = wanted.pop(os.readlink(reading.rooted(folder + "/" + name)), None)
            except OSError:
                continue
            if inode is not None:
                found[inode] = int(pid)
    return found


def user(uid: int) -> str:
    """Name of a user in /etc/passwd; the name service could be slow."""
    for line in (reading.text("/etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(uid):
            return fields[0]
    return "uid %d" % uid


def command(pid: int) -> str:
    """The program a process runs and its script or module, without further arguments: those may hold secrets."""
    words = (reading.text("/proc/%d/cmdline" % pid, 4096) or "").split("\x00")
    if not words or not words[0]:
        return reading.line("/proc/%d/comm" % pid) or ""
    shown = [os.path.basename(words[0])]
    if re.match(r"(python|pypy)[0-9.]*t?$", shown[0]):
        for number, word in enumerate(words[1:], 1):
            if word in ("-m", "-c"):
                shown += [word, words[number + 1] if word == "-m" and number + 1 < len(words) else "..."]
                break
            if word and not word.startswith("-"):
                shown.append(os.path.basename(word))
                break
    return " ".join(shown)[:200]


def variables(pid: int) -> "Dict[str, str]":
    """The variables of a process that tell its job; empty where it is another user's."""
    names = {name for group in JOB_MARKS for name in group}
    told = {}
    for entry in (reading.text("/proc/%d/environ" % pid, 1 << 20) or "").split("\x00"):
        name, _, value = entry.partition("=")
        if name in names:
            told[name] = value
    return told


def same_job(ours: "Dict[str, str]", theirs: "Dict[str, str]") -> bool:
    """Whether two processes belong to one job step. torchrun names every run "none" unless told otherwise."""
    for group in JOB_MARKS:
        values = [ours.get(name, "") for name in group]
        if all(values) and values != ["none"] and values == [theirs.get(name, "") for name in group]:
            return True
    return False


def ancestors() -> "Set[int]":
    """This process and those it descends from."""
    table = processes.table()
    found: "Set[int]" = set()
    pid = os.getpid()
    while pid and pid not in found:
        found.add(pid)
        pid = table[pid][0] if pid in table else 0
    return found


def holders(port: int) -> "List[Dict[str, Any]]":
    """Who holds a port. `own` is true of torchrun's agent above this process and of other processes of its job."""
    found = sockets(port)
    pids = owners({one["inode"] for one in found})
    above = ancestors()
    ours = {name: os.environ[name] for group in JOB_MARKS for name in group if name in os.environ}
    told = []
    for one in found:
        pid = pids.get(one["inode"], 0)
        told.append(
            {
                "address": one["address"],
                "listens": one["listens"],
                "pid": pid,
                "user": user(one["uid"]),
                "command": command(pid) if pid else "",
                "own": pid in above or (pid > 0 and same_job(ours, variables(pid))),
            }
        )
    return told


def free_port(after: int) -> int:
    """The next port that can be bound, 0 if none of a hundred can."""
    for port in range(after + 1, min(after + 101, 65536)):
        said = bind(port)
        if "" in said.values():
            return port
    return 0


def rendezvous_port(ask: "Ask") -> "Dict[str, Any]":
    given, source = wanted_port(ask.port)
    port = int(given) if re.match(r"\d{1,5}$", given) and int(given) < 65536 else None
    # Port 0 asks the kernel for any.
    said = bind(port) if port else {}
    busy = "EADDRINUSE" in said.values() and "" not in said.values()
    ephemeral = (reading.line("/proc/sys/net/ipv4/ip_local_port_range") or "").split()
    return {
        "port": port,
        "given": given[:200],
        "source": source,
        "bind": said,
        "holders": holders(port) if busy and port else [],
        "free_port": free_port(port) if port and busy else 0,
        "ephemeral": [int(ephemeral[0]), int(ephemeral[1])] if len(ephemeral) == 2 else [],
        "reserved": (reading.line("/proc/sys/net/ipv4/ip_local_reserved_ports") or "")[:4096],
        "unprivileged_from": reading.number("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
    }


def targets(asked: int) -> "List[Dict[str, Any]]":
    """The endpoints this process would connect to, with the variable that names each."""
    found = []
    backend = os.environ.get("PET_RDZV_BACKEND", "").strip().lower()
    host, given = endpoint(os.environ.get("PET_RDZV_ENDPOINT", ""))
    if host:
        kind = "etcd" if backend.startswith("etcd") else "store"
        usual = 2379 if kind == "etcd" else USUAL_C10D
        found.append({"host": host, "port": number(given, usual), "source": "PET_RDZV_ENDPOINT", "kind": kind})
    for name in ("MASTER_ADDR", "PET_MASTER_ADDR"):
        host = os.environ.get(name, "").strip()
        if host and host not in [one["host"] for one in found]:
            given = os.environ.get(name.replace("ADDR", "PORT"), "").strip()
            found.append({"host": host, "port": asked or number(given, USUAL), "source": name, "kind": "store"})
    return found


def number(text: str, usual: int) -> int:
    return int(text) if re.match(r"\d{1,5}$", text) and int(text) < 65536 else usual


def is_local(address: str) -> bool:
    """Whether an address is one of this machine's: only those can be bound."""
    import socket

    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind((address, 0))
    except OSError:
        return False
    finally:
        made.close()
    return True


def dial(address: str, port: int, limit_s: float) -> str:
    """Connect and hang up: "connected", "refused", "timeout", or the name of another error."""
    import socket

    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(limit_s)
    try:
        made.connect((address, port))
    except socket.timeout:
        return "timeout"
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            return "refused"
        return errno.errorcode.get(error.errno or 0, str(error))
    finally:
        made.close()
    return "connected"


def http_status(address: str, port: int, path: str, limit_s: float) -> int:
    """Status of a GET without proxies, 0 if no HTTP is spoken there."""
    import http.client

    connection = http.client.HTTPConnection(address, port, timeout=limit_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def probe(host: str, port: int, kind: str, limit_s: float) -> "Dict[str, Any]":
    """Resolve and connect. Runs in a child of its own, because resolving has no time limit."""
    from . import names

    found = names.look_up(host)
    addresses = (found["ipv4"] + found["ipv6"])[:4]
    told: "Dict[str, Any]" = {"addresses": addresses, "error": found["error"], "outcome": ""}
    told["local"] = any(is_local(address) for address in addresses)
    if not addresses:
        told["outcome"] = "unresolvable"
    elif not told["local"]:
        told["outcome"] = dial(addresses[0], port, limit_s)
        if told["outcome"] == "timeout":
            # Does the host live? Its answer on the port of sshd, be it a refusal, says so.
            told["elsewhere"] = dial(addresses[0], 22, 1.0)
    if kind == "etcd" and (told["local"] or told["outcome"] == "connected"):
        told["http_status"] = http_status(addresses[0], port, "/version", limit_s)
    return told


def rendezvous_reach(ask: "Ask") -> "Dict[str, Any]":
    reached = []
    for target in targets(ask.port)[:3]:
        reason, value = children.ask(probe, LIMIT_S + 2.0, target["host"], target["port"], target["kind"], LIMIT_S)
        answer = dict(value) if reason == "ok" else {"outcome": "unresolved-in-time", "error": str(value)[:500]}
        reached.append(dict(target, **answer))
    return {"targets": reached}
