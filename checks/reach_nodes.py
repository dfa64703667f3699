"""Could every host be logged in to, and did what was started there answer?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, PerNode, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.reached import ANSWERED, FELL_SILENT, Reach, Reached
from envdoctor.model import Scalar

TOPIC = Topic("nodes", 890, Text("reaching the nodes", "连接各节点"), bench=True)

NODE_UNREACHABLE = Problem(
    code="node-unreachable",
    severity=Severity.ERROR,
    title=Text("{host} cannot be logged in to: {said}", "无法登录 {host}：{said}"),
    why=Text(
        "nothing can be started there, so no job that needs this node comes about",
        "无法在其上启动任何程序，需要该节点的任务无法开始",
    ),
    seen=Text("{way} to {host} ended with status {status}: {said}", "到 {host} 的 {way} 以状态 {status} 结束：{said}"),
    help=Text(
        "log in by hand from here first; what works there without a question works here too",
        "请先从本机手动登录；无需任何交互即可登录后，这里也就可以了",
    ),
    look="{there} true",
    confirm="ssh -o BatchMode=yes HOST true; echo $?",
    refs=("https://man.openbsd.org/ssh", "https://man.openbsd.org/ssh_config"),
    situations={
        "in-text": Situation(
            title=Text("a node cannot be logged in to or executed on", "无法登录某个节点或在其上执行命令"),
            why=Text("its ranks are never started", "该节点上的 rank 不会启动"),
            help=Text(
                "log in by hand from the node that launches, without a password; under Slurm look at sinfo -R",
                "请在发起启动的节点上手动免密登录；Slurm 下请查看 sinfo -R",
            ),
            look="ssh -o BatchMode=yes -v HOST true",
        ),
        "unresolvable": Situation(
            title=Text("{host} is a name that does not resolve here", "主机名 {host} 在本机无法解析"),
            help=Text(
                "check the spelling, or give it an entry in DNS, in /etc/hosts or in your configuration of ssh",
                "请检查拼写，或在 DNS、/etc/hosts 或 ssh 的配置中添加该主机",
            ),
            look="getent hosts {target}",
        ),
        "refused": Situation(
            title=Text("{host} is up, and no SSH server listens there", "{host} 可达，但没有 SSH 服务在监听"),
            help=Text(
                "start sshd on it, or name the port it listens on: {host}:PORT",
                "请在其上启动 sshd，或指定其监听端口：{host}:PORT",
            ),
        ),
        "timeout": Situation(
            title=Text("{host} does not answer on its SSH port", "{host} 的 SSH 端口没有应答"),
            help=Text(
                "it is down, has another address, or a firewall drops the packets",
                "它可能已关机、地址不对，或防火墙丢弃了数据包",
            ),
            look="ping -c 3 {target}",
        ),
        "no-login": Situation(
            title=Text("no login to {host} came about in the time it had", "在时限内未能登录 {host}"),
            help=Text(
                "give it more time (--timeout) to learn why: it is down, its sshd hangs, or the way there is slow",
                "请用 --timeout 给更多时间以查明原因：它可能已关机、sshd 挂起或网络很慢",
            ),
            look="ssh -v {options} true",
        ),
        "no-route": Situation(
            title=Text(
                "no route leads from here to {host}, or a firewall on the way rejects it",
                "从本机到 {host} 没有路由，或途中的防火墙拒绝了连接",
            ),
            help=Text(
                "it is down, or this machine is not on a network that leads there",
                "它可能已关机，或本机不在能到达它的网络中",
            ),
            look="ip route get $(getent ahosts {target} | awk 'NR==1{{print $1}}')",
        ),
        "no-banner": Situation(
            title=Text(
                "{host} takes the connection and does not speak as an SSH server",
                "{host} 接受连接，但没有以 SSH 服务的方式应答",
            ),
            help=Text(
                "sshd there is overloaded (MaxStartups), refuses this address, or another program has the port",
                "该机的 sshd 可能过载（MaxStartups）、拒绝本机地址，或端口被其他程序占用",
            ),
        ),
        "denied": Situation(
            title=Text("{host} does not let this user in without a password", "{host} 不允许该用户免密登录"),
            help=Text(
                "put your public key there, or name another user: user@{host}",
                "请将公钥放到该机，或指定其他用户：user@{host}",
            ),
            command="ssh-copy-id {options}",
        ),
        "host-key-unknown": Situation(
            title=Text("the host key of {host} is not known here", "本机不认识 {host} 的主机密钥"),
            help=Text(
                "log in once by hand, compare the fingerprint and say yes",
                "请手动登录一次，核对指纹后输入 yes",
            ),
            command="ssh {options} true",
        ),
        "host-key-changed": Situation(
            title=Text("{host} shows another host key than the one known here", "{host} 的主机密钥与本机记录的不同"),
            help=Text(
                "was it installed anew? then forget the old key; if nobody knows why, ask before you log in",
                "若该机重装过，请删除旧密钥；若无人知道原因，请先确认再登录",
            ),
            look="ssh-keygen -F {target}",
        ),
        "closed": Situation(
            title=Text("{host} closed the connection during the login", "{host} 在登录过程中关闭了连接"),
            help=Text(
                "its own log says why: MaxStartups, AllowUsers, a full disk, a crashed session",
                "原因见该机的 sshd 日志：MaxStartups、AllowUsers、磁盘已满或会话崩溃",
            ),
        ),
        "cut": Situation(
            title=Text("{host} went silent after the login", "{host} 登录后失去响应"),
            why=Text(
                "the network to it broke, or the machine did: its ranks are gone for all others",
                "到它的网络或该机本身已中断：其他进程已失去它的 rank",
            ),
            help=Text(
                "see whether it still answers, and what its kernel says of the interface",
                "请查看它是否仍有应答，以及其内核关于网络接口的消息",
            ),
            look="ping -c 3 {target}",
        ),
        "no-python": Situation(
            title=Text("there is no Python on {host}", "{host} 上没有 Python"),
            help=Text(
                "give one that is there with --python PATH: a path that all hosts share, 3.6 or newer",
                "请用 --python PATH 指定所有主机上都存在的 Python（3.6 或更新）",
            ),
            look="{there} 'command -v python3; echo $PATH'",
        ),
        "no-container": Situation(
            title=Text("there is no {host} to execute in: {said}", "没有可供执行的 {host}：{said}"),
            help=Text("name one that runs", "请指定正在运行的容器"),
            look="{list_them}",
        ),
        "not-running": Situation(
            title=Text("{host} is there and does not run: {said}", "{host} 存在但未运行：{said}"),
            help=Text(
                "start it first; what it printed last says why it ended", "请先启动它；其最后的输出说明了结束原因"
            ),
            look="{show_log}",
        ),
        "no-daemon": Situation(
            title=Text("{way} does not reach what runs the containers: {said}", "{way} 无法连接运行容器的服务：{said}"),
            help=Text(
                "start the daemon, or point the client at the right one (DOCKER_HOST, KUBECONFIG)",
                "请启动守护进程，或将客户端指向正确的服务（DOCKER_HOST、KUBECONFIG）",
            ),
            look="{list_them}",
        ),
        "no-shell": Situation(
            title=Text("{host} has no /bin/sh to start anything with", "{host} 中没有可用的 /bin/sh"),
            help=Text(
                "examine an image that training runs in: it has a shell and a Python",
                "请检查用于训练的镜像：其中应有 shell 和 Python",
            ),
        ),
        "busy": Situation(
            title=Text(
                "the job's own steps leave nothing on {host} for another one",
                "作业自身的其他 step 已占满 {host}，无法再启动 step",
            ),
            help=Text(
                "wait until they end, or end the one that is left over: scancel JOB.STEP",
                "请等待它们结束，或结束残留的 step：scancel JOB.STEP",
            ),
            look="squeue --steps -j $SLURM_JOB_ID",
        ),
        "not-allocated": Situation(
            title=Text("{host} is no node of this Slurm allocation", "{host} 不在此 Slurm 分配的节点中"),
            help=Text(
                "SLURM_JOB_ID and SLURM_JOB_NODELIST are of different jobs: start from a shell of one allocation",
                "SLURM_JOB_ID 与 SLURM_JOB_NODELIST 属于不同的作业：请在同一分配的 shell 中启动",
            ),
            look="scontrol show job $SLURM_JOB_ID",
        ),
        "node-down": Situation(
            title=Text("Slurm holds {host} for down or drained", "Slurm 认为 {host} 已下线或被 drain"),
            help=Text(
                "ask for an allocation without it (--exclude={host}); the administrator's reason stands in sinfo",
                "请申请不含该节点的分配（--exclude={host}）；sinfo 会列出管理员给出的原因",
            ),
            look="sinfo -R -n {target}",
        ),
        "job-over": Situation(
            title=Text("the Slurm job is over: {said}", "Slurm 作业已结束：{said}"),
            why=Text(
                "Slurm has ended or will start nothing of it on its nodes",
                "Slurm 已终止其进程，也不会再在其节点上启动任何程序",
            ),
            help=Text(
                "ask for a new allocation, with a longer --time if that ran out",
                "请重新申请分配；若因时限到期，请加大 --time",
            ),
            look="scontrol show job $SLURM_JOB_ID",
        ),
        "no-controller": Situation(
            title=Text("Slurm's controller does not answer: {said}", "Slurm 控制器没有应答：{said}"),
            why=Text("no step of any job can be started meanwhile", "在此期间任何作业的 step 都无法启动"),
            help=Text(
                "slurmctld is down or overloaded, or cannot be reached from here",
                "slurmctld 已停止或过载，或从本机无法连接",
            ),
            look="scontrol ping",
        ),
        "no-slurmd": Situation(
            title=Text("Slurm's daemon on {host} does not answer", "{host} 上的 Slurm 守护进程没有应答"),
            help=Text(
                "slurmd there has ended or hangs, or a firewall keeps this machine from its port, 6818 usually",
                "该机的 slurmd 已退出或挂起，或防火墙阻止本机连接其端口（通常为 6818）",
            ),
            look="scontrol show node {target}",
        ),
        "unauthenticated": Situation(
            title=Text("Slurm does not accept this user on {host}: {said}", "Slurm 在 {host} 上不接受该用户：{said}"),
            help=Text(
                "munge differs there: its key, its daemon, or the clock, for a credential is good for five minutes",
                "该机的 munge 不一致：密钥、守护进程或时钟（凭证有效期为五分钟）",
            ),
            look="munge -n | ssh {target} unmunge",
        ),
        "no-step": Situation(
            title=Text("srun starts nothing on {host}: {said}", "srun 无法在 {host} 上启动任何程序：{said}"),
            help=Text(
                "start something there by hand with the same options; slurmd's log on the node says more",
                "请用相同的选项手动启动；节点上的 slurmd 日志有更多信息",
            ),
        ),
        "not-executed": Situation(
            title=Text(
                "{host} lets this user in and does not run the program: {said}",
                "{host} 允许登录，但没有运行程序：{said}",
            ),
            help=Text(
                "a login shell or a start-up file there ends before the command, or its Python is broken",
                "该机的登录 shell 或启动文件在命令之前就已结束，或其 Python 已损坏",
            ),
            look="{there} 'python3 --version'",
        ),
    },
)

# What keeps all nodes from being reached is told once.
OF_ALL = ("job-over", "no-controller")


@summary
def line(reached: PerNode[Reached]) -> tuple[Text, Mapping[str, Scalar]] | None:
    hosts = [host for fact in reached.values() if isinstance(fact, Reached) for host in fact.hosts]
    if not hosts:
        return None
    told = Text("{count} {count:node|nodes} answered over {way}", "{count} 个节点经 {way} 应答")
    some = Text("{some} of {count} {count:node|nodes} answered over {way}", "{count} 个节点中 {some} 个经 {way} 应答")
    answered = sum(host.outcome == "ok" for host in hosts)
    values: dict[str, Scalar] = {"some": answered, "count": len(hosts), "way": hosts[0].way}
    return told if answered == len(hosts) else some, values


@check(NODE_UNREACHABLE)
def hosts_reached(reached: Reached) -> Iterable[Finding]:
    """Each host that was not reached is named, in the terms of what was to reach it."""
    told = set()
    for host in reached.hosts:
        if host.outcome in ("ok", *FELL_SILENT, *ANSWERED) or host.outcome in told:
            continue
        if host.outcome in OF_ALL:
            told.add(host.outcome)
        situation = host.outcome if host.outcome in NODE_UNREACHABLE.situations else None
        if host.way == "srun":
            situation = situation or "no-step"
        found = NODE_UNREACHABLE.found(
            situation, host=host.host, target=shlex.quote(host.host), options=host.options, way=host.way,
            status=host.status, said=host.last_line, there=host.there, **_of_containers(host),
        )  # fmt: skip
        # Where each node tells of itself alone, it is known by the name that it has in the report.
        same = [one.host for one in reached.hosts if one.outcome == host.outcome] if host.outcome in OF_ALL else []
        yield found if len(reached.hosts) == 1 else replace(found, nodes=tuple(same) or (host.host,))


def _of_containers(host: Reach) -> Mapping[str, str]:
    """The commands that show what containers there are, and what one has printed."""
    if host.way == "docker":
        return {"list_them": "docker ps -a", "show_log": f"docker logs --tail 20 {shlex.quote(host.host)}"}
    if host.way == "kubectl":
        space, _, rest = host.host.rpartition("/")
        of = f" -n {space}" if space else ""
        return {
            "list_them": f"kubectl get pods{of or ' -A'}",
            "show_log": f"kubectl logs{of} --tail 20 {shlex.quote(rest.partition(':')[0])}",
        }
    return {}
