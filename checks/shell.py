"""Do the shell's start-up files set up conda, CUDA and modules as they are installed?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Text, Topic, check, summary
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.facts.shell_files import ShellFiles, ShellLine
from envdoctor.model import Scalar

TOPIC = Topic("shell", 400, Text("shell start-up files", "shell 启动文件"))

CONDA_OTHER_SHELL = Problem(
    code="conda-other-shell",
    severity=Severity.WARNING,
    title=Text(
        "conda is set up for another shell than {shell}, the login shell",
        "conda 只为其他 shell 做了初始化，而登录 shell 是 {shell}",
    ),
    why=Text(
        "`conda activate` fails with `command not found`, and scripts run with another Python",
        "`conda activate` 会报 `command not found`，脚本会用另一个 Python 运行",
    ),
    seen=Text(
        "SHELL is {shell}; conda in {root} is initialised in {file}:{line}; PATH has no conda",
        "SHELL 为 {shell}；{root} 中的 conda 在 {file}:{line} 初始化；PATH 中没有 conda",
    ),
    help=Text("then open a new shell", "然后重新打开 shell"),
    command="{quoted}/bin/conda init {shell}",
    confirm="type conda",
)

CUDA_NOT_ON_PATH = Problem(
    code="cuda-not-on-path",
    severity=Severity.NOTE,
    title=Text("the CUDA toolkit in {toolkit} is not on PATH", "PATH 中没有 {toolkit} 的 CUDA 工具包"),
    why=Text(
        "extensions that are compiled on installation do not find nvcc; torch itself needs none",
        "安装时需要编译的扩展找不到 nvcc；torch 本身并不需要它",
    ),
    seen=Text(
        "{toolkit}/bin/nvcc exists; PATH has no nvcc, CUDA_HOME is not set",
        "{toolkit}/bin/nvcc 存在；PATH 中没有 nvcc，CUDA_HOME 未设置",
    ),
    command="export CUDA_HOME={toolkit} PATH={toolkit}/bin:$PATH",
    confirm="command -v nvcc",
)

SHELL_PATH_STALE = Problem(
    code="shell-path-stale",
    severity=Severity.WARNING,
    title=Text(
        "{name} is set to {folder}, which no longer exists",
        "{name} 指向已不存在的 {folder}",
    ),
    why=Text(
        "builds and libraries are looked for where nothing is, and others are found by accident",
        "编译与加载库时会到空目录中查找，并可能误用其他版本",
    ),
    seen=Text("{file}:{line}: {name}={value}", "{file} 第 {line} 行：{name}={value}"),
    help=Text("correct or delete the line", "请更正或删除该行"),
    look="sed -n '{line}p' {quoted_file}",
    confirm="ls -d FOLDER",
)

MODULE_NOT_LOADED = Problem(
    code="module-not-loaded",
    severity=Severity.NOTE,
    title=Text(
        "this cluster offers {what} as a module, and none is loaded",
        "本集群以 module 形式提供 {what}，但尚未加载",
    ),
    why=Text(
        "what the job script loads is missing in this shell, or the script forgets it too",
        "作业脚本中加载的软件在当前 shell 中缺失，或者脚本本身也漏了加载",
    ),
    seen=Text(
        "MODULEPATH offers {modules}; LOADEDMODULES has none of them",
        "MODULEPATH 中有 {modules}；LOADEDMODULES 中均未加载",
    ),
    command="module load {quoted}",
    confirm="module list",
)

# What a module brings, the program that shows it is there already, and the names of its modules.
KINDS = (
    ("conda", ("conda", "miniconda", "anaconda", "miniforge", "mamba")),
    ("CUDA", ("cuda", "cudatoolkit", "nvhpc")),
)


@check(CONDA_OTHER_SHELL)
def conda_other_shell(shell: ShellFiles, environment: Environment) -> Iterable[Finding]:
    """`conda init` was run under bash, say, and the user has zsh. Beside a venv in use it is a note."""
    if shell.shell not in ("bash", "zsh", "fish") or shell.conda or environment.get("CONDA_PREFIX"):
        return
    elsewhere = shell.sets_up_conda()
    if elsewhere is None or not shell.conda_roots or shell.sets_up_conda(shell.shell):
        return
    finding = CONDA_OTHER_SHELL.found(
        root=shell.conda_roots[0],
        quoted=shlex.quote(shell.conda_roots[0]),
        shell=shell.shell,
        file=elsewhere.file,
        line=elsewhere.line,
    )
    finding = finding.fixed_by("conda-path", "--root", shell.conda_roots[0])
    yield finding.at(Severity.NOTE) if environment.get("VIRTUAL_ENV") else finding


@check(CUDA_NOT_ON_PATH)
def cuda_not_on_path(shell: ShellFiles, environment: Environment, python: Python | None) -> Iterable[Finding]:
    """The newest toolkit; torch's wheels bring their own libraries, so this is a note.

    In a conda environment `fix cuda-path` leaves PATH as it is, so there the command to paste stays.
    """
    if not shell.toolkits or shell.nvcc or environment.get("CUDA_HOME") or environment.get("CUDA_PATH"):
        return
    toolkit = max(shell.toolkits, key=_release)
    finding = CUDA_NOT_ON_PATH.found(toolkit=toolkit)
    in_conda = python is not None and bool(python.conda)
    yield finding if in_conda else finding.fixed_by("cuda-path", "--toolkit", toolkit)


def _release(toolkit: str) -> tuple[int, ...]:
    return tuple(int(part) for part in toolkit.rpartition("-")[2].split(".") if part.isdigit())


def _in_force(shell: ShellFiles) -> Iterable[ShellLine]:
    """The settings of the user's own shell in files that the user owns."""
    for file in shell.files:
        if file.shell in (shell.shell, "bash" if not shell.shell else "") and file.path.startswith(shell.home + "/"):
            yield from (line for line in file.lines if line.kind == "setting")


