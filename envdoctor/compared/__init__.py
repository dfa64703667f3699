"""What of a node training depends on, as values that can be compared with another node's: what `envdoctor diff` sets
side by side.

What tells machines apart without mattering (names, addresses, identifiers, times, temperatures, memory in use) is no
value here.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from envdoctor.model import Text

Facts = Mapping[type, object]
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Group:
    """A subject of the comparison and why training depends on it."""

    name: str
    title: Text
    why: Text


# In the order in which a difference is likely to be the reason that training works here and not there: what decides
# whether anything runs at all, then what decides how ranks find each other and how fast they are.
GROUPS = (
    Group(
        "torch", Text("torch", "torch"),
        Text("the build decides which GPUs, drivers and NCCL it works with", "构建决定了它能配合哪些 GPU、驱动和 NCCL"),
    ),
    Group(
        "driver", Text("driver", "驱动"),
        Text("it must support the CUDA that torch was built for", "驱动必须支持 torch 构建所用的 CUDA"),
    ),
    Group(
        "gpu", Text("GPUs", "GPU"),
        Text("kind and number decide kernels, memory and how many ranks fit",
             "型号和数量决定内核、显存和可容纳的 rank 数"),
    ),
    Group(
        "nccl", Text("NCCL", "NCCL"),
        Text("ranks of different NCCL versions or plugins do not understand each other",
             "NCCL 版本或插件不同的 rank 之间无法通信"),
    ),
    Group(
        "python", Text("Python", "Python"),
        Text("compiled packages fit one minor version", "编译过的包只适配一个次版本"),
    ),
    Group(
        "packages", Text("packages", "软件包"),
        Text("results, interfaces and compiled extensions change with them", "结果、接口和编译扩展都随之变化"),
    ),
    Group(
        "variables", Text("variables", "环境变量"),
        Text("libraries read them before anything else", "各个库最先读取的就是它们"),
    ),
    Group(
        "limits", Text("limits", "资源限制"),
        Text("data loaders and NCCL fail where they are small", "限制过小时数据加载进程和 NCCL 会失败"),
    ),
    Group(
        "network", Text("network", "网络"),
        Text("ranks meet over it; one small MTU stalls all of them",
             "rank 通过它会合；一处 MTU 偏小会让所有 rank 停住"),
    ),
    Group(
        "rdma", Text("RDMA", "RDMA"),
        Text("without it traffic falls back to TCP, or one rail holds back all",
             "缺少它时流量退回 TCP，或一条轨道拖慢全部"),
    ),
    Group(
        "machine", Text("machine", "机器"),
        Text("kernel, C library and container decide what can be loaded and seen",
             "内核、C 库和容器决定能加载什么、能看到什么"),
    ),
    Group(
        "toolkit", Text("toolkit", "编译工具"),
        Text("extensions are compiled with it", "扩展用它来编译"),
    ),
    Group(
        "sources", Text("package sources", "软件包来源"),
        Text("the next install comes from there", "下一次安装从这里获取"),
    ),
    Group(
        "storage", Text("storage", "存储"),
        Text("data, caches and checkpoints lie there", "数据、缓存和检查点放在这里"),
    ),
)  # fmt: skip
BY_NAME = {group.name: group for group in GROUPS}


@dataclass(frozen=True)
class Told:
    """One value of a node.

    Attributes:
        name: of the value within its group, kebab-case or the name of a package or variable.
        value: to compare and to show; "" is absent (not installed, not set), None is not known.
        label: the name for people, where it is not `name` itself.
        size: the number behind `value` where a few per cent make no difference: bytes of memory.
        detail: seldom the reason: shown with -v only.
        follows: "group.name" of the value that explains this one where both differ.
    """

    name: str
    value: str | None
    label: Text | None = None
    size: float | None = None
    detail: bool = False
    follows: str = ""


@dataclass(frozen=True)
class Aspect:
    """A function from a fact to values of a group. `facts` are all of the node, for what else it takes."""

    group: str
    fact: type
    values: Callable[[object, Facts], Iterable[Told]]


def aspect(group: str, fact: type[Kind]) -> Callable[[Callable[[Kind, Facts], Iterable[Told]]], Aspect]:
    """Make a function what is told of a group where a node has that fact."""

    def make(values: Callable[[Kind, Facts], Iterable[Told]]) -> Aspect:
        return Aspect(group, fact, values)  # type: ignore[arg-type]  # it is called with that fact alone

    return make


def get(facts: Facts, fact: type[Kind]) -> Kind | None:
    """A fact of the node, None where it is missing."""
    found = facts.get(fact)
    return found if isinstance(found, fact) else None


@functools.cache
def aspects() -> tuple[Aspect, ...]:
    """All of them, in the order of the groups and of the files."""
    from envdoctor.compared import machine, software, variables

    found = [one for module in (software, machine, variables) for one in vars(module).values() if type(one) is Aspect]
    order = [group.name for group in GROUPS]
    return tuple(sorted(found, key=lambda one: order.index(one.group)))


def counted(words: Iterable[str]) -> str:
    """ "7 x H100, 1 x A100": each word with its number, the commonest first."""
    found = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} x {word}" for word, count in found)


def flag(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def bytes_of(count: int | None) -> str:
    """For people: "1.5 TB", 1e12 bytes; "unlimited" for None."""
    if count is None:
        return "unlimited"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
