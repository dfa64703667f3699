"""envdoctor/readers/nccl_log.py: what NCCL's own lines tell of a job."""

from __future__ import annotations

from envdoctor.facts.nccl_log import Adapter, Interface, NcclLog
from tests.readers.texts import codes, read

HEAD = "gpu-{0}:{1}:{1} [0] NCCL INFO "


def told(text: str) -> NcclLog:
    fact = read(text).sections["nccl-log"]
    assert isinstance(fact, NcclLog)
    return fact


def test_a_process_says_what_it_took() -> None:
    head = HEAD.format("a01", 88)
    (process,) = told(
        f"{head}Bootstrap : Using eno1:10.0.0.1<0>\n"
        f"{head}NCCL version 2.27.5+cuda12.9\n"
        f"{head}NCCL_IB_HCA set to mlx5\n"
        f"{head}NCCL_CROSS_NIC set by environment to 1.\n"
        f"{head}NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:2/RoCE [RO]; OOB eno1:10.0.0.1<0>\n"
        f"{head}NET/Socket : Using [0]eno1:10.0.0.1<0> [1]veth1:fe80::1%veth1<0>\n"
        f"{head}Using network IB\n"
        f"{head}comm 0x1 rank 3 nranks 8 cudaDev 0 busId 1e0 - Init COMPLETE\n"
    ).processes
    assert (process.node, process.pid, process.ranks) == ("gpu-a01", 88, (3,))
    assert (process.version, process.network) == ("2.27.5", "IB")
    assert process.settings == {"NCCL_IB_HCA": "mlx5", "NCCL_CROSS_NIC": "1"}
    assert process.adapters == (Adapter("mlx5_0", 1, "IB"), Adapter("mlx5_1", 2, "RoCE"))
    assert process.interfaces == (Interface("eno1", "10.0.0.1"), Interface("veth1", "fe80::1%veth1"))
    assert [one.between_hosts for one in process.interfaces] == [True, False]
    assert [one.link_local for one in process.interfaces] == [False, True]


def test_old_wordings_are_read_as_well() -> None:
    text = (
        "gpu-a01:88:88 [0] INFO NET : Using interface lo:127.0.0.1<0>\n"
        "gpu-a01:88:88 [0] INFO Using internal Network Socket\n"
    )
    (process,) = told(text).processes
    assert process.interfaces == (Interface("lo", "127.0.0.1"),)
    assert (process.network, process.interfaces[0].between_hosts) == ("Socket", False)


def test_lines_without_a_prefix_belong_to_one_process() -> None:
    (process,) = told("NCCL INFO Using network Socket\nNET/IB : No device found.\n").processes
    assert (process.node, process.pid, process.network, process.no_adapter) == ("", None, "Socket", False)


def test_nodes_are_counted_by_nccl_by_its_tests_and_by_names() -> None:
    assert told(HEAD.format("a", 1) + "comm 0x1 rank 0 nRanks 16 nNodes 2 localRanks 8 localRank 0\n").several_nodes
    assert told(HEAD.format("a", 1) + "Using network IB\n" + HEAD.format("b", 2) + "Using network IB\n").several_nodes
    tests = (
        "#  Rank  0 Group  0 Pid   9 on gpu-a device  0 [0x01] NVIDIA\n" + HEAD.format("a", 9) + "Using network IB\n"
    )
    assert told(tests).several_nodes is False
    assert told(tests.replace("Rank  0", "Rank  1")).sizes == (2,)
    assert told(HEAD.format("a", 1) + "Using network Socket\n").several_nodes is None


def test_variables_outside_of_nccls_lines() -> None:
    text = "export NCCL_IB_HCA=mlx5_0,mlx5_1\nmpirun -x FI_PROVIDER=efa\n    NCCL_NET: IB\n"
    fact = told(text + HEAD.format("a", 1) + "NCCL_NET set by environment to Socket\n")
    assert fact.asked == {"NCCL_IB_HCA": "mlx5_0,mlx5_1", "FI_PROVIDER": "efa", "NCCL_NET": "IB"}
    assert fact.setting("NCCL_NET") == "Socket"
    assert fact.rdma_is_meant == "NCCL_IB_HCA=mlx5_0,mlx5_1"


