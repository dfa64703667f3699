"""Do the ranks of a log speak the same language over the same rails, and does NCCL count their nodes right?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("nccl", 216, Text("NCCL's log", "NCCL 日志"))

ENV_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"

NCCL_ENV_MISMATCH = Problem(
    code="nccl-env-mismatch",
    severity=Severity.ERROR,
    title=Text("ranks were given different NCCL variables", "各 rank 的 NCCL 变量不同"),
    why=Text(
        "algorithm, protocol and chunk sizes must be the same on both ends: otherwise ranks hang, or messages are "
        "truncated",
        "两端的算法、协议和分块大小必须一致，否则会挂起或出现消息截断",
    ),
    help=Text(
        "give all nodes the same NCCL_ variables: the launcher's environment, ~/.nccl.conf and /etc/nccl.conf",
        "让所有节点的 NCCL_ 变量保持一致：启动器的环境、~/.nccl.conf 与 /etc/nccl.conf",
    ),
    look="env | grep NCCL; cat ~/.nccl.conf /etc/nccl.conf",
    confirm="NCCL_DEBUG=INFO NCCL_DEBUG_SUBSYS=ENV torchrun ... 2>&1 | grep 'set by environment'",
    refs=(ENV_PAGE,),
)

RAIL_CROSS_NIC = Problem(
    code="rail-cross-nic",
    severity=Severity.WARNING,
    title=Text(
        "adapters of different rails were to be connected, which cannot reach each other",
        "不同轨道(rail)的网卡之间被要求建立连接，而它们互不可达",
    ),
    why=Text(
        "in a rail-only fabric adapter 3 of a node reaches adapter 3 of the others and no other one",
        "在 rail-only 网络中，某节点的 3 号网卡只能到达其他节点的 3 号网卡",
    ),
    help=Text(
        "set NCCL_CROSS_NIC=0 on all nodes, name the adapters in the same order everywhere (NCCL_IB_HCA), or route "
        "between the rails",
        "在所有节点上设 NCCL_CROSS_NIC=0，让各节点以相同顺序指定网卡(NCCL_IB_HCA)，或在轨道之间配置路由",
    ),
    look="show_gids; ibdev2netdev",
    confirm="NCCL_CROSS_NIC=0 NCCL_DEBUG=INFO ./all_reduce_perf -b 8 -e 128M -f 2",
    hardware="unconfirmed",
    caused_by=("ib-port-down",),
    refs=(ENV_PAGE, "https://github.com/NVIDIA/nccl/issues/2013"),
)

DUPLICATE_HOST_ID = Problem(
    code="duplicate-host-id",
    severity=Severity.ERROR,
    title=Text("NCCL takes two hosts for one", "NCCL 把两台主机当成了一台"),
    why=Text(
        "a host is told by its name and /proc/sys/kernel/random/boot_id: where both are the same, ranks look for each "
        "other in shared memory, or their GPUs are taken for one",
        "NCCL 以主机名与 /proc/sys/kernel/random/boot_id 识别主机：两者相同时，rank 会在共享内存中寻找对方，或其 GPU "
        "被视为同一块",
    ),
    help=Text(
        "give every container or clone a host name of its own (docker run --hostname), or NCCL_HOSTID a value of its "
        "own on each; ranks in several containers of one host need --ipc=host as well",
        "为每个容器或克隆机设置各自的主机名（docker run --hostname），或在各处设置不同的 NCCL_HOSTID；同一主机上"
        "多个容器内的 rank 还需要 --ipc=host",
    ),
    look="hostname; cat /proc/sys/kernel/random/boot_id; echo $NCCL_HOSTID",
    confirm="NCCL_DEBUG=INFO torchrun ... 2>&1 | grep nNodes",
    refs=(ENV_PAGE,),
)
