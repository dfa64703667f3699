"""Did all ranks come to the rendezvous, and to the same one?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("rendezvous", 248, Text("the arrival of the ranks", "各 rank 的到达情况"))

RENDEZVOUS_TIMEOUT = Problem(
    code="rendezvous-timeout",
    severity=Severity.ERROR,
    title=Text("some ranks came to the rendezvous late or never", "部分 rank 迟到或从未到达会合点"),
    why=Text("those that came give up after the timeout", "已到达的 rank 超时后放弃"),
    help=Text(
        "compare the number of processes that were started with the world size, and look at the first error of the "
        "ranks that are missing; where loading takes long, give init_process_group a longer timeout",
        "请比较实际启动的进程数与 world size，并查看缺席 rank 的第一个错误；若加载较慢，请增大 init_process_group 的 "
        "timeout",
    ),
    look="squeue --steps; ps -ef | grep -c [t]rain",
    confirm="TORCH_DISTRIBUTED_DEBUG=INFO TORCH_CPP_LOG_LEVEL=INFO torchrun ...",
    caused_by=(
        "hostname-unresolvable",
        "hostname-loopback",
        "world-size-mismatch",
        "master-unreachable",
        "firewall-blocks-ports",
        "stale-init-file",
    ),
    refs=("https://docs.pytorch.org/docs/stable/distributed.html",),
)

RENDEZVOUS_SHARED = Problem(
    code="rendezvous-shared",
    severity=Severity.ERROR,
    title=Text("a rendezvous was met that is another job's, or over", "会合点属于其他作业，或已经关闭"),
    why=Text("the node is turned away and ends", "该节点会被拒绝并退出"),
    help=Text(
        "give every job its own --rdzv-id (the job's number) and port; start all nodes of a job at the same time",
        "每个作业使用自己的 --rdzv-id（如作业号）和端口；同一作业的所有节点应同时启动",
    ),
    confirm="torchrun --rdzv-id=$SLURM_JOB_ID ...",
    refs=("https://docs.pytorch.org/docs/stable/elastic/rendezvous.html",),
)

STALE_INIT_FILE = Problem(
    code="stale-init-file",
    severity=Severity.ERROR,
    title=Text("the file of a file:// rendezvous is left over from another run", "file:// 会合文件是上次运行的残留"),
    why=Text(
        "ranks read the keys of processes that have ended, and wait or collide",
        "各 rank 会读到已结束进程留下的键，从而等待或冲突",
    ),
    help=Text(
        "remove the file before each run, or give every run a name of its own; better: init_method='env://' under "
        "torchrun",
        "每次运行前删除该文件，或为每次运行使用不同的文件名；更好的做法是在 torchrun 下使用 init_method='env://'",
    ),
    confirm="ls -l FILE",
    refs=("https://docs.pytorch.org/docs/stable/distributed.html#shared-file-system-initialization",),
)

ELASTIC_RESTART_LOOP = Problem(
    code="elastic-restart-loop",
    severity=Severity.ERROR,
    title=Text("workers crashed and were started again, and again", "worker 崩溃后被反复重启"),
    why=Text("every round ends like the first one, and hides its error", "每一轮都与第一轮一样失败，并掩盖最初的错误"),
    help=Text(
        "the first traceback of the first round tells why; set --max-restarts=0 until it is mended",
        "第一轮的第一个 traceback 才是原因；在修好之前请设 --max-restarts=0",
    ),
    confirm="torchrun --max-restarts=0 ...",
    caused_by=("out-of-memory", "host-out-of-memory"),
    refs=("https://docs.pytorch.org/docs/stable/elastic/run.html",),
)
