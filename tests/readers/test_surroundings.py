"""envdoctor/readers/surroundings.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.host import Host
from tests.readers.texts import read


@pytest.mark.parametrize(
    ("text", "container"),
    [
        ("$ docker run --gpus all --rm -it nvcr.io/nvidia/pytorch:24.05-py3", "docker"),
        ("root@4fed67936d62:/workspace# nvidia-smi", "docker"),
        ("kubectl logs trainer-0", "kubernetes"),
        ("Singularity> python train.py", "apptainer"),
        ("root@deadbeef:/# ls", None),
        ("root@gpu-a01:~# docker ps", None),
    ],
)
def test_containers(text: str, container: str | None) -> None:
    host = read(text).sections.get("host")
    assert (host.container if isinstance(host, Host) else None) == container


def test_wsl_and_slurm() -> None:
    text = "Linux box 5.15.153.1-microsoft-standard-WSL2 #1 SMP\nSLURM_JOB_ID=4711\n"
    host = read(text).sections["host"]
    assert isinstance(host, Host)
    assert (host.wsl, host.scheduler.kind, host.scheduler.job) == (2, "slurm", "4711")
