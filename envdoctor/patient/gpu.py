"""The GPUs, through NVML; where that cannot run, through nvidia-smi or /proc, which tell less."""

import os
import re
import time

from . import children, driver_libraries, fresh, gpu_nvml, processes, reading
from .sections import Denied, NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from .child import Child
    from .sections import Ask

LIBRARY = "libnvidia-ml.so.1"
# nvmlInit and the first call to a GPU start it where persistence mode is off: seconds for each.
CALL_S = 20.0
STILL_S = 8.0  # a reader that stands still this long does not come back
MOST_TRIES = 10  # readers started one after the other, each without the GPUs its predecessors died of
PROC = "/proc/driver/nvidia/gpus"
NO_BINDING = -1
COLUMNS = (
    ("index", "index"),
    ("uuid", "uuid"),
    ("name", "name"),
    ("pci.bus_id", "pci"),
    ("compute_cap", "compute_capability"),
    ("memory.total", "memory_bytes"),
    ("memory.used", "memory_used_bytes"),
    ("ecc.errors.uncorrected.volatile.total", "ecc_uncorrected"),
    ("utilization.gpu", "utilisation_percent"),
    ("temperature.gpu", "temperature_c"),
    ("pcie.link.gen.current", "pcie_generation"),
    ("pcie.link.gen.max", "pcie_generation_max"),
    ("pcie.link.width.current", "pcie_width"),
    ("pcie.link.width.max", "pcie_width_max"),
    ("mig.mode.current", "mig"),
    ("persistence_mode", "persistence"),
)


class NvmlFailed(Exception):
    """NVML did not start; `code` is its return code, NO_BINDING, or None where it did not return."""

    def __init__(self, code: "Optional[int]", told: str) -> None:
        Exception.__init__(self, told)
        self.code = code


def at_hand(path: str) -> bool:
    """Whether NVIDIA's Python binding came with us, as a file or among our sources."""
    return os.path.isfile(path) or fresh.BINDING in fresh.SOURCES


