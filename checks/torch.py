"""Is there a torch in the target Python, a whole one, the one that is meant, and does it import?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from envdoctor import Finding, Missing, PerNode, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import hostlist
from envdoctor.facts.allreduce import UNFIT, AllreduceResult, Member
from envdoctor.facts.asked import Asked
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.launch import launches
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchCopy, TorchImport, TorchInstall
from envdoctor.knowledge.installing import for_python, reinstall
from envdoctor.knowledge.prescription import prescribe
from envdoctor.model import Scalar

TOPIC = Topic(
    "torch", 65, Text("torch: installed, whole, the one that is meant", "torch：是否已安装、是否完整、是否为所要的那份")
)

# Who names one of these on the command line means to train.
MEANS_TORCH = re.compile(r"torch|cuda|gpu|driver|nccl|nvidia|rendezvous|launch|launcher|shm|allreduce|links")
# What a torch is asked that cannot take part in a benchmark, and what leaves it without a GPU.
ASKED = Text(
    "torch {version} ({python}): `torch.{asked}()` is False", "torch {version}（{python}）：`torch.{asked}()` 为 False"
)
CALLS = dict(
    zip(UNFIT, ("distributed.is_available", "distributed.is_nccl_available", "cuda.is_available"), strict=True)
)
WITHOUT_GPU = (
    "driver-missing", "driver-library-mismatch", "driver-too-old", "gpu-not-in-container", "gpu-not-allocated",
    "gpu-not-visible",
)  # fmt: skip

TORCH_MISSING = Problem(
    code="torch-missing",
    severity=Severity.NOTE,
    title=Text("there is no torch in {python}", "{python} 中没有 torch"),
    why=Text("a training script stops at `import torch`", "训练脚本会在 `import torch` 处停止"),
    seen=Text("no torch on sys.path of {python} ({version})", "{python}（{version}）的 sys.path 中没有 torch"),
    help=Text(
        "if torch lies in another environment, name that: `envdoctor check --python ENV`",
        "若 torch 装在另一个环境中，请指明：`envdoctor check --python ENV`",
    ),
    confirm="{python} -c 'import torch'",
    caused_by=("venv-broken", "python-does-not-start", "python-unsupported", "platform-unsupported"),
    situations={
        "meant": Situation(
            seen=Text(
                "no torch on sys.path of {python} ({version})\ntraining is meant: {shown_by}",
                "{python}（{version}）的 sys.path 中没有 torch\n显然要进行训练：{shown_by}",
            ),
            severity=Severity.ERROR,
        ),
        "elsewhere": Situation(
            title=Text("there is no torch in {python} of {node}", "{node} 的 {python} 中没有 torch"),
            seen=Text(
                "{node}: {python} ({version}): {error}; the rungs below torch held",
                "{node}：{python}（{version}）：{error}；torch 以下的各级均通过",
            ),
            severity=Severity.ERROR,
        ),
    },
)

TORCH_LEFTOVER = Problem(
    code="torch-leftover",
    severity=Severity.ERROR,
    title=Text("{folder} is what a removed torch left behind", "{folder} 是 torch 被卸载后的残留"),
    why=Text(
        "`import torch` takes it and fails, or gives an empty module (`torch` has no attribute `__version__`)",
        "`import torch` 会误用它而失败，或得到一个空模块（`torch` 没有 `__version__` 属性）",
    ),
    seen=Text("{folder} has no {lacks}", "{folder} 中缺少 {lacks}"),
    confirm="ls {quoted}",
    situations={
        "files": Situation(
            title=Text("torch {version} has lost {count} of its files", "torch {version} 缺失了 {count} 个文件"),
            seen=Text("{lacks} is named in {record} and absent", "{record} 中列有 {lacks}，但文件不存在"),
            why=Text("what needs them fails, at import or later", "用到这些文件的地方会出错，可能在导入时，也可能更晚"),
        ),
        "metadata": Situation(
            title=Text(
                "torch {version} is registered and its files are gone", "torch {version} 仍有安装记录，文件却已不在"
            ),
            why=Text(
                "`import torch` fails while `pip install torch` says that it is there",
                "`import torch` 会失败，而 `pip install torch` 却认为它已装好",
            ),
            seen=Text("{record} is there, the folder torch beside it is not", "{record} 存在，旁边却没有 torch 目录"),
        ),
        "unused": Situation(
            why=Text(
                "another torch comes before it and is whole; it misleads once that one is removed",
                "排在它之前的另一份 torch 是完整的；一旦那份被移除就会误用它",
            ),
            severity=Severity.NOTE,
        ),
        "pip": Situation(
            title=Text("an interrupted pip left {folder}", "被中断的 pip 留下了 {folder}"),
            why=Text(
                "it takes gigabytes, and pip warns of an invalid distribution on every call",
                "它占用数 GB 空间，pip 每次运行都会警告 invalid distribution",
            ),
            seen=Text("{folder} (its name starts with ~)", "{folder}（名称以 ~ 开头）"),
            severity=Severity.NOTE,
        ),
    },
)

TORCH_SHADOWED = Problem(
    code="torch-shadowed",
    severity=Severity.ERROR,
    title=Text(
        "`import torch` takes {folder}, not the torch of this environment",
        "`import torch` 用的是 {folder}，而不是本环境中的 torch",
    ),
    why=Text(
        "another version or no torch at all is run, and torchvision and compiled extensions do not fit it",
        "运行的是另一个版本，甚至根本不是 torch；torchvision 与编译的扩展都与之不配",
    ),
    seen=Text(
        "first on sys.path: {folder} {version} ({place})\ninstalled: {other}",
        "sys.path 中最先找到：{folder} {version}（{place}）\n已安装：{other}",
    ),
    confirm="python -c 'import torch; print(torch.__file__)'",
    situations={
        "working directory": Situation(
            command="mv {quoted} {renamed}",
            help=Text(
                "or start from another folder: the working directory comes first on sys.path",
                "或换一个目录启动：工作目录在 sys.path 中排在最前",
            ),
        ),
        "PYTHONPATH": Situation(command="unset PYTHONPATH"),
        "user site": Situation(
            command="export PYTHONNOUSERSITE=1",
            help=Text(
                "or remove that copy: `{python} -m pip uninstall torch` takes the first one on sys.path",
                "或卸载那一份：`{python} -m pip uninstall torch` 卸载的是 sys.path 中最先找到的",
            ),
        ),
    },
)

TORCH_DEBUG = Problem(
    code="torch-debug-build",
    severity=Severity.WARNING,
    title=Text("torch {version} is a debug build", "torch {version} 是调试（debug）构建"),
    why=Text(
        "every operator is checked and unoptimised: training is many times slower",
        "算子未经优化且带检查：训练会慢很多倍",
    ),
    seen=Text("debug = True in {folder}/version.py", "{folder}/version.py 中 debug = True"),
    command="python -m pip install --force-reinstall torch=={release}",
    confirm="python -c 'import torch; print(torch.version.debug)'",
)

BACKEND_UNAVAILABLE = Problem(
    code="backend-unavailable",
    severity=Severity.NOTE,
    title=Text("torch {version} is built without {backend}", "torch {version} 编译时未包含 {backend}"),
    why=Text(
        "`init_process_group` with this backend raises; several GPUs cannot train together over it",
        "以该后端调用 `init_process_group` 会报错；多个 GPU 无法通过它协同训练",
    ),
    seen=Text(
        "distributed backends of the build: {backends}; CUDA {cuda} ({file})",
        "该构建的分布式后端：{backends}；CUDA {cuda}（{file}）",
    ),
    help=Text(
        "builds for Jetson and builds of one's own often leave it out; the wheels for servers have it",
        "Jetson 的构建和自行编译的版本常常不含它；服务器用的 wheel 都包含",
    ),
    confirm="python -c 'import torch.distributed as d; print(d.is_available() and d.is_nccl_available())'",
    caused_by=("torch-cpu-build", *WITHOUT_GPU),
    situations={
        "undistributed": Situation(
            title=Text(
                "the torch of {node} is built without torch.distributed",
                "{node} 的 torch 编译时未包含 torch.distributed",
            ),
            why=Text("its ranks cannot take part, and all others wait", "该节点的 rank 无法参与，其他 rank 都在等待"),
            seen=ASKED,
            severity=Severity.ERROR,
        ),
        "no-nccl": Situation(
            title=Text("the torch of {node} is built without NCCL", "{node} 的 torch 编译时未包含 NCCL"),
            seen=ASKED,
            help=Text(
                "NCCL comes with the builds of torch for CUDA; `--backend gloo` measures what this one can do",
                "NCCL 只包含在 torch 的 CUDA 构建中；`--backend gloo` 可测量该构建所能做到的",
            ),
            severity=Severity.ERROR,
        ),
        "no-gpu": Situation(
            title=Text("the torch of {node} sees no GPU, which NCCL needs", "{node} 的 torch 看不到 NCCL 所需的 GPU"),
            seen=ASKED,
            help=Text(
                "`envdoctor check driver gpu torch` there tells why; `--backend gloo` measures without GPUs",
                "在该机器上运行 `envdoctor check driver gpu torch` 可查出原因；`--backend gloo` 无需 GPU 即可测量",
            ),
            severity=Severity.ERROR,
        ),
    },
)


def training_shown_by(asked: Asked | None, environment: Environment | None) -> str:
    """What shows that training is meant here, "" if nothing does."""
    if environment is not None and (found := launches(environment)):
        variables = ", ".join(list(dict.fromkeys(found[0].sources.values()))[:3])
        return f"{found[0].title or found[0].launcher} ({variables})" if variables else found[0].title
    if asked is not None and asked.log:
        return "--log"
    named = [topic for topic in (asked.topics if asked else ()) if MEANS_TORCH.search(topic)]
    return f"`envdoctor check {' '.join(named)}`" if named else ""


def _fails(loaded: TorchImport | Missing | None) -> bool | None:
    """Whether the import of torch is known to fail; None where it is not known."""
    if isinstance(loaded, TorchImport):
        return bool(loaded.error)
    ended = loaded is not None and (loaded.reason in ("crashed", "hung") or loaded.detail.startswith("ended with"))
    return True if ended else None


@check(TORCH_MISSING)
def torch_missing(
    torch: TorchInstall | Missing,
    loaded: TorchImport | Missing,
    python: Python | None,
    host: Host | None,
    driver: Driver | None,
    gpus: Gpus | None,
    environment: Environment | None,
    asked: Asked | None,
) -> Iterable[Finding]:
    """No trace of torch on the path; an import hook may still know one, so an import that came in counts."""
    if (
        isinstance(torch, TorchInstall)
        or torch.reason != "not-here"
        or (isinstance(loaded, TorchImport) and loaded.version)
    ):
        return
    shown_by = training_shown_by(asked, environment)
    where = python.executable if python else "python"
    fit = prescribe(host, python, driver, gpus, environment) if host else None
    found = TORCH_MISSING.found(
        "meant" if shown_by else None,
        python=where, version=python.version if python else None, shown_by=shown_by,
    )  # fmt: skip
    if fit and fit.command:
        yield fit.remedy(found)
    else:
        yield found.mended_by(for_python("python -m pip install torch", python))


@check(TORCH_MISSING)
def torch_missing_elsewhere(results: PerNode[AllreduceResult], installs: PerNode[TorchInstall]) -> Iterable[Finding]:
    """On another node of a benchmark; what is missing where this was looked at is told above."""
    told = [one for one in results.values() if isinstance(one, AllreduceResult)]
    for result, failure in [(one, failure) for one in told for failure in one.on("torch")]:
        member = result.member(failure.member)
        if not failure.absent or member is None or failure.member == result.own:
            continue
        install = installs.get(member.node)
        if isinstance(install, Missing) and install.reason == "not-here":
            continue
        found = TORCH_MISSING.found(
            "elsewhere", python=member.python, version=member.python_version, node=member.node, error=failure.error
        ).mended_by(f"{shlex.quote(member.python)} -m pip install torch   # on {member.node}")
        yield replace(found, nodes=(member.node,))


@check(TORCH_LEFTOVER)
def torch_leftover(torch: TorchInstall, loaded: TorchImport | Missing, python: Python | None) -> Iterable[Finding]:
    """A torch folder without __init__.py or core, files that RECORD names and that are gone, pip's `~orch`."""
    fails = _fails(loaded)
    evidence: dict[str, Scalar] = {
        "folder": torch.leftover,
        "quoted": shlex.quote(torch.leftover),
        "version": torch.dist_version or torch.version,
        "record": torch.dist_info,
        "count": len(torch.broken_files),
        "lacks": ", ".join(torch.broken_files[:3]),
    }
    whole = bool(torch.folder) and torch.folder != torch.leftover
    if torch.leftover:
        lacks = "torch/_C" if torch.folder == torch.leftover else "torch/__init__.py"
        evidence["lacks"] = lacks
        if not whole or fails is not False:
            again = reinstall(torch, python)
            yield TORCH_LEFTOVER.found(**evidence).mended_by(f"rm -r {evidence['quoted']} && {again}")
        else:
            yield TORCH_LEFTOVER.found("unused", **evidence).mended_by(f"rm -r {evidence['quoted']}")
    elif not torch.folder and torch.dist_info and not isinstance(loaded, TorchImport):
        yield TORCH_LEFTOVER.found("metadata", **evidence).mended_by(reinstall(torch, python))
    elif torch.broken_files:
        found = TORCH_LEFTOVER.found("files", **evidence).mended_by(reinstall(torch, python))
        yield found.at(Severity.WARNING) if fails is False else found
    elif torch.pip_leftovers and not fails:
        first = torch.pip_leftovers[0]
        remains = " ".join(shlex.quote(folder) for folder in torch.pip_leftovers)
        evidence.update(folder=first, quoted=shlex.quote(first))
        yield TORCH_LEFTOVER.found("pip", **evidence).mended_by(f"rm -r {remains}")


