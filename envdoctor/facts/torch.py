"""torch: what is installed, read without importing it; what importing it does; what CUDA initialisation does."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Pin:
    """A requirement of torch on a distribution of NVIDIA's or triton: name normalised, version exact or empty."""

    name: str = ""
    version: str = ""


@dataclass(frozen=True)
class TorchCopy:
    """A torch folder on sys.path.

    `place` is "environment", "user site", "PYTHONPATH", "working directory" or "other".
    """

    folder: str = ""
    version: str = ""
    place: str = ""


@dataclass(frozen=True)
class TorchInstall:
    """torch as it lies on disk. The section is missing ("not-here") where there is no trace of torch.

    Attributes:
        folder: of the torch package a training run would import, empty if only metadata is left.
        version: `__version__` of torch/version.py, such as "2.13.0+cpu".
        cuda: CUDA version of the build, "12.6"; empty for CPU and ROCm builds.
        hip: ROCm version of the build, empty otherwise.
        dist_version: version of the installed distribution's metadata, empty without one.
        dist_info: its folder.
        installer: "pip", "uv", "conda" ... from INSTALLER; empty if unknown.
        pins: torch's own exact requirements on NVIDIA's distributions and triton.
        leftover: folder of a half-removed torch (no __init__.py, or no compiled library), else empty.
        broken_files: files that torch's RECORD names and that are absent, at most ten.
        pip_leftovers: folders that an interrupted pip left beside it, "~orch" and the like.
        copies: all torch folders on the path of a training run, the one imported first.
        debug: a debug build.
    """

    folder: str = ""
    version: str = ""
    cuda: str = ""
    hip: str = ""
    dist_version: str = ""
    dist_info: str = ""
    installer: str = ""
    pins: tuple[Pin, ...] = ()
    leftover: str = ""
    broken_files: tuple[str, ...] = ()
    pip_leftovers: tuple[str, ...] = ()
    copies: tuple[TorchCopy, ...] = ()
    debug: bool = False

    @property
    def release(self) -> str:
        """ "2.13.0" of "2.13.0+cpu"."""
        return (self.version or self.dist_version).partition("+")[0]

    @property
    def from_wheels(self) -> bool:
        """Whether it is PyTorch's own wheel, which brings its libraries or requires NVIDIA's wheels for them.

        Builds of NVIDIA's containers, of conda and from source have neither pins nor a local version of this form.
        """
        return self.installer != "conda" and (bool(self.pins) or bool(re.search(r"\+(cu\d+|cpu)$", self.version)))


@dataclass(frozen=True)
class TorchImport:
    """What `import torch` does in a training run. A hang, a slow import and a death by signal are Missing facts with
    reason "hung", "slow" and "crashed", whose detail holds the stack or the signal.

    Attributes:
        error: class of the exception that the import raised, empty if it came back.
        message: its text.
        trace: its last lines.
        missing_symbol, missing_library, missing_module: named by the message, else empty.
        file: torch.__file__.
        cuda, hip: of the build.
        arch_list: torch.cuda.get_arch_list(), the compiled-in architectures: "sm_90", "compute_90".
        nccl_header: NCCL version torch was compiled with, "2.27.5"; not the one that is loaded.
        cudnn: version of the loaded cuDNN.
        backends: distributed backends of the build: "gloo", "nccl", "mpi", "ucc".
        strays: files of the working directory or PYTHONPATH that were imported as top-level modules meanwhile.
        startup: what the interpreter printed before anything was imported, its last 20 lines.
        warnings: what the import printed, its last 20 lines.
        seconds: how long it took.
    """

    error: str = ""
    message: str = ""
    trace: tuple[str, ...] = ()
    missing_symbol: str = ""
    missing_library: str = ""
    missing_module: str = ""
    file: str = ""
    version: str = ""
    cuda: str = ""
    hip: str = ""
    arch_list: tuple[str, ...] = ()
    nccl_header: str = ""
    cudnn: str = ""
    backends: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    startup: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class TorchCuda:
    """What torch's CUDA initialisation does. Missing where torch did not import or has no CUDA.

    Attributes:
        available: torch.cuda.is_available().
        device_count: torch.cuda.device_count().
        error: text of the exception of torch.cuda.init(), empty if it succeeded.
        code: the CUDA error number in it, such as 802, None if it names none.
        devices: name and compute capability of each device, in CUDA's order: "NVIDIA H100 80GB HBM3 (9.0)".
        warnings: what it printed.
    """

    available: bool = False
    device_count: int = 0
    error: str = ""
    code: int | None = None
    devices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
