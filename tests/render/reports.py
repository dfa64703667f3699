"""A report with everything in it: a cause with a consequence, a warning, a note, a skip, a crash, hostile values."""

from __future__ import annotations

from envdoctor.model import (
    Check,
    Finding,
    Missing,
    Node,
    Outcome,
    Problem,
    Report,
    Severity,
    Situation,
    Text,
    Topic,
    TopicLine,
)

CAUSE = Problem(
    code="driver-too-old",
    severity=Severity.ERROR,
    title=Text("the driver {driver} is too old for CUDA {cuda}", "驱动 {driver} 对 CUDA {cuda} 来说太旧"),
    why=Text("CUDA does not initialise", "CUDA 无法初始化"),
    seen=Text("{driver} (/proc/driver/nvidia/version)", "{driver}(/proc/driver/nvidia/version)"),
    command="pip install torch=={version}",
    help=Text("or ask for driver 580", "或请管理员升级到 580"),
    refs=("https://docs.nvidia.com/deploy/cuda-compatibility/",),
    hardware="unconfirmed",
    situations={"windows": Situation(help=Text("take it from the vendor's site", "从厂商网站下载"))},
)
CONSEQUENCE = Problem(
    code="gpu-not-visible",
    severity=Severity.ERROR,
    title=Text("no GPU is visible to torch", "torch 看不到 GPU"),
    why=Text("training runs on the CPU", "训练会落到 CPU 上"),
    caused_by=("driver-too-old",),
)
WARNING = Problem(
    code="pip-index-plain-http",
    severity=Severity.WARNING,
    title=Text("pip downloads over plain HTTP from `{url}`", "pip 通过明文 HTTP 从 `{url}` 下载"),
    why=Text("anyone on the path can replace a package", "链路上任何人都能替换软件包"),
    help=Text("use the https address", "请改用 https 地址"),
)
NOTE = Problem(
    code="gpu-persistence-off",
    severity=Severity.NOTE,
    title=Text("persistence mode is off", "持久模式未开启"),
    why=Text("the first CUDA call is slow", "首次 CUDA 调用较慢"),
    command="sudo nvidia-smi -pm 1",
)

HOSTILE_URL = "http://user:hunter2secret@mirror.example/[red]simple\x1b[31m"


def check_for(name: str, topic: str, *problems: Problem) -> Check:
    return Check(name, problems, list, topic)


def report() -> Report:
    cause = Finding(CAUSE, {"driver": "535.104.05", "cuda": "13.0", "version": "2.10.0"}, nodes=("gpu-a01",))
    consequence = Finding(CONSEQUENCE, {"devices": 0}, nodes=("gpu-a01",), because_of="driver-too-old")
    warning = Finding(WARNING, {"url": HOSTILE_URL}, nodes=("gpu-a01",))
    note = Finding(NOTE, {}, nodes=("gpu-a01",))
    missing = Missing("rdma", "not-here", "/sys/class/infiniband is absent")
    return Report(
        made_by="envdoctor 0.1.0",
        taken_at="2026-11-20T12:00:00Z",
        seconds=1.34,
        nodes=(Node("gpu-a01", python="/opt/envs/train/bin/python", python_version="3.11.7", python_why="conda"),),
        findings=(cause, consequence, warning, note),
        outcomes=(
            Outcome(check_for("driver_too_old", "driver", CAUSE), "ran", (cause,), seconds=0.0004),
            Outcome(check_for("gpu_not_visible", "gpu", CONSEQUENCE), "ran", (consequence,)),
            Outcome(check_for("persistence", "gpu", NOTE), "ran", (note,)),
            Outcome(check_for("plain_http", "pip", WARNING), "ran", (warning,)),
            Outcome(check_for("port_down", "rdma"), "skipped", missing=missing),
            Outcome(check_for("odd", "shm"), "crashed", error="ValueError: [x]", traceback="Traceback\n  odd.py:3"),
            Outcome(check_for("fine", "disk"), "ran"),
        ),
        topics=(
            TopicLine(
                Topic("driver"),
                Text("{release}, CUDA {level}", "{release},CUDA {level}"),
                {"release": "535.104.05", "level": "12.2"},
            ),
            TopicLine(Topic("gpu")),
            TopicLine(Topic("pip"), Text("{url}", "{url}"), {"url": HOSTILE_URL}),
            TopicLine(Topic("rdma")),
            TopicLine(Topic("shm")),
            TopicLine(Topic("disk"), Text("plenty", "充足"), {}),
        ),
        unloaded={"/home/x/checks/broken.py": "SyntaxError: invalid syntax"},
    )
