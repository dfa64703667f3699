"""Judges launch lines: one by itself, and those of several nodes together.

Each rule returns what a sighting needs: code, situation (its words are in knowledge/signatures/told.toml), severity and
values. Only what a launcher refuses whatever surrounds it is an error.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envdoctor.knowledge import launch_options
from envdoctor.readers.launch_parse import DASHES, LaunchLine

LOCAL = ("localhost", "127.0.0.1", "0.0.0.0", "::1")
# What torchrun calls nodes, processes and so on, and others by other names.
NODES = {"accelerate": "num-machines", "deepspeed": "num-nodes"}
NODE_RANK = {"accelerate": "machine-rank"}
ADDRESS = {"accelerate": "main-process-ip"}
PORT = {"accelerate": "main-process-port"}
# Options of a launcher that a script seldom has.
OWN = frozenset(
    {"nproc-per-node", "nnodes", "rdzv-endpoint", "rdzv-backend", "num-processes", "num-machines", "num-gpus"}
)


@dataclass(frozen=True)
class Judged:
    """What is wrong with a line. `situation` names its words in told.toml, `values` fill their holes."""

    code: str
    situation: str
    severity: str
    values: tuple[tuple[str, str], ...] = ()


def judged(line: LaunchLine) -> Iterator[Judged]:
    """What is wrong with one line."""
    yield from _options(line)
    yield from _values(line)
    yield from _arithmetic(line)
    yield from _outer(line)
    if line.launcher == "torch.distributed.launch":
        yield Judged("launch-deprecated", "launch-line", "note", (("command", equivalent(line)),))


def equivalent(line: LaunchLine) -> str:
    """The same with torchrun."""
    parts = ["torchrun"]
    for option, value in line.options.items():
        if option != "use-env":
            parts.append(
                f"--{option}={shlex.quote(value) if value and '$' not in value else value}" if value else f"--{option}"
            )
    return " ".join([*parts, line.script or "train.py", *line.after])[:300]


def _options(line: LaunchLine) -> Iterator[Judged]:
    row = launch_options.launcher(line.launcher)
    for written in line.unknown:
        name = written.lstrip("-" + DASHES)
        near = launch_options.meant(row, name)
        values = (
            ("option", written),
            ("launcher", row.title),
            ("meant", launch_options.spelt(row, near) if near else ""),
        )
        if any(dash in written for dash in DASHES) or not written.startswith("--"):
            situation = "dash" if near else "unknown-option"
        elif name.replace("_", "-") == "use-env":
            yield Judged("launch-command-malformed", "use-env", "error" if line.certain else "warning", values)
            continue
        else:
            situation = "misspelt" if near else "unknown-option"
        if not near and not line.certain:
            continue  # a variable in front of it may have been the script
        yield Judged("launch-command-malformed", situation, "error" if near and line.certain else "warning", values)
    if line.certain and not line.script and line.options and "help" not in line.options:
        yield Judged("launch-command-malformed", "no-script", "warning", (("launcher", row.title),))
    if line.certain and line.script and not line.unknown:
        for word in line.after:
            name = word.partition("=")[0].lstrip("-").replace("_", "-")
            if word.startswith("--") and name in OWN and name in row.values and name not in line.options:
                yield Judged("launch-command-malformed", "after-script", "warning",
                             (("option", word.partition("=")[0]), ("script", line.script)))  # fmt: skip
                return


def _values(line: LaunchLine) -> Iterator[Judged]:
    row = launch_options.launcher(line.launcher)
    for option, value in line.options.items():
        if option in row.flags or "$" in value or (not line.certain and not value):
            continue
        if option in row.numbers:
            fits = bool(re.fullmatch(r"-?\d+", value))
            fits = fits and not (option.endswith("port") and not 0 <= int(value) <= 65535)
        elif option == "nproc-per-node":
            fits = value in ("auto", "cpu", "gpu", "xpu") or bool(re.fullmatch(r"[1-9]\d*|[a-z]{3,12}", value))
        elif option == "nnodes":
            fits = bool(re.fullmatch(r"\d+(?::\d+)?", value))
        else:
            continue
        if not fits and not re.search(r"[<{%@]|^[A-Z_]{2,}$|^[NKnMx]$", value):
            yield Judged(
                "launch-command-malformed", "value", "error" if line.certain else "warning",
                (("option", launch_options.spelt(row, option)), ("value", value), ("launcher", row.title)),
            )  # fmt: skip


def nodes(line: LaunchLine) -> int | None:
    """How many nodes the line speaks of; the least of a range, None where it does not tell."""
    option = NODES.get(line.launcher, "nnodes")
    low, _, high = line.literal(option).partition(":")
    return int(low) if low.isdigit() and len(low) < 7 and high in ("", low) else None


def node_rank(line: LaunchLine) -> int | None:
    return line.number(NODE_RANK.get(line.launcher, "node-rank"))


def endpoint(line: LaunchLine) -> str:
    """Where the line says that the nodes meet; "" where it does not, or by a variable."""
    given = line.literal("rdzv-endpoint")
    if given:
        return given
    return line.literal(ADDRESS.get(line.launcher, "master-addr"))


def _names_endpoint(line: LaunchLine) -> bool:
    names = (
        "rdzv-endpoint",
        ADDRESS.get(line.launcher, "master-addr"),
        "config-file",
        "hostfile",
        "deepspeed-hostfile",
    )
    return any(name in line.options for name in names) or any(
        name in line.environment for name in ("MASTER_ADDR", "PET_MASTER_ADDR", "PET_RDZV_ENDPOINT")
    )


def _arithmetic(line: LaunchLine) -> Iterator[Judged]:
    count, rank = nodes(line), node_rank(line)
    if (
        count is not None
        and rank is not None
        and rank >= count
        and line.options.get("rdzv-backend", "static") == "static"
    ):
        yield Judged("world-size-mismatch", "node-rank-outside", "error",
                     (("rank", str(rank)), ("nodes", str(count)), ("last", str(count - 1))))  # fmt: skip
    if count and count > 1 and "standalone" in line.options:
        yield Judged("world-size-mismatch", "standalone", "warning", (("nodes", str(count)),))
    elif count and count > 1 and line.launcher != "deepspeed" and line.certain and not line.unknown:
        where = endpoint(line)
        host = where.rpartition(":")[0].strip("[]") or where
        if host in LOCAL and (rank is None or rank > 0):
            yield Judged(
                "master-unreachable", "launch-line-local", "warning", (("endpoint", where), ("nodes", str(count)))
            )
        elif not _names_endpoint(line):
            yield Judged("master-unreachable", "launch-line-none", "warning", (("nodes", str(count)),))
    total = line.number("num-processes")
    if line.launcher == "accelerate" and total and count and count > 1 and total % count:
        yield Judged("world-size-mismatch", "not-divisible", "warning",
                     (("processes", str(total)), ("nodes", str(count))))  # fmt: skip
    yield from _masked(line)


def _masked(line: LaunchLine) -> Iterator[Judged]:
    """More processes than the mask in front of the line leaves GPUs."""
    mask = line.environment.get("CUDA_VISIBLE_DEVICES", "")
    name = {"accelerate": "num-processes", "deepspeed": "num-gpus"}.get(line.launcher, "nproc-per-node")
    count = line.number(name)
    visible = [one for one in mask.split(",") if one.strip()]
    if (
        not visible
        or "$" in mask
        or count is None
        or count <= len(visible)
        or ((nodes(line) or 1) > 1 and name == "num-processes")
    ):
        return
    yield Judged("nproc-exceeds-gpus", "masked", "error" if line.launcher.startswith("torch") else "warning",
                 (("processes", str(count)), ("gpus", str(len(visible))), ("mask", mask)))  # fmt: skip


TASKS_PER_NODE = re.compile(r"--ntasks-per-node[= ](\d{1,5})\b")
TASKS = re.compile(r"(?:--ntasks[= ]|(?:^| )-n ?)(\d{1,6})\b")
NODE_COUNT = re.compile(r"(?:--nodes[= ]|(?:^| )-N ?)(\d{1,5})(?![-\d])")


def tasks_per_node(options: Sequence[str]) -> int | None:
    """Tasks that srun starts on a node, by its own options; None where they do not tell."""
    text = " ".join(options)
    per_node, tasks, count = TASKS_PER_NODE.search(text), TASKS.search(text), NODE_COUNT.search(text)
    if per_node:
        return int(per_node[1])
    if tasks and count and int(count[1]):
        return int(tasks[1]) // int(count[1])
    return None


def _outer(line: LaunchLine) -> Iterator[Judged]:
    if line.outer == "srun":
        yield from nested(line, tasks_per_node(line.outer_options))


def nested(line: LaunchLine, tasks: int | None) -> Iterator[Judged]:
    """Several tasks of a node that each start several processes."""
    processes = line.options.get("nproc-per-node", "1")
    several = processes in ("auto", "gpu") or "$" in processes or (line.number("nproc-per-node") or 1) > 1
    if tasks is not None and tasks > 1 and several and line.launcher.startswith("torch"):
        yield Judged("srun-torchrun-nested", "launch-line", "warning",
                     (("tasks", str(tasks)), ("processes", processes)))  # fmt: skip


def together(lines: Sequence[LaunchLine]) -> Iterator[tuple[int, Judged]]:
    """What does not fit between the lines of several nodes: number of the line at fault -> what is wrong.

    Lines belong together where they start the same script by the same launcher on more than one node.
    """
    several = [
        (number, line)
        for number, line in enumerate(lines)
        if line.script and ((nodes(line) or 0) > 1 or node_rank(line) is not None) and line.outer == ""
    ]
    for at, (number, line) in enumerate(several):
        for _, first in several[:at]:
            if (first.launcher, first.script) != (line.launcher, line.script) or first.text == line.text:
                continue
            found = _between(first, line)
            if found is not None:
                yield number, found
            break


def _between(first: LaunchLine, line: LaunchLine) -> Judged | None:
    ranks = (node_rank(first), node_rank(line))
    different = None not in ranks and ranks[0] != ranks[1]
    severity = "error" if different else "warning"
    if None not in (nodes(first), nodes(line)) and nodes(first) != nodes(line):
        return Judged("world-size-mismatch", "lines-disagree", severity,
                      (("option", "--" + NODES.get(line.launcher, "nnodes")),
                       ("one", str(nodes(first))), ("other", str(nodes(line)))))  # fmt: skip
    if None not in ranks and ranks[0] == ranks[1] and _differ_only_by_host(first, line):
        return Judged("world-size-mismatch", "same-rank", "warning", (("rank", str(ranks[0])),))
    for name in ("rdzv-endpoint", ADDRESS.get(line.launcher, "master-addr"), PORT.get(line.launcher, "master-port")):
        one, other = first.literal(name), line.literal(name)
        if one and other and one != other and not ({one, other} & set(LOCAL)):
            return Judged(
                "master-unreachable",
                "lines-disagree",
                severity,
                (("option", f"--{name}"), ("one", one), ("other", other)),
            )
    one, other = first.literal("rdzv-id"), line.literal("rdzv-id")
    if one and other and one != other and endpoint(first) == endpoint(line):
        return Judged("rendezvous-timeout", "lines-disagree", severity, (("one", one), ("other", other)))
    local = [host for host in (endpoint(first), endpoint(line)) if host.rpartition(":")[0] in LOCAL or host in LOCAL]
    if local and different:
        return Judged(
            "master-unreachable",
            "launch-line-local",
            "warning",
            (("endpoint", local[0]), ("nodes", str(nodes(line) or 2))),
        )
    return None


def _differ_only_by_host(first: LaunchLine, line: LaunchLine) -> bool:
    """Two lines with one node rank are those of two nodes if nothing of the job itself differs."""
    same = ("nnodes", "num-machines", "nproc-per-node")
    return all(first.options.get(name) == line.options.get(name) for name in same) and (nodes(line) or 0) > 1
