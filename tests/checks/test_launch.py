"""checks/launch.py"""

from __future__ import annotations

import pytest

from envdoctor import engine
from envdoctor.columns import Facts
from envdoctor.facts.allreduce import Failure
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.model import Missing, Severity
from envdoctor.testing import Case, speak, topic_file
from tests import CHECKS
from tests.checks.bench_results import FINE as BENCHED
from tests.checks.bench_results import stopped

FILE = CHECKS / "launch.py"


def env(**variables: object) -> Environment:
    return Environment({name: str(value) for name, value in variables.items()})


def torchrun(
    rank: int, size: int, local_rank: int, local_size: int, node: int = 0, nodes: int = 1
) -> dict[str, object]:
    return {
        "TORCHELASTIC_RUN_ID": "none", "RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": local_rank,
        "LOCAL_WORLD_SIZE": local_size, "GROUP_RANK": node, "GROUP_WORLD_SIZE": nodes, "MASTER_ADDR": "gpu01",
        "MASTER_PORT": 29500,
    }  # fmt: skip


def srun(task: int, tasks: int, per_node: str, nodes: int) -> dict[str, object]:
    return {
        "SLURM_JOB_ID": 7, "SLURM_STEP_ID": 0, "SLURM_PROCID": task, "SLURM_STEP_NUM_TASKS": tasks,
        "SLURM_STEP_TASKS_PER_NODE": per_node, "SLURM_NNODES": nodes, "SLURM_NODEID": 0,
    }  # fmt: skip


MASTER = {"MASTER_ADDR": "gpu01", "MASTER_PORT": 29500}

