"""GPU, driver and CUDA: which of several causes an error line has, by what else the text tells."""

from __future__ import annotations

from dataclasses import replace

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.log import Sighting
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import cuda_driver
from envdoctor.knowledge import xid as xids
from envdoctor.readers.decisions import Context, value
from envdoctor.readers.decisions.container import container, wsl

NO_DRIVER = ("smi-no-driver", "nvml-not-loaded", "torch-no-driver", "nvml-mismatch", "nvrm-mismatch")


def no_device(seen: Sighting, context: Context) -> Sighting:
    """A container or WSL in which a GPU is shown elsewhere, or a job, narrows down why CUDA sees none."""
    found = context.sections.get("gpu")
    if wsl(context) and isinstance(found, Gpus):
        return replace(seen, code="wsl-driver")
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
    plain = "libcuda.so:" in seen.quote or "dlopen libcuda.so" in seen.quote
    if plain and ("libcudnn" in seen.quote or "gpu" in context.sections or context.saw("libcuda-there")):
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


def said_unavailable(seen: Sighting, context: Context) -> Sighting | None:
    """As `not_available`; where the text tells for which CUDA torch was installed, the driver may be too old for it."""
    told = context.sections.get("driver")
    wanted = context.saw("conda-wants-cuda")
    cuda = value(wanted, "cuda") if wanted else ""
    if isinstance(told, Driver) and cuda_driver.reach(cuda, told.release, told.cuda_level, wsl(context)) == "no":
        return replace(seen, code="driver-too-old", severity="error")
    return not_available(seen, context)


def older_than_ptxas(seen: Sighting, context: Context) -> Sighting:
    """XLA compiles one module after the other then, and goes on."""
    del context
    return replace(seen, severity="note") if value(seen, "goes_on") else seen


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


def nvml_mismatch(seen: Sighting, context: Context) -> Sighting:
    """Where CUDA refuses a forward-compatible library that stands on the path, that path is what is wrong."""
    if context.saw("compat-path") and context.saw("cuda-804", "cuda-803"):
        return replace(seen, code="cuda-compat-mismatch")
    return seen


def error_804(seen: Sighting, context: Context) -> Sighting:
    """The same is said where a driver was upgraded under a running system: its new libcuda takes the loaded module for
    one that it must be compatible with."""
    if context.saw("nvml-mismatch", "nvrm-mismatch") and not context.saw("compat-path") and not container(context):
        return replace(seen, code="driver-library-mismatch")
    return seen


def error_803(seen: Sighting, context: Context) -> Sighting:
    """On bare metal the driver was upgraded under a running system; in a container its libcuda is not the host's, most
    often one of a cuda-compat package, as nvidia-smi works there (CUDA Compatibility guide, forward compatibility)."""
    return replace(seen, code="cuda-compat-mismatch") if container(context) else seen
