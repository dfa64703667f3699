"""Is there a GPU for every process that is started on this node?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.launch import launches

TOPIC = Topic("launch", 231)

NPROC_EXCEEDS_GPUS = Problem(
    code="nproc-exceeds-gpus",
    severity=Severity.ERROR,
    title=Text(
        "{processes} {processes:process|processes} per node for {gpus} visible {gpus:GPU|GPUs}",
        "每个节点 {processes} 个进程，但只有 {gpus} 张可见的 GPU",
    ),
    why=Text(
        "the ranks beyond the last GPU fail with `invalid device ordinal`, or share a GPU, which NCCL refuses",
        "多出的 rank 会报 `invalid device ordinal`，或与其他 rank 共用 GPU，而 NCCL 不允许共用",
    ),
    seen=Text(
        "{variable}={processes}; {gpus} {gpus:GPU|GPUs} ({gpus_source})",
        "{variable}={processes}；{gpus} 张 GPU（{gpus_source}）",
    ),
    command="torchrun --nproc-per-node={gpus} train.py",
    confirm="nvidia-smi -L",
    caused_by=(
        "gpu-fell-off-bus",
        "gpu-count-mismatch",
        "cuda-visible-devices-invalid",
        "cuda-visible-devices-empty",
        "gpu-not-allocated",
    ),
    hardware="unconfirmed",
)


def _visible_gpus(environment: Environment, gpus: Gpus | None, driver: Driver | None) -> tuple[int, str] | None:
    """How many GPUs a process here sees, and who says so."""
    if driver is not None and driver.cuda_devices is not None:
        return driver.cuda_devices, "cuDeviceGetCount"
    if gpus is not None and environment.get("CUDA_VISIBLE_DEVICES") is None:
        return gpus.count, gpus.source
    return None


@check(NPROC_EXCEEDS_GPUS)
def nproc_exceeds_gpus(environment: Environment, gpus: Gpus | None, driver: Driver | None) -> Iterable[Finding]:
    """Without any GPU the ranks may be meant for the CPU: that is not judged here."""
    visible = _visible_gpus(environment, gpus, driver)
    if visible is None or visible[0] == 0:
        return
    for launch in launches(environment):
        count = launch.local_world_size
        if count is None or count <= visible[0]:
            continue
        if launch.per == "process" and launch.launcher not in ("torchrun", "env") and visible[0] == 1:
            # One GPU bound to each task, as `srun --gpus-per-task=1` does.
            continue
        if launch.launcher == "torchrun" and launch.local_rank == 0 and visible[0] == 1:
            # torchrun --virtual-local-rank looks like this in every process.
            continue
        alone = "," not in (environment.get("CUDA_VISIBLE_DEVICES") or ",")
        if launch.launcher == "env" and launch.local_rank == 0 and visible[0] == 1 and alone:
            # An actor of Ray's is given one GPU by the mask, and a local rank of 0 to go with it.
            continue
        finding = NPROC_EXCEEDS_GPUS.found(
            processes=count, gpus=visible[0], gpus_source=visible[1], variable=launch.sources["local_world_size"]
        )
        # Tasks of srun or mpirun may do other work than one GPU each; a node's number is not yet a launch.
        yield finding if launch.launcher in ("torchrun", "env") else finding.at(Severity.WARNING)
        return
