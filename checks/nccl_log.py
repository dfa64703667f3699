"""Do the ranks of a log talk over the same rails?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("nccl", 216, Text("NCCL's log", "NCCL 日志"))

ENV_PAGE = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"

RAIL_CROSS_NIC = Problem(
    code="rail-cross-nic",
    severity=Severity.WARNING,
    title=Text(
        "adapters of different rails were to be connected, which cannot reach each other",
        "不同轨道（rail）的网卡之间被要求建立连接，而它们互不可达",
    ),
    why=Text(
        "in a rail-only fabric adapter 3 of a node reaches adapter 3 of the others and no other one",
        "在 rail-only 网络中，某节点的 3 号网卡只能到达其他节点的 3 号网卡",
    ),
    help=Text(
        "set NCCL_CROSS_NIC=0 on all nodes, name the adapters in the same order everywhere (NCCL_IB_HCA), or route "
        "between the rails",
        "在所有节点上设 NCCL_CROSS_NIC=0，让各节点以相同顺序指定网卡（NCCL_IB_HCA），或在轨道之间配置路由",
    ),
    look="show_gids; ibdev2netdev",
    confirm="NCCL_CROSS_NIC=0 NCCL_DEBUG=INFO ./all_reduce_perf -b 8 -e 128M -f 2",
    hardware="unconfirmed",
    caused_by=("ib-port-down",),
    refs=(ENV_PAGE, "https://github.com/NVIDIA/nccl/issues/2013"),
)