CASES = [
    Case("a benchmark whose nodes agree", (Environment(), BENCHED)),
    Case(
        "a node of a benchmark was told of three",
        (stopped("join", Failure("join", 2, "gpu03", "world-size", given=3, expected=2)),),
        {"world-size-mismatch": "error"},
    ),
    Case(
        "a rank of a benchmark was told of three",
        (stopped("join", Failure("join", 2, "gpu03", "world-size", given=3, expected=2), per="process"),),
        {"world-size-mismatch": "error"},
    ),
    Case("a failure of another kind", (stopped("join", Failure("join", 2, "gpu03", "duplicate")),)),
    Case("a plain shell", (env(PATH="/bin"), Gpus(count=8))),
    Case("a shell on its way to torchrun", (env(**MASTER), Gpus(count=8))),
    Case("one worker of torchrun on a node of 8", (env(**torchrun(3, 8, 3, 8)), Gpus(count=8))),
    Case("two nodes of torchrun", (env(**torchrun(9, 16, 1, 8, 1, 2)), Gpus(count=8))),
    Case("torchrun on nodes of different size", (env(**torchrun(9, 12, 1, 4, 1, 2)), Gpus(count=4))),
    Case("torchrun inside srun, one task per node", (env(**torchrun(9, 16, 1, 8, 1, 2), **srun(1, 2, "1(x2)", 2)),)),
    Case("srun with a rank per GPU, MASTER_ADDR in the script", (env(**MASTER, **srun(1, 8, "8", 1)), Gpus(count=8))),
    Case(
        "a PyTorchJob's pod, where RANK is the pod's and WORLD_SIZE the processes'",
        (
            env(
                KUBERNETES_SERVICE_HOST="10.0.0.1",
                PET_NNODES=2,
                PET_NPROC_PER_NODE=8,
                PET_NODE_RANK=1,
                RANK=1,
                WORLD_SIZE=16,
                **MASTER,
            ),
            Gpus(count=8),
        ),
    ),
    Case("a batch script that leaves the rank to its tasks", (env(SLURM_JOB_ID=7, WORLD_SIZE=8, **MASTER),)),
    Case("WORLD_SIZE for a command line", (env(WORLD_SIZE=8),)),
    Case("no environment", (Missing("environment", "failed"),)),
    Case("RANK alone", (env(RANK=0),), {"launch-env-missing": "error"}),
    Case(
        "MASTER_PORT is empty",
        (env(RANK=0, WORLD_SIZE=2, MASTER_ADDR="a", MASTER_PORT=""),),
        {"launch-env-missing": "error"},
    ),
    Case("all but the rank, by hand", (env(WORLD_SIZE=2, **MASTER),), {"launch-env-missing": "warning"}),
    Case("a rank in words", (env(RANK="first", WORLD_SIZE=2, **MASTER),), {"launch-env-missing": "error"}),
    Case("the last rank counted from one", (env(RANK=2, WORLD_SIZE=2, **MASTER),), {"world-size-mismatch": "error"}),
    Case("a negative rank", (env(RANK=-1, WORLD_SIZE=2, **MASTER),), {"world-size-mismatch": "error"}),
    Case("a node rank out of range", (env(NODE_RANK=2, NNODES=2),), {"world-size-mismatch": "error"}),
    Case("one node that lacks processes", (env(**torchrun(0, 8, 0, 4)),), {"world-size-mismatch": "error"}),
    Case("more nodes than ranks", (env(**torchrun(0, 2, 0, 1, 0, 4)),), {"world-size-mismatch": "error"}),
    Case("more ranks here than in all", (env(**torchrun(0, 2, 0, 4)),), {"world-size-mismatch": "error"}),
    Case(
        "RANK=$SLURM_PROCID in the batch script",
        (env(RANK=0, WORLD_SIZE=8, **MASTER, **srun(3, 8, "8", 1)),),
        {"world-size-mismatch": "error"},
    ),
    Case(
        "ranks in an order of their own",
        (env(RANK=5, WORLD_SIZE=8, **MASTER, **srun(3, 8, "8", 1)),),
        {"world-size-mismatch": "warning"},
    ),
    Case("ranks that agree", (env(RANK=3, WORLD_SIZE=8, **MASTER, **srun(3, 8, "8", 1)),)),
    Case("one task that spawns its ranks", (env(RANK=0, WORLD_SIZE=8, **MASTER, **srun(0, 1, "1", 1)),)),
    Case(
        "WORLD_SIZE counts nodes, srun started more",
        (env(RANK=0, WORLD_SIZE=2, **MASTER, **srun(0, 16, "8(x2)", 2)),),
        {"world-size-mismatch": "error"},
    ),
    Case(
        "srun starts 8 tasks and each a torchrun of 8",
        (env(**torchrun(3, 16, 3, 8, 0, 2), **srun(5, 16, "8(x2)", 2)), Gpus(count=8)),
        {"srun-torchrun-nested": "error"},
    ),
    Case(
        "mpirun starts 4 processes and each a torchrun of 4",
        (
            env(**torchrun(3, 4, 3, 4), OMPI_COMM_WORLD_RANK=1, OMPI_COMM_WORLD_SIZE=4, OMPI_COMM_WORLD_LOCAL_SIZE=4),
            Gpus(count=4),
        ),
        {"srun-torchrun-nested": "error"},
    ),
    Case("a torchrun of one process in every task", (env(**torchrun(5, 16, 0, 1, 5, 16), **srun(5, 16, "8(x2)", 2)),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_commands_name_the_variable_that_holds_the_right_number() -> None:
    (finding,) = next(case for case in CASES if case.about.startswith("RANK=$")).assert_holds(FILE)
    assert finding.command == "export RANK=$SLURM_PROCID"
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RANK": 0}, "WORLD_SIZE, MASTER_ADDR, MASTER_PORT are not set, though RANK is"),
        ({"RANK": 0, "WORLD_SIZE": 2}, "MASTER_ADDR, MASTER_PORT are not set, though RANK, WORLD_SIZE are"),
        ({"WORLD_SIZE": 2, **MASTER}, "RANK is not set, though WORLD_SIZE, MASTER_ADDR, MASTER_PORT are"),
    ],
)
def test_several_variables_are_not_set(variables: dict[str, object], said: str) -> None:
    severity = "error" if "RANK" in variables else "warning"
    (finding,) = Case("", (env(**variables),), {"launch-env-missing": severity}).assert_holds(FILE)
    assert finding.words.title is not None
    assert finding.words.title.say("en", finding.evidence) == said


def over(*environments: Environment) -> list[tuple[str | None, tuple[str, ...]]]:
    """Situation and nodes of every finding over nodes with these environments."""
    node_facts: dict[str, Facts] = {
        f"n{number}": {Environment: environment} for number, environment in enumerate(environments)
    }
    outcomes = engine.run(topic_file(FILE).checks, node_facts)
    assert not [outcome.traceback for outcome in outcomes if outcome.status == "crashed"]
    found = engine.fold(outcomes)
    for finding in found:
        speak(finding)
    return [(finding.situation, finding.nodes) for finding in found]


def test_nodes_fit_together() -> None:
    def node(rank: object, nodes: object = 2) -> Environment:
        return env(NODE_RANK=rank, NNODES=nodes)

    assert over(node(0), node(1)) == []
    assert over(node(0), env(PATH="/bin"), env(**torchrun(3, 8, 3, 8))) == []
    assert over(node(0), node(0)) == [("same-node-rank", ("n0", "n1"))]
    assert over(node(0), node(1, 3)) == [("nodes-disagree", ("n0", "n1"))]
    assert over(env(**torchrun(0, 8, 0, 8)), env(**torchrun(1, 8, 1, 8))) == [], "two ranks of one node"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "no launcher's variables are set"),
        (torchrun(3, 8, 3, 8), "rank 3 of 8, torchrun"),
        ({"ARNOLD_WORKER_NUM": 2}, "ByteDance Arnold, 2 nodes"),
    ],
)
def test_the_topic_s_line(variables: dict[str, object], said: str) -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(env(**variables))
    assert told is not None
    assert told[0].say("en", told[1]) == said
    assert told[0].say("zh", told[1])
