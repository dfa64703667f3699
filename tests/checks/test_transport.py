"""checks/transport.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import summaries
from envdoctor.facts.host import Host
from envdoctor.facts.nccl import NcclSettings, Tried
from envdoctor.facts.nics import Nic, Nics
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from envdoctor.model import Missing
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS
from tests.checks.interfaces import EIGHT, ETH0, LO, NOTHING, SIXTEEN, nics, with_variables

FILE = CHECKS / "transport.py"
SLOW, SINGLE = "slow-tcp-fallback", "nccl-single-socket"
PORT = Port(1, rate_gbps=400.0)
IB = Rdma((RdmaDevice("mlx5_0", (PORT,)), RdmaDevice("mlx5_1", (replace(PORT, state="DOWN"),))))
ROCE = Rdma((RdmaDevice("mlx5_0", (replace(PORT, link_layer="Ethernet"),)),))
SHUT = Rdma((RdmaDevice("mlx5_0", (PORT,), node="/dev/infiniband/uverbs0", node_error="absent"),))
EFA = Rdma((RdmaDevice("rdmap0s6", (replace(PORT, link_layer="Unspecified"),), driver="efa"),))
NO_RDMA = Missing("rdma", "not-here", "/sys/class/infiniband is absent")
OFI = NcclSettings(net_plugins=(Tried("libnccl-net.so"),))
NO_PLUGIN = NcclSettings()


def fast(**changes: object) -> Nics:
    nic = replace(ETH0[0], speed_mbps=100_000, vendor="0x15b3")
    return nics(LO, (replace(nic, **changes), ETH0[1]))  # type: ignore[arg-type]


PLAIN = nics(LO, ETH0)

CASES = [
    Case("InfiniBand in use", (PLAIN, IB, SIXTEEN)),
    Case("switched off", (PLAIN, IB, with_variables(SIXTEEN, NCCL_IB_DISABLE="1")), {SLOW: "warning"}),
    Case("switched off on one node", (PLAIN, IB, with_variables(EIGHT, NCCL_IB_DISABLE="1")), {SLOW: "note"}),
    Case("switched off, no job", (PLAIN, IB, with_variables(NOTHING, NCCL_IB_DISABLE="1")), {SLOW: "warning"}),
    Case(
        "switched off on a server's Ethernet, no job",
        (PLAIN, ROCE, with_variables(NCCL_IB_DISABLE="1")),
        {SLOW: "note"},
    ),
    Case("not given to the container, no job", (PLAIN, SHUT, NOTHING, Host(container="kubernetes")), {SLOW: "note"}),
    Case("a word that NCCL reads as 0", (PLAIN, IB, with_variables(SIXTEEN, NCCL_IB_DISABLE="true"))),
    Case("sockets by name", (PLAIN, IB, with_variables(SIXTEEN, NCCL_NET="Socket")), {SLOW: "warning"}),
    Case("devices that do not open", (PLAIN, SHUT, SIXTEEN), {SLOW: "warning"}),
    Case("no device selected", (PLAIN, IB, with_variables(SIXTEEN, NCCL_IB_HCA="mlx4")), {SLOW: "warning"}),
    Case("libibverbs without a provider", (PLAIN, replace(IB, offered=()), SIXTEEN), {SLOW: "warning"}),
    Case("no active port", (PLAIN, Rdma((RdmaDevice("mlx5_1", (replace(PORT, state="DOWN"),)),)), SIXTEEN)),
    Case("EFA with its plugin", (PLAIN, EFA, SIXTEEN, OFI)),
    Case("EFA without", (PLAIN, EFA, SIXTEEN, NO_PLUGIN), {SLOW: "warning"}),
    Case("EFA, plugins unknown", (PLAIN, EFA, SIXTEEN)),
    Case("100 Gb/s Ethernet and nothing else", (fast(), NO_RDMA, SIXTEEN), {SINGLE: "warning"}),
    Case("the same, no job", (fast(), NO_RDMA, NOTHING), {SINGLE: "note"}),
    Case("the same on one node", (fast(), NO_RDMA, EIGHT)),
    Case("more sockets asked for", (fast(), NO_RDMA, with_variables(SIXTEEN, NCCL_NSOCKS_PERTHREAD="8"))),
    Case("AWS", (fast(vendor="0x1d0f"), NO_RDMA, SIXTEEN)),
    Case("25 Gb/s", (PLAIN, NO_RDMA, SIXTEEN)),
    Case("a made-up speed", (fast(speed_is_real=False), NO_RDMA, SIXTEEN)),
    Case("a plugin carries the data", (fast(), NO_RDMA, SIXTEEN, OFI)),
    Case("RDMA on the same card", (fast(), IB, SIXTEEN)),
    Case("no interface", (Nics(nics=(Nic("lo"),)), NO_RDMA, SIXTEEN)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def found(about: str) -> object:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    return finding.command, finding.evidence.get("shown")


def test_evidence_and_command() -> None:
    assert found("switched off") == ("unset NCCL_IB_DISABLE", "NCCL_IB_DISABLE=1 (environment)")
    assert found("sockets by name") == ("unset NCCL_NET", "NCCL_NET=Socket (environment)")
    assert found("devices that do not open")[1] == "mlx5_0: /dev/infiniband/uverbs0 absent"  # type: ignore[index]
    assert found("no device selected")[1] == "NCCL_IB_HCA=mlx4"  # type: ignore[index]
    assert found("libibverbs without a provider")[1] == "libibverbs offers no device"  # type: ignore[index]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((IB, NOTHING), "RDMA over mlx5_0:1, 400 Gb/s"),
        ((IB, with_variables(NCCL_NET="Socket")), "TCP"),
        ((NO_RDMA, NOTHING), "TCP"),
        ((EFA, NOTHING, OFI), "the plugin libnccl-net.so"),
    ],
)
def test_summary(facts: tuple[object, ...], said: str) -> None:
    (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type(facts)})
    assert line.text is not None
    assert line.text.say("en", line.values) == said
    assert line.text.say("zh", line.values)
