"""`envdoctor fix nccl-interface`: NCCL and gloo talk over the interface that leads to the other nodes."""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import EditFile, Files, Missing, Option, Plan, Remark, Said, Text, Topic, UsageError, fix, said
from envdoctor.edits import exports, job_words, shell_effect
from envdoctor.edits.exports import Change
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.nccl import NcclSettings, View, view
from envdoctor.facts.new_shells import NewShells
from envdoctor.facts.nics import Nics
from envdoctor.facts.reach import barrier, best
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.socket_choice import nccl_choice
from envdoctor.facts.torch import TorchInstall

TOPIC = Topic("network", 202, Text("the interface for NCCL and gloo", "NCCL 与 gloo 所用的接口"))

NCCL, GLOO = "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"
# NCCL's documentation of NCCL_SOCKET_IFNAME; gloo knows no such sign.
EXACTLY = said(
    "the = right before the interface belongs to the value: NCCL then takes the one of exactly this name, "
    "and not every one whose name begins like that",
    "紧挨接口名的 = 属于值本身：NCCL 因此只用名称完全相同的接口，而不是所有以此开头的接口",
)


def _chosen(nics: Nics, wanted: str) -> str:
    """The interface to use: as asked, else the one that leads to the other nodes."""
    names = [nic.name for nic in nics.nics]
    if wanted:
        if wanted not in names:
            raise UsageError(
                f"there is no interface {wanted!r} here; there are {', '.join(names)}",
                f"本机没有网卡 {wanted!r}；现有 {'、'.join(names)}",
            )
        return wanted
    found = best(nics)
    if found is None:
        raise UsageError(
            "no route tells which interface leads to the other nodes; name it: `envdoctor fix nccl-interface IFACE`, "
            f"one of {', '.join(names)}",
            f"没有路由表明哪个网卡通向其他节点；请指定：`envdoctor fix nccl-interface IFACE`，可选 {'、'.join(names)}",
        )
    return found.name


def _edited(source: str, value: str, seen: View, files: Files) -> EditFile | None:
    """The configuration file of NCCL whose line is in effect, with this value; None where that line is not there."""
    path, _, line = source.rpartition(":")
    before = files.read(path)
    lines = (before or b"").split(b"\n")
    number = int(line) - 1
    if number >= len(lines) or lines[number].partition(b"=")[0].strip() != NCCL.encode():
        return None
    end = b"\r" if lines[number].endswith(b"\r") else b""
    lines[number] = NCCL.encode() + b"=" + value.encode() + end
    by_hand = seen.mend(NCCL, value)
    return EditFile(path, before, b"\n".join(lines), by_hand=f"sudo {by_hand}")


def _for_shells(
    name: str, seen: View, shell: ShellFiles, files: Files
) -> tuple[tuple[EditFile, ...], Change, tuple[Remark, ...]]:
    """NCCL's variable where it is set now: in a file of NCCL's, which every program reads, or in the environment."""
    source, values = seen.source(NCCL), {NCCL: f"={name}", GLOO: name}
    if source in ("", "environment"):
        return (), exports.exporting(shell, files, values), ()
    try:
        edit = _edited(source, f"={name}", seen, files)
    except OSError:
        edit = None
    if edit is None:
        return (), exports.exporting(shell, files, values), ()
    told = said("{source} decides for NCCL, so that is changed", "NCCL 由 {source} 决定，因此修改该处", source=source)
    # A shell's variable would hide the file from then on.
    return (edit,), exports.exporting(shell, files, {NCCL: None, GLOO: name}), (Remark(told),)


def takes_effect(
    plan: Plan,
    shells: NewShells | Missing,
    shell: ShellFiles,
    nics: Nics,
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
) -> Iterable[Said]:
    """New shells have the variables, and with those NCCL's own rules lead to the interface."""
    against = tuple(shell_effect.takes_effect(plan, shells, shell))
    yield from against
    seen = view(settings, environment, torch)
    first = nccl_choice(nics, seen.get, seen.version).first
    wanted = plan.wants.get("interface")
    if wanted and not against and (first is None or first.interface != wanted):
        yield said(
            "NCCL would still take {first} ({source})", "NCCL 仍会使用 {first}（{source}）",
            first=first.label if first else None, source=seen.source(NCCL) or "unset",
        )  # fmt: skip


@fix(
    "nccl-interface",
    Text(
        "have NCCL and gloo use the interface that leads to the other nodes, or the one named",
        "让 NCCL 与 gloo 使用通往其他节点的接口，或指定的接口",
    ),
    mends=("wrong-interface",),
    verify=takes_effect,
    options={"interface": Option(Text("its name", "接口名"), metavar="[IFACE]", argument=True)},
)
def nccl_interface(
    nics: Nics,
    environment: Environment,
    settings: NcclSettings | None,
    torch: TorchInstall | None,
    shell: ShellFiles,
    host: Host | None,
    files: Files,
    *,
    interface: str = "",
) -> Plan:
    """Start-up files; in a container or job, whose shells are not the user's, the words for whoever starts it."""
    name = _chosen(nics, interface)
    seen = view(settings, environment, torch)
    title = said("Have NCCL and gloo talk over {name}", "让 NCCL 与 gloo 使用接口 {name}", name=name)
    remarks: list[Remark] = []
    if obstacle := barrier(nics, name):
        told = said(
            "{name} does not lead to other nodes ({obstacle})",
            "{name} 无法通往其他节点（{obstacle}）",
            name=name,
            obstacle=obstacle,
        )
        remarks.append(Remark(told, "warning"))
    values = {NCCL: f"={name}", GLOO: name}
    container, scheduler = (host.container, host.scheduler.kind) if host else ("", "")
    if container in ("docker", "podman", "kubernetes") or scheduler:
        steps = job_words.by_hand_for_job(values, container, scheduler)
        return Plan(title, by_hand=steps, remarks=(*remarks, Remark(EXACTLY)))
    if shell.sbatch:
        told = said(
            "this is where jobs are submitted: compute nodes may name their interfaces otherwise, so run it in a job",
            "此处是提交作业的节点：计算节点的接口可能有不同的名称，请在作业中执行",
        )
        steps = job_words.by_hand_for_job(values, "", "slurm")
        return Plan(title, by_hand=steps, remarks=(*remarks, Remark(EXACTLY), Remark(told, "warning")))
    edits, change, more = _for_shells(name, seen, shell, files)
    return Plan(
        title,
        (*edits, *change.edits),
        by_hand=change.by_hand,
        remarks=(*remarks, *more, *change.remarks),
        wants={**change.wants, "interface": name},
    )
