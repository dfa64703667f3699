"""envdoctor/facts/launch.py and hostlist.py: what each launcher's variables come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.facts import hostlist
from envdoctor.facts.environment import Environment
from envdoctor.facts.launch import Launch, launches, node_count, node_rank, process, several_nodes, split_endpoint
from envdoctor.knowledge import launchers


def told(**variables: str) -> tuple[Launch, ...]:
    return launches(Environment(variables))


def only(**variables: str) -> Launch:
    (launch,) = told(**variables)
    return launch


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "9",
    "WORLD_SIZE": "16",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "8",
    "GROUP_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "gpu01",
    "MASTER_PORT": "29500",
}


def test_a_shell_without_a_job_has_no_launch() -> None:
    assert told(PATH="/bin", MASTER_ADDR="a", MASTER_PORT="1") == ()


def test_torchrun() -> None:
    launch = only(**TORCHRUN)
    assert (launch.rank, launch.world_size, launch.local_rank, launch.local_world_size) == (9, 16, 1, 8)
    assert (launch.node_rank, launch.nodes, launch.master_addr, launch.master_port) == (1, 2, "gpu01", 29500)
    assert launch.sources["node_rank"] == "GROUP_RANK"
    assert launch.several_nodes


def test_torchrun_inside_srun_tells_both_and_the_nearer_first() -> None:
    both = told(**TORCHRUN, SLURM_STEP_ID="0", SLURM_PROCID="1", SLURM_NTASKS="2", SLURM_NODEID="1", SLURM_NNODES="2")
    assert [launch.launcher for launch in both] == ["torchrun", "slurm"]
    nearest = process(both)
    assert nearest and nearest.launcher == "torchrun"


def test_srun_counts_the_tasks_of_this_node() -> None:
    variables = {"SLURM_STEP_ID": "3", "SLURM_PROCID": "8", "SLURM_STEP_NUM_TASKS": "11", "SLURM_NTASKS": "99"}
    uneven = only(**variables, SLURM_NODEID="2", SLURM_STEP_TASKS_PER_NODE="4(x2),3", SLURM_NNODES="3")
    assert (uneven.world_size, uneven.local_world_size, uneven.nodes) == (11, 3, 3)
    assert only(**variables, SLURM_STEP_TASKS_PER_NODE="4(x2),3").local_world_size is None
    assert only(**variables, SLURM_STEP_TASKS_PER_NODE="four").malformed == {"SLURM_STEP_TASKS_PER_NODE": "four"}


@pytest.mark.parametrize("step", ["4294967291", "4294967290"])
def test_the_batch_script_is_no_task(step: str) -> None:
    found = told(SLURM_JOB_ID="7", SLURM_STEP_ID=step, SLURM_PROCID="0", SLURM_NTASKS="8")
    assert process(found) is None


def test_an_allocation_tells_its_hosts() -> None:
    job = only(SLURM_JOB_ID="7", SLURM_JOB_NODELIST="gpu[01-02],x7", SLURM_NNODES="3")
    assert (job.per, job.hosts, job.nodes) == ("job", ("gpu01", "gpu02", "x7"), 3)


def test_open_mpi_has_no_node_index() -> None:
    launch = only(
        OMPI_COMM_WORLD_RANK="3",
        OMPI_COMM_WORLD_SIZE="4",
        OMPI_COMM_WORLD_LOCAL_RANK="1",
        OMPI_COMM_WORLD_LOCAL_SIZE="2",
        OMPI_COMM_WORLD_NODE_RANK="1",
    )
    assert (launch.rank, launch.world_size, launch.local_rank, launch.local_world_size) == (3, 4, 1, 2)
    assert launch.node_rank is None and launch.several_nodes


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MV2_COMM_WORLD_RANK": "1", "MV2_COMM_WORLD_SIZE": "2"}, ("mvapich", 1, 2)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"}, ("hydra", 1, 2)),
        ({"PALS_RANKID": "1", "PMI_RANK": "1", "PMI_SIZE": "2", "PALS_NODEID": "0"}, ("pals", 1, 2)),
        ({"FLUX_TASK_RANK": "1", "FLUX_JOB_SIZE": "2"}, ("flux", 1, 2)),
        ({"JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "2"}, ("jsrun", 1, 2)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, ("env", 1, 2)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_other_process_launchers(variables: dict[str, str], expected: tuple[str, int, int]) -> None:
    launch = only(**variables)
    assert (launch.launcher, launch.rank, launch.world_size) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"ARNOLD_WORKER_0_HOST": "10.1.1.1", "ARNOLD_WORKER_0_PORT": "9001,9002,9003", "ARNOLD_WORKER_NUM": "2",
             "ARNOLD_WORKER_GPU": "8", "ARNOLD_ID": "1"},
            ("arnold", 1, 2, 8, "10.1.1.1", 9001),
        ),
        (
            {"METIS_WORKER_0_HOST": "10.1.1.1", "METIS_WORKER_0_PORT": "9001", "METIS_WORKER_NUM": "2",
             "METIS_WORKER_GPU": "8", "METIS_TASK_INDEX": "0"},
            ("metis", 0, 2, 8, "10.1.1.1", 9001),
        ),
        (
            {"MLP_WORKER_0_HOST": "w0", "MLP_WORKER_0_PORT": "2222", "MLP_WORKER_NUM": "4", "MLP_WORKER_GPU": "8",
             "MLP_ROLE_INDEX": "3"},
            ("mlp", 3, 4, 8, "w0", 2222),
        ),
        (
            {"PAI_JOB": "x", "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "m", "MASTER_PORT": "23456"},
            ("pai-dlc", 1, 2, None, "m", 23456),
        ),
        (
            {"AIHC_JOB_NAME": "x", "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "m"},
            ("aihc", 1, 2, None, "m", None),
        ),
        (
            {"SM_HOSTS": '["algo-1", "algo-2"]', "SM_CURRENT_HOST": "algo-2", "SM_NUM_GPUS": "8"},
            ("sagemaker", 1, None, 8, "", None),
        ),
        (
            {"AZUREML_RUN_ID": "r", "AZ_BATCH_MASTER_NODE": "10.0.0.4:6000", "NODE_RANK": "1",
             "AZUREML_NODE_COUNT": "2"},
            ("azureml", 1, 2, None, "10.0.0.4", None),
        ),
        (
            {"VC_WORKER_HOSTS": "w-0.job,w-1.job", "VC_WORKER_NUM": "2", "VC_TASK_INDEX": "1"},
            ("volcano", 1, 2, None, "", None),
        ),
        (
            {"MA_NUM_HOSTS": "2", "MA_NUM_GPUS": "8", "VC_TASK_INDEX": "1", "VC_WORKER_HOSTS": "a,b"},
            ("modelarts", 1, 2, 8, "", None),
        ),
        ({"NODE_RANK": "1", "NNODES": "2"}, ("nodes", 1, 2, None, "", None)),
        ({"LSB_JOBID": "3", "LSB_MCPU_HOSTS": "h1 8 h2 8"}, ("lsf", None, None, None, "", None)),
        (
            {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "8", "PET_NODE_RANK": "1", "PET_RDZV_ENDPOINT": "m:29400"},
            ("torchrun-options", 1, 2, 8, "m", 29400),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_platforms_that_describe_nodes(variables: dict[str, str], expected: tuple[object, ...]) -> None:
    launch = only(**variables)
    assert (
        launch.launcher,
        launch.node_rank,
        launch.nodes,
        launch.local_world_size,
        launch.master_addr,
        launch.master_port,
    ) == expected
    assert launch.rank is None and launch.world_size is None


def test_a_platform_tells_that_the_job_spans_nodes() -> None:
    assert several_nodes(told(LSB_JOBID="3", LSB_MCPU_HOSTS="h1 8 h2 8"))
    assert not several_nodes(told(MLP_WORKER_NUM="1"))
    assert node_count(told(LSB_JOBID="3", LSB_MCPU_HOSTS="h1 8 h2 8", NNODES="1")) == 2
    assert node_rank(told(RANK="0", WORLD_SIZE="2")) == 0
    assert node_rank(told(RANK="1", WORLD_SIZE="2")) is None


def test_a_pytorchjob_counts_processes_in_world_size_but_pods_in_rank() -> None:
    found = told(
        KUBERNETES_SERVICE_HOST="10.0.0.1", PET_NNODES="2", PET_NPROC_PER_NODE="8", PET_NODE_RANK="1",
        RANK="1", WORLD_SIZE="16", MASTER_ADDR="job-master-0", MASTER_PORT="23456",
    )  # fmt: skip
    launch = found[0]
    assert (launch.launcher, launch.node_rank, launch.nodes, launch.local_world_size) == ("kubeflow", 1, 2, 8)
    assert launch.world_size is None and launch.rank is None


def test_in_an_unknown_operators_pod_rank_is_not_taken_for_either() -> None:
    found = told(KUBERNETES_SERVICE_HOST="10.0.0.1", RANK="1", WORLD_SIZE="2", MASTER_ADDR="m", MASTER_PORT="1")
    assert [launch.launcher for launch in found] == ["pod"]


@pytest.mark.parametrize(("value", "nodes"), [("1:4", None), ("2:2", 2), ("auto", None), ("2", 2)])
def test_torchrun_takes_ranges_and_words(value: str, nodes: int | None) -> None:
    assert only(PET_NNODES=value).nodes == nodes


def test_what_is_no_number_is_kept_as_malformed() -> None:
    launch = only(RANK="0", WORLD_SIZE="two", MASTER_PORT="99999")
    assert launch.world_size is None and launch.master_port is None
    assert launch.malformed == {"WORLD_SIZE": "two", "MASTER_PORT": "99999"}
    assert only(SLURM_JOB_ID="1", SLURM_JOB_NODELIST="gpu[1-").malformed == {"SLURM_JOB_NODELIST": "gpu[1-"}
    assert only(PET_RDZV_ENDPOINT="host").master_port is None


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("a", ("a",)),
        ("gpu[01-03,07]-ib,login1", ("gpu01-ib", "gpu02-ib", "gpu03-ib", "gpu07-ib", "login1")),
        ("r[1-2]n[08-09]", ("r1n08", "r1n09", "r2n08", "r2n09")),
        ("a, b\tc", ("a", "b", "c")),
        ('["algo-1", "algo-2"]', ("algo-1", "algo-2")),
    ],
)
def test_host_lists(text: str, hosts: tuple[str, ...]) -> None:
    assert hostlist.expand(text) == hosts


HOSTILE = ("a[1", "a]1[", "a[1-x]", "a[5-1]", "a[[1]]", "a[0-99999999]", "a[1-60000],b[1-60000]", '["a", 1]', '["')


@pytest.mark.parametrize("text", [*HOSTILE, "a[1]" * 9, "[" * 100_000 + '"'], ids=lambda text: text[:20])
def test_hostile_host_lists_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        hostlist.expand(text)


@given(st.text(alphabet='a0123456789[],-"\n xX()', max_size=60))
def test_a_host_list_is_read_or_refused(text: str) -> None:
    for read in (hostlist.expand, hostlist.per_node):
        try:
            found = read(text)
        except ValueError:
            continue
        assert len(found) <= hostlist.MOST


NAMES = sorted(
    {name for row in launchers.launchers() for role in launchers.ROLES for name in getattr(row, role)}
    | {name for row in launchers.launchers() for name in row.any}
)


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=20), max_size=8))
def test_no_value_of_any_variable_breaks_it(variables: dict[str, str]) -> None:
    for launch in launches(Environment(variables)):
        assert launch.title


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [
        ("host:29400", ("host", "29400")),
        ("host", ("host", "")),
        ("[fe80::1]:29400", ("fe80::1", "29400")),
        ("fe80::1", ("fe80::1", "")),
    ],
)
def test_endpoints(endpoint: str, parts: tuple[str, str]) -> None:
    assert split_endpoint(endpoint) == parts


def test_the_table_names_each_launcher_once_and_only_known_kinds() -> None:
    rows = launchers.launchers()
    assert len({row.name for row in rows}) == len(rows)
    assert {row.per for row in rows} == {"process", "node", "job"}
