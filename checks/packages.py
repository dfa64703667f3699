"""Do torchvision, torchaudio, numpy and the NVML binding fit the installed torch?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport, TorchInstall
from envdoctor.knowledge.installing import for_python, index_option
from envdoctor.knowledge.torch_builds import companions, official_tag, release, releases
from envdoctor.knowledge.versions import numbers
from envdoctor.model import Scalar

TOPIC = Topic("packages", 80, Text("packages that must fit torch", "须与 torch 匹配的软件包"))

# The first release whose wheels run with numpy 2: PyTorch 2.3 release notes.
FIRST_FOR_NUMPY_2 = (2, 3)
# Nightlies and builds from source pair by commit, not by release.
UNRELEASED = re.compile(r"(a\d|b\d|rc\d|\.?dev\d|git|nv\d)")

TORCHVISION_MISMATCH = Problem(
    code="torchvision-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "torchvision {torchvision} was built for another torch than {torch}",
        "torchvision {torchvision} 并非为 torch {torch} 构建",
    ),
    why=Text(
        "its operators are missing (`operator torchvision::nms does not exist`) or crash",
        "其算子无法注册（`operator torchvision::nms does not exist`）或会崩溃",
    ),
    seen=Text(
        "torchvision {torchvision} in {folder} goes with {wants}",
        "{folder} 中的 torchvision {torchvision} 对应 {wants}",
    ),
    confirm="python -c 'import torchvision; torchvision.ops.nms'",
    caused_by=("torch-shadowed", "torch-cpu-build", "torch-rocm-build"),
    refs=("https://github.com/pytorch/vision#installation",),
    situations={
        "patch": Situation(
            severity=Severity.WARNING,
            why=Text(
                "the same minor release usually works, yet pip reports a conflict and may change torch next time",
                "同一次版本通常可用，但 pip 会报冲突，并可能在下次安装时更换 torch",
            ),
        ),
        "unknown": Situation(
            help=Text(
                "install the torchvision that this torch was released with",
                "请安装与该 torch 同期发布的 torchvision",
            ),
        ),
        "cuda": Situation(
            title=Text(
                "torchvision is a CUDA {torchvision_cuda} build, torch a CUDA {torch_cuda} build",
                "torchvision 为 CUDA {torchvision_cuda} 构建，torch 为 CUDA {torch_cuda} 构建",
            ),
            why=Text("importing torchvision fails", "导入 torchvision 会失败"),
            seen=Text(
                "torchvision {torchvision} in {folder}, torch {torch}",
                "{folder} 中的 torchvision {torchvision}，torch {torch}",
            ),
        ),
        "cpu": Situation(
            severity=Severity.WARNING,
            title=Text(
                "torchvision is a CPU build, torch a CUDA {torch_cuda} build",
                "torchvision 为 CPU 构建，torch 为 CUDA {torch_cuda} 构建",
            ),
            why=Text(
                "its operators do not run on a GPU: `Could not run 'torchvision::nms' ... 'CUDA' backend`",
                "其算子无法在 GPU 上运行：`Could not run 'torchvision::nms' ... 'CUDA' backend`",
            ),
            seen=Text(
                "torchvision {torchvision} in {folder}, torch {torch}",
                "{folder} 中的 torchvision {torchvision}，torch {torch}",
            ),
        ),
    },
)

TORCHAUDIO_MISMATCH = Problem(
    code="torchaudio-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "torchaudio {torchaudio} was built for another torch than {torch}",
        "torchaudio {torchaudio} 并非为 torch {torch} 构建",
    ),
    why=Text(
        "importing it fails with an undefined symbol or a library that does not load",
        "导入时会出现未定义符号或动态库加载失败",
    ),
    seen=Text(
        "torchaudio {torchaudio} in {folder} goes with {wants}", "{folder} 中的 torchaudio {torchaudio} 对应 {wants}"
    ),
    confirm="python -c 'import torchaudio'",
    # What parts both from torch is one thing: torch was installed anew without them.
    caused_by=("torch-shadowed", "torch-cpu-build", "torch-rocm-build", "torchvision-mismatch"),
    situations={
        "patch": Situation(
            severity=Severity.WARNING,
            why=Text(
                "the same minor release usually works, yet pip reports a conflict and may change torch next time",
                "同一次版本通常可用，但 pip 会报冲突，并可能在下次安装时更换 torch",
            ),
        ),
        "unknown": Situation(
            help=Text(
                "install the torchaudio that this torch was released with", "请安装与该 torch 同期发布的 torchaudio"
            ),
        ),
    },
)

NUMPY_ABI = Problem(
    code="numpy-abi",
    severity=Severity.ERROR,
    title=Text(
        "torch {torch} was built for numpy 1, numpy {numpy} is installed",
        "torch {torch} 为 numpy 1 构建，而安装的是 numpy {numpy}",
    ),
    why=Text(
        "tensors and arrays cannot be converted: `RuntimeError: Numpy is not available`",
        "张量与数组之间无法转换：`RuntimeError: Numpy is not available`",
    ),
    seen=Text("numpy {numpy} in {folder}; torch {torch}", "{folder} 中的 numpy {numpy}；torch {torch}"),
    command="pip install 'numpy<2'",
    confirm="python -c 'import torch; torch.zeros(1).numpy()'",
    caused_by=("torch-shadowed",),
    refs=("https://numpy.org/doc/stable/numpy_2_0_migration_guide.html",),
    situations={
        "required": Situation(
            severity=Severity.WARNING,
            title=Text(
                "{package} asks for numpy{wants}, numpy {numpy} is installed",
                "{package} 要求 numpy{wants}，而安装的是 numpy {numpy}",
            ),
            why=Text(
                "compiled modules made for numpy 1 fail to import under numpy 2",
                "为 numpy 1 编译的模块在 numpy 2 下无法导入",
            ),
            seen=Text(
                "{package} {version} in {folder}: `numpy{wants}`", "{folder} 中的 {package} {version}：`numpy{wants}`"
            ),
            command="pip install 'numpy<2'",
        ),
    },
)

PYNVML_DEPRECATED = Problem(
    code="pynvml-deprecated",
    severity=Severity.NOTE,
    title=Text("the deprecated distribution `pynvml` is installed", "安装了已弃用的 `pynvml`"),
    why=Text(
        "torch warns at every import; the module of the same name comes from nvidia-ml-py, and the older one hides it",
        "torch 每次导入都会告警；同名模块应由 nvidia-ml-py 提供，旧版会将其遮盖",
    ),
    seen=Text("pynvml {version} in {folder}", "{folder} 中的 pynvml {version}"),
    command="pip uninstall -y pynvml && pip install --force-reinstall --no-deps nvidia-ml-py",
)


def release_of(version: str) -> tuple[int, ...]:
    """(2, 7, 1) of "2.7.1+cu126"; () of a nightly or a build from source, which pair by commit."""
    return () if UNRELEASED.search(version.partition("+")[0]) else numbers(version)[:3]


def install(name: str, version: str, torch: TorchInstall, python: Python | None) -> str | None:
    """The command that installs a companion of this torch, from the index its build came from."""
    tag = torch.version.partition("+")[2]
    known = release(torch.version)
    elsewhere = tag == "cpu" or (official_tag(torch.version) and known and tag != known.default)
    index = index_option(tag) if elsewhere else ""
    return for_python(f"pip install --no-deps {name}=={version}{index}", python, torch)


def torch_of(companion: str) -> str | None:
    """The torch release that a torchvision or torchaudio release came with, None if unknown."""
    found = next((r.version for r in releases() if companion in (*r.torchvision, r.torchaudio)), None)
    return f"torch {found}" if found else None


def pairing(companion: Distribution, torch: TorchInstall, fitting: tuple[str, ...]) -> tuple[str, str | None] | None:
    """How far a companion is from fitting, "minor" or "patch", and what it goes with; None where it fits.

    Its own exact requirement on torch decides; else the releases that go with this torch, if they are known.
    """
    installed = release_of(torch.release)
    pinned = companion.requirement("torch")
    if not installed or UNRELEASED.search(companion.release):
        return None
    if pinned.startswith("==") and "*" not in pinned:
        wanted = release_of(pinned[2:])
        told: str | None = f"torch {pinned[2:]}"
    elif fitting:
        wanted, installed = release_of(companion.release), release_of(fitting[-1])
        told = torch_of(companion.release)
        if any(release_of(known) == wanted for known in fitting):
            return None
    else:
        return None
    if not wanted or wanted == installed:
        return None
    return ("patch" if wanted[:2] == installed[:2] else "minor"), told


@check(TORCHVISION_MISMATCH)
def torchvision_mismatch(torch: TorchInstall, packages: Packages, python: Python | None) -> Iterable[Finding]:
    """torchvision's own requirement on torch, else the table of releases; then the CUDA of both builds."""
    vision = packages.get("torchvision")
    if vision is None or not torch.release:
        return
    known = companions(torch.release)
    fitting = known[0] if known else ()
    evidence: dict[str, Scalar] = {
        "torchvision": vision.module_version or vision.version,
        "torch": torch.version,
        "folder": vision.folder,
    }
    mend = install("torchvision", fitting[-1], torch, python) if fitting else None
    apart = pairing(vision, torch, fitting)
    if apart is not None:
        kind, wants = apart
        situation = ("patch" if kind == "patch" else None) if fitting else "unknown"
        yield TORCHVISION_MISMATCH.found(situation, **evidence, wants=wants).mended_by(mend)
        return
    built = vision.cuda
    evidence |= {"torch_cuda": torch.cuda or "-", "torchvision_cuda": built}
    if not built or torch.hip or "+" not in torch.version:
        return
    if built == "cpu" and torch.cuda:
        yield TORCHVISION_MISMATCH.found("cpu", **evidence).mended_by(mend)
    elif built != "cpu" and numbers(built)[:1] != numbers(torch.cuda)[:1]:
        # torchvision/extension.py refuses another major version only.
        yield TORCHVISION_MISMATCH.found("cuda", **evidence).mended_by(mend)


