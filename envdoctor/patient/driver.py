"""The NVIDIA driver: kernel module, user-space libraries, device nodes, and what CUDA and NVML answer."""

import re
import time

from . import children, driver_libraries, reading
from .driver_calls import cuda, nvml, open_nodes
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple

    from .child import Child
    from .sections import Ask

CUDA, NVML = "libcuda.so.1", "libnvidia-ml.so.1"
# cuInit takes ten and more seconds on a machine of eight GPUs without persistence mode.
CALL_S = 20.0
# A call whose process neither computes nor reads for this long does not return.
STILL_S = 8.0
FABRIC_MANAGER = "nv-fabricmanager"


def kernel_module() -> "Dict[str, Any]":
    """Release and kind of the loaded kernel module, and the file that said so."""
    told = reading.text("/proc/driver/nvidia/version", 65536) or ""
    line = next((line for line in told.splitlines() if line.startswith("NVRM version")), "")
    found = re.search(r"\s(\d{3,}\.\d+(?:\.\d+)*)\s", line + " ")
    release, source = reading.line("/sys/module/nvidia/version") or "", "/sys/module/nvidia/version"
    if not release and found:
        release, source = found.group(1), "/proc/driver/nvidia/version"
    return {
        "kernel_release": release,
        "release": release,
        "release_source": source if release else "",
        "open_kernel_module": "Open Kernel Module" in line,
        "nouveau": reading.exists("/sys/module/nouveau"),
    }


def not_loaded() -> "Dict[str, Any]":
    """Why a module may not be loaded: none built for this kernel, or one that secure boot refuses."""
    kernels = []
    for kernel in reading.names("/lib/modules"):
        listed = reading.text("/lib/modules/" + kernel + "/modules.dep", 8 << 20) or ""
        if re.search(r"^\S*/nvidia\.ko(\.\w+)?:", listed, re.M):
            kernels.append(kernel)
    variables = "/sys/firmware/efi/efivars"
    boot = [name for name in reading.names(variables) if name.startswith("SecureBoot-")]
    # Four bytes of attributes, then the value.
    value = (reading.raw(variables + "/" + boot[0], 5) or b"") if boot else b""
    return {"module_kernels": kernels, "secure_boot": value[4] == 1 if len(value) == 5 else None}


def nodes() -> "List[str]":
    """Names in /dev that belong to the driver, "nvidia-caps/..." aside."""
    return [
        name
        for name in reading.names("/dev")
        if (name.startswith("nvidia") and name != "nvidia-caps" and name != "nvidia-caps-imex-channels")
        or name == "dxg"
    ]


def together(
    calls: "List[Tuple[str, Callable[..., None], Tuple[Any, ...]]]", until: float, facts: "Dict[str, Any]"
) -> None:
    """Make calls that may hang, crash or take long, each in a child of its own, all at once.

    Their answers go into `facts`, with what became of calls that did not return.
    """
    started = []
    facts["unfinished_calls"] = []
    for name, function, arguments in calls:
        # Bound now: the child calls what this turn of the loop means.
        def call(
            send: "Any", function: "Callable[..., None]" = function, arguments: "Tuple[Any, ...]" = arguments
        ) -> None:
            function(send, *arguments)

        child = children.fork(call, max(0.2, until - time.monotonic()))
        child.patience_s = STILL_S
        child.begun = name
        started.append(child)

    def ended(child: "Child") -> None:
        if "end" in child.ended:
            return
        reason, detail = children.outcome(child)
        if reason == "hung" and not facts.get("stuck"):
            facts.update(stuck=child.wchan or child.slept_in or "unknown", stuck_call=child.begun)
        elif reason == "slow":
            facts["unfinished_calls"].append(child.begun)
        elif reason in ("crashed", "failed") and not facts.get("crashed_call"):
            facts["crashed_call"] = "%s (%s)" % (child.begun, detail.partition("\n")[0])

    for record in children.follow(started, until, ended):
        if isinstance(record.get("value"), dict):
            for key, value in record["value"].items():
                if key == "denied_nodes":
                    facts[key] = facts.get(key, []) + value
                else:
                    facts[key] = value


def fabric_manager(until: float) -> "Dict[str, Any]":
    """Whether NVIDIA's fabric manager runs here, and its release. Unknown in a container, which does not see it."""
    program = next(
        (folder + "/" + FABRIC_MANAGER for folder in ("/usr/bin", "/usr/sbin", "/usr/local/bin")
         if reading.exists(folder + "/" + FABRIC_MANAGER)), "",
    )  # fmt: skip
    # The kernel keeps 15 bytes of a process's name.
    runs = any(reading.line("/proc/" + pid + "/comm") == FABRIC_MANAGER[:15] for pid in processes())
    found = {"fabric_manager": "", "fabric_manager_release": ""}
    if runs:
        found["fabric_manager"] = "active"
    elif program:
        found["fabric_manager"] = "inactive"
    elif not reading.exists("/.dockerenv") and not reading.exists("/run/.containerenv") and is_first_namespace():
        found["fabric_manager"] = "absent"
    if program and not reading.ROOT:
        said = reading.run([program, "--version"], max(0.2, min(2.0, until - time.monotonic())))
        told = re.search(r"\d{3,}\.\d+(?:\.\d+)*", said.out + said.err)
        found["fabric_manager_release"] = told.group() if told else ""
    return found


def processes() -> "List[str]":
    return [name for name in reading.names("/proc") if name.isdigit()]


def is_first_namespace() -> bool:
    """Whether processes of the whole machine are visible: the first one is an init system or the kernel's threads."""
    return reading.line("/proc/2/comm") == "kthreadd"


def driver(ask: "Ask") -> "Dict[str, Any]":
    libraries = driver_libraries.candidates(CUDA, NVML)
    facts: "Dict[str, Any]" = dict(kernel_module(), device_nodes=nodes())
    libcuda = libraries[CUDA][0] if libraries[CUDA] else ""
    libnvml = libraries[NVML][0] if libraries[NVML] else ""
    if not (facts["kernel_release"] or facts["nouveau"] or facts["device_nodes"] or libcuda or libnvml):
        raise NotHere("no trace of an NVIDIA driver: no kernel module, no library, no device node")
    if not facts["kernel_release"]:
        facts.update(not_loaded())
    facts.update(libcuda=libcuda, libcuda_others=libraries[CUDA][1:], libnvml=libnvml)
    until = min(time.monotonic() + CALL_S, ask.until - 1.5 if ask.until else time.monotonic() + CALL_S)
    calls: "List[Tuple[str, Callable[..., None], Tuple[Any, ...]]]" = []
    if libcuda:
        calls.append(("cuInit", cuda, (CUDA,)))
    if libnvml:
        calls.append(("nvmlInit", nvml, (NVML,)))
    if facts["device_nodes"]:
        calls.append(("open", open_nodes, (facts["device_nodes"],)))
    together(calls, until, facts)
    facts["libcuda_release"] = driver_libraries.release(facts["libcuda"])
    facts["libcuda_origin"] = driver_libraries.origin(facts["libcuda"])
    facts["library_release"] = driver_libraries.release(facts["libnvml"]) or facts["libcuda_release"]
    if facts["kernel_release"]:
        facts.update(fabric_manager(until))
    said = facts.pop("nvml_driver", "")
    if said and not facts["release"]:
        facts.update(release=said, release_source="nvmlSystemGetDriverVersion")
    level = facts.pop("nvml_cuda_level", "")
    if level and not facts.get("cuda_level"):
        facts.update(cuda_level=level, cuda_level_source="nvmlSystemGetCudaDriverVersion")
    return facts
