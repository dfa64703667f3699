"""The one command that puts a given build of torch into the Python under examination."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from envdoctor.knowledge import cuda_driver, torch_builds
from envdoctor.knowledge.verdict import Fit
from envdoctor.knowledge.versions import numbers

# Wheels of NVIDIA's whose files lie in the same place whatever CUDA they are for: of two of them the one removed
# last takes the other's files along. From CUDA 13 on the rest lies in nvidia/cu13.
SHARED_FOLDERS = ("nvidia-cudnn", "nvidia-cusparselt", "nvidia-nccl", "nvidia-nvshmem")


def install_command(
    fit: Fit,
    python: str = "",
    installer: str = "",
    system: str = "linux",
    machine: str = "x86_64",
    installed: str = "",
    nvidia: Iterable[str] = (),
    beside: Iterable[str] = (),
) -> str:
    """The command to paste.

    The official index is left to pip's own configuration (a mirror, usually) where its default build is the right
    one. A build from PyTorch's index is named with its local version: pip takes an installed 2.11.0 of another CUDA
    for an answer to `torch==2.11.0` and changes nothing.

    Args:
        fit: the build.
        python: the interpreter, an absolute path; "" for the one on PATH.
        installer: what installed torch; "uv" keeps no pip in the environment.
        system, machine: as in `Release.pythons`.
        installed: release of torch that is there now, "" for none.
        nvidia: names of NVIDIA's wheels that torch requires now.
        beside: which of "torchvision" and "torchaudio" are to match.
    """
    plain = _is_default(fit, system, machine) and installed != fit.version
    wanted = [f"torch=={fit.version}" if plain else f"torch=={fit}"]
    wanted += _companions(fit, plain, machine, beside)
    index = [] if plain else ["--index-url", torch_builds.index_url(fit.tag)]
    stale = _clobbering(fit, nvidia)
    where = _quoted(python or "python", system)
    if installer == "uv":
        target = f"--python {where} " if python else ""
        remove, install = f"uv pip uninstall {target}", f"uv pip install {target}"
    else:
        remove, install = f"{where} -m pip uninstall -y ", f"{where} -m pip install "
    steps = [remove + " ".join(stale)] if stale else []
    return " && ".join([*steps, install + " ".join([*wanted, *index])])


def _is_default(fit: Fit, system: str, machine: str) -> bool:
    release = torch_builds.release(fit.version)
    return bool(release) and release is not None and release.default_on(system, machine) == fit.tag


def _companions(fit: Fit, plain: bool, machine: str, beside: Iterable[str]) -> Iterable[str]:
    pair = torch_builds.companions(fit.version)
    # Their CUDA wheels are known to carry the local version on x86_64 only.
    local = "" if plain or machine != "x86_64" else f"+{fit.tag}"
    if pair and "torchvision" in beside:
        yield f"torchvision=={pair[0][-1]}{local}"
    if pair and "torchaudio" in beside:
        built_with = torch_builds.release(pair[1])
        # torchaudio 2.11.0 goes with later torch as well, and has no builds for CUDA that came after it.
        if plain or (built_with and built_with.build(fit.tag)):
            yield f"torchaudio=={pair[1]}{local}"


def _clobbering(fit: Fit, nvidia: Iterable[str]) -> list[str]:
    major = numbers(cuda_driver.cuda_of(fit.tag))[0]
    found = []
    for name in nvidia:
        named = re.fullmatch(r"(.+)-cu(\d+)", name)
        if named and named.group(1) in SHARED_FOLDERS and int(named.group(2)) != major:
            found.append(name)
    return found


def _quoted(path: str, system: str) -> str:
    if system != "windows":
        return shlex.quote(path)
    return f'"{path}"' if " " in path else path
