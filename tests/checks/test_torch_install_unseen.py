"""checks/torch_install.py: a build for CUDA where no GPU is seen."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor import Missing, Plan
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.pip import PipConfig
from envdoctor.facts.python import Python
from envdoctor.remedy import Files
from envdoctor.testing import topic_file
from tests import CHECKS

ENV = "/opt/envs/bare"
PYTHON = Python(f"{ENV}/bin/python", "3.11.7", prefix=ENV, venv=ENV, isolated_path=(f"{ENV}/lib/site-packages",))
A100 = Gpus(gpus=(Gpu(index=0, name="NVIDIA A100-SXM4-40GB", compute_capability="8.0"),), count=1)


def remarks(driver: Driver | None = None, gpus: Gpus | None = None, **options: Any) -> str:
    (fix,) = (one for one in topic_file(CHECKS / "torch_install.py").fixes if one.name == "torch")
    absent = Missing("torch-install", "not-here", "no trace of torch")
    host = Host(system="linux", glibc="2.36", boot_id="x")
    made = fix.make(
        PYTHON, absent, host, driver, gpus, None, None, PipConfig("25.0"), None, None, None, None, Files(), **options
    )
    assert isinstance(made, Plan) and made.commands
    return "\n".join(remark.said.say("en") for remark in made.remarks)


@pytest.mark.parametrize(
    ("driver", "gpus"), [(None, None), (Driver(release="535.104.05", cuda_level="12.2"), Gpus(count=0))]
)
def test_a_bare_machine_is_told_that_the_build_is_for_gpus(driver: Driver | None, gpus: Gpus | None) -> None:
    assert "no NVIDIA GPU is seen here" in remarks(driver, gpus)
    assert "`--cpu` is smaller" in remarks(driver, gpus)


def test_nothing_is_said_where_there_is_a_gpu_or_the_user_chose() -> None:
    driver = Driver(release="535.104.05", cuda_level="12.2")
    for told in (remarks(driver, A100), remarks(cpu=True), remarks(cuda="cu126")):
        assert "NVIDIA GPU" not in told
