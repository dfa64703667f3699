"""checks/nccl_files.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.nccl import ConfFile, NcclSettings, Row, Tried
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.interfaces import NOTHING, with_variables

FILE = CHECKS / "nccl_files.py"
BROKEN, UNREADABLE, SHADOWED = "nccl-net-plugin-broken", "nccl-conf-unreadable", "nccl-conf-shadowed"
ABSENT = Tried("libnccl-net-ofi.so", "libnccl-net-ofi.so: cannot open shared object file: No such file or directory")
ETC = ConfFile("/etc/nccl.conf", "system", rows=(Row("NCCL_DEBUG", "WARN", 1), Row("NCCL_DEBUG", "INFO", 4)))
HOME = ConfFile("/root/.nccl.conf", "HOME", rows=(Row("NCCL_DEBUG", "TRACE", 2),))
ELSEWHERE = ConfFile("/home/other/.nccl.conf", "passwd", rows=(Row("NCCL_DEBUG", "VERSION", 2),))

CASES = [
    Case("no file, no plugin", (NcclSettings(), NOTHING)),
    Case(
        "two of three nodes have a plugin",
        nodes={
            "gpu1": (NcclSettings(net_plugins=(Tried("libnccl-net.so"),)), NOTHING),
            "gpu2": (NcclSettings(), NOTHING),
            "gpu3": (NcclSettings(net_plugins=(ABSENT, Tried("libnccl-net.so"))), NOTHING),
            "gpu4": (Missing("nccl", "hung"), NOTHING),
        },
        expect={BROKEN: "error"},
    ),
    Case("all have none", nodes={"gpu1": (NcclSettings(), NOTHING), "gpu2": (NcclSettings(), NOTHING)}),
    Case("a plugin that loads", (NcclSettings(net_plugins=(Tried("libnccl-net.so"),)), NOTHING)),
    Case(
        "the second of two loads",
        (NcclSettings(net_plugins=(ABSENT, Tried("b.so"))), with_variables(NCCL_NET_PLUGIN="ofi,b.so")),
    ),
    Case(
        "a plugin that is not there",
        (NcclSettings(net_plugins=(ABSENT,)), with_variables(NCCL_NET_PLUGIN="ofi")),
        {BROKEN: "warning"},
    ),
    Case(
        "one that is required",
        (NcclSettings(net_plugins=(ABSENT,)), with_variables(NCCL_NET_PLUGIN="ofi", NCCL_NET="AWS Libfabric")),
        {BROKEN: "error"},
    ),
    Case(
        "one that is not, with InfiniBand by name",
        (NcclSettings(net_plugins=(ABSENT,)), with_variables(NCCL_NET_PLUGIN="ofi", NCCL_NET="IB")),
        {BROKEN: "warning"},
    ),
    Case("NCCL settings unknown", (Missing("nccl", "slow"), NOTHING)),
    Case(
        "a named file that is not there",
        (NcclSettings((ConfFile("/x/nccl.conf", "NCCL_CONF_FILE", found=False),)), NOTHING),
        {UNREADABLE: "warning"},
    ),
    Case(
        "a file of another user",
        (NcclSettings((ConfFile("/etc/nccl.conf", "system", error="Permission denied"),)), NOTHING),
        {UNREADABLE: "warning"},
    ),
    Case(
        "a home that does not answer",
        (NcclSettings((ConfFile("/home/x/.nccl.conf", "HOME", error="hung"),)), NOTHING),
        {UNREADABLE: "error"},
    ),
    Case(
        "a home that answers late",
        (NcclSettings((ConfFile("/home/x/.nccl.conf", "HOME", error="slow"),)), NOTHING),
        {UNREADABLE: "warning"},
    ),
    Case("a line twice", (NcclSettings((ETC,)), NOTHING), {SHADOWED: "note"}),
    Case("a line that says the same", (NcclSettings((HOME,)), with_variables(NCCL_DEBUG="TRACE"))),
    Case("the home before the system", (NcclSettings((HOME, ELSEWHERE, ETC)), NOTHING), {SHADOWED: "note"}),
    Case(
        "the environment before the home",
        (NcclSettings((HOME,)), with_variables(NCCL_DEBUG="WARN")),
        {SHADOWED: "note"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_winner_is_named() -> None:
    first, second = CASES[-2].assert_holds(FILE)
    assert (first.evidence["source"], first.evidence["winner_source"]) == ("/etc/nccl.conf:1", "/root/.nccl.conf:2")
    assert second.evidence["source"] == "/etc/nccl.conf:4"
    (finding,) = CASES[-1].assert_holds(FILE)
    assert (finding.evidence["winner_source"], finding.evidence["winner"]) == ("environment", "WARN")