@check(TORCH_SHADOWED)
def torch_shadowed(torch: TorchInstall, loaded: TorchImport | Missing, python: Python | None) -> Iterable[Finding]:
    """The torch that comes first is not the environment's. A single copy, wherever it lies, is meant."""
    if not torch.copies or torch.copies[0].place not in TORCH_SHADOWED.situations:
        return
    first = torch.copies[0]
    own = next((copy for copy in torch.copies[1:] if copy.place == "environment"), None)
    is_package = not first.folder.endswith((".py", ".so", ".pyd"))
    if own is None and (is_package or first.place != "working directory"):
        # torch.py in the working directory is no torch, whatever else there is.
        return
    name = first.folder.rpartition("/")[2]
    found = TORCH_SHADOWED.found(
        first.place,
        folder=first.folder, version=first.version, place=first.place, other=_told(own),
        quoted=shlex.quote(first.folder), python=python.executable if python else "python",
        renamed=shlex.quote(first.folder[: -len(name)] + "my_" + name),
    )  # fmt: skip
    # A build of one's own on PYTHONPATH, or the same version twice: it trains, with what is perhaps not meant.
    deliberate = first.place == "PYTHONPATH" or (own is not None and own.version == first.version)
    yield found.at(Severity.WARNING) if deliberate and _fails(loaded) is False else found


