"""Do several GeForce GPUs promise peer-to-peer access that they cannot keep?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts import gpu_state
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus

TOPIC = Topic("nvlink", 55, Text("peer-to-peer access between GeForce GPUs", "GeForce GPU 之间的 P2P 访问"))

# accelerate refuses to start on such machines (accelerate/utils/environment.py, check_cuda_p2p_ib_support); the
# workstation cards "RTX 4000" and "RTX 4000 Ada" are others.
AFFECTED = re.compile(r"GeForce RTX 40\d\d")
MENDED_IN = (550, 40, 7)

P2P_UNSUPPORTED = Problem(
    code="p2p-unsupported",
    severity=Severity.ERROR,
    title=Text(
        "{count} x {name} with driver {driver}: the driver offers peer-to-peer access that these GPUs do not have",
        "{count} 块 {name}，驱动 {driver}：驱动声称支持 P2P，但这些 GPU 实际不支持",
    ),
    why=Text(
        "NCCL hangs or passes on wrong data at the first collective over two GPUs",
        "两块 GPU 的第一次集合通信就会让 NCCL 卡死或传错数据",
    ),
    seen=Text(
        "NVML: {count} x {name}; driver {driver}, mended in 550.40.07; NCCL_P2P_DISABLE is not set",
        "NVML：{count} 块 {name}；驱动 {driver}，550.40.07 起修复；未设置 NCCL_P2P_DISABLE",
    ),
    command="export NCCL_P2P_DISABLE=1 NCCL_IB_DISABLE=1",
    help=Text("or upgrade the driver to 550.40.07 or newer", "或将驱动升级到 550.40.07 及以上"),
    confirm="nvidia-smi topo -p2p r",
    hardware="unconfirmed",
    refs=("https://github.com/huggingface/accelerate/blob/main/src/accelerate/utils/environment.py",),
)


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())


@check(P2P_UNSUPPORTED)
def geforce_p2p(gpus: Gpus, driver: Driver, environment: Environment) -> Iterable[Finding]:
    """Two or more GeForce RTX 40 under a driver before 550.40.07, and NCCL not told."""
    affected = [gpu for gpu in gpu_state.answering(gpus) if AFFECTED.search(gpu.name)]
    release = driver.release or driver.kernel_release
    told = environment.get("NCCL_P2P_DISABLE") == "1"
    if len(affected) < 2 or driver.cuda_devices == 1 or told or not (version := _version(release)):
        return
    if version < MENDED_IN:
        yield P2P_UNSUPPORTED.found(count=len(affected), name=affected[0].name, driver=release)
