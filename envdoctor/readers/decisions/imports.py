"""Imports: which package does not fit, by the module or library that the line names and who asked for it."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.log import Sighting
from envdoctor.facts.torch import TorchInstall
from envdoctor.readers.decisions import Context, value
from envdoctor.readers.decisions.container import wsl

PAIRS = {"torchvision": "torchvision-mismatch", "torchaudio": "torchaudio-mismatch"}
# Bring or look for CUDA libraries of their own: built against no torch.
OWN_CUDA = {"torch", "triton", "nvidia", "tensorflow", "jaxlib", "jax", "onnxruntime", "ctranslate2", "cupy", "paddle"}
OWN_CUDA |= {"bitsandbytes", "tensorrt", "cupy_backends", "jax_plugins", "jax_cuda12_plugin", "faster_whisper", "numba"}
OWN_CUDA |= {"transformer_engine"}
OWN_LIBRARY = re.compile(
    r"/torch/(?:lib/lib(?:torch|c10|shm|caffe2)\w*|_C(?:\.[\w-]{1,60})?)\.so(?:\.\d+)?: undefined symbol"
)
WANTED = ("needs-gpu", "torch-cpu-build", "no-gpus-available", "torch-dispatch-cpu")


def asker(seen: Sighting, context: Context) -> str:
    """The package whose import the line ended (readers/traceback.py); "" where no frames stand above the line."""
    for one in context.sightings:
        if one.signature == "frame" and one.place.file == seen.place.file and one.place.line == seen.place.line:
            return value(one, "package")
    return ""


def pair(seen: Sighting, context: Context) -> Sighting:
    """torchvision and torchaudio have codes of their own; others are extensions."""
    del context
    return replace(seen, code=PAIRS.get(value(seen, "other").lower(), seen.code))


def dll(seen: Sighting, context: Context) -> Sighting:
    """torch's own module names the matter; of another package's it is one cause of several."""
    package = asker(seen, context)
    if package in PAIRS:
        return replace(seen, code=PAIRS[package])
    return seen if value(seen, "module") == "_C" and package in ("", "torch") else replace(seen, severity="warning")


def old_dll(seen: Sighting, context: Context) -> Sighting:
    """Up to Python 3.7 the line names no module: the frames above it do."""
    package = asker(seen, context)
    if package in PAIRS:
        return replace(seen, code=PAIRS[package])
    return seen if package in ("", "torch") else replace(seen, severity="warning")


def library(seen: Sighting, context: Context) -> Sighting | None:
    """A CUDA library of another major version than torch's is what an extension wants that was built for it."""
    if "dlerror" in seen.quote or context.saw("cudnn-cannot-open"):
        return None
    package = asker(seen, context)
    if package in PAIRS:
        return replace(seen, code=PAIRS[package])
    if package and package not in OWN_CUDA:
        return replace(seen, code="extension-abi-mismatch")
    # vLLM and others say so at the start of every run on a machine without CUDA, and go on.
    if "WARNING" in seen.quote:
        return replace(seen, severity="warning")
    return seen


def own_library(seen: Sighting, context: Context) -> Sighting:
    """torch's when its own import ends so; another package's is no matter of torch."""
    return seen if asker(seen, context) in ("", "torch") else replace(seen, severity="warning")


def torch_library(seen: Sighting, context: Context) -> Sighting:
    """torchvision and torchaudio have codes of their own."""
    return replace(seen, code=PAIRS.get(asker(seen, context), seen.code))


def symbol(seen: Sighting, context: Context) -> Sighting | None:
    """torchvision's image extension is optional, and has a row of its own; torch's own libraries miss no symbol of
    torch unless an older copy of one of them is found first."""
    del context
    if OWN_LIBRARY.search(seen.quote):
        return replace(seen, code="library-path-pollution")
    return None if "Failed to load image" in seen.quote else seen


def image_extension(seen: Sighting, context: Context) -> Sighting:
    """A missing libjpeg is harmless; a missing symbol shows that the pair does not fit."""
    del context
    return replace(seen, severity="warning") if "ymbol" in value(seen, "said") else seen


def cuda_part(seen: Sighting, context: Context) -> Sighting | None:
    """torch 1.8 to 1.13 had their CUDA code in two libraries: what wants those was built for one of them."""
    if "Failed to load image" in seen.quote:
        return None
    package = asker(seen, context)
    if package in PAIRS:
        return replace(seen, code=PAIRS[package])
    torch = context.sections.get("torch-install")
    if value(seen, "split") or (isinstance(torch, TorchInstall) and torch.cuda):
        return replace(seen, code="extension-abi-mismatch")
    # Imported before torch, an extension does not find its libraries either, whatever torch was built for.
    return seen if isinstance(torch, TorchInstall) else replace(seen, severity="warning")