def load(path: str) -> "Any":
    """NVIDIA's Python binding, from its file or our sources, found through no path."""
    import importlib.util
    import sys

    if fresh.BINDING in fresh.SOURCES:
        module = type(sys)("pynvml")
        sys.modules["pynvml"] = module  # it looks itself up there
        exec(compile(fresh.SOURCES[fresh.BINDING], "<pynvml>", "exec"), module.__dict__)
        return module
    spec = importlib.util.spec_from_file_location("pynvml", path)
    if spec is None or spec.loader is None:
        raise ImportError("no module in " + path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pynvml"] = module  # it looks itself up there
    spec.loader.exec_module(module)
    return module


def tell(send: "Any", path: str, without: "Dict[int, Any]") -> None:
    """Send what NVML knows of every GPU but those that are known to kill or hold the reader."""
    send({"begin": "nvmlInit"})
    try:
        pynvml = load(path)
    except Exception as error:
        send({"fact": "failed", "value": {"code": NO_BINDING, "text": "pynvml: " + children.describe(error)}})
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        send({"fact": "failed", "value": {"code": error.value, "text": gpu_nvml.words(pynvml, error.value)}})
        return
    count = pynvml.nvmlDeviceGetCount()
    send({"fact": "count", "value": count})
    for index in range(count):
        if index not in without:
            send({"begin": str(index)})
            send({"fact": str(index), "value": gpu_nvml.gpu(pynvml, index)})
    send({"fact": "end", "value": None})


def through_nvml(path: str, until: float) -> "Tuple[int, List[Dict[str, Any]]]":
    """The number of GPUs and their facts. Raises NvmlFailed."""
    found: "Dict[int, Dict[str, Any]]" = {}
    count = 0
    for _ in range(MOST_TRIES):
        child = children.fork(lambda send: tell(send, path, found), max(0.2, until - time.monotonic()))
        child.patience_s = STILL_S
        for record in children.follow([child], until):
            name, value = record.get("fact"), record.get("value")
            if name == "failed":
                raise NvmlFailed(value["code"], value["text"])
            if name == "count":
                count = value
            elif name is not None and name.isdigit():
                found[int(name)] = value
        if "end" in child.ended:
            break
        why = died(child)
        if not child.begun.isdigit():
            raise NvmlFailed(None, (child.begun or "NVML") + " " + why)
        # The GPU it was at is left out, and a new reader takes the others.
        found[int(child.begun)] = {"index": int(child.begun), "error": why}
        if time.monotonic() > until - 0.5:
            break
    for index in range(count):
        found.setdefault(index, {"index": index, "error": "was not reached in time"})
    return count, [found[index] for index in sorted(found)]


def died(child: "Child") -> str:
    """What became of a reader that did not end, in NVML's manner of speaking."""
    reason, detail = children.outcome(child)
    first = detail.partition("\n")[0]
    if reason == "hung":
        place = child.wchan or child.slept_in
        return "does not return" + (" (waits in %s)" % place if place else "")
    if reason == "slow":
        return "did not return in time"
    return "%s: %s" % (reason, first)


def from_proc() -> "List[Dict[str, Any]]":
    """The GPUs the kernel module knows, in the order of their addresses, which is NVML's."""
    found: "List[Dict[str, Any]]" = []
    for address in reading.names(PROC):
        told = reading.text(PROC + "/" + address + "/information", 65536) or ""
        fields = dict(re.findall(r"^([^:]+?)\s*:\s*(.*?)\s*$", told, re.M))
        uuid = fields.get("GPU UUID", "")
        found.append(
            {
                "index": len(found),
                "pci": address.lower(),
                "name": fields.get("Model", ""),
                "uuid": "" if "?" in uuid else uuid,
            }
        )
    return found


def from_nvidia_smi(limit_s: float) -> "List[Dict[str, Any]]":
    """The GPUs as nvidia-smi lists them; empty where it does not run."""
    until = time.monotonic() + limit_s
    # An old nvidia-smi refuses the whole question for one column it does not know.
    for columns in (COLUMNS, COLUMNS[:4] + COLUMNS[5:7]):
        wanted = "--query-gpu=" + ",".join(query for query, _ in columns)
        said = reading.run(["nvidia-smi", wanted, "--format=csv,noheader,nounits"], max(0.1, until - time.monotonic()))
        found = [row(line, columns) for line in said.out.splitlines() if line.count(",") == len(columns) - 1]
        found = [one for one in found if "index" in one]
        if found or said.failure:
            return found
    return []


def row(line: str, columns: "Tuple[Tuple[str, str], ...]" = COLUMNS) -> "Dict[str, Any]":
    """One line of nvidia-smi's answer. What it does not know it puts in brackets: [N/A], [GPU is lost]."""
    facts: "Dict[str, Any]" = {}
    for (_, key), told in zip(columns, (part.strip() for part in line.split(","))):  # noqa: B905
        if told.startswith("[") or told in ("N/A", ""):
            if "lost" in told.lower():
                facts.update(error=told.strip("[]"), error_code=15)
            continue
        if key in ("mig", "persistence"):
            facts[key] = told == "Enabled"
        elif key == "pci":
            facts[key] = re.sub(r"^0{4}(?=[0-9a-f]{4}:)", "", told.lower())
        elif key in ("uuid", "name", "compute_capability"):
            facts[key] = told
        elif told.isdecimal():
            facts[key] = int(told) * (1024 * 1024 if key.startswith("memory_") else 1)
    return facts


def batch_job(pid: "Any") -> str:
    """The batch job in a process's control group: "job_123" under Slurm, "" outside of one."""
    found = re.search(r"\bjob_\d+", reading.text("/proc/%s/cgroup" % pid, 65536) or "")
    return found.group() if found else ""


def program(pid: int) -> str:
    """The program and the script it runs. Further arguments may hold secrets and are left out."""
    parts = (reading.text("/proc/%d/cmdline" % pid, 4096) or "").split("\0")
    script = next((part for part in parts[1:] if part.endswith(".py")), "")
    return " ".join(os.path.basename(part) for part in (parts[0], script) if part)[:200]


def whose(pids: "List[int]") -> "Dict[str, Dict[str, Any]]":
    """User, program and belonging of processes; nothing of those in another PID namespace."""
    import pwd

    table = processes.table()
    own = {os.getpid()}
    parent = os.getppid()
    while parent in table and parent not in own:
        own.add(parent)
        parent = table[parent][0]
    job = batch_job("self")
    found = {}
    for pid in pids:
        try:
            uid = os.stat("/proc/%d" % pid).st_uid
        except OSError:
            continue
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
        mine = pid in own or (job != "" and batch_job(pid) == job)
        found[str(pid)] = {"user": user, "command": program(pid), "own": mine}
    return found


def name_processes(gpus: "List[Dict[str, Any]]", limit_s: float) -> None:
    """Add to each GPU's processes whose they are. Asking for a user's name may hang on a directory server."""
    pids = sorted({process["pid"] for one in gpus for process in one.get("processes", ())})
    if not pids:
        return
    reason, told = children.ask(whose, limit_s, pids)
    for one in gpus:
        for process in one.get("processes", ()):
            process.update(told.get(str(process["pid"]), {}) if reason == "ok" else {})


def gpu(ask: "Ask") -> "Dict[str, Any]":
    until = min(time.monotonic() + CALL_S, ask.until - 2.0 if ask.until else time.monotonic() + CALL_S)
    if not driver_libraries.candidates(LIBRARY)[LIBRARY]:
        known = from_proc()
        if not known:
            raise NotHere("no %s and no GPU in %s" % (LIBRARY, PROC))
        return {"source": "proc", "source_error": "no " + LIBRARY, "count": len(known), "gpus": known}
    try:
        if not at_hand(ask.pynvml):
            raise NvmlFailed(NO_BINDING, "pynvml is not at hand")
        count, found = through_nvml(ask.pynvml, until)
    except NvmlFailed as error:
        return otherwise(error, until)
    add_addresses(found)
    name_processes(found, max(0.2, min(2.0, until - time.monotonic())))
    return {"source": "nvml", "count": count, "gpus": found}


def otherwise(error: "NvmlFailed", until: float) -> "Dict[str, Any]":
    """What is known of the GPUs where NVML does not tell. Raises NotHere, Denied or the error where nothing is."""
    if error.code == NO_BINDING:
        known = from_nvidia_smi(min(10.0, max(0.2, until - time.monotonic())))
        if known:
            return {"source": "nvidia-smi", "source_error": str(error), "count": len(known), "gpus": known}
    # With the library itself at fault nvidia-smi, which stands on it, would fail or hang likewise.
    known = from_proc()
    if known:
        return {"source": "proc", "source_error": str(error), "count": len(known), "gpus": known}
    if error.code == 4:
        raise Denied("NVML: %s; the device nodes /dev/nvidia* tell who may" % error)
    if error.code in (9, 12, NO_BINDING):
        raise NotHere("NVML: %s" % error)
    raise error


def add_addresses(gpus: "List[Dict[str, Any]]") -> None:
    """Give GPUs that do not tell their address the one of their place in /proc, where both lists agree in length."""
    known = from_proc()
    if len(known) != len(gpus):
        return
    for one, told in zip(gpus, known):  # noqa: B905
        for key in ("pci", "name", "uuid"):
            one[key] = one.get(key) or told[key]
