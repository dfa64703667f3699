"""What the kernel's log says of GPUs, killed processes and stuck tasks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelMessage:
    """A message, and how often one of its kind and place was logged.

    Attributes:
        kind: "xid" (GPU error), "sxid" (NVSwitch error), "fell-off-bus", "api-mismatch" (library and module differ),
            "init-failed" (the driver could not start a GPU), "unsupported-gpu", "module-rejected" (signature),
            "oom-kill" or "hung-task".
        xid: number of an Xid or SXid, else None.
        pci: address in sysfs form, "0000:1b:00.0"; empty if it names none.
        process: name of the process killed, stuck or at fault; empty if it names none. pid likewise, None.
        seconds_ago: age of the newest such message, None if the log has no time.
        count: messages of this kind, number, address and process.
        text: of the newest.
    """

    kind: str = ""
    xid: int | None = None
    pci: str = ""
    process: str = ""
    pid: int | None = None
    seconds_ago: float | None = None
    count: int = 1
    text: str = ""


@dataclass(frozen=True)
class KernelLog:
    """The kernel's log. Missing with reason "denied" where this user may not read it: then nothing is known.

    Attributes:
        source: "/dev/kmsg", "journalctl -k" or "dmesg".
        reaches_back_s: age of the oldest message it still holds, None if unknown. What happened before is not in it.
        entries: newest first, at most 200.
    """

    source: str = ""
    reaches_back_s: float | None = None
    entries: tuple[KernelMessage, ...] = ()