@check(SHELL_PATH_STALE)
def shell_path_stale(shell: ShellFiles) -> Iterable[Finding]:
    """CUDA_HOME and LD_LIBRARY_PATH lead builds and the loader astray; a dead entry of PATH does no harm."""
    for line in _in_force(shell):
        gone = [folder for folder in line.missing if line.name != "PATH" or "cuda" in folder or "conda" in folder]
        if not gone:
            continue
        finding = SHELL_PATH_STALE.found(
            name=line.name,
            folder=gone[0],
            file=line.file,
            line=line.line,
            value=line.value,
            quoted_file=shlex.quote(line.file),
        )
        # Of a list one folder is gone; of these the whole value.
        whole = line.name in ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT")
        yield finding.fixed_by("env", f"{line.name}=") if whole else finding.at(Severity.NOTE)


@check(MODULE_NOT_LOADED)
def module_not_loaded(shell: ShellFiles, host: Host) -> Iterable[Finding]:
    """Offered, not loaded, and the program it brings is not there by other means."""
    loaded = {module.partition("/")[0].lower() for module in host.modules}
    for what, names in KINDS:
        offered = [module for module in shell.modules if module.partition("/")[0].lower() in names]
        there = shell.conda if what == "conda" else shell.nvcc
        if offered and not there and loaded.isdisjoint(names):
            yield MODULE_NOT_LOADED.found(what=what, modules=", ".join(offered[:5]), quoted=shlex.quote(offered[-1]))


@summary
def line(shell: ShellFiles) -> tuple[Text, Mapping[str, Scalar]] | None:
    if not shell.files:
        return Text("no start-up files", "没有启动文件"), {}
    if not shell.shell:  # in a container, and in what a service starts
        return Text("{count} start-up {count:file|files}", "{count} 个启动文件"), {"count": len(shell.files)}
    return Text("{shell}, {count} start-up {count:file|files}", "{shell}，{count} 个启动文件"), {
        "shell": shell.shell,
        "count": len(shell.files),
    }
