"""Commands that install into the Python under examination: by pip, by uv or conda where those installed torch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from envdoctor.knowledge import cuda_driver, torch_builds
from envdoctor.knowledge.verdict import Fit
from envdoctor.knowledge.versions import numbers

if TYPE_CHECKING:
    from envdoctor.facts.python import Python
    from envdoctor.facts.torch import TorchInstall

PIP = re.compile(r"(^|&& )(?:python -m )?pip ")
UV_PIP = re.compile(r"(^|&& )(?:python -m )?pip (install|uninstall)(?: -y)?")
BUILD_TAG = re.compile(r"cpu|cu\d+")
# The distributions that come and go with torch.
FAMILY = re.compile(
    r"torch|torchvision|torchaudio|(pytorch-)?triton(-[a-z]+)?|nvidia-.+-cu\d+|nvidia-(cu|nccl|nv).*"
    r"|cuda-(bindings|pathfinder|toolkit)"
)
# Wheels of NVIDIA's whose files lie in the same place whatever CUDA they are for: of two of them the one removed
# last takes the other's files along. From CUDA 13 on the rest lies in nvidia/cu13.
SHARED_FOLDERS = ("nvidia-cudnn", "nvidia-cusparselt", "nvidia-nccl", "nvidia-nvshmem")
OWN = "~/venvs/torch"

Argv = tuple[str, ...]


def install_steps(
    fit: Fit,
    python: str = "",
    installer: str = "",
    system: str = "linux",
    machine: str = "x86_64",
    installed: str = "",
    nvidia: Iterable[str] = (),
    beside: Iterable[str] = (),
    index: str = "",
) -> tuple[Argv, ...]:
    """The commands that install a build, one after the other; no shell reads them.

    The official index is left to pip's own configuration (a mirror, usually) where its default build is the right
    one. A build from PyTorch's index is named with its local version: pip takes an installed 2.11.0 of another CUDA
    for an answer to `torch==2.11.0` and changes nothing.

    Args:
        fit: the build; its tag may be "cpu".
        python: the interpreter, an absolute path; "" for the one on PATH.
        installer: what installed torch; "uv" keeps no pip in the environment.
        system, machine: as in `Release.pythons`.
        installed: release of torch that is there now, "" for none.
        nvidia: names of NVIDIA's wheels that torch requires now.
        beside: which of "torchvision" and "torchaudio" are to match.
        index: a mirror of PyTorch's index, in place of its own.
    """
    plain = _is_default(fit, system, machine) and installed != fit.version
    wanted = [f"torch=={fit.version}" if plain else f"torch=={fit}"]
    wanted += _companions(fit, plain, machine, beside)
    if not plain:
        wanted += ["--index-url", f"{index}/{fit.tag}" if index else torch_builds.index_url(fit.tag)]
    stale = _clobbering(fit, nvidia)
    steps = [tool(installer, python, "uninstall", *stale)] if stale else []
    return (*steps, tool(installer, python, "install", *wanted))


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
    """The command to paste; see `install_steps`."""
    steps = install_steps(fit, python, installer, system, machine, installed, nvidia, beside)
    return " && ".join(" ".join(_quoted(word, system) for word in step) for step in steps)


def in_own_environment(
    fit: Fit,
    python: str = "",
    system: str = "linux",
    machine: str = "x86_64",
    beside: Iterable[str] = (),
    index: str = "",
) -> str:
    """The command that installs a build into a new venv, where `python` belongs to somebody else, and looks at it.

    Args: as those of `install_steps`.
    """
    if system == "windows":  # where uv's own Pythons belong to uv as well
        own = r"venvs\torch"
        (step,) = install_steps(fit, rf"{own}\Scripts\python.exe", "", system, machine, beside=beside, index=index)
        steps = [(python or "python", "-m", "venv", own), step, ("envdoctor", "check", "--python", own)]
        return " && ".join(" ".join(_quoted(word, system) for word in one) for one in steps)
    (step,) = install_steps(fit, f"{OWN}/bin/python", "", system, machine, beside=beside, index=index)
    return (
        f"{shlex.quote(python or 'python3')} -m venv {OWN} && {step[0]} {shlex.join(step[1:])} && "
        f"envdoctor check --python {OWN}"
    )


def tool(installer: str, python: str, verb: str, *words: str) -> Argv:
    """A command of the tool that keeps an environment: "install" or "uninstall" by pip or uv, asking nothing back."""
    if installer == "uv":
        return ("uv", "pip", verb, *(("--python", python) if python else ()), *words)
    return (python or "python", "-m", "pip", verb, *(("-y",) if verb == "uninstall" else ()), *words)


def for_python(command: str | None, python: Python | None, torch: TorchInstall | None = None) -> str | None:
    """A command of pip for the Python under examination, whichever is on PATH; for uv where that installed torch.

    "pip install x" and "python -m pip install x" become "/env/bin/python -m pip install x" or
    "uv pip install --python /env/bin/python x"; other commands stay as they are.
    """
    return None if command is None else _by(torch.installer if torch else "", _path(python), command)


def reinstall(torch: TorchInstall | None, python: Python | None, dependencies: bool = False) -> str:
    """The command that puts the same build of torch in place again, with all it requires if `dependencies`."""
    if torch is not None and torch.installer == "conda":
        where = shlex.quote(python.conda) if python and python.conda else "$CONDA_PREFIX"
        return f"conda install -p {where} --force-reinstall pytorch"
    version = (torch.dist_version or torch.version) if torch else ""
    wanted = f"torch=={version}" if version else "torch"
    alone = "" if dependencies else "--no-deps "
    command = f"python -m pip install --force-reinstall {alone}{wanted}{index_option(version.partition('+')[2])}"
    return _by(torch.installer if torch else "", _path(python), command)


def index_option(tag: str) -> str:
    """The option, after a space, for the index with the builds of a local version (PEP 440), "cu126".

    Empty for what is no build of PyTorch's, and for builds without a local version, which any index has.
    """
    return f" --index-url {torch_builds.index_url(tag)}" if BUILD_TAG.fullmatch(tag) else ""


def _path(python: Python | None) -> str:
    return shlex.quote(python.executable) if python and python.executable else ""


def _by(installer: str, python: str, command: str) -> str:
    """A command of pip as the installer takes it, for the Python at the quoted path, or the one on PATH for ""."""
    if installer == "uv":
        target = f" --python {python}" if python else ""
        return UV_PIP.sub(lambda found: f"{found[1]}uv pip {found[2]}{target}", command)
    return PIP.sub(lambda found: f"{found[1]}{python} -m pip ", command) if python else command


def _is_default(fit: Fit, system: str, machine: str) -> bool:
    """Whether a plain `pip install torch` gives this build."""
    release = torch_builds.release(fit.version)
    return release is not None and (release.default_on(system, machine) or "cpu") == fit.tag


def _companions(fit: Fit, plain: bool, machine: str, beside: Iterable[str]) -> Iterable[str]:
    pair = torch_builds.companions(fit.version)
    # Their CUDA wheels are known to carry the local version on x86_64 only.
    local = "" if plain or machine != "x86_64" else f"+{fit.tag}"
    if pair and "torchvision" in beside:
        yield f"torchvision=={pair[0][-1]}{local}"
    if pair and "torchaudio" in beside:
        built_with = torch_builds.release(pair[1])
        # torchaudio 2.11.0 goes with later torch as well, and has no builds for CUDA that came after it.
        if plain or fit.tag == "cpu" or (built_with and built_with.build(fit.tag)):
            yield f"torchaudio=={pair[1]}{local}"


def _clobbering(fit: Fit, nvidia: Iterable[str]) -> list[str]:
    if fit.tag == "cpu":
        return []
    major = numbers(cuda_driver.cuda_of(fit.tag))[0]
    found = []
    for name in nvidia:
        named = re.fullmatch(r"(.+)-cu(\d+)", name)
        if named and named.group(1) in SHARED_FOLDERS and int(named.group(2)) != major:
            found.append(name)
    return found


def _quoted(path: str, system: str) -> str:
    if not path:
        return ""
    if system != "windows":
        return shlex.quote(path)
    return f'"{path}"' if " " in path else path
