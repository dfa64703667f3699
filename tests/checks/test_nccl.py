"""checks/nccl.py"""

from __future__ import annotations

import pytest

from envdoctor import summaries
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.nccl import ConfFile, NcclSettings, Row
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.facts.torch import Pin, TorchInstall
from envdoctor.model import Finding
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS
from tests.checks.interfaces import EIGHT, NOTHING, SIXTEEN, with_variables

FILE = CHECKS / "nccl.py"
LEFT, OLD, BAD, UNKNOWN = "nccl-debug-leftover", "nccl-env-renamed", "nccl-env-invalid", "nccl-env-unknown"
H100 = Gpus(count=8, gpus=tuple(Gpu(n, name="NVIDIA H100 80GB HBM3") for n in range(8)))
RTX = Gpus(count=2, gpus=tuple(Gpu(n, name="NVIDIA GeForce RTX 4090") for n in range(2)))
ONE = Gpus(count=1, gpus=(Gpu(0, name="NVIDIA H100 80GB HBM3"),))
IB = Rdma((RdmaDevice("mlx5_0", (Port(1, rate_gbps=200.0),)),))
TORCH_2_1 = TorchInstall(version="2.1.2+cu121", pins=(Pin("nvidia-nccl-cu12", "2.18.1"),))
TORCH_2_6 = TorchInstall(version="2.6.0+cu124", pins=(Pin("nvidia-nccl-cu12", "2.21.5"),))


def env(**variables: str) -> Environment:
    return Environment(variables)


def conf(name: str, value: str, line: int = 1) -> NcclSettings:
    return NcclSettings((ConfFile("/etc/nccl.conf", "system", rows=(Row(name, value, line),)),))


def job(**variables: str) -> Environment:
    return with_variables(SIXTEEN, **variables)


