"""One line of a log, freed of what launchers, terminals and log collectors put in front of it.

`[rank3]: RuntimeError ...`, `node7:123:456 [2] NCCL INFO ...`, `[pod/job-0/main] 3: ...`: the text is what the program
wrote; node, rank and process tell who wrote it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

LONGEST = 8192  # characters of a line that are looked at
MOST_PREFIXES = 6

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}"
_TIME = r"\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"

# What says its name and a colon as well, and is no host.
_PROGRAM = "python|pip|gcc|cc1|clang|conda|cuda|sm_|torch|numpy|libc|g++".replace("+", r"\+")

# Every expression is anchored and bounded, so that a line costs the same whatever is in it.
PREFIXES = tuple(
    re.compile(expression)
    for expression in (
        # torchrun (torch/distributed/elastic/multiprocessing/tail_log.py), torch's excepthook ([rank0]:), accelerate.
        r"\[(?:rank|default|trainer|worker|proc|ddp_rank_)(?P<rank>\d{1,6})\]:?\s?",
        r"\[(?:RANK|Rank|rank|Global Rank):?[ =]?(?P<rank>\d{1,6})\]:?\s?",
        # mpirun --tag-output and -output-filename: [1,3]<stderr>:
        r"\[\d{1,6},(?P<rank>\d{1,6})\]<std(?:out|err)>:\s?",
        # kubectl logs --prefix, stern, docker compose.
        r"\[pod/(?P<node>[^/\]\s]{1,100})/[^\]\s]{1,100}\]\s?",
        r"(?P<node>[A-Za-z0-9][A-Za-z0-9_.-]{0,60}[-_]\d{1,4})\s{1,40}\|\s",
        # Ray: (RayTrainWorker pid=123, ip=10.0.0.1), also with [repeated 7x across cluster].
        r"\(\S{1,80} (?:rank=(?P<rank>\d{1,6}) )?pid=(?P<pid>\d{1,8})(?:, ip=(?P<node>[0-9a-fA-F.:]{3,45}))?\)\s?",
        # srun --label, which sets short numbers flush right.
        r" {0,4}(?P<rank>\d{1,5}): (?=\S| {2,60}(?:File \"|raise |return ))",
        # Numbered lines of a viewer, or the number of a process, before NCCL's own prefix or a rank's.
        r"\[\d{1,7}\] (?=\[rank|\S{1,80}:\d{1,8}:\d{1,8} \[)",
        # pdsh, clush, DeepSpeed's launcher: the host, a colon, a blank.
        r"(?P<node>\d{1,3}(?:\.\d{1,3}){3}): ",
        rf"(?!{_PROGRAM})(?P<node>[a-z][a-z-]{{0,40}}[0-9][A-Za-z0-9.-]{{0,60}}): (?=\S)",
        # Times of log collectors; the one of a logging library stays with the message where it follows a level.
        rf"\[?{_TIME}\]?\s+",
        r"\[\d\d:\d\d:\d\d(?:[.,]\d{1,6})?\]\s+",
    )
)
# src/debug.cc of NCCL: host:pid:tid [cudaDev] followed by the level; since 2.24 a time may stand before it.
NCCL = re.compile(
    rf"(?:\[?{_TIME}\]?\s+)?(?P<node>{_NAME}):(?P<pid>\d{{1,8}}):\d{{1,8}}\s+\[(?P<device>-?\d{{1,4}})\]\s+"
)
# Where an object that stands for a line holds what was written.
MESSAGES = ("log", "message", "msg", "textPayload")
# c10d's own lines say their rank within: [PG 0 (default_pg) Rank 3], [Rank 3].
INNER_RANK = re.compile(r"\[(?:PG [^\]\n]{0,80}? )?Rank (?P<rank>\d{1,6})\]")

# A progress bar has no line end: what another writer says follows it on the same line.
LATE_RANK = re.compile(r"\[rank(?P<rank>\d{1,6})\]: ?")
# A date within the year, as ISO 8601 or glog (month and day without a year) write it.
STAMP = re.compile(
    r"\b\d{4}[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T _](?P<time>\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
    r"|(?:^|\[)[EWIF](?P<month2>\d{1,2})(?P<day2>\d\d) (?P<time2>\d\d:\d\d:\d\d(?:\.\d{1,9})?)"
)
_DAYS_BEFORE = (0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335)


@dataclass(frozen=True)
class Line:
    """A line and who wrote it.

    Attributes:
        text: what the program wrote; raw: the line as it stands in the file, without its end.
        node: host or pod, "" if the line does not tell; rank: global rank, None if it does not tell.
        pid: process, None if it does not tell; device: the CUDA device NCCL names, None elsewhere.
    """

    file: str
    number: int
    raw: str
    text: str
    node: str = ""
    rank: int | None = None
    pid: int | None = None
    device: int | None = None

    @property
    def stream(self) -> tuple[str, int | None, int | None]:
        """Who wrote it: lines of one stream follow each other, however those of others lie between them."""
        return self.node, self.rank, self.pid


def when(raw: str) -> float | None:
    """Seconds since the beginning of the year by the line's own stamp; None without one.

    Without the year and the time zone, which half of the stamps lack: ranks of a job agree on both.
    """
    found = STAMP.search(raw[:200]) if ":" in raw[:200] else None
    if found is None:
        return None
    month, day = int(found["month"] or found["month2"]), int(found["day"] or found["day2"])
    hours, minutes, seconds = (found["time"] or found["time2"]).replace(",", ".").split(":")
    if not 1 <= month <= 12:
        return None
    return ((_DAYS_BEFORE[month - 1] + day) * 24 + int(hours)) * 3600.0 + int(minutes) * 60 + float(seconds)


def decoded(data: bytes) -> str:
    """A line's bytes as text: UTF-8, else what a Chinese Windows writes, else with marks for what is unreadable."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def split(data: bytes, file: str, number: int) -> Line:
    """The line, freed of its prefixes. Of a progress bar's many states the last one is the line."""
    raw = decoded(data[: 4 * LONGEST]).strip("\r\n")[:LONGEST]
    if "\r" in raw:
        raw = raw.rstrip("\r").rpartition("\r")[2]
    return _unwrapped(raw, file, number) if raw.startswith("{") else parsed(raw, file, number)


