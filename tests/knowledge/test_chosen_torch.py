"""envdoctor/knowledge/chosen_torch.py: what runs, what is asked for, what is already there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.errors import UsageError
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.chosen_torch import chosen, is_build, runs
from envdoctor.knowledge.prescription import Prescription, prescribe
from envdoctor.knowledge.verdict import Fit

LINUX = Host(system="linux", glibc="2.36", boot_id="x")
TORCH = TorchInstall("/s/torch", "2.8.0+cu126", "12.6", dist_version="2.8.0+cu126")


def told(
    driver: str = "560.35.05", level: str = "12.6", capability: str = "8.0", python: str = "3.11.7"
) -> Prescription:
    gpus = Gpus(gpus=(Gpu(index=0, compute_capability=capability),), count=1) if capability else None
    return prescribe(LINUX, Python(version=python), Driver(release=driver, cuda_level=level), gpus)


def test_what_runs() -> None:
    assert runs(TORCH, told())
    assert not runs(TORCH, told(driver="470.256.02", level="11.4"))
    assert not runs(TORCH, told(capability="12.0"))
    assert not runs(replace(TORCH, version="2.8.0+cpu", cuda=""), told())
    assert runs(replace(TORCH, version="2.8.0+cpu", cuda=""), told(capability=""))
    assert not runs(replace(TORCH, broken_files=("x",)), told())
    # A build of somebody's own: the driver is all that can be held against it.
    own = replace(TORCH, version="2.8.0a0+git123", cuda="12.6")
    assert runs(own, told()) and not runs(own, told(driver="470.256.02", level="11.4"))


def test_what_is_there() -> None:
    assert is_build(TORCH, Fit("2.8.0", "cu126", "full")) and not is_build(TORCH, Fit("2.8.0", "cu128", "full"))
    plain = replace(TORCH, version="2.8.0", cuda="12.8")
    assert is_build(plain, Fit("2.8.0", "cu128", "full")) and not is_build(None, Fit("2.8.0", "cu128", "full"))
    assert not is_build(replace(TORCH, leftover="/s/torch"), Fit("2.8.0", "cu126", "full"))


def test_the_installed_release_is_kept_where_it_can_be() -> None:
    assert str(chosen(told(), replace(TORCH, version="2.8.0+cpu"), "", False, "cu126")) == "2.8.0+cu126"
    assert str(chosen(told(), None, "2.7.1", False, "118")) == "2.7.1+cu118"
    assert str(chosen(told(), TORCH, "", True, "")) == "2.8.0+cpu"


@pytest.mark.parametrize(
    ("version", "cpu", "cuda", "python", "said"),
    [
        ("2.8.0", False, "", "3.6.9", "cannot run here"),
        ("2.8.0", True, "", "3.6.9", "no build of torch 2.8.0 for cpu"),
        ("", False, "cu999", "3.11.7", "no build of any torch known here for cu999"),
        ("2.13", False, "", "3.11.7", "no release of torch known here; the newest is"),
    ],
)
def test_what_is_refused(version: str, cpu: bool, cuda: str, python: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(told(python=python), None, version, cpu, cuda)