@check(TORCHAUDIO_MISMATCH)
def torchaudio_mismatch(torch: TorchInstall, packages: Packages, python: Python | None) -> Iterable[Finding]:
    audio = packages.get("torchaudio")
    if audio is None or not torch.release:
        return
    known = companions(torch.release)
    fitting = (known[1],) if known and known[1] else ()
    apart = pairing(audio, torch, fitting)
    if apart is None:
        return
    kind, wants = apart
    found = TORCHAUDIO_MISMATCH.found(
        ("patch" if kind == "patch" else None) if fitting else "unknown",
        torchaudio=audio.module_version or audio.version,
        torch=torch.version,
        folder=audio.folder,
        wants=wants,
    )
    yield found.mended_by(install("torchaudio", fitting[0], torch, python) if fitting else None)


@check(NUMPY_ABI)
def numpy_abi(
    torch: TorchInstall | None, packages: Packages, imported: TorchImport | None, python: Python | None
) -> Iterable[Finding]:
    """torch before 2.3 under numpy 2; then what others ask of numpy."""
    numpy = packages.get("numpy")
    mend = for_python(NUMPY_ABI.command, python, torch)
    if numpy is None or numbers(numpy.version)[:1] < (2,):
        return
    if torch is not None and (0,) < numbers(torch.release)[:2] < FIRST_FOR_NUMPY_2:
        # conda builds old releases again for new numpy; there only torch itself can tell.
        said = imported is not None and any("_ARRAY_API" in w or "NumPy 1.x" in w for w in imported.warnings)
        found = NUMPY_ABI.found(torch=torch.version, numpy=numpy.version, folder=numpy.folder).mended_by(mend)
        if said or torch.installer != "conda":
            yield found
        elif imported is None:
            yield found.at(Severity.NOTE)
        return
    for package in packages.distributions:
        wants = package.requirement("numpy")
        upper = re.search(r"<\s*(\d+)(?:\.0)*(?:a0|\.dev0)?(?:,|$)", wants)
        if upper and int(upper.group(1)) <= 2:
            yield NUMPY_ABI.found(
                "required",
                package=package.name,
                version=package.version,
                wants=wants,
                numpy=numpy.version,
                folder=package.folder,
            ).mended_by(mend)


@check(PYNVML_DEPRECATED)
def pynvml_deprecated(packages: Packages, python: Python | None, torch: TorchInstall | None) -> Iterable[Finding]:
    found = packages.get("pynvml")
    if found is not None:
        mend = for_python(PYNVML_DEPRECATED.command, python, torch)
        yield PYNVML_DEPRECATED.found(version=found.version, folder=found.folder).mended_by(mend)


@summary
def line(packages: Packages) -> tuple[Text, Mapping[str, Scalar]] | None:
    named = [packages.get(name) for name in ("torchvision", "torchaudio", "numpy", "triton")]
    shown = ", ".join(f"{found.name} {found.version}" for found in named if found)
    if not shown:
        return Text("{count} {count:distribution|distributions}", "{count} 个软件包"), {"count": packages.count}
    return Text("{shown}; {count} {count:distribution|distributions}", "{shown}；共 {count} 个软件包"), {
        "shown": shown,
        "count": packages.count,
    }
