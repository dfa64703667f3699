"""checks/peer_paths.py"""

from __future__ import annotations

import pytest

from envdoctor import summaries
from envdoctor.facts.gpu import Gpu, Gpus, NvLink
from envdoctor.facts.host import Host
from envdoctor.facts.peer_paths import PeerPaths
from envdoctor.model import Missing
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS

FILE = CHECKS / "peer_paths.py"
CODE = "p2p-acs-iommu"
GPUS = ("0000:1b:00.0", "0000:1c:00.0")
BRIDGE = "0000:1a:00.0"
ABOVE: dict[str, tuple[str, ...]] = dict.fromkeys(GPUS, (BRIDGE,))
PLAIN = PeerPaths(GPUS, dict.fromkeys(GPUS, "identity"), ABOVE, {BRIDGE: 0}, True)
ACS = PeerPaths(GPUS, dict.fromkeys(GPUS, "DMA-FQ"), ABOVE, {BRIDGE: 0x1D}, True)
SOURCE_ONLY = PeerPaths(GPUS, {}, ABOVE, {BRIDGE: 0x01}, True)
TRANSLATED = PeerPaths(GPUS, dict.fromkeys(GPUS, "DMA-FQ"), ABOVE, kernel_options=("amd_iommu=on",))
NVLINK = Gpus(count=2, gpus=(Gpu(0, nvlinks=(NvLink(0, True),)), Gpu(1, nvlinks=(NvLink(0, True),))))
METAL = Host()

CASES = [
    Case("ACS redirects", (ACS, METAL), {CODE: "warning"}),
    Case("ACS redirects beside NVLink", (ACS, METAL, NVLINK), {CODE: "note"}),
    Case("ACS redirects in a virtual machine", (ACS, Host(virtual_machine="KVM"))),
    Case("ACS checks the source only", (SOURCE_ONLY, METAL)),
    Case("translated, ACS unreadable", (TRANSLATED, METAL), {CODE: "note"}),
    Case("passed through", (PLAIN, METAL)),
    Case("one GPU", (PeerPaths(GPUS[:1], {GPUS[0]: "DMA"}), METAL)),
    Case("no GPU", (Missing("peer-paths", "not-here"), METAL)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_bridge_is_named() -> None:
    (finding,) = CASES[0].assert_holds(FILE)
    assert finding.command == "sudo setpci -s 0000:1a:00.0 ECAP_ACS+6.w=0000"
    assert finding.evidence["control"] == "0x001d"


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (ACS, "IOMMU translated, ACS redirection on"),
        (PLAIN, "IOMMU identity, ACS redirection off"),
        (PeerPaths(GPUS), "IOMMU off, ACS redirection ?"),
    ],
)
def test_summary(paths: PeerPaths, said: str) -> None:
    (line,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type((paths,))})
    assert line.text is not None
    assert line.text.say("en", line.values) == said
    assert line.text.say("zh", line.values)
