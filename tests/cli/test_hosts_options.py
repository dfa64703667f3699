"""envdoctor/cli/hosts_options.py; tests/bench/test_over_ssh.py and tests/lab/test_slurm.py start what it finds."""

from __future__ import annotations

import pytest

from envdoctor.bench.launching import Given, Part
from envdoctor.cli.hosts_options import afar, hint_at_nodes
from envdoctor.errors import UsageError
from envdoctor.render import Style
from envdoctor.transport.target import Target

TARGET = Target("/usr/bin/python3", "asked")
JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "gpu[01-04]", "SLURM_NNODES": "4"}


def test_one_place_for_each_host_and_each_node() -> None:
    hosts = afar("a,b", False, Given(nproc_per_node=2), TARGET, {})
    nodes = afar(None, True, Given(master_port=4711), TARGET, JOB)
    assert hosts is not None and nodes is not None
    assert (hosts.part.members, hosts.part.nproc, hosts.part.given_by) == (2, 2, "--hosts")
    assert (nodes.part.members, nodes.part.master_port, nodes.part.given_by) == (4, 4711, "--slurm")
    assert afar(None, False, Given(), TARGET, JOB) is None, "an allocation alone asks for nothing"


@pytest.mark.parametrize(
    ("spec", "slurm", "given", "said"),
    [
        ("a,b", True, Given(), "--hosts and --slurm"),
        (None, True, Given(node_rank=1), "--slurm starts every node .* leave --node-rank out"),
        ("a,b", False, Given(nnodes=2), "--hosts starts every node .* leave --nnodes out"),
        ("a,b", False, Given(master_port=70000), "65535"),
    ],
)
def test_options_that_do_not_fit_together(spec: str | None, slurm: bool, given: Given, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        afar(spec, slurm, given, TARGET, JOB)


@pytest.mark.parametrize(
    ("part", "environ", "style", "said"),
    [
        (Part(), JOB, Style(), "--slurm measures the 4 nodes"),
        (Part(), JOB, Style(language="zh"), "4 个节点"),
        (Part(), {**JOB, "SLURM_NNODES": "1", "SLURM_JOB_NODELIST": "gpu01"}, Style(), ""),
        (Part(), {}, Style(), ""),
        (Part(), JOB, Style(verbosity=-1), ""),
        (Part(members=4, launcher="Slurm (srun)"), JOB, Style(), ""),
    ],
)
def test_an_allocation_of_several_nodes_is_pointed_at(
    part: Part, environ: dict[str, str], style: Style, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hint_at_nodes(part, environ, style)
    told = capsys.readouterr().err
    assert said in told and bool(told) is bool(said)
