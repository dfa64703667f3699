"""GPU, driver and CUDA: which of several causes an error line has, by what else the text tells."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.log import Sighting
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import gpus
from envdoctor.knowledge import xid as xids
from envdoctor.readers.decisions import Context, value
from envdoctor.readers.decisions.container import container, wsl

CODE = re.compile(r"(?:sm|compute)_(\d+)")
# From Blackwell on new majors overlap with old ones in the lists of builds: what is missing there is new.
BLACKWELL = 100
# Volta and before were dropped by CUDA 13; those before it by torch's builds for CUDA 12.8 (torch_builds.toml).
VOLTA, OLDEST_OF_CUDA_13 = 70, 75
NO_DRIVER = ("smi-no-driver", "nvml-not-loaded", "torch-no-driver", "nvml-mismatch", "nvrm-mismatch")


def architecture(seen: Sighting, context: Context) -> Sighting:
    """torch names the GPU's capability and those it was built for: newer than all of them, or dropped."""
    del context
    device = int(value(seen, "cc").replace(".", "") or 0)
    return _judged(seen, device, [int(code) for code in CODE.findall(value(seen, "built"))])


def listed_architectures(seen: Sighting, context: Context) -> Sighting:
    """Up to 2.9 a minimum or a range stands below the GPU's capability, since 2.10 a list with what runs each code."""
    told, below = value(seen, "cc"), value(seen, "list")
    if not told:
        return replace(seen, kind="symptom") if context.saw("arch-incompatible") else seen
    device = int(told.replace(".", ""))
    if built := [int(major + minor) for major, minor in re.findall(r"- (\d{1,2})\.(\d) which supports", below)]:
        return _judged(seen, device, built)
    if limits := re.search(r"\((\d{1,2})\.(\d)\) - \((\d{1,2})\.(\d)\)", below):
        least, most = int(limits[1] + limits[2]), int(limits[3] + limits[4])
        if device > most:
            # Within a major version newer GPUs run older code.
            same = device // 10 == most // 10
            return replace(seen, code="gpu-arch-unsupported-new", severity="note" if same else "error")
        return seen if device < least else replace(seen, severity="note")
    return seen


