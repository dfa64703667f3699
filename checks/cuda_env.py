"""Are variables left over from debugging CUDA still set?"""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor import Finding, Problem, Severity, Text, Topic, check
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.shell_files import ShellFiles

TOPIC = Topic("devices", 60, Text("CUDA variables left from debugging", "调试遗留的 CUDA 环境变量"))

# Switches that are off at 0 (CUDA programming guide, "CUDA Environment Variables"; torch's documentation for the last).
SWITCHES = (
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_ENABLE_COREDUMP_ON_EXCEPTION",
    "CUDA_DEVICE_WAITS_ON_EXCEPTION",
    "CUDA_CACHE_DISABLE",
    "CUDA_FORCE_PTX_JIT",
    "CUDA_PROFILE",
    "COMPUTE_PROFILE",
    "OPENCL_PROFILE",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
)
# Paths of tools that load themselves into every CUDA program (DCGM and gpud warn of them as well).
TOOLS = ("CUDA_INJECTION64_PATH", "CUDA_INJECTION32_PATH", "NSIGHT_CUDA_DEBUGGER")

CUDA_DEBUG_LEFTOVER = Problem(
    code="cuda-debug-leftover",
    severity=Severity.WARNING,
    title=Text("variables for debugging CUDA are set: {names}", "设置了用于调试 CUDA 的环境变量：{names}"),
    why=Text(
        "training is slowed down, several times by CUDA_LAUNCH_BLOCKING or a profiler in every process",
        "训练会变慢；CUDA_LAUNCH_BLOCKING 或每个进程都注入的性能分析器会慢数倍",
    ),
    seen=Text("environment: {values}", "环境变量：{values}"),
    command="unset {names}",
    help=Text(
        "harmless while you are debugging; look for the line that sets them in the job script or ~/.bashrc",
        "调试期间可以保留；请在作业脚本或 ~/.bashrc 中查找设置位置",
    ),
    confirm="env | grep -e ^CUDA -e PROFILE -e ^NSIGHT",
)


@check(CUDA_DEBUG_LEFTOVER)
def no_debugging_is_on(environment: Environment, driver: Driver, shell: ShellFiles | None) -> Iterable[Finding]:
    """Switches that are on and tools that are loaded, on a machine with an NVIDIA driver."""
    given = {name: environment.get(name) or "" for name in (*SWITCHES, *TOOLS)}
    on = {name: value for name, value in given.items() if value not in ("", "0")}
    if on:
        finding = CUDA_DEBUG_LEFTOVER.found(
            names=" ".join(on), values=", ".join(f"{name}={value}" for name, value in on.items())
        )
        started_up = shell is not None and all(shell.sets(name) for name in on)
        yield finding.fixed_by("env", *(f"{name}=" for name in on)) if started_up else finding
