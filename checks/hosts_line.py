"""`envdoctor fix hosts`: this machine's name leads to the address that other nodes reach."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from envdoctor import ByHand, EditFile, Files, Plan, Remark, Said, Text, Topic, UsageError, fix, said
from envdoctor.edits import hosts
from envdoctor.facts.host import Host
from envdoctor.facts.names import HostNames, is_loopback

TOPIC = Topic("rendezvous", 246, Text("the line of this machine in /etc/hosts", "/etc/hosts 中本机的一行"))

FILE = "/etc/hosts"
LOCAL_NAMES = ("localhost", "localhost.localdomain", "localhost4", "ip6-localhost", "ip6-loopback")


def takes_effect(plan: Plan, names: HostNames) -> Iterable[Said]:
    """The files give this machine's name the address, before any other."""
    wanted = plan.wants.get("address")
    lines = names.lines_for(names.name)
    if wanted and (not lines or lines[0].address != wanted or any(is_loopback(line.address) for line in lines)):
        seen = ", ".join(line.address for line in lines) or "-"
        yield said(
            "{name} is still {seen} in {file}", "{file} 中 {name} 仍为 {seen}", name=names.name, seen=seen, file=FILE
        )
    if wanted and names.name_services and "files" not in names.name_services:
        yield said("/etc/nsswitch.conf does not ask {file}", "/etc/nsswitch.conf 不查询 {file}", file=FILE)


@fix(
    "hosts",
    Text(
        "have this machine's name lead to the address that other nodes reach, in /etc/hosts",
        "在 /etc/hosts 中让本机名对应其他节点可达的地址",
    ),
    mends=("hostname-loopback",),
    watches=("hostname-misresolved",),
    verify=takes_effect,
)
def own_address(names: HostNames, host: Host | None, files: Files) -> Plan:
    """The line of the name gets the address; for a user who may not write there, the command that does it. In a pod the
    file is the kubelet's, and in a container the engine's."""
    name, address = names.name, names.outward_address
    if not re.fullmatch(r"[\w.-]+", name) or name in LOCAL_NAMES:
        raise UsageError(
            f"this machine calls itself {name!r}, which is no name to give an address to",
            f"本机自称 {name!r}，这不是可以分配地址的主机名",
        )
    if not address:
        raise UsageError(
            "this machine has no address on a default route that other nodes could reach",
            "本机默认路由上没有其他节点可达的地址",
        )
    title = said("Have {name} lead to {address}", "让 {name} 对应 {address}", name=name, address=address)
    container = host.container if host is not None else ""
    lines = names.lines_for(name)
    if lines and lines[0].address == address and not any(is_loopback(line.address) for line in lines):
        return Plan(title, wants={"address": address})
    if container == "kubernetes":
        why = said(
            "in the pod's specification: the kubelet writes its {file} anew",
            "写入 Pod 定义：kubelet 会重写其 {file}",
            file=FILE,
        )
        return Plan(title, by_hand=(ByHand(f'hostAliases: [{{ip: "{address}", hostnames: ["{name}"]}}]', why),))
    try:
        before = files.read(FILE)
    except OSError as error:
        raise UsageError(
            f"{FILE} cannot be read ({error.strerror})",
            f"无法读取 {FILE}（{error.strerror}）",
        ) from error
    after, script = hosts.leading_to(before or b"", name, address)
    # The file of a container is mounted by itself: it can be written, not replaced.
    by_hand = (
        f"new=$(sed {shlex.quote(script)} {FILE}) && printf '%s\\n' \"$new\" | sudo tee {FILE} >/dev/null"
        if container
        else f"sudo sed -i {shlex.quote(script)} {FILE}"
    )
    edit = EditFile(FILE, before, after, by_hand=by_hand)
    remarks = []
    if container in ("docker", "podman"):
        remarks.append(
            Remark(
                said(
                    "the file ends with the container; for good: {command}",
                    "该文件随容器消失；如需长期有效：{command}",
                    command=f"{container} run --add-host {name}:{address} ...",
                )
            )
        )
    return Plan(title, (edit,), remarks=tuple(remarks), wants={"address": address})
