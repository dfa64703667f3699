"""`envdoctor fix cuda-path`: extensions are compiled with the CUDA toolkit that fits torch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from envdoctor import ByHand, Files, Option, Plan, Remark, Text, Topic, UsageError, fix, said
from envdoctor.edits import activate_scripts, exports, shell_effect, shell_words
from envdoctor.edits.exports import Statement
from envdoctor.edits.shell_block import adds_to
from envdoctor.facts.python import Python
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.toolkit import CudaToolkit, Toolkit
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.versions import numbers
from envdoctor.model import Scalar

TOPIC = Topic("toolkit", 90, Text("the CUDA toolkit that compiles extensions", "编译扩展所用的 CUDA 工具包"))

# Folders of other toolkits that the user's own lines put on PATH.
OTHERS = re.compile(rb"[^:\s\"'$]*/cuda[^:\s\"'$/]*/bin")
MODULES = ("cuda", "cudatoolkit", "nvhpc")


def _far(version: str, cuda: str) -> tuple[int, ...] | None:
    """How far a toolkit is from torch's CUDA: 0 for the same; None where torch would not build with it.

    torch.utils.cpp_extension refuses another major version and warns of another minor one.
    """
    own, built = numbers(version), numbers(cuda)
    if not own or not built or own[0] != built[0]:
        return None
    minor, wanted = (*own, 0)[1], (*built, 0)[1]
    return (abs(minor - wanted), -minor)


def _fitting(found: Toolkit, cuda: str) -> CudaToolkit | None:
    there = [(far, one.root, one) for one in found.toolkits if (far := _far(one.version, cuda)) is not None]
    return min(there, key=lambda each: each[:2])[2] if there else None


def _module(shell: ShellFiles, cuda: str) -> str:
    """The environment module that fits best, empty where none does."""
    offered = [name for name in shell.modules if name.partition("/")[0].lower() in MODULES]
    # NVIDIA's HPC SDK is numbered by year and month: which CUDA it brings does not show.
    there = [(far, name) for name in offered if (far := _far(name.partition("/")[2], cuda)) is not None]
    return min(there)[1] if there else ""


def _named(path: str, found: Toolkit, files: Files) -> CudaToolkit:
    path = path.rstrip("/") or "/"
    if not path.startswith("/"):
        raise UsageError(
            f"--toolkit {path}: name the folder by its absolute path",
            f"--toolkit {path}：请用绝对路径指定目录",
        )
    for one in found.toolkits:
        if path in (one.root, one.nvcc.removesuffix("/bin/nvcc")):
            return CudaToolkit(f"{path}/bin/nvcc", path, "--toolkit", one.version)
    try:
        there = files.read(f"{path}/bin/nvcc") is not None
    except OSError:
        there = True  # it is too large to be looked into, or may only be run
    if not there:
        raise UsageError(
            f"--toolkit {path}: there is no {path}/bin/nvcc",
            f"--toolkit {path}：没有 {path}/bin/nvcc",
        )
    return CudaToolkit(f"{path}/bin/nvcc", path, "--toolkit", _version(path, files))


def _version(root: str, files: Files) -> str:
    """The CUDA release of a toolkit: version.json of CUDA 11.1 and newer, version.txt of older ones, else its name."""
    for name, pattern in (
        ("version.json", rb'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"(\d+\.\d+)'),
        ("version.txt", rb"CUDA Version (\d+\.\d+)"),
    ):
        try:
            found = re.search(pattern, files.read(f"{root}/{name}") or b"")
        except OSError:
            found = None
        if found:
            return found.group(1).decode()
    named = re.search(r"cuda-?(\d+\.\d+)", root)
    return named.group(1) if named else ""


def _none_fits(cuda: str, found: Toolkit) -> Plan:
    there = ", ".join(f"{one.version or '?'} in {one.root}" for one in found.toolkits)
    why = said(
        "no toolkit here is of CUDA {major} ({there}); this installs its compiler into a conda environment",
        "本机没有 CUDA {major} 的工具包（{there}）；此命令将其编译器装入 conda 环境",
        major=cuda.partition(".")[0], there=there or "none",
    )  # fmt: skip
    title = said("Find a CUDA {cuda} toolkit for extensions", "为编译扩展准备 CUDA {cuda} 工具包", cuda=cuda)
    return Plan(title, by_hand=(ByHand(f"conda install -c nvidia cuda-nvcc={cuda} cuda-cudart-dev={cuda}", why),))


@fix(
    "cuda-path",
    Text(
        "point CUDA_HOME and PATH at the toolkit that fits torch, for compiling extensions",
        "让 CUDA_HOME 与 PATH 指向与 torch 匹配的工具包，用于编译扩展",
    ),
    mends=("cuda-home-missing", "cuda-home-mismatch", "cuda-not-on-path"),
    watches=("compiler-too-new",),
    verify=shell_effect.takes_effect,
    options={"toolkit": Option(Text("the toolkit to take", "指定工具包"), metavar="FOLDER")},
)
def cuda_path(
    found: Toolkit,
    torch: TorchInstall | None,
    python: Python,
    shell: ShellFiles,
    files: Files,
    *,
    toolkit: str = "",
) -> Plan:
    """A module where the cluster has them, scripts of the conda environment, else the start-up file. Never
    LD_LIBRARY_PATH: torch's wheels bring their libraries, and a toolkit's would be found before them."""
    cuda = ".".join(torch.cuda.split(".")[:2]) if torch is not None else ""
    if torch is not None and torch.hip and not toolkit:
        raise UsageError(
            "this torch is a ROCm build, which no CUDA toolkit fits; name one with --toolkit all the same",
            "此 torch 是 ROCm 版本，没有与之匹配的 CUDA 工具包；若仍需要，请用 --toolkit 指定",
        )
    module = _module(shell, cuda) if cuda else ""
    if module and not toolkit:
        title = said("Load {module} for compiling extensions", "加载 {module} 用于编译扩展", module=module)
        why = said(
            "in the batch script and before `pip install`; a module is undone by `module unload`",
            "写入作业脚本，并在 `pip install` 之前执行；`module unload` 即可撤销",
        )
        return Plan(title, by_hand=(ByHand(f"module load {shlex.quote(module)}", why),))
    if toolkit:
        chosen: CudaToolkit | None = _named(toolkit, found, files)
    elif cuda:
        chosen = _fitting(found, cuda)
    else:
        chosen = max(found.toolkits, key=lambda one: numbers(one.version), default=None)
    if chosen is None:
        if cuda:
            return _none_fits(cuda, found)
        raise UsageError(
            "there is no CUDA toolkit here, and no CUDA build of torch that tells which is needed",
            "本机没有 CUDA 工具包，也没有 CUDA 版 torch 可据以判断所需版本",
        )
    return _plan(chosen, cuda, found, python, shell, files)


def _plan(chosen: CudaToolkit, cuda: str, found: Toolkit, python: Python, shell: ShellFiles, files: Files) -> Plan:
    root = chosen.root
    title = said(
        "Compile extensions with CUDA {version} in {root}", "使用 {root} 中的 CUDA {version} 编译扩展",
        version=chosen.version or "?", root=root,
    )  # fmt: skip
    remarks = list(_worth_a_word(chosen, cuda))
    try:
        if python.conda:
            values = {"CUDA_HOME": root, "CUDACXX": f"{root}/bin/nvcc"}
            edits = activate_scripts.scripts(python.conda, "cuda-path", values, files)
            told = said(
                "it holds while {prefix} is active, from the next `conda activate` on; PATH stays as it is",
                "自下次 `conda activate` 起，在 {prefix} 激活期间有效；PATH 不变",
                prefix=python.conda,
            )
            activated = {f"activated {name}": value for name, value in values.items()}
            return Plan(title, edits, remarks=(*remarks, Remark(told)), wants=activated)
        first = Statement(
            "cuda-path",
            lambda kind: shell_words.first_on("PATH", f"{root}/bin", kind),
            adds_to("PATH", OTHERS),
            here=lambda kind: shell_words.first_here("PATH", f"{root}/bin", kind),
        )
        change = exports.exporting(shell, files, {"CUDA_HOME": root}, [first])
    except shell_words.CannotSay as error:
        raise UsageError(str(error), error.zh) from error
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be read ({error.strerror})",
            f"无法读取 {error.filename}（{error.strerror}）",
        ) from error
    rivals = dict.fromkeys(f"{one.root}/bin" for one in found.toolkits if one.root != root and ":" not in one.root)
    wants: dict[str, Scalar] = {**change.wants, "first PATH": ":".join([f"{root}/bin", *rivals])}
    return Plan(title, change.edits, by_hand=change.by_hand, remarks=(*remarks, *change.remarks), wants=wants)


def _worth_a_word(chosen: CudaToolkit, cuda: str) -> Iterable[Remark]:
    far = _far(chosen.version, cuda)
    if cuda and far is None:
        yield Remark(
            said(
                "torch is a CUDA {cuda} build and refuses to compile with a toolkit of another major version",
                "torch 为 CUDA {cuda} 构建，不接受主版本不同的工具包",
                cuda=cuda,
            ),
            "warning",
        )
    elif far is not None and far[0]:
        yield Remark(
            said(
                "torch is a CUDA {cuda} build: another minor version will do, with a warning while compiling",
                "torch 为 CUDA {cuda} 构建：次版本不同可以使用，编译时会有警告",
                cuda=cuda,
            )
        )
    yield Remark(
        said(
            "LD_LIBRARY_PATH is not set: torch finds its own libraries, and would find the toolkit's before them",
            "不设置 LD_LIBRARY_PATH：torch 能找到自带的库，设置后反而会先找到工具包的库",
        )
    )