CASES = [
    Case("nothing set", (NOTHING, H100, IB, TORCH_2_6)),
    Case(
        "what a cluster's documentation asks for",
        (
            job(
                NCCL_SOCKET_IFNAME="=eth0",
                NCCL_IB_HCA="mlx5",
                NCCL_DEBUG="INFO",
                NCCL_IB_TIMEOUT="22",
                NCCL_IB_DISABLE="0",
                NCCL_NVLS_ENABLE="0",
                NCCL_CUMEM_ENABLE="0",
                TORCH_NCCL_ASYNC_ERROR_HANDLING="1",
                NCCL_OFI_PROTOCOL="RDMA",
                NCCL_VERSION="2.21.5",
                NCCL_IB_QPS_PER_CONNECTION="4",
                NCCL_DEBUG_SUBSYS="INIT,NET",
            ),
            H100,
            IB,
            TORCH_2_6,
        ),
    ),
    Case("no P2P on H100", (env(NCCL_P2P_DISABLE="1"), H100), {LEFT: "warning"}),
    Case("no P2P, GPUs unknown", (env(NCCL_P2P_DISABLE="1"),), {LEFT: "warning"}),
    Case("no P2P on one GPU", (env(NCCL_P2P_DISABLE="1"), ONE), {LEFT: "note"}),
    Case("no P2P where the driver has none", (env(NCCL_P2P_DISABLE="1"), RTX), {LEFT: "note"}),
    Case("P2P by level", (env(NCCL_P2P_LEVEL="LOC"), H100), {LEFT: "warning"}),
    Case("P2P over NVLink only", (env(NCCL_P2P_LEVEL="NVL"), H100)),
    Case("no shared memory", (env(NCCL_SHM_DISABLE="1"), H100), {LEFT: "warning"}),
    Case("no shared memory with one GPU", (env(NCCL_SHM_DISABLE="1"), ONE), {LEFT: "note"}),
    Case("no InfiniBand though it is there", (job(NCCL_IB_DISABLE="1"), IB), {LEFT: "warning"}),
    Case(
        "a server's Ethernet, no job",
        (env(NCCL_IB_DISABLE="1"), Rdma((RdmaDevice("mlx5_0", (Port(link_layer="Ethernet"),)),))),
        {LEFT: "note"},
    ),
    Case("no InfiniBand on one node", (with_variables(EIGHT, NCCL_IB_DISABLE="1"), IB), {LEFT: "note"}),
    Case("no InfiniBand where there is none", (job(NCCL_IB_DISABLE="1"),), {LEFT: "note"}),
    Case("sockets by name", (job(NCCL_NET="Socket"), IB), {LEFT: "warning"}),
    Case("traces", (env(NCCL_DEBUG="trace"),), {LEFT: "warning"}),
    Case("all subsystems", (env(NCCL_DEBUG="INFO", NCCL_DEBUG_SUBSYS="ALL"),), {LEFT: "warning"}),
    Case("all subsystems of nothing", (env(NCCL_DEBUG="WARN", NCCL_DEBUG_SUBSYS="ALL"),)),
    Case("torch checks every collective", (env(TORCH_DISTRIBUTED_DEBUG="DETAIL"),), {LEFT: "warning"}),
    Case("errors become hangs", (env(TORCH_NCCL_ASYNC_ERROR_HANDLING="0"),), {LEFT: "warning"}),
    Case("one channel", (env(NCCL_MAX_NCHANNELS="1"), H100), {LEFT: "warning"}),
    Case("an algorithm by name", (env(NCCL_ALGO="Ring"), H100), {LEFT: "note"}),
    Case("in a file", (NOTHING, conf("NCCL_P2P_DISABLE", "1"), H100), {LEFT: "warning"}),
    Case("an old name of torch", (env(NCCL_BLOCKING_WAIT="1"), TORCH_2_6), {OLD: "note"}),
    Case("both names", (env(NCCL_BLOCKING_WAIT="1", TORCH_NCCL_BLOCKING_WAIT="1"), TORCH_2_6)),
    Case("the old name in its time", (env(NCCL_BLOCKING_WAIT="1"), TORCH_2_1)),
    Case("the new name before its time", (env(TORCH_NCCL_BLOCKING_WAIT="1"), TORCH_2_1), {OLD: "note"}),
    Case("a new name that had no old one", (env(TORCH_NCCL_NAN_CHECK="1"), TORCH_2_1)),
    Case("an old name of NCCL", (env(NCCL_IB_GDR_LEVEL="3"),), {OLD: "note"}),
    Case("a word for a number", (env(NCCL_IB_DISABLE="true"),), {BAD: "warning"}),
    Case("a unit", (env(NCCL_BUFFSIZE="8M"),), {BAD: "warning"}),
    Case("octal", (env(NCCL_IB_TIMEOUT="022"),), {BAD: "warning"}),
    Case("out of range", (env(NCCL_SHM_DISABLE="-1"), ONE), {BAD: "warning", LEFT: "note"}),
    Case("a level in small letters", (env(NCCL_P2P_LEVEL="nvl"),), {BAD: "warning"}),
    Case("a family by another name", (env(NCCL_SOCKET_FAMILY="IPv4"),), {BAD: "warning"}),
    Case("no algorithm", (env(NCCL_ALGO="Rings"), TORCH_2_6), {BAD: "warning", LEFT: "note"}),
    Case("no algorithm, refused", (env(NCCL_ALGO="Rings"),), {BAD: "error", LEFT: "note"}),
    Case("torch refuses", (env(TORCH_NCCL_BLOCKING_WAIT="on"),), {BAD: "error"}),
    Case("torch refuses a word", (env(TORCH_NCCL_ASYNC_ERROR_HANDLING="abort"),), {BAD: "error"}),
    Case("quotes from an env-file", (env(NCCL_SOCKET_IFNAME='"eth0"'),), {BAD: "warning"}),
    Case("blanks around =", (NOTHING, conf("NCCL_IB_HCA ", " mlx5_0")), {BAD: "warning"}),
    Case("export in a file", (NOTHING, conf("export NCCL_DEBUG", "INFO")), {BAD: "warning"}),
    Case("a Windows line end", (NOTHING, conf("NCCL_IB_HCA", "mlx5_0\r"), TORCH_2_6), {BAD: "warning"}),
    Case("a Windows line end in a newer NCCL", (NOTHING, conf("NCCL_IB_HCA", "mlx5_0\r"))),
    Case("a misspelling", (env(NCCL_SOCKET_IFACE="eth0"),), {UNKNOWN: "note"}),
    Case("a letter too many", (env(NCCL_P2P_DISABLED="1"),), {UNKNOWN: "note"}),
    Case("gloo's misspelt", (env(GLOO_IFNAME="eth0"),), {UNKNOWN: "note"}),
    Case("a name near nothing", (env(NCCL_ZEBRA="1", GLOO_DEVICE_TRANSPORT="TCP", UCX_TLS="rc", FI_PROVIDER="efa"),)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def found(about: str, code: str = "") -> Finding:
    held = next(case for case in CASES if case.about == about).assert_holds(FILE)
    return next(finding for finding in held if finding.code == code or not code)


def test_commands_mend_what_is_set_where_it_is_set() -> None:
    assert found("no P2P on H100").command == "unset NCCL_P2P_DISABLE"
    assert found("in a file").command == "sed -i '1d' /etc/nccl.conf"
    assert found("an old name of torch").command == "export TORCH_NCCL_BLOCKING_WAIT=1; unset NCCL_BLOCKING_WAIT"
    assert found("quotes from an env-file").command == "export NCCL_SOCKET_IFNAME='eth0'"
    assert found("a misspelling").command == "export NCCL_SOCKET_IFNAME='eth0'"


def test_a_misread_value_gets_the_one_that_was_meant_or_goes() -> None:
    assert found("a word for a number").command == "export NCCL_IB_DISABLE='1'"
    assert found("a unit").command == "export NCCL_BUFFSIZE='8388608'"
    assert found("no algorithm", BAD).command == "unset NCCL_ALGO"


def test_what_a_value_is_read_as() -> None:
    assert found("a word for a number").evidence["taken_as"] == "0"
    assert found("a unit").evidence["taken_as"] == "8"
    assert found("octal").evidence["taken_as"] == "18 (octal)"
    assert found("no algorithm", BAD).evidence["taken_as"] == "unset"
    assert found("blanks around =").evidence["line"] == "NCCL_IB_HCA = mlx5_0"
    assert found("export in a file").evidence["variable"] == "NCCL_DEBUG"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((NOTHING,), "no variable set"),
        ((NOTHING, TORCH_2_6), "2.21.5, no variable set"),
        ((env(NCCL_DEBUG="INFO"), TORCH_2_6), "2.21.5, 1 set: NCCL_DEBUG"),
    ],
)
def test_summary(facts: tuple[object, ...], said: str) -> None:
    (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type(facts)})
    assert line.text is not None
    assert line.text.say("en", line.values) == said
    assert line.text.say("zh", line.values)