def windows_library(seen: Sighting, context: Context) -> Sighting | None:
    """The number says why: 1455 is memory, 193 another processor, 127 a DLL of another release."""
    error, said = value(seen, "error"), seen.quote.replace("\\", "/")
    if error == "1455":
        return replace(seen, code="host-out-of-memory")
    if error == "193":
        return replace(seen, code="platform-unsupported")
    package = asker(seen, context)
    for name, code in PAIRS.items():
        if f"/{name}/" in said or package == name:
            return replace(seen, code=code)
    return seen


def redistributable(seen: Sighting, context: Context) -> Sighting:
    """torch only warns of the missing redistributable; a DLL that cannot be located ends the program."""
    del context
    return replace(seen, severity="warning") if "Redistributable" in seen.quote else seen


def cudnn(seen: Sighting, context: Context) -> Sighting | None:
    """A part of cuDNN that is not there at all, or libcuda missing below it, has a row of its own."""
    if context.saw("cudnn-cannot-open", "windows-cuda-dll"):
        return None
    if "libcuda.so: cannot open" in seen.quote or ("libcuda" in seen.quote and wsl(context)):
        return None
    if "Unable to load any of {libcudnn_ops" in seen.quote:
        # The part that is loaded first: none of them is where the loader looks.
        return replace(seen, code="cuda-library-missing")
    return seen


def tensorflow(seen: Sighting, context: Context) -> Sighting | None:
    """Said at every start on a machine without a GPU; where the text shows one, it goes unused."""
    if value(seen, "library").startswith("libcuda.so"):
        return None  # told as a driver that is missing
    shown = "gpu" in context.sections or "driver" in context.sections or "Cannot dlopen" in seen.quote
    return replace(seen, severity="warning") if shown else seen


def cpu_version(seen: Sighting, context: Context) -> Sighting | None:
    """A CPU build is a fault where there is a GPU, or where something asks for one."""
    if "pip install" in seen.quote or "conda install" in seen.quote:
        return None
    shown = "gpu" in context.sections or "driver" in context.sections
    return seen if shown or context.saw(*WANTED) else None


def leftover(seen: Sighting, context: Context) -> Sighting:
    """A note of pip's, unless torch then does not import as it should."""
    broken = context.saw("torch-shadowed", "torch-missing", "torch-leftover-namespace", "torch-namespace")
    return replace(seen, severity="error") if broken else seen


def namespace(seen: Sighting, context: Context) -> Sighting:
    """A folder among the installed packages is what a removal left; elsewhere it is somebody's own."""
    del context
    folder = value(seen, "folder")
    return replace(seen, code="torch-shadowed") if folder and "-packages" not in folder else seen


def torch_file(seen: Sighting, context: Context) -> Sighting | None:
    """Another release than pip lists in the same text."""
    listed = context.saw("torch-listed")
    told = value(listed, "version") or value(listed, "version2") if listed else ""
    same = told.partition("+")[0] == value(seen, "version").partition("+")[0]
    return seen if told and not same else None


def rocm_build(seen: Sighting, context: Context) -> Sighting | None:
    """A fault beside an NVIDIA GPU only."""
    return seen if nvidia_shown(context) else None


def nvidia_shown(context: Context) -> bool:
    """Whether the text shows an NVIDIA GPU or its driver."""
    found = context.sections.get("gpu")
    names = [gpu.name for gpu in found.gpus] if isinstance(found, Gpus) else []
    return "driver" in context.sections or any(not re.search(r"AMD|Radeon|Instinct", name) for name in names)


def xformers(seen: Sighting, context: Context) -> Sighting:
    """It names the torch that it found: one of the CPU is what must be replaced."""
    del context
    return replace(seen, code="torch-cpu-build") if "+cpu" in value(seen, "have") else seen


def module_gone(seen: Sighting, context: Context) -> Sighting:
    """setuptools 59.6 took away what torch before 1.11 asks of distutils."""
    del context
    return replace(seen, code="torch-import-fails", severity="error") if "distutils" in seen.quote else seen


def extension_module(seen: Sighting, context: Context) -> Sighting | None:
    """vLLM's `_C` is missing from a source tree as well; what else the text says of a symbol comes first."""
    return None if context.saw("undef-torch-abi", "no-kernel-image") else seen


def bitsandbytes(seen: Sighting, context: Context) -> Sighting:
    """Without a GPU bitsandbytes only says so; a binary that is not there was not built for this CUDA; one that is
    there wants a runtime, which the machine may lack, or have twice."""
    if "without GPU support" in seen.quote:
        return replace(seen, code="gpu-not-visible", severity="note")
    gone = (
        "undefined symbol|binary at|binary not found|Required library version not found|not detected|libcudart.so found"
    )
    if re.search(gone, seen.quote) or context.saw("cudart-nowhere"):
        return replace(seen, code="cuda-library-missing")
    return seen
