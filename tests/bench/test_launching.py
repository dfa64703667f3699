"""envdoctor/bench/launching.py: which part a process takes, from options and launchers' variables."""

from __future__ import annotations

import pytest

from envdoctor.bench.launching import Given, Part, part
from envdoctor.errors import UsageError

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "5", "WORLD_SIZE": "16", "LOCAL_RANK": "5", "LOCAL_WORLD_SIZE": "8",
    "GROUP_RANK": "0", "GROUP_WORLD_SIZE": "2", "MASTER_ADDR": "gpu01", "MASTER_PORT": "40001",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip
SRUN = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "9", "SLURM_NTASKS": "16", "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1", "SLURM_NNODES": "2", "SLURM_STEP_NODELIST": "gpu[01-02]", "SLURM_TASKS_PER_NODE": "8(x2)",
}  # fmt: skip
MPIRUN = {
    "OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}  # fmt: skip
PODS = {"NODE_RANK": "1", "NNODES": "2", "MASTER_ADDR": "pod-0", "NPROC_PER_NODE": "4"}


def test_alone_with_gpus_and_without() -> None:
    assert part(Given(), {}, 0) == Part(nproc=2, master_port=0)
    assert part(Given(), {}, 4) == Part(nproc=4, master_port=0)
    assert part(Given(nproc_per_node=3, master_port=4711), {}, 8) == Part(nproc=3, master_port=4711)


def test_by_hand() -> None:
    given = Given(nnodes=4, node_rank=2, master_addr="10.0.0.1", nproc_per_node=8)
    expected = Part(index=2, members=4, nproc=8, master_addr="10.0.0.1", master_port=29500)
    assert part(given, {}, 0) == expected
    assert not expected.reports
    assert part(given, TORCHRUN, 0) == expected, "what is typed counts more than what was inherited"


def test_by_hand_without_gpus_one_process_is_enough() -> None:
    assert part(Given(nnodes=2, node_rank=0, master_addr="a"), {}, 0).nproc == 1
    assert part(Given(nnodes=2, node_rank=0, master_addr="a"), {}, 8).nproc == 8


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Given(nnodes=2, master_addr="a"), "--node-rank"),
        (Given(nnodes=2, node_rank=0), "--master-addr"),
        (Given(nnodes=2, node_rank=2, master_addr="a"), "from 0 to 1"),
        (Given(nnodes=2, node_rank=-1, master_addr="a"), "from 0 to 1"),
        (Given(nnodes=0), "at least one"),
        (Given(nnodes=1, master_port=70000), "65535"),
        (Given(nproc_per_node=0), "from 1"),
    ],
)
def test_options_that_do_not_fit_together(given: Given, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        part(given, {}, 0)


def test_a_worker_of_torchrun_meets_at_its_agent_s_store() -> None:
    found = part(Given(), TORCHRUN, 8)
    assert (found.index, found.members, found.per, found.nproc, found.local_rank) == (5, 16, "process", 1, 5)
    assert (found.master_addr, found.master_port, found.store_is_there) == ("gpu01", 40001, True)
    assert not part(Given(), {**TORCHRUN, "TORCHELASTIC_USE_AGENT_STORE": "False"}, 8).store_is_there


def test_a_task_of_srun_finds_rank_0_on_the_first_host() -> None:
    found = part(Given(), SRUN, 1)
    assert (found.index, found.members, found.local_rank, found.master_addr) == (9, 16, 1, "gpu01")
    assert found.given_by == "MASTER_ADDR"
    assert found.started == (("gpu01", 8), ("gpu02", 8))
    assert part(Given(), {**SRUN, "SLURM_TASKS_PER_NODE": "8"}, 1).started == (), "not for every node"
    assert part(Given(), {**SRUN, "MASTER_ADDR": "10.0.0.9", "MASTER_PORT": "4711"}, 1).master_addr == "10.0.0.9"


def test_mpirun_must_be_told_where_rank_0_is_unless_all_are_here() -> None:
    with pytest.raises(UsageError, match="-x MASTER_ADDR"):
        part(Given(), MPIRUN, 0)
    assert part(Given(), {**MPIRUN, "MASTER_ADDR": "a"}, 0).master_addr == "a"
    assert part(Given(), {**MPIRUN, "OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, 0).master_addr == "127.0.0.1"


def test_one_program_a_node() -> None:
    found = part(Given(), PODS, 0)
    assert (found.index, found.members, found.per, found.nproc) == (1, 2, "node", 4)
    assert found.given_by == "MASTER_ADDR"


def test_variables_that_do_not_fit_together() -> None:
    with pytest.raises(UsageError, match="envdoctor check launch"):
        part(Given(), {**TORCHRUN, "RANK": "16"}, 8)
    with pytest.raises(UsageError, match="leave it out"):
        part(Given(nproc_per_node=4), TORCHRUN, 8)
