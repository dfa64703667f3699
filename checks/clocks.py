"""Do the clocks of the nodes agree?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("clocks", 305, Text("the clocks of the nodes", "各节点的时钟"))

CLOCK_SKEW = Problem(
    code="clock-skew",
    severity=Severity.WARNING,
    title=Text("the clocks of the nodes differ", "各节点的时钟不一致"),
    why=Text(
        "logs of several nodes cannot be put in order; munge, Kerberos and TLS refuse what comes from the future",
        "多节点日志无法排序；munge、Kerberos 与 TLS 会拒绝来自“未来”的请求",
    ),
    help=Text("let chronyd or systemd-timesyncd run on every node", "请在每个节点运行 chronyd 或 systemd-timesyncd"),
    look="chronyc tracking || timedatectl",
    confirm="timedatectl",
    refs=("https://chrony-project.org/documentation.html",),
)
