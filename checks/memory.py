"""Did the GPU's memory run out?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("gpu", 27, Text("GPU memory", "GPU 显存"))

OUT_OF_MEMORY = Problem(
    code="out-of-memory",
    severity=Severity.ERROR,
    title=Text("GPU memory is exhausted", "GPU 显存耗尽"),
    why=Text(
        "the step that asked for more ends with an exception; other ranks then wait for this one or lose it",
        "申请显存的那一步抛出异常；其他 rank 随后会等待该 rank 或与其断开",
    ),
    help=Text(
        "a smaller batch per GPU, activation checkpointing or sharding (FSDP, ZeRO); memory that is reserved but not "
        "allocated is fragmented: PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        "减小每张卡的 batch，使用激活重计算或分片（FSDP、ZeRO）；已预留却未分配的显存属于碎片："
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
    ),
    look="nvidia-smi --query-compute-apps=pid,used_memory --format=csv",
    confirm="nvidia-smi",
    caused_by=("gpu-busy",),
    refs=("https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-alloc-conf",),
)