def test_what_makes_rdma_be_meant() -> None:
    head = HEAD.format("a", 1)
    assert told("export NCCL_IB_DISABLE=0\n" + head + "Using network Socket\n").rdma_is_meant == "NCCL_IB_DISABLE=0"
    assert told("FI_PROVIDER=efa\n").rdma_is_meant == "FI_PROVIDER=efa"
    assert told("export NCCL_NET=IB\n").rdma_is_meant == "NCCL_NET=IB"
    assert told("hca_id:\tmlx5_0\n\tstate: PORT_ACTIVE (4)\n").rdma_is_meant == "mlx5_0"
    assert told("hca_id:\tmlx5_0\n\tstate: PORT_DOWN (1)\n").rdma_is_meant == ""
    assert told("mlx5_3 port 1 ==> ib0 (Up)\n").rdma_is_meant == "mlx5_3"
    assert told("export NCCL_IB_HCA=mlx5\nexport NCCL_IB_DISABLE=1\n").rdma_is_meant == ""
    assert told(head + "Using network Socket\n").rdma_is_meant == ""


def test_hosts_that_differ() -> None:
    text = HEAD.format("a", 1) + "NCCL_PROTO set by environment to Simple\n"
    text += HEAD.format("b", 2) + "NCCL_PROTO set by environment to LL\n"
    assert told(text).differing("NCCL_PROTO") == {"Simple": ("gpu-a",), "LL": ("gpu-b",)}
    assert told(text).differing("NCCL_ALGO") == {}
    unset = text.replace("NCCL_PROTO set by environment to LL", "NCCL_DEBUG set by environment to INFO")
    assert told(unset).differing("NCCL_PROTO") == {"Simple": ("gpu-a",), "": ("gpu-b",)}


def test_a_version_without_a_prefix_is_that_of_the_line_before() -> None:
    text = HEAD.format("a", 1) + "cudaDriverVersion 12040\n" + HEAD.format("a", 1) + "Using network IB\n"
    text += "NCCL version 2.19.3+cuda12.3\n" + HEAD.format("b", 2) + "Using network IB\nNCCL version 2.14.3+cuda11.7\n"
    assert [one.version for one in told(text).processes] == ["2.19.3", "2.14.3"]
    assert codes(text) == {"nccl-version-mismatch": "warning"}


def test_one_id_for_two_hosts() -> None:
    line = "NCCL_HOSTID set by environment to node0\n"
    assert codes(HEAD.format("a", 1) + line + HEAD.format("b", 2) + line) == {"duplicate-host-id": "warning"}
    assert codes(HEAD.format("a", 1) + line + HEAD.format("b", 2) + line.replace("node0", "node1")) == {}


START = "gpu-a:{0}:{0} [{1}] NCCL INFO ncclCommInitRank comm 0x{0} rank {1} nranks 2 busId 1 commId {2} - Init {3}\n"


def test_ranks_that_begin_two_communicators_wait_for_each_other() -> None:
    text = START.format(10, 0, "0xaa", "START") + START.format(11, 1, "0xbb", "START")
    assert codes(text) == {"collective-timeout-desync": "warning"}
    refused = "gpu-a:11:11 [1] NCCL INFO socketPollConnect: connect returned Connection refused, retrying (1/34)\n"
    assert next(iter(codes(text + refused))) == "collective-timeout-desync"


def test_groups_side_by_side_are_no_such_pair() -> None:
    text = "".join(START.format(10 + rank, rank, name, "START") for name in ("0xaa", "0xbb") for rank in (0, 1))
    assert "collective-timeout-desync" not in codes(text)
    one_after_another = START.format(10, 0, "0xaa", "START") + START.format(10, 0, "0xaa", "COMPLETE")
    assert "collective-timeout-desync" not in codes(one_after_another + START.format(11, 1, "0xbb", "START"))


def test_a_thousand_processes_and_more_are_bounded() -> None:
    text = "".join(HEAD.format("a", number) + "Using network IB\n" for number in range(1, 1500))
    assert len(told(text).processes) == 1024