def _judged(seen: Sighting, device: int, built: list[int]) -> Sighting:
    if not device or not built:
        return seen
    runs = gpus.runs([f"sm_{code}" for code in built], _dotted(device))
    new = device > max(built) or (device >= BLACKWELL and runs == "no")
    # torch leaves Jetson's out of what it says it supports, and runs there by the code of its major version.
    same = any(code // 10 == device // 10 and code <= device for code in built)
    severity = "note" if runs != "no" or same else seen.severity
    return replace(seen, code="gpu-arch-unsupported-new" if new else "gpu-arch-unsupported-old", severity=severity)


def no_kernel(seen: Sighting, context: Context) -> Sighting:
    """Old or new is told by the GPU; where the torch that the text shows runs on it, an extension is at fault."""
    found, torch = context.sections.get("gpu"), context.sections.get("torch-install")
    known = [gpu.compute_capability for gpu in found.gpus if gpu.compute_capability] if isinstance(found, Gpus) else []
    if not known:
        return seen
    capability = min(known, key=gpus.whole)
    cuda = torch.cuda if isinstance(torch, TorchInstall) else ""
    if gpus.whole(capability) < OLDEST_OF_CUDA_13 and (gpus.whole(capability) < VOLTA or cuda.startswith("13")):
        return replace(seen, code="gpu-arch-unsupported-old")
    return seen


def compiler_architecture(seen: Sighting, context: Context) -> Sighting:
    """nvcc and ptxas know no architecture newer than themselves, and drop the oldest: CUDA 12 those before 5.0, CUDA 13
    those before 7.5."""
    del context
    told = value(seen, "compute") or value(seen, "sm")
    return replace(seen, code="gpu-arch-unsupported-old") if told and int(told) < VOLTA else seen


def no_device(seen: Sighting, context: Context) -> Sighting:
    """A container or WSL in which a GPU is shown elsewhere, or a job, narrows down why CUDA sees none."""
    found = context.sections.get("gpu")
    if ("tensorflow" in seen.quote or "call to cuInit" in seen.quote) and context.saw(
        "no-gpus-available", "needs-gpu", *NO_DRIVER
    ) is None:
        # Said at every start on a machine without a GPU.
        return replace(seen, severity="note" if not isinstance(found, Gpus) else "warning")
    return seen


def no_libcuda(seen: Sighting, context: Context) -> Sighting | None:
    """libcuda comes with the driver: into a container by its toolkit, into WSL from Windows."""
    if wsl(context):
        return replace(seen, code="wsl-driver")
    if "dlerror" in seen.quote or "Could not find cuda drivers" in seen.quote:
        return replace(seen, severity="note")
    if "libcuda.so:" in seen.quote and "libcudnn" in seen.quote:
        # cuDNN opens the name without a version, which only the link of a -dev package or of WSL has.
        return replace(seen, code="cuda-library-missing")
    if container(context) and isinstance(context.sections.get("gpu"), Gpus):
        return replace(seen, code="gpu-not-in-container")
    return seen


def driver_level_zero(seen: Sighting, context: Context) -> Sighting:
    """cudaDriverGetVersion answers 0 where there is no libcuda."""
    if wsl(context):
        return replace(seen, code="wsl-driver")
    return replace(seen, code="gpu-not-in-container", severity="warning") if container(context) else seen


def hip(seen: Sighting, context: Context) -> Sighting:
    """A ROCm build beside an NVIDIA GPU is the wrong build; without one ROCm may not reach its own devices."""
    found = context.sections.get("gpu")
    if not value(seen, "none"):
        return seen
    if isinstance(found, Gpus) or "driver" in context.sections:
        return replace(seen, code="torch-rocm-build")
    return replace(seen, code="gpu-not-visible", severity="warning")


def stub(seen: Sighting, context: Context) -> Sighting:
    """CUDA's error 34 is certain; of NVML's stub nvidia-smi only warns."""
    del context
    return seen if "libnvidia-ml" in seen.quote else replace(seen, severity="error")


def needs_gpu(seen: Sighting, context: Context) -> Sighting | None:
    """A program that wants a GPU: what the text tells of torch says why it has none."""
    torch = context.sections.get("torch-install")
    if context.saw("torch-cpu-build"):
        return replace(seen, code="torch-cpu-build", kind="symptom")
    if isinstance(torch, TorchInstall) and not torch.cuda and not torch.hip:
        return replace(seen, code="torch-cpu-build", severity="error")
    if "we were unable to detect it" in seen.quote:
        return replace(seen, severity="note")
    if isinstance(torch, TorchInstall) and torch.hip and isinstance(context.sections.get("gpu"), Gpus):
        return replace(seen, code="torch-rocm-build")
    return seen


def not_available(seen: Sighting, context: Context) -> Sighting | None:
    """No CUDA in torch where nvidia-smi lists GPUs: a CPU build if torch says so, else something hides them."""
    torch = context.sections.get("torch-install")
    if not isinstance(context.sections.get("gpu"), Gpus):
        return None
    if context.saw("asked-cuda-none", "torch-cpu-build", "torch-plus-cpu"):
        return None
    if isinstance(torch, TorchInstall) and not torch.cuda and not torch.hip:
        return replace(seen, code="torch-cpu-build", severity="error")
    return replace(seen, code="torch-rocm-build") if isinstance(torch, TorchInstall) and torch.hip else seen


def version_none(seen: Sighting, context: Context) -> Sighting | None:
    """A build for no CUDA is a fault where a GPU is."""
    if "gpu" in context.sections or "driver" in context.sections:
        return replace(seen, severity="error")
    return None


def count(seen: Sighting, context: Context) -> Sighting | None:
    """Fewer than nvidia-smi lists, and no mask that says why."""
    found = context.sections.get("gpu")
    if not isinstance(found, Gpus) or context.saw("cuda-mask", "mask-empty"):
        return None
    return seen if 0 < int(value(seen, "count")) < len(found.gpus) else None


def xid(seen: Sighting, context: Context) -> Sighting | None:
    """The number says what happened and what it asks for; those of other rows are told there."""
    del context
    number = int(value(seen, "xid"))
    if value(seen, "kind").startswith("S"):
        return replace(seen, severity="error" if "Fatal" in value(seen, "said") else "warning")
    if number in (79, 154):
        return None
    row = xids.known(number)
    if row is None:
        return seen
    if row.about == "memory":
        return None
    action = {"reset": "error", "reboot": "error", "power": "error", "watch": "note"}.get(row.action, "warning")
    return replace(seen, severity=action)


def _dotted(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"


def no_driver(seen: Sighting, context: Context) -> Sighting:
    """torch with CUDA on a machine without a GPU warns when it is asked whether there is one: that is no fault."""
    asked_only = "Warning" in seen.quote and "torch-install" in context.sections
    found_something = "gpu" in context.sections or "driver" in context.sections
    if asked_only and not found_something:
        return replace(seen, severity="note")
    if wsl(context):
        return replace(seen, code="wsl-driver")
    if container(context) and not context.saw("smi-no-driver", "nvml-not-loaded"):
        # Whether the host has a driver shows where its GPUs do.
        return replace(seen, code="gpu-not-in-container", severity="error" if "gpu" in context.sections else "warning")
    return seen


def error_803(seen: Sighting, context: Context) -> Sighting:
    """On bare metal the driver was upgraded under a running system; in a container its libcuda is not the host's, most
    often one of a cuda-compat package, as nvidia-smi works there (CUDA Compatibility guide, forward compatibility)."""
    return replace(seen, code="cuda-compat-mismatch") if container(context) else seen
