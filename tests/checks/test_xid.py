"""checks/xid.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.kernel_log import KernelLog, KernelMessage
from envdoctor.knowledge import xid
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.gpu_machines import EIGHT, HGX, LAPTOP_MAC, NO_GPUS, address, gpus, h100, swap

FILE = CHECKS / "xid.py"


def entry(number: int, gpu: int = 0, ago: float | None = 300.0, text: str = "made up") -> KernelMessage:
    return KernelMessage("xid", number, address(gpu), seconds_ago=ago, text=text)


def log(*entries: KernelMessage) -> KernelLog:
    return KernelLog("/dev/kmsg", 9e5, entries)


def old_driver(*which: int) -> tuple[object, ...]:
    """A driver before R570, which tells no recovery action."""
    return swap(HGX, gpus(*(h100(index, recovery_action="") for index in which or range(8))))


XID = "gpu-xid"
CASES = [
    Case("a quiet log", swap(HGX, log())),
    Case("the log may not be read", swap(HGX, Missing("kernel-log", "denied"))),
    Case("a Mac", LAPTOP_MAC),
    Case("other lines", swap(HGX, log(KernelMessage("oom-kill", process="python")))),
    Case("a GSP time-out", swap(HGX, log(entry(119)), gpus(h100(recovery_action="reset"))), {XID: "error"}),
    Case("on an old driver", swap(old_driver(), log(entry(119))), {XID: "error"}),
    Case("without a time", swap(old_driver(), log(entry(119, ago=None))), {XID: "error"}),
    Case("yesterday, on an old driver", swap(old_driver(), log(entry(119, ago=9e4))), {XID: "warning"}),
    Case("a GPU that has recovered", swap(HGX, log(entry(119))), {XID: "note"}),
    Case("a bug of the program", swap(old_driver(), log(entry(31), entry(43))), {XID: "note"}),
    Case("a contained memory error", swap(old_driver(), log(entry(94))), {XID: "warning"}),
    Case("an NVLink error", swap(old_driver(), log(entry(74))), {XID: "warning"}),
    Case("a number nobody knows", swap(HGX, log(entry(333))), {XID: "note"}),
    Case("several of one GPU", swap(old_driver(), log(entry(45), entry(119), entry(13))), {XID: "error"}),
    Case("one kind on two GPUs", swap(old_driver(), log(entry(119, 2), entry(119, 5))), {XID: "error"}),
    Case("the GPUs are unknown", swap(HGX, NO_GPUS, log(entry(119))), {XID: "error"}),
    Case("no address", swap(HGX, log(KernelMessage("xid", 119, "", seconds_ago=1.0))), {XID: "error"}),
    Case("gpu-ecc tells the memory's state", swap(HGX, log(entry(48), entry(63)), gpus(h100(ecc_uncorrected=1)))),
    Case("gpu-fell-off-bus tells the lost one",
         swap(HGX, log(entry(79, 3), entry(154, 3)), gpus(*EIGHT[:3], h100(3, error="GPU is lost", error_code=15)))),
    Case("it came back", swap(HGX, log(entry(79, 3))), {XID: "note"}),
    Case("recovery over",
         swap(HGX, log(entry(154, text="recovery action changed from 0x1 (GPU Reset) to 0x0 (None)")))),
    Case("recovery asked for", swap(old_driver(), log(entry(154, text="changed to 0x1 (GPU Reset Required)"))),
         {XID: "error"}),
    Case("a fatal SXid", swap(HGX, log(KernelMessage("sxid", 20034, "0000:c1:00.0", seconds_ago=9.0,
                                                     text="SXid: 20034, Fatal, Link 30"))), {XID: "error"}),
    Case("a fatal SXid of last week", swap(HGX, log(KernelMessage("sxid", 20034, seconds_ago=6e5, text="Fatal"))),
         {XID: "warning"}),
    Case("a harmless SXid", swap(HGX, log(KernelMessage("sxid", 28006, text="SXid: 28006, Non-fatal, Link 46"))),
         {XID: "note"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_meaning_and_action_are_told() -> None:
    (finding,) = next(case for case in CASES if case.about == "one kind on two GPUs").assert_holds(FILE)
    assert finding.words.title is not None
    assert finding.words.title.say("en", finding.evidence).startswith("GPU 2,5 reports Xid 119: the GPU's system proc")
    assert "GSP" in finding.words.title.say("zh", finding.evidence)
    assert finding.command == "sudo nvidia-smi --gpu-reset -i 2,5"


def test_the_worst_leads_and_the_others_are_listed() -> None:
    (finding,) = next(case for case in CASES if case.about == "several of one GPU").assert_holds(FILE)
    assert finding.evidence["number"] == 119 and finding.evidence["also"] == "Xid 13, Xid 45"


def test_without_an_index_the_address_stands() -> None:
    (finding,) = next(case for case in CASES if case.about == "the GPUs are unknown").assert_holds(FILE)
    assert finding.command == f"sudo nvidia-smi --gpu-reset -i {address(0)}"


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "?"), (40.0, "40 s"), (720.0, "12 min"), (18000.0, "5 h"), (260000.0, "3 d")]
)
def test_age(seconds: float | None, said: str) -> None:
    module = topic_file(FILE).module
    assert module is not None and module.age(seconds) == said


def test_every_row_has_words_an_action_and_a_place() -> None:
    module = topic_file(FILE).module
    assert module is not None
    numbers = [row.number for row in xid.rows()]
    assert numbers == sorted(set(numbers))
    for row in xid.rows():
        assert row.action in module.HELP and row.action in module.ACTIONS, row
        assert row.about in ("app", "memory", "bus", "nvlink", "firmware", "hardware"), row
    situations = module.GPU_XID.situations
    assert len(situations) == len(list(situations)) == len(numbers) + 1
    with pytest.raises(KeyError):
        situations["nonsense"]
