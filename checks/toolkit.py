"""If an extension has to be compiled here: do toolkit, torch and host compiler fit together?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.asked import Asked
from envdoctor.facts.packages import Packages
from envdoctor.facts.toolkit import Toolkit
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.host_compilers import newest
from envdoctor.knowledge.versions import numbers
from envdoctor.model import Scalar

TOPIC = Topic("toolkit", 88, Text("CUDA toolkit and compilers for extensions", "编译扩展所用的 CUDA 工具包与编译器"))

# They compile CUDA code when they are used.
COMPILE_LATER = ("deepspeed", "flashinfer-python", "megatron-core")

CUDA_HOME_MISSING = Problem(
    code="cuda-home-missing",
    severity=Severity.WARNING,
    title=Text("no CUDA toolkit is found, which compiling an extension needs", "未找到编译扩展所需的 CUDA 工具包"),
    why=Text(
        "builds stop with `CUDA_HOME environment variable is not set`; torch itself runs without a toolkit",
        "构建会因 `CUDA_HOME environment variable is not set` 而中止；torch 本身无需工具包即可运行",
    ),
    seen=Text(
        "no nvcc through CUDA_HOME, CUDA_PATH, PATH or /usr/local/cuda; {reason}",
        "CUDA_HOME、CUDA_PATH、PATH 与 /usr/local/cuda 中均无 nvcc；{reason}",
    ),
    help=Text(
        "install the toolkit of CUDA {cuda}, start from an image with `-devel` in its name, or take a prebuilt wheel",
        "请安装 CUDA {cuda} 工具包、使用名称含 `-devel` 的镜像，或选用预编译的 wheel",
    ),
    command="conda install -c nvidia cuda-nvcc={cuda} cuda-cudart-dev={cuda}",
    confirm="nvcc --version",
    situations={
        "elsewhere": Situation(
            seen=Text(
                "no nvcc through CUDA_HOME, CUDA_PATH or PATH; there is one in {root}; {reason}",
                "CUDA_HOME、CUDA_PATH 与 PATH 中均无 nvcc；{root} 中有一个；{reason}",
            ),
            command="export CUDA_HOME={root}",
        ),
        "wrong": Situation(
            title=Text("{variable}={value} holds no nvcc", "{variable}={value} 中没有 nvcc"),
            seen=Text("there is no {value}/bin/nvcc", "{value}/bin/nvcc 不存在"),
            command="unset {variable}",
        ),
    },
)

CUDA_HOME_MISMATCH = Problem(
    code="cuda-home-mismatch",
    severity=Severity.WARNING,
    title=Text(
        "the toolkit that would compile extensions is CUDA {nvcc_version}, torch is a CUDA {cuda} build",
        "编译扩展所用的工具包为 CUDA {nvcc_version}，而 torch 为 CUDA {cuda} 构建",
    ),
    why=Text(
        "builds stop: `The detected CUDA version ({nvcc_version}) mismatches the version that was used to compile "
        "PyTorch`; torch itself is not affected",
        "构建会中止：`The detected CUDA version ({nvcc_version}) mismatches the version that was used to compile "
        "PyTorch`；torch 本身不受影响",
    ),
    seen=Text("{nvcc}, found through {source}", "{nvcc}，经由 {source} 找到"),
    help=Text(
        "use a toolkit of the same major version as torch, {cuda}; another minor version will do",
        "请使用与 torch（{cuda}）主版本相同的工具包；次版本不同不要紧",
    ),
    command="conda install -c nvidia cuda-nvcc={cuda} cuda-cudart-dev={cuda}",
    confirm="nvcc --version; python -c 'import torch; print(torch.version.cuda)'",
    situations={"other": Situation(command="export CUDA_HOME={other}")},
)

COMPILER_TOO_NEW = Problem(
    code="compiler-too-new",
    severity=Severity.WARNING,
    title=Text(
        "{kind} {version} is newer than the nvcc of CUDA {nvcc_version} accepts ({newest})",
        "{kind} {version} 比 CUDA {nvcc_version} 的 nvcc 所支持的（{newest}）新",
    ),
    why=Text(
        "builds stop with `unsupported GNU version` or `greater than the maximum required version`",
        "构建会因 `unsupported GNU version` 或 `greater than the maximum required version` 而中止",
    ),
    seen=Text("{path}; {nvcc} accepts up to {newest} ({source})", "{path}；{nvcc} 最高支持 {newest}（{source}）"),
    help=Text(
        "install the older compiler beside the newer one and name it when building",
        "请并存安装较旧的编译器，并在构建时指定它",
    ),
    command="CC=gcc-{newest} CXX=g++-{newest} NVCC_PREPEND_FLAGS='-ccbin g++-{newest}' pip install ...",
    confirm="{path} --version",
    situations={"clang": Situation(command="CC=clang-{newest} CXX=clang++-{newest} pip install ...")},
)


def _asked_for(asked: Asked | None, code: str) -> bool:
    return asked is not None and bool({code, "toolkit"} & set(asked.topics))


def _compiles_later(packages: Packages | None) -> str:
    """An installed package that compiles CUDA code when it is used, empty if there is none."""
    found = [packages.get(name) for name in COMPILE_LATER] if packages else []
    return next((package.name for package in found if package), "")


def _severity(asked: Asked | None, code: str, likely: bool) -> Severity:
    """Only who compiles is hurt: an error if asked for, a warning if it is likely, else worth knowing."""
    return Severity.ERROR if _asked_for(asked, code) else Severity.WARNING if likely else Severity.NOTE


@check(CUDA_HOME_MISSING)
def cuda_home_missing(
    toolkit: Toolkit, torch: TorchInstall, packages: Packages | None, asked: Asked | None
) -> Iterable[Finding]:
    """Where torch.utils.cpp_extension would find no toolkit."""
    if not torch.cuda or toolkit.used is not None:
        return
    later = _compiles_later(packages)
    evidence: dict[str, Scalar] = {"cuda": ".".join(torch.cuda.split(".")[:2]), "reason": later or "-"}
    if toolkit.cuda_home:
        found = CUDA_HOME_MISSING.found("wrong", **evidence, variable=toolkit.cuda_home_source, value=toolkit.cuda_home)
    elif toolkit.toolkits:
        built = numbers(torch.cuda)[:1]
        other = next((one for one in toolkit.toolkits if numbers(one.version)[:1] == built), None)
        found = CUDA_HOME_MISSING.found("elsewhere", **evidence, root=(other or toolkit.toolkits[0]).root)
        # One of another major version would be refused: only the root is told then.
        found = found.fixed_by("cuda-path", "--toolkit", other.root) if other else found
    else:
        found = CUDA_HOME_MISSING.found(**evidence)
    yield found.at(Severity.WARNING if later or _asked_for(asked, "cuda-home-missing") else Severity.NOTE)


@check(CUDA_HOME_MISMATCH)
def cuda_home_mismatch(
    toolkit: Toolkit, torch: TorchInstall, packages: Packages | None, asked: Asked | None
) -> Iterable[Finding]:
    """Another major version; torch's build only warns of another minor one.

    A module or an image often brings another toolkit than torch's, and nothing is compiled with it.
    """
    used = toolkit.used
    built = numbers(torch.cuda)
    if used is None or used.major is None or not built or used.major == built[0]:
        return
    other = next((found for found in toolkit.toolkits if found.major == built[0]), None)
    mismatch = CUDA_HOME_MISMATCH.found(
        "other" if other else None,
        nvcc=used.nvcc,
        nvcc_version=used.version,
        source=used.source,
        cuda=".".join(torch.cuda.split(".")[:2]),
        other=other.root if other else None,
    ).at(_severity(asked, "cuda-home-mismatch", bool(_compiles_later(packages))))
    yield mismatch.fixed_by("cuda-path", "--toolkit", other.root) if other else mismatch


@check(COMPILER_TOO_NEW)
def compiler_too_new(
    toolkit: Toolkit, torch: TorchInstall, packages: Packages | None, asked: Asked | None
) -> Iterable[Finding]:
    """The C++ compiler against what the toolkit's own header accepts, else against the table.

    A toolkit of another major version than torch is not one to build with, whatever the compiler.
    """
    used, compiler = toolkit.used, toolkit.cxx
    if used is None or compiler.major is None or compiler.kind not in ("gcc", "clang"):
        return
    if used.major is None or (used.major,) != numbers(torch.cuda)[:1]:
        return
    own = used.newest_gcc if compiler.kind == "gcc" else used.newest_clang
    most = own or newest(used.version, compiler.kind)
    if most is not None and compiler.major > most:
        yield COMPILER_TOO_NEW.found(
            "clang" if compiler.kind == "clang" else None,
            kind=compiler.kind,
            version=compiler.version,
            path=compiler.path,
            nvcc=used.nvcc,
            nvcc_version=used.version,
            newest=most,
            source="crt/host_config.h" if own else "torch/utils/cpp_extension.py",
        ).at(_severity(asked, "compiler-too-new", bool(_compiles_later(packages))))


@summary
def line(toolkit: Toolkit) -> tuple[Text, Mapping[str, Scalar]] | None:
    used, compiler = toolkit.used, toolkit.cxx
    built = f"{compiler.kind or compiler.command} {compiler.version}".strip() if compiler.path else ""
    if used is None:
        return Text("no toolkit; {compiler}", "无工具包；{compiler}"), {"compiler": built or "no compiler"}
    return Text("CUDA {cuda} in {root}; {compiler}", "CUDA {cuda}，位于 {root}；{compiler}"), {
        "cuda": used.version or None,
        "root": used.root,
        "compiler": built or "-",
    }