def _told(copy: TorchCopy | None) -> str:
    return f"{copy.folder} {copy.version}" if copy else "none"


@check(TORCH_DEBUG)
def torch_debug_build(torch: TorchInstall, python: Python | None) -> Iterable[Finding]:
    """version.py says so."""
    if torch.debug:
        found = TORCH_DEBUG.found(version=torch.version, folder=torch.folder, release=torch.release)
        yield found.mended_by(for_python(found.command, python, torch))


@check(BACKEND_UNAVAILABLE)
def backend_unavailable(torch: TorchImport, host: Host, environment: Environment | None) -> Iterable[Finding]:
    """A CUDA build for Linux without NCCL. An error where a launcher starts several processes, which then need it."""
    if torch.error or not torch.cuda or host.system != "linux" or "nccl" in torch.backends:
        return
    several = any((launch.world_size or 1) > 1 for launch in (launches(environment) if environment else ()))
    found = BACKEND_UNAVAILABLE.found(
        version=torch.version, backend="NCCL" if torch.backends else "torch.distributed",
        backends=", ".join(torch.backends) or "none", cuda=torch.cuda, file=torch.file,
    )  # fmt: skip
    yield found.at(Severity.ERROR) if several else found


@check(BACKEND_UNAVAILABLE)
def unfit_in_a_benchmark(result: AllreduceResult) -> Iterable[Finding]:
    """On whatever nodes; those of one torch together."""
    alike: dict[tuple[str, str, str], dict[str, None]] = {}
    for failure in result.on("torch"):
        if failure.kind in UNFIT:
            member = result.member(failure.member) or Member()
            key = (failure.kind, member.torch, member.python)
            alike.setdefault(key, {})[result.named(failure.member)] = None
    for (kind, version, python), nodes in alike.items():
        found = BACKEND_UNAVAILABLE.found(
            kind, node=hostlist.fold(nodes), version=version or None, python=python or None, asked=CALLS[kind]
        )
        yield replace(found, nodes=tuple(nodes))


@summary
def line(
    torch: TorchInstall | None, loaded: TorchImport | None, python: Python | None
) -> tuple[Text, Mapping[str, Scalar]] | None:
    version = (loaded.version if loaded else "") or (torch.version or torch.dist_version if torch else "")
    if not version:
        return None
    parts = [version]
    cuda, hip = (
        (loaded.cuda, loaded.hip) if loaded and loaded.version else (torch.cuda, torch.hip) if torch else ("", "")
    )
    parts.append(f"CUDA {cuda}" if cuda else f"ROCm {hip}" if hip else "CPU")
    if loaded and loaded.nccl_header:
        parts.append(f"NCCL {loaded.nccl_header}")
    values: dict[str, Scalar] = {"parts": ", ".join(parts), "seconds": loaded.seconds if loaded else None}
    if loaded is None:
        return Text("{parts}, not imported", "{parts}，未导入"), values
    if loaded.error:
        return Text("{parts}, `import torch` fails", "{parts}，`import torch` 失败"), values
    return Text("{parts}, imported in {seconds:.1f} s", "{parts}，导入用时 {seconds:.1f} 秒"), values
