"""The kernel's log: real wordings, real /dev/kmsg, hostile lines."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.kernel_log import KernelLog
from envdoctor.patient import kernel_log, reading
from envdoctor.patient.sections import Ask, Denied
from tests import needs

MESSAGES = [
    (
        "NVRM: Xid (PCI:0000:17:00): 31, pid=4711, name=python3, Ch 00000008, intr 00000000. MMU Fault",
        ("xid", 31, "0000:17:00.0", "python3", 4711),
    ),
    ("NVRM: Xid (PCI:0000:C1:00): 48, DBE (double bit error) detected", ("xid", 48, "0000:c1:00.0", "", None)),
    ("NVRM: Xid (0000:03:00): 13, Graphics Exception: ESR 0x404600=0x80000002", ("xid", 13, "0000:03:00.0", "", None)),
    ("NVRM: Xid (PCI:0000:4b:00): 79, pid='<unknown>', name=<unknown>, GPU has", ("xid", 79, "0000:4b:00.0", "", None)),
    ("NVRM: GPU 0000:4b:00.0: GPU has fallen off the bus.", ("fell-off-bus", None, "0000:4b:00.0", "", None)),
    (
        "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 32 egress",
        ("sxid", 12028, "0000:c1:00.0", "", None),
    ),
    ("NVRM: API mismatch: the client has the version 535.104.05, but", ("api-mismatch", None, "", "", None)),
    (
        "NVRM: GPU 0000:17:00.0: RmInitAdapter failed! (0x24:0xffff:1423)",
        ("init-failed", None, "0000:17:00.0", "", None),
    ),
    (
        "NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:2b85) in this system requires use of the NVIDIA open",
        ("unsupported-gpu", None, "0000:01:00.0", "", None),
    ),
    ("nvidia: Loading of module with unavailable key is rejected", None),
    ("nvidia: module verification failed: signature and/or required key missing - tainting kernel", None),
    ("nvidia: Loading of unsigned module is rejected", ("module-rejected", None, "", "", None)),
    (
        "Out of memory: Killed process 2231 (python) total-vm:812kB, anon-rss:1kB",
        ("oom-kill", None, "", "python", 2231),
    ),
    (
        "Memory cgroup out of memory: Killed process 99 (pt_data_worker) total-vm:1kB",
        ("oom-kill", None, "", "pt_data_worker", 99),
    ),
    ("INFO: task python:3117 blocked for more than 120 seconds.", ("hung-task", None, "", "python", 3117)),
    ("NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.65.06", None),
    ("EXT4-fs (vda): mounted filesystem", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), MESSAGES)
def test_wordings(text: str, expected: tuple[object, ...] | None) -> None:
    told = kernel_log.recognise(text)
    assert (told and tuple(told[key] for key in ("kind", "xid", "pci", "process", "pid"))) == expected


@given(st.text(max_size=200), st.sampled_from([word for word, _, _ in kernel_log.PATTERNS]))
def test_no_line_is_too_odd(text: str, word: str) -> None:
    told = kernel_log.recognise(text + word + text)
    assert told is None or decode.fact("kernel-log", {"entries": [dict(told, count=1)]}) is not None


def test_repetitions_are_counted_and_the_newest_comes_first() -> None:
    lines = [MESSAGES[0][0], MESSAGES[2][0], MESSAGES[0][0], "unrelated"]
    found = kernel_log.summed([(10.0 + index, text) for index, text in enumerate(lines)], 100.0)
    assert [(entry["xid"], entry["count"], entry["seconds_ago"]) for entry in found] == [(31, 2, 88.0), (13, 1, 89.0)]


def test_a_flood_is_cut() -> None:
    flood: list[tuple[float | None, str]] = [
        (float(number), f"NVRM: Xid (PCI:0000:17:00): {number}, x") for number in range(3000)
    ]
    found = kernel_log.summed(flood, 3000.0)
    assert len(found) == kernel_log.MOST_ENTRIES and found[0]["xid"] == 2999


def test_records_of_kmsg() -> None:
    assert kernel_log.record(b"6,12,3500000,-;NVRM: a\\x0ab") == (3.5, "NVRM: a b")
    for line in (b" SUBSYSTEM=pci", b"6,12;no time", b"no record", b"", b";;;", b"6,1,x,-;text"):
        assert kernel_log.record(line) is None


def test_a_log_in_the_form_of_kmsg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text("Linux\n")
    long = b"".join(b"6,%d,1000000,-;filler filler filler\n SUBSYSTEM=x\n" % number for number in range(2000))
    (tmp_path / "dev/kmsg").write_bytes(long + b"4,2000,1500000,-;" + MESSAGES[0][0].encode() + b"\n")
    fact = decode.fact("kernel-log", kernel_log.kernel_log(Ask({"quick": True})))
    assert isinstance(fact, KernelLog)
    assert (fact.source, [entry.xid for entry in fact.entries]) == ("/dev/kmsg", [31])
    assert fact.reaches_back_s is not None and fact.entries[0].seconds_ago is not None
    assert 0 < fact.entries[0].seconds_ago < fact.reaches_back_s


def test_lines_of_other_programs() -> None:
    said = "[   12.5] node7 kernel: " + MESSAGES[0][0] + "\n-- No entries --\n"
    assert list(kernel_log.journal(said)) == [(12.5, MESSAGES[0][0])]
    assert list(kernel_log.dmesg("[   12.5] text\n<4>[ 1.25] more\nno time")) == [
        (12.5, "text"),
        (1.25, "more"),
        (None, "no time"),
    ]


def test_a_user_who_may_not_read_it_is_told_what_would_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text("Linux\n")
    with pytest.raises(Denied, match="dmesg_restrict"):
        kernel_log.kernel_log(Ask({"quick": True}))


def test_other_programs_are_asked_where_kmsg_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/dmesg"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '[    1.0] {MESSAGES[3][0].replace(chr(39), '')}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent) + ":/bin:/usr/bin")
    journal = tmp_path / "bin/journalctl"
    journal.write_text("#!/bin/sh\nexit 1\n")
    journal.chmod(0o755)
    monkeypatch.setattr(reading, "ROOT", str(tmp_path / "nothing"))
    source, found = kernel_log.messages(quick=False)
    assert source == "dmesg" and [stamp for stamp, _ in found] == [1.0]
    assert [entry["xid"] for entry in kernel_log.summed(found, 5.0)] == [79]


@pytest.mark.root
def test_the_kernel_of_this_machine() -> None:
    """A message written to /dev/kmsg is found again."""
    needs.root()
    if not os.access("/dev/kmsg", os.W_OK):
        pytest.skip("/dev/kmsg cannot be written here")
    mark = f"envdoctor test {os.getpid()} {time.time()}"
    with open("/dev/kmsg", "w") as log:
        log.write(f"<7>{mark}\n")
    source, found = kernel_log.messages(quick=True)
    assert source == "/dev/kmsg"
    (stamp,) = [stamp for stamp, text in found if text == mark]
    assert stamp is not None and 0 <= time.clock_gettime(time.CLOCK_MONOTONIC) - stamp < 60
    assert isinstance(decode.fact("kernel-log", kernel_log.kernel_log(Ask({}))), KernelLog)