def _unwrapped(raw: str, file: str, number: int) -> Line:
    """A line that a log driver (docker's json-file, fluent-bit) or a JSON logger has put into an object."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return parsed(raw, file, number)
    said = next((told[name] for name in MESSAGES if isinstance(told.get(name), str)), None)
    if said is None:
        return parsed(raw, file, number)
    line = parsed(said.strip("\r\n"), file, number)
    place = told.get("kubernetes")
    node = place.get("pod_name") if isinstance(place, dict) else None
    return replace(line, node=line.node or (node[:100] if isinstance(node, str) else ""))


def parsed(raw: str, file: str, number: int) -> Line:
    """A line that is text already."""
    text, node = raw, ""
    rank: int | None = None
    pid: int | None = None
    device: int | None = None
    for _ in range(MOST_PREFIXES):
        match = _prefix(text)
        if match is None:
            break
        told = match.groupdict()
        node = told.get("node") or node
        rank = int(told["rank"]) if told.get("rank") else rank
        pid = int(told["pid"]) if told.get("pid") else pid
        device = int(told["device"]) if told.get("device") else device
        text = text[match.end() :]
    if rank is None and "[rank" in text and (late := LATE_RANK.search(text[:2000])):
        rank, text = int(late["rank"]), text[late.end() :]
    if rank is None and "Rank " in text and (inner := INNER_RANK.search(text[:300])):
        rank = int(inner["rank"])
    return Line(file, number, raw, text, node, rank, pid, device)


def _prefix(text: str) -> re.Match[str] | None:
    found = NCCL.match(text)
    for prefix in PREFIXES:
        if found:
            break
        found = prefix.match(text)
    return found
