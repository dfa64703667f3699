"""What the kernel logged of GPUs, killed processes and stuck tasks."""

import os
import re
import time

from . import reading
from .sections import Denied, NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    from .sections import Ask

    Message = Tuple[Optional[float], str]  # seconds since boot, text

MOST_BYTES = 32 << 20
MOST_SECONDS = 2.0
MOST_ENTRIES = 200

PCI = r"(?:PCI:)?(?P<pci>[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-7])?)"
# A quick word that the line must hold, the kind of message, and its pattern. The wordings are those of nvidia.ko
# (NVRM), nvidia-nvswitch and Linux (mm/oom_kill.c, kernel/hung_task.c, kernel/module/signing.c), old and new.
# Compiled when the first such line is met: most logs hold none.
PATTERNS = (
    ("Xid (", "sxid", r"SXid \(" + PCI + r"\): (?P<xid>\d+)"),
    ("Xid (", "xid", r"NVRM: Xid \(" + PCI + r"[^)]*\): (?P<xid>\d+)"),
    ("fallen off the bus", "fell-off-bus", r"NVRM: .*?(?:" + PCI + r".*?)?fallen off the bus"),
    ("API mismatch", "api-mismatch", r"NVRM: API mismatch"),
    ("RmInitAdapter failed", "init-failed", r"NVRM: (?:GPU " + PCI + r".*?)?RmInitAdapter failed"),
    ("NVIDIA GPU", "unsupported-gpu", r"NVRM: The NVIDIA (?:probe routine|GPU) " + PCI),
    ("kernel modules", "unsupported-gpu", r"NVRM: .*requires use of the NVIDIA open kernel modules"),
    ("nvidia: ", "module-rejected", r"nvidia: .*(?:unsigned module|Key was rejected|signature.*reject)"),
    ("Killed process", "oom-kill", r"[Oo]ut of memory: Killed process (?P<pid>\d+)[, ]+\(?(?P<process>[^),]*)\)?"),
    ("blocked for more than", "hung-task", r"task (?P<process>.*):(?P<pid>\d+) blocked for more than \d+ seconds"),
)
AT_FAULT = r"\bpid='?(?P<pid>\d+)'?(?:, name=(?P<process>[^,]+))?"


def address(told: str) -> str:
    """An address of the log in sysfs form: "0000:17:00" becomes "0000:17:00.0"."""
    domain, _, rest = told.lower().partition(":")
    return ("%04x:%s" % (int(domain, 16), rest)) + ("" if "." in rest else ".0") if told else ""


def recognise(text: str) -> "Optional[Dict[str, Any]]":
    """What a line of the log tells, None if nothing that matters here."""
    for word, kind, pattern in PATTERNS:
        if word not in text:
            continue
        found = re.search(pattern, text)
        if found is None:
            continue
        told = found.groupdict()
        at_fault = re.search(AT_FAULT, text) if kind == "xid" else None
        if at_fault is not None:
            told.update(at_fault.groupdict())
        return {
            "kind": kind,
            "xid": int(told["xid"]) if told.get("xid") else None,
            "pci": address(told.get("pci") or ""),
            "process": (told.get("process") or "").strip(),
            "pid": int(told["pid"]) if told.get("pid") else None,
            "text": text[:400],
        }
    return None


def kmsg() -> "Iterator[Message]":
    """The records of /dev/kmsg that are there now. Raises OSError where it may not be read."""
    descriptor = os.open(reading.rooted("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    until = time.monotonic() + MOST_SECONDS
    rest = b""
    try:
        while time.monotonic() < until:
            try:
                # The kernel gives one record for each read.
                data = os.read(descriptor, 8192)
            except BlockingIOError:
                return
            except BrokenPipeError:
                # A record was overwritten meanwhile; the next read goes on with the oldest left.
                continue
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                message = record(line)
                if message is not None:
                    yield message
    finally:
        os.close(descriptor)


def record(line: bytes) -> "Optional[Message]":
    """The message of "6,1234,5678901,-;text"; None of the lines " KEY=value" that may follow one."""
    head, mark, text = line.partition(b";")
    fields = head.split(b",")
    if line.startswith(b" ") or not mark or len(fields) < 3 or not fields[2].isdigit():
        return None
    # Line breaks of the text are written as \x0a.
    return int(fields[2]) / 1e6, text.decode("utf-8", "replace").replace("\\x0a", " ")


def journal(said: str) -> "Iterator[Message]":
    """The lines of `journalctl -k -o short-monotonic`: "[ 12.345678] host kernel: text"."""
    for line in said.splitlines():
        found = re.match(r"\[\s*(\d+\.\d+)\] \S+ kernel: (.*)", line)
        if found:
            yield float(found.group(1)), found.group(2)


def dmesg(said: str) -> "Iterator[Message]":
    """The lines of `dmesg`: "[ 12.345678] text", or without time where the kernel prints none."""
    for line in said.splitlines():
        found = re.match(r"(?:<\d+>)?(?:\[\s*(\d+\.\d+)\] )?(.*)", line)
        if found:
            yield float(found.group(1)) if found.group(1) else None, found.group(2)


def messages(quick: bool) -> "Tuple[str, List[Message]]":
    """Where the log could be read, and its messages. Raises Denied."""
    try:
        return "/dev/kmsg", list(kmsg())
    except PermissionError as error:
        denied = "/dev/kmsg: " + (error.strerror or "denied")
    except OSError as error:
        denied = "/dev/kmsg: " + (error.strerror or str(error))
    # --quick starts no programs for this.
    programs = () if quick else (
        (["journalctl", "-k", "-b", "--no-pager", "-q", "-o", "short-monotonic", "-n", "20000"], journal),
        (["dmesg"], dmesg),
    )  # fmt: skip
    for argv, read in programs:
        said = reading.run(argv, 4.0, most=MOST_BYTES)
        if said.status == 0:
            found = list(read(said.out))
            # Without permission journalctl succeeds and shows nothing.
            if found:
                return " ".join(argv[:2]) if argv[0] == "journalctl" else argv[0], found
    raise Denied(
        denied + "; root may read the kernel's log, or members of the group systemd-journal or adm by"
        " `journalctl -k`, or everybody after `sysctl kernel.dmesg_restrict=0`"
    )


def summed(found: "List[Message]", now_s: float) -> "List[Dict[str, Any]]":
    """The messages that matter, newest first; repetitions are counted."""
    kept: "Dict[Tuple[Any, ...], Dict[str, Any]]" = {}
    for stamp, text in found:
        entry = recognise(text)
        if entry is None:
            continue
        key = (entry["kind"], entry["xid"], entry["pci"], entry["process"])
        earlier = kept.pop(key, None)
        entry["count"] = earlier["count"] + 1 if earlier else 1
        entry["seconds_ago"] = None if stamp is None else round(max(0.0, now_s - stamp), 1)
        kept[key] = entry
    return list(reversed(list(kept.values())))[:MOST_ENTRIES]


def kernel_log(ask: "Ask") -> "Dict[str, Any]":
    if not reading.exists("/proc/version"):
        raise NotHere("there is no /proc")
    source, found = messages(ask.quick)
    now_s = time.clock_gettime(time.CLOCK_MONOTONIC)
    oldest = next((stamp for stamp, _ in found if stamp is not None), None)
    return {
        "source": source,
        "reaches_back_s": None if oldest is None else round(max(0.0, now_s - oldest), 1),
        "entries": summed(found, now_s),
    }
