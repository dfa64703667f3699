"""Machines with one fault of Python, pip or conda, all that follows included, and the code of that fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envdoctor.facts.autopsy import Trial
from envdoctor.facts.conda import CondaConfig, CondaPackage
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.libraries import Libraries
from envdoctor.facts.network_settings import NetworkSettings, Proxy
from envdoctor.facts.packages import Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from tests.checks.pip_configs import index, written
from tests.checks.whole_installs import conda_forge, mirrored
from tests.checks.whole_machines import workstation
from tests.checks.whole_parts import Machine, but, changed, effective, has, probes
from tests.checks.whole_torch import imported
from tests.checks.whole_torch_faults import TUNA, no_import


def cpu_index() -> Machine:
    url = "https://download.pytorch.org/whl/cpu"
    machine = but(workstation(torch="2.9.1+cpu"), Missing("torch-cuda", "not-here", "a CPU build"))
    return but(machine, written(variables={"PIP_EXTRA_INDEX_URL": url}), PIP_EXTRA_INDEX_URL=url)


def conda_cpu() -> Machine:
    machine = conda_forge()
    install, conda = has(machine, TorchInstall), has(machine, CondaConfig)
    install = replace(install, cuda="")
    package = CondaPackage("pytorch", "2.7.1", "cpu_generic_py312_h", "conda-forge")
    told = but(machine, install, *imported(install), replace(conda, packages=(package,)), Libraries())
    return but(told, Missing("torch-cuda", "not-here", "a CPU build"))


def venv_without_base() -> Machine:
    python = replace(
        has(workstation(), Python),
        version="",
        failure="No such file or directory",
        failure_kind="dangling",
        failure_about="/usr/bin/python3.11",
    )
    told = "the Python under examination does not start"
    heavy = tuple(
        Missing(name, "not-here", told)
        for name in ("torch-import", "torch-cuda", "mapped-libraries", "import-autopsy", "pip-effective")
    )
    return but(workstation(), python, *heavy)


def shadowed_index() -> Machine:
    other = "https://mirrors.aliyun.com/pypi/simple/"
    config = written(user=index(TUNA), variables={"PIP_INDEX_URL": other})
    return but(workstation(), config, effective(other), probes(other), PIP_INDEX_URL=other)


def other_python_on_path() -> Machine:
    return changed(conda_forge(), Python, on_path="/usr/bin/python3")


def no_ssl() -> Machine:
    python = replace(
        has(workstation(), Python),
        ssl="",
        ssl_error="No module named '_ssl'",
        base_prefix="/home/ada/.pyenv/versions/3.11.9",
    )
    return but(workstation(), python, Missing("index-probes", "failed", "No module named '_ssl'"))


def shadowing_random() -> Machine:
    stray = "/home/ada/train/random.py"
    machine = changed(workstation(), Python, shadows=(stray,))
    cure = Trial("cwd", "/home/ada/train", "cd / && python -c 'import torch'", True)
    return no_import(
        machine,
        "ImportError",
        "cannot import name 'Random' from partially initialized module 'random'",
        cure,
        strays=(stray,),
    )


def dead_proxy() -> Machine:
    proxy = "http://10.1.1.1:3128"
    machine = but(workstation(), NetworkSettings((Proxy("https_proxy", proxy),)), https_proxy=proxy)
    return but(
        machine, probes(outcome="proxy", detail="Connection refused", proxy=proxy, status=None, page="", file_hosts=())
    )


def unreachable_mirror() -> Machine:
    return but(
        mirrored(TUNA),
        probes(TUNA, outcome="no-name", detail="Name or service not known", status=None, page="", file_hosts=()),
    )


def broken_config() -> Machine:
    config = written(user="index-url = " + TUNA + "\n")
    return but(workstation(), config, replace(effective(), source="files", error="File contains no section headers."))


def python_home() -> Machine:
    machine = but(workstation(), PYTHONHOME="/opt/python3.8")
    cure = Trial("PYTHONHOME", "/opt/python3.8", "env -u PYTHONHOME python -c 'import torch'", True)
    return no_import(machine, "ImportError", "SRE module mismatch", cure)


def upgraded_venv() -> Machine:
    machine = workstation()
    python = replace(
        has(machine, Python), version="3.12.3", tag="cp312", venv_version="3.11.9", venv_packages_of=("3.11",)
    )
    gone = tuple(
        Missing(name, "not-here", "no torch")
        for name in ("torch-install", "torch-import", "torch-cuda", "mapped-libraries", "import-autopsy")
    )
    return but(machine, python, *gone, Packages(0, ()), Libraries())


def with_channel(**ended: Any) -> Machine:
    """conda's environment where neither the index nor the channel is reached."""
    pip = IndexProbe("index", "index-url", "https://index.example/simple", **ended)
    channel = replace(
        pip, kind="channel", option="channels", url="https://conda.anaconda.org/conda-forge/linux-64/repodata.json.zst"
    )
    return but(conda_forge(), IndexProbes((pip, channel)))


PYTHON_FAULTS: dict[str, tuple[Machine, str]] = {
    "a CPU index beside the default one": (cpu_index(), "pip-cpu-index"),
    "conda solved for the CPU": (conda_cpu(), "conda-cpu-solve"),
    "a venv whose Python is gone": (venv_without_base(), "venv-broken"),
    "a variable over pip's file": (shadowed_index(), "pip-config-shadowed"),
    "Python without ssl": (no_ssl(), "python-ssl-missing"),
    "random.py in the working directory": (shadowing_random(), "python-module-shadowed"),
    "a proxy that is gone": (dead_proxy(), "pip-proxy"),
    "a mirror's name does not resolve": (unreachable_mirror(), "pip-index-unreachable"),
    "pip.conf without a section": (broken_config(), "pip-config-broken"),
    "PYTHONHOME": (python_home(), "python-home-set"),
    "a venv under another Python": (upgraded_venv(), "venv-broken"),
    "a dead proxy, for pip and conda": (with_channel(outcome="proxy", proxy="http://10.1.1.1:3128"), "pip-proxy"),
    "TLS that a firewall opens": (with_channel(outcome="tls", verify_code=19), "pip-ssl"),
}
