"""envdoctor/readers/environment_dump.py, through whole texts."""

from __future__ import annotations

import pytest

from envdoctor.facts.environment import Environment
from tests.readers.texts import codes, read

WHOLE = "PATH=/usr/bin:/bin\nHOME=/root\nRANK={}\nLOCAL_RANK=0\nWORLD_SIZE={}\nMASTER_ADDR={}\nMASTER_PORT=29500\n"
WHOLE += "AWS_SECRET_ACCESS_KEY=abc\n"


def test_a_whole_environment_is_a_fact() -> None:
    environment = read("$ env\n" + WHOLE.format(1, 2, "10.0.0.1") + "done\n").sections["environment"]
    assert isinstance(environment, Environment)
    assert environment.get("MASTER_ADDR") == "10.0.0.1"
    assert environment.get("HOME") == "/root"
    assert (environment.get("AWS_SECRET_ACCESS_KEY"), environment.secret) == (None, ("AWS_SECRET_ACCESS_KEY",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (WHOLE.format(2, 2, "10.0.0.1"), {"world-size-mismatch": "error"}),
        (WHOLE.format(1, 2, "10.0.0.1").replace("MASTER_ADDR=10.0.0.1\n", ""), {"launch-env-missing": "error"}),
        ("RANK=8\nLOCAL_RANK=0\nWORLD_SIZE=8\n", {"world-size-mismatch": "error"}),
        ("RANK=0\nWORLD_SIZE=8\nMASTER_ADDR=http://10.0.0.1\nMASTER_PORT=1\n", {"master-addr-malformed": "error"}),
        ('"Env": [\n  "RANK=4",\n  "WORLD_SIZE=4",\n  "A=b"\n]\n', {"world-size-mismatch": "error"}),
        ('declare -x RANK="4"\ndeclare -x WORLD_SIZE="4"\ndeclare -x X="y z"\n', {"world-size-mismatch": "error"}),
        ("RANK=1\nLOCAL_RANK=1\nWORLD_SIZE=8\n", {}),
        (WHOLE.format(1, 2, "10.0.0.1"), {}),
        ("RANK=8 WORLD_SIZE=8 python train.py\n", {}),
        ("export RANK=8\nexport WORLD_SIZE=8\nexport X=1\n", {}),
        ("RANK=$SLURM_PROCID\nWORLD_SIZE=8\nMASTER_ADDR=$(hostname)\nMASTER_PORT=1\n", {}),
    ],
)
def test_what_does_not_fit(text: str, told: dict[str, str]) -> None:
    assert codes(text) == told
