"""Does the kernel run the CPUs in a way that holds training back?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Text, Topic, check, summary
from envdoctor.facts.cpu import Cpu
from envdoctor.facts.host import Host
from envdoctor.model import Scalar

TOPIC = Topic("cpu", 435, Text("CPU frequency, clock and NUMA settings", "CPU 频率、时钟与 NUMA 设置"))

# In their active mode these drivers let the hardware choose: there "powersave" is no fixed low frequency
# (kernel documentation, admin-guide/pm/intel_pstate and amd-pstate).
CHOSEN_BY_HARDWARE = ("intel_pstate", "amd-pstate-epp")

CPU_GOVERNOR = Problem(
    code="cpu-governor",
    severity=Severity.NOTE,
    title=Text(
        "the CPU frequency governor is {governor} on {count} of {all} {all:CPU|CPUs}",
        "{all} 个 CPU 中有 {count} 个使用 {governor} 频率调节策略",
    ),
    why=Text(
        "kernel launches and the DataLoader run at a lower clock; small models and small messages feel it first",
        "内核启动与 DataLoader 以较低频率运行；小模型与小消息最先受影响",
    ),
    seen=Text(
        "/sys/devices/system/cpu/cpufreq/*/scaling_governor: {governor}; driver {driver}",
        "/sys/devices/system/cpu/cpufreq/*/scaling_governor：{governor}；驱动 {driver}",
    ),
    command="sudo cpupower frequency-set -g performance",
    confirm="cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor | sort | uniq -c",
    hardware="unconfirmed",
)

CLOCKSOURCE_SLOW = Problem(
    code="clocksource-slow",
    severity=Severity.WARNING,
    title=Text(
        "the kernel tells time by {source}, which costs a system call each time",
        "内核使用时钟源 {source}，每次读取时间都要进入内核",
    ),
    why=Text(
        "every look at the clock takes microseconds; profilers, NCCL and Python look often",
        "每次读取时钟耗时数微秒；性能分析器、NCCL 与 Python 读取频繁",
    ),
    seen=Text(
        "/sys/devices/system/clocksource/clocksource0/current_clocksource: {source}; available: {available}",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource：{source}；可用：{available}",
    ),
    help=Text(
        "the kernel gave up on the TSC and its log says why; newer firmware often helps",
        "内核弃用了 TSC，内核日志中有原因；升级固件通常有效",
    ),
    look="dmesg | grep -i -E 'tsc|clocksource'",
    confirm="cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
    hardware="unconfirmed",
)

NUMA_BALANCING = Problem(
    code="numa-balancing",
    severity=Severity.NOTE,
    title=Text(
        "the kernel moves pages between {nodes} NUMA nodes on its own",
        "内核会在 {nodes} 个 NUMA 节点之间自动迁移内存页",
    ),
    why=Text(
        "page faults made for the purpose add jitter to all ranks; NCCL's documentation asks to turn it off",
        "为此产生的缺页中断会给所有 rank 带来抖动；NCCL 文档建议关闭",
    ),
    seen=Text("/proc/sys/kernel/numa_balancing: 1", "/proc/sys/kernel/numa_balancing 的值为 1"),
    command="sudo sysctl -w kernel.numa_balancing=0",
    confirm="cat /proc/sys/kernel/numa_balancing",
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html",),
)


@check(CPU_GOVERNOR)
def cpu_governor(cpu: Cpu) -> Iterable[Finding]:
    """The most frequent governor other than performance. Virtual machines have none."""
    others = {name: count for name, count in cpu.governors.items() if name != "performance"}
    if not others or (cpu.frequency_driver in CHOSEN_BY_HARDWARE and set(others) == {"powersave"}):
        return
    governor = max(others, key=lambda name: others[name])
    yield CPU_GOVERNOR.found(
        governor=governor, count=others[governor], all=sum(cpu.governors.values()), driver=cpu.frequency_driver
    )


@check(CLOCKSOURCE_SLOW)
def clocksource_slow(cpu: Cpu, host: Host) -> Iterable[Finding]:
    """hpet and acpi_pm are read through the bus. A virtual machine has clocks of its own."""
    if host.machine == "x86_64" and not host.virtual_machine and cpu.clock_source in ("hpet", "acpi_pm", "jiffies"):
        yield CLOCKSOURCE_SLOW.found(source=cpu.clock_source, available=" ".join(cpu.clock_sources))


@check(NUMA_BALANCING)
def numa_balancing(cpu: Cpu) -> Iterable[Finding]:
    """2 is tiering between kinds of memory, another matter."""
    if cpu.numa_balancing == 1 and cpu.numa_nodes > 1:
        yield NUMA_BALANCING.found(nodes=cpu.numa_nodes)


@summary
def line(cpu: Cpu, host: Host) -> tuple[Text, Mapping[str, Scalar]] | None:
    return Text(
        "{cpus} {cpus:CPU|CPUs}, {nodes} NUMA {nodes:node|nodes}, clock {clock}",
        "{cpus} 个 CPU，{nodes} 个 NUMA 节点，时钟源 {clock}",
    ), {
        "cpus": host.cpus,
        "nodes": cpu.numa_nodes,
        "clock": cpu.clock_source or None,
    }
