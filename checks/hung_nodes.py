"""Did what was started on every host answer, and to the end?"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.reached import ANSWERED, FELL_SILENT, Reach, Reached
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.model import Scalar

TOPIC = Topic("nodes", 891, Text("reaching the nodes", "连接各节点"), bench=True)

MOST_ENTERED = 4  # folders of start-up files that are shown

_NOT_WHOLE = Text(
    "what it had not told is not judged: {host} may have further problems",
    "未返回的部分不予判断：{host} 可能还有其他问题",
)

_SHELL = Situation(
    title=Text(
        "the login shell of {host} does not come to its first command", "{host} 的登录 shell 未能执行到第一条命令"
    ),
    why=Text(
        "a start-up file of it hangs, or what that enters or reads, and so would a training process",
        "其启动文件，或启动文件进入、读取的路径已挂起，训练进程也会如此",
    ),
    help=Text(
        "usually a `cd` or `source` there leads to a file server that does not answer; where the home directories are "
        "shared, this shows them here",
        "通常是其中的 `cd` 或 `source` 指向没有应答的文件服务器；若主目录是共享的，可在本机这样查看",
    ),
    look="grep -nE '(^|[;&|]) *(cd|pushd|source|[.]) ' ~/.bashrc ~/.bash_profile ~/.profile",
)

NODE_HUNG = Problem(
    code="node-hung",
    severity=Severity.ERROR,
    title=Text("{host} took the program and said nothing", "{host} 接收了程序但没有任何应答"),
    why=Text(
        "its shell, its Python or a file system under them hangs, and so would a training process",
        "其 shell、Python 或所在文件系统挂起，训练进程也会如此",
    ),
    seen=Text("no word from {host} over {way} in time", "在限定时间内没有通过 {way} 收到 {host} 的应答"),
    help=Text(
        "log in by hand: where that hangs as well, a start-up file or the home directory is the cause",
        "请手动登录：若同样挂起，原因在启动文件或主目录",
    ),
    look="{there} 'df -h .'",
    confirm="ssh HOST 'python3 -c 0'",
    situations={
        "shell": _SHELL,
        "shell-enters": replace(
            _SHELL,
            seen=Text(
                "no word from {host} over {way} in time; the start-up files of {other} enter {entered}",
                "在限定时间内没有通过 {way} 收到 {host} 的应答；{other} 的启动文件会进入 {entered}",
            ),
        ),
        "step": Situation(
            help=Text(
                "a prolog hangs there, or the node cannot connect back to srun here, which listens on ports of its "
                "own (SrunPortRange)",
                "该机的 prolog 挂起，或该节点无法回连本机的 srun（其监听端口见 SrunPortRange）",
            ),
        ),
        "login": Situation(
            title=Text(
                "{host} takes the connection and does not say whether this user may come in",
                "{host} 接受连接，但迟迟不答复是否允许登录",
            ),
            why=Text(
                "sshd first reads the user's keys in the home directory and asks PAM and the directory service: one of "
                "them hangs there, and so does every other login",
                "sshd 需先读取主目录中的公钥，并询问 PAM 与目录服务：其中之一已挂起，其他登录也会同样卡住",
            ),
            seen=Text("ssh: {said}, after the connection was made", "连接建立后，ssh 报告：{said}"),
            help=Text(
                "does that node reach the file server of the home directories? look from its console; where all is "
                "well there, packets of full size may get lost on the way (MTU)",
                "请在该机的控制台确认能否到达主目录所在的文件服务器；"
                "若一切正常，可能是较大的数据包在途中被丢弃（MTU 问题）",
            ),
            look="ping -c 3 -M do -s 1472 {target}",
        ),
        "python": Situation(
            title=Text("{tried} hangs on {host} when it is started", "{host} 上的 {tried} 启动时卡住"),
            why=Text(
                "its file system or a start-up file of it does not come back, and no other Python there answered",
                "其所在的文件系统或启动文件没有响应，该机上也没有其他 Python 应答",
            ),
            seen=Text(
                "the last word from {host} over {way} was that its shell tries {tried}",
                "{host} 通过 {way} 发来的最后消息是 shell 正在尝试 {tried}",
            ),
            help=Text(
                "does that node reach the file server that this path lies on?",
                "请确认该节点能否到达此路径所在的文件服务器",
            ),
            look="{there} {look_at}",
        ),
        "path": Situation(
            title=Text(
                "a folder on PATH does not answer on {host}: no program is found there",
                "{host} 上 PATH 中有目录没有应答，找不到任何程序",
            ),
            why=Text(
                "every command that a shell there looks for stops at that folder",
                "该机的 shell 查找任何命令都会卡在该目录",
            ),
            seen=Text(
                "the last word from {host} over {way} was that its shell looks through {tried}",
                "{host} 通过 {way} 发来的最后消息是 shell 正在查找 {tried}",
            ),
            help=Text(
                "does that node reach the file servers that these folders lie on?",
                "请确认该节点能否到达这些目录所在的文件服务器",
            ),
            look="{there} 'cat /proc/mounts'",
        ),
        "midway": Situation(
            title=Text(
                "{host} began to answer and went silent while it looked at {section}",
                "{host} 开始应答后，在检查 {section} 时失去响应",
            ),
            why=_NOT_WHOLE,
            seen=Text(
                "the last word from {host} over {way} was that it looks at {section}",
                "{host} 通过 {way} 发来的最后消息是正在检查 {section}",
            ),
            help=Text(
                "a device or file system that this section reads hangs there, or the network to it has broken",
                "该部分读取的设备或文件系统在该机上挂起，或到它的网络已中断",
            ),
            look="{there} 'ps -eo pid,stat,wchan:32,args | grep -w D'",
        ),
        "ended": Situation(
            title=Text("{host} began to answer and ended: {said}", "{host} 开始应答后中途结束：{said}"),
            why=_NOT_WHOLE,
            seen=Text(
                "what was started on {host} over {way} ended with status {status}: {said}",
                "通过 {way} 在 {host} 上启动的程序以状态 {status} 结束：{said}",
            ),
            help=Text(
                "it was killed there (out of memory, a limit on processes, an administrator), or the login was ended",
                "它在该机上被终止（内存不足、进程数限制或管理员操作），或登录会话已结束",
            ),
            look="{there} 'dmesg -T | tail -n 20; ulimit -a'",
        ),
    },
)

NODE_ANSWER_INVALID = Problem(
    code="node-answer-invalid",
    severity=Severity.ERROR,
    title=Text("{host} answered something else: {said}", "{host} 返回了别的内容：{said}"),
    why=Text(
        "another program than the one sent was run there, so nothing is known of this node",
        "运行的不是发送过去的程序，因此对该节点一无所知",
    ),
    seen=Text("over {way} {host} said: {said}", "{host} 通过 {way} 返回：{said}"),
    help=Text(
        "a forced command, a menu or a start-up file with `exec` stands before the login shell there",
        "该机的强制命令、菜单或含 `exec` 的启动文件取代了登录 shell",
    ),
    look="{there} 'echo ok'",
    confirm="ssh HOST 'echo ok'",
)


@check(NODE_HUNG, NODE_ANSWER_INVALID)
def hosts_answered(reached: PerNode[Reached], files: PerNode[ShellFiles]) -> Iterable[Finding]:
    """Each host that was given the program and fell silent, or said something else.

    What a start-up file enters there is seen in those of nodes that answered: home directories are often shared.
    """
    entered = functools.cache(lambda: _entered(files))  # one look for all that are silent
    for node, fact in reached.items():
        hosts = fact.hosts if isinstance(fact, Reached) else ()
        for host in hosts:
            if host.outcome in FELL_SILENT:
                situation = _situation(host)
                shown = entered() if situation == "shell" else {}
                found = NODE_HUNG.found("shell-enters" if shown else situation, **_evidence(host), **shown)
            elif host.outcome in ANSWERED:
                found = NODE_ANSWER_INVALID.found(**_evidence(host))
            else:
                continue
            # Where each node tells of itself alone, it is known by the name that it has in the report.
            yield replace(found, nodes=(node if len(hosts) == 1 else host.host,))


def _entered(files: Mapping[str, object]) -> dict[str, Scalar]:
    """What start-up files of a node that answered enter, and which node that is; empty where none enters anything."""
    for node, fact in files.items():
        lines = [line for line in fact.lines if line.kind == "enters"] if isinstance(fact, ShellFiles) else []
        if lines:
            shown = [f"{line.value} ({line.file}:{line.line})" for line in lines[:MOST_ENTERED]]
            return {"other": node, "entered": ", ".join(shown) + (", ..." if len(lines) > MOST_ENTERED else "")}
    return {}


def _situation(host: Reach) -> str | None:
    """None where no shell there had said a word, and none reads start-up files."""
    if host.outcome != "silent":
        return {"login-hangs": "login", "hung": "midway", "died": "ended"}[host.outcome]
    if host.tried:
        return "path" if host.tried.startswith("PATH=") else "python"
    return {"srun": "step", "ssh": "shell"}.get(host.way)


def _evidence(host: Reach) -> dict[str, Scalar]:
    return {
        "host": host.host,
        "target": shlex.quote(host.host),
        "way": host.way,
        "status": host.status,
        "said": host.last_line,
        "there": host.there,
        "section": host.last_line if host.outcome == "hung" and host.said else None,
        "tried": host.tried or None,
        "look_at": shlex.quote(f"timeout -s KILL 5 ls -lL {shlex.quote(host.tried)}") if host.tried else None,
    }
