"""Does the target Python start, whole, and in the environment that is meant?"""

from __future__ import annotations

import os.path
import re
import shlex
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.autopsy import ImportAutopsy
from envdoctor.facts.environment import Environment
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport
from envdoctor.model import Scalar

TOPIC = Topic("python", 60, Text("the Python under examination", "被检查的 Python"))

VENV_BROKEN = Problem(
    code="venv-broken",
    severity=Severity.ERROR,
    title=Text("the venv {venv} has lost the Python it was made from", "venv {venv} 所依赖的基础 Python 已不存在"),
    why=Text(
        "no program of this environment starts, neither Python nor pip nor torchrun",
        "该环境中的任何程序（Python、pip、torchrun）都无法启动",
    ),
    seen=Text(
        "{executable}: {failure}\nhome = {home}, version {made_with} ({venv}/pyvenv.cfg)",
        "{executable}：{failure}\nhome = {home}，版本 {made_with}（{venv}/pyvenv.cfg）",
    ),
    command="rm {folder}/bin/python* && python{minor} -m venv --upgrade {folder}",
    help=Text(
        "this puts the venv on another Python {minor} and keeps its packages; if the machine has none, install one "
        "(`uv python install {minor}`, the system's package manager, conda) or make the venv anew",
        "以上命令让 venv 改用另一个 Python {minor}，并保留已装的包；若系统中没有，请先安装"
        "（`uv python install {minor}`、系统包管理器或 conda），或重建 venv",
    ),
    confirm="ls -l {folder}/bin/ && cat {folder}/pyvenv.cfg",
    refs=("https://docs.python.org/3/library/venv.html",),
    situations={
        "upgraded": Situation(
            title=Text(
                "the venv {venv} was made with Python {made_with} and now runs {version}",
                "venv {venv} 由 Python {made_with} 创建，现在运行的却是 {version}",
            ),
            why=Text(
                "its packages lie in lib/python{minor}, where Python {version} does not look: torch is not found",
                "其中的包在 lib/python{minor} 下，Python {version} 不会到那里查找：找不到 torch",
            ),
            seen=Text(
                "{executable} says {version}\nversion {made_with}, home = {home} ({venv}/pyvenv.cfg)",
                "{executable} 的版本为 {version}\n版本 {made_with}，home = {home}（{venv}/pyvenv.cfg）",
            ),
        ),
    },
)

VENV_MOVED = Problem(
    code="venv-moved",
    severity=Severity.WARNING,
    title=Text(
        "the venv {venv} was moved or copied: its programs run {named}",
        "venv {venv} 被移动或复制过：其中的程序运行的是 {named}",
    ),
    why=Text(
        "`pip` installs into the other place, and `torchrun` trains with what is there",
        "`pip` 会装到那一处，`torchrun` 也会用那里的环境训练",
    ),
    seen=Text("first line of {folder}/bin/pip or torchrun: {named}", "{folder}/bin/pip 或 torchrun 的首行：{named}"),
    command="grep -lI '^#!{named}' {folder}/bin/* | xargs sed -i '1s|^#!.*|#!{folder}/bin/python|'",
    help=Text(
        "or make it anew at its place; `python -m pip` and `python -m torch.distributed.run` work meanwhile",
        "也可以在当前位置重建；在此之前可用 `python -m pip` 与 `python -m torch.distributed.run`",
    ),
    confirm="head -1 {folder}/bin/pip",
    situations={
        "gone": Situation(
            why=Text(
                "`pip`, `torchrun` and `accelerate` of this environment do not start: bad interpreter",
                "该环境中的 `pip`、`torchrun`、`accelerate` 都无法启动：bad interpreter",
            ),
            severity=Severity.ERROR,
        ),
    },
)

NOT_STARTING = Problem(
    code="python-does-not-start",
    severity=Severity.ERROR,
    title=Text("{executable} does not start", "{executable} 无法启动"),
    why=Text("nothing can be trained with this Python", "无法用这个 Python 进行训练"),
    seen=Text("it says: {failure}", "它的输出：{failure}"),
    confirm="{executable} -V",
    caused_by=("venv-broken", "python-unsupported", "filesystem-hangs"),
    situations={
        "absent": Situation(title=Text("there is no Python at {executable}", "{executable} 处没有 Python")),
        "active": Situation(
            title=Text("the active venv {active} holds no Python any more", "当前激活的 venv {active} 中已没有 Python"),
            seen=Text(
                "VIRTUAL_ENV={active}; {executable} says: {failure}",
                "VIRTUAL_ENV={active}；{executable} 报错：{failure}",
            ),
            command="unset VIRTUAL_ENV",
            help=Text(
                "or `deactivate` in the shell that has activated it; then activate another one, "
                "or make it again: `python3 -m venv {quoted_active}`",
                "在激活它的终端中也可用 `deactivate`；然后激活另一个环境，"
                "或用 `python3 -m venv {quoted_active}` 重新创建",
            ),
        ),
        "dangling": Situation(
            title=Text("{executable} is a link to {about}, which is gone", "{executable} 链接到 {about}，后者已不存在"),
        ),
        "denied": Situation(
            title=Text("{executable} may not be executed", "没有执行 {executable} 的权限"),
            command="chmod +x {quoted}",
            help=Text(
                "if it is executable already, its file system is mounted noexec or a folder above it is closed to you",
                "若已有执行权限，则可能是文件系统以 noexec 挂载，或上级目录不允许访问",
            ),
        ),
        "foreign": Situation(
            title=Text(
                "{executable} is built for {about}, not for this machine",
                "{executable} 是为 {about} 架构编译的，与本机不符",
            ),
        ),
        "library": Situation(
            title=Text("{executable} lacks the shared library {about}", "{executable} 缺少共享库 {about}"),
        ),
        "stdlib": Situation(
            title=Text("{executable} does not find its standard library", "{executable} 找不到自己的标准库"),
            help=Text(
                "its installation was removed in part or moved, or PYTHONHOME points elsewhere",
                "安装目录被部分删除或移动过，或 PYTHONHOME 指向了别处",
            ),
        ),
        "too-old": Situation(
            title=Text(
                "{executable} is Python {version}, too old to be examined and for any torch of today",
                "{executable} 是 Python {version}，版本过旧，无法检查，也装不了现在的 torch",
            ),
        ),
        "silent": Situation(
            title=Text("{executable} hangs while it starts ({about})", "{executable} 在启动时卡住（{about}）"),
            help=Text(
                "a start-up file (sitecustomize, usercustomize, a .pth file) or a file system does not come back; "
                "`{quoted} -X importtime -c pass` shows how far it gets, `-S` leaves those files out",
                "启动文件（sitecustomize、usercustomize 或 .pth）或文件系统没有响应；"
                "`{quoted} -X importtime -c pass` 可看到进行到哪一步，`-S` 可跳过这些文件",
            ),
        ),
        "hung": Situation(
            title=Text(
                "{executable} lies on a file system that does not answer", "{executable} 所在的文件系统没有应答"
            ),
            help=Text(
                "is its server reachable from this node? Another Python of this node has looked at all else",
                "请确认本节点能否到达其服务器；其余部分已由本节点的另一个 Python 检查",
            ),
            look="timeout -s KILL 5 {quoted} -V",
        ),
        "startup": Situation(
            title=Text("{executable} ends while it starts, in {about}", "{executable} 在启动过程中退出，位置：{about}"),
        ),
        "stub": Situation(
            title=Text(
                "{executable} is the stub of the Windows store, not a Python",
                "{executable} 只是 Windows 应用商店的占位程序",
            ),
            command="winget install Python.Python.3.12",
        ),
    },
)

STARTUP_NOISE = Problem(
    code="python-startup-noise",
    severity=Severity.NOTE,
    title=Text("a start-up file of this Python prints: {said}", "此 Python 的启动文件有输出：{said}"),
    why=Text(
        "every process of a job prints it, and programs that read Python's output are misled",
        "作业的每个进程都会输出它，读取 Python 输出的程序会被误导",
    ),
    seen=Text("printed before anything is imported: {said}", "在导入任何模块之前输出：{said}"),
    help=Text(
        "sitecustomize, usercustomize or a .pth file of site-packages: `{quoted} -v -c pass` shows which are run",
        "来源是 sitecustomize、usercustomize 或 site-packages 中的 .pth：`{quoted} -v -c pass` 可看到运行了哪些",
    ),
    confirm="{quoted} -c pass",
    situations={
        "raises": Situation(
            title=Text("a start-up file of this Python raises: {said}", "此 Python 的启动文件出错：{said}"),
            why=Text(
                "what it was to set up (coverage, an environment's hooks) is not in effect, in every process",
                "它本应完成的设置（coverage、环境的钩子等）在所有进程中都不生效",
            ),
            severity=Severity.WARNING,
        ),
    },
)

HOME_SET = Problem(
    code="python-home-set",
    severity=Severity.WARNING,
    title=Text(
        "PYTHONHOME is set to {home}, not this Python's own folder",
        "PYTHONHOME 被设为 {home}，并非此 Python 自己的目录",
    ),
    why=Text(
        "this Python takes its standard library from there: it does not start, or loads modules of another version",
        "Python 会从那里加载标准库：要么无法启动，要么加载了其他版本的模块",
    ),
    seen=Text("PYTHONHOME={home}; {executable} belongs to {base}", "PYTHONHOME={home}；{executable} 属于 {base}"),
    command="unset PYTHONHOME",
    confirm="env | grep PYTHONHOME",
    situations={
        "fails": Situation(
            title=Text(
                "PYTHONHOME={home} keeps Python from its own modules", "PYTHONHOME={home} 使 Python 找不到自己的模块"
            ),
            severity=Severity.ERROR,
        )
    },
)

SSL_MISSING = Problem(
    code="python-ssl-missing",
    severity=Severity.ERROR,
    title=Text("{executable} has no ssl module", "{executable} 没有 ssl 模块"),
    why=Text(
        "pip cannot use https and no package, model or data set can be downloaded",
        "pip 无法使用 https，包、模型与数据集都下载不了",
    ),
    seen=Text("`import ssl` says: {error}", "`import ssl` 报错：{error}"),
    help=Text(
        "this Python was built without OpenSSL, or its libssl is gone: install the OpenSSL headers and build it again, "
        "or take a Python that has it (`uv python install {minor}`)",
        "此 Python 编译时没有 OpenSSL，或其 libssl 已被删除：请安装 OpenSSL 开发文件后重新编译，"
        "或改用带 ssl 的 Python（`uv python install {minor}`）",
    ),
    confirm="{executable} -c 'import ssl; print(ssl.OPENSSL_VERSION)'",
    caused_by=("venv-broken",),
    situations={
        "pyenv": Situation(
            command="pyenv install --force {version}",
            help=Text(
                "first the OpenSSL headers, such as `apt-get install libssl-dev` or `yum install openssl-devel`",
                "先安装 OpenSSL 开发文件，例如 `apt-get install libssl-dev` 或 `yum install openssl-devel`",
            ),
        ),
        "conda": Situation(
            command="conda install -p {prefix} --force-reinstall openssl python={version}",
            help=Text("conda's own openssl is damaged or was replaced", "conda 自带的 openssl 已损坏或被替换"),
        ),
    },
)

OTHER_ON_PATH = Problem(
    code="environment-not-on-path",
    severity=Severity.NOTE,
    title=Text(
        "`python` on PATH is {on_path}, not that of the active environment",
        "PATH 中的 `python` 是 {on_path}，不属于当前激活的环境",
    ),
    why=Text(
        "a script started with `python` or `torchrun` runs in another environment than {variable} names",
        "用 `python` 或 `torchrun` 启动的脚本，运行环境与 {variable} 所指的不同",
    ),
    seen=Text("{variable}={folder}\npython on PATH: {on_path}", "{variable}={folder}\nPATH 中的 python：{on_path}"),
    help=Text("activate the environment again, last of all", "最后再激活一次该环境"),
    confirm="type -a python",
)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


@check(VENV_BROKEN, NOT_STARTING)
def python_does_not_start(python: Python, environment: Environment | None) -> Iterable[Finding]:
    """The interpreter says nothing, or its venv runs on another minor version than its packages were installed for."""
    evidence: dict[str, Scalar] = {
        "executable": python.executable,
        "quoted": shlex.quote(python.executable),
        "folder": shlex.quote(python.venv),
        "venv": python.venv,
        "home": python.venv_home,
        "made_with": python.venv_version,
        "version": python.version,
    }
    if python.failure:
        said = python.failure.partition("\n")[0] if python.failure_kind == "silent" else _last_line(python.failure)
        evidence.update(failure=said, about=python.failure_about or "?")
        if python.venv and python.failure_kind in ("dangling", "library", "stdlib"):
            minor = next(iter(python.venv_packages_of), "") or _minor(python.venv_version) or "3"
            yield VENV_BROKEN.found(**evidence, minor=minor)
        else:
            kind = python.failure_kind
            active = environment.get("VIRTUAL_ENV") if environment is not None else None
            if kind == "absent" and active and python.executable.startswith(active.rstrip("/") + "/"):
                kind = "active"
                evidence.update(active=active, quoted_active=shlex.quote(active))
            yield NOT_STARTING.found(kind if kind in NOT_STARTING.situations else None, **evidence)
        return
    made_with = _minor(python.venv_version)
    # A venv may hold packages for both versions; one that never held any has lost nothing.
    lost = made_with in python.venv_packages_of and _minor(python.version) not in python.venv_packages_of
    if python.venv and made_with and lost:
        yield VENV_BROKEN.found("upgraded", **evidence, minor=made_with)


@check(VENV_MOVED)
def venv_moved(python: Python) -> Iterable[Finding]:
    """The programs of the venv name an interpreter in another folder."""
    named = python.scripts_python
    if not python.venv or not named or os.path.dirname(named) == os.path.join(python.venv, "bin"):
        return
    yield VENV_MOVED.found(
        None if python.scripts_python_exists else "gone", venv=python.venv, folder=shlex.quote(python.venv), named=named
    )


@check(HOME_SET)
def python_home_set(
    python: Python, environment: Environment, torch: TorchImport | Missing, autopsy: ImportAutopsy | None
) -> Iterable[Finding]:
    """PYTHONHOME names another folder than the interpreter's own."""
    home = environment.get("PYTHONHOME")
    if not home or python.failure:
        return
    evidence: dict[str, Scalar] = {"home": home, "executable": python.executable, "base": python.base_prefix}
    said = torch.detail if isinstance(torch, Missing) else ""
    proven = autopsy is not None and autopsy.cure is not None and autopsy.cure.change == "PYTHONHOME"
    if proven or "encodings" in said or "init_fs_encoding" in said or "SRE module mismatch" in said:
        yield HOME_SET.found("fails", **evidence)
    elif os.path.normpath(home.partition(":")[0]) not in (python.base_prefix, python.prefix):
        yield HOME_SET.found(**evidence)


@check(STARTUP_NOISE)
def python_startup_noise(torch: TorchImport, python: Python) -> Iterable[Finding]:
    """The interpreter printed before anything was imported; an error in a start-up file it reports and goes on."""
    if torch.startup:
        raises = any(re.match(r"Error (in|processing) ", line) for line in torch.startup)
        errors = [line for line in torch.startup if re.match(r"\s*\w[\w.]*(Error|Exception|Exit|Interrupt)\b", line)]
        said = errors[-1] if errors else torch.startup[0]
        yield STARTUP_NOISE.found(
            "raises" if raises else None, said=said.strip()[:200], quoted=shlex.quote(python.executable)
        )


@check(SSL_MISSING)
def python_ssl_missing(python: Python) -> Iterable[Finding]:
    """The compiled half of the ssl module cannot be imported."""
    if not python.ssl_error:
        return
    kind = "pyenv" if "/.pyenv/" in python.base_prefix + "/" else "conda" if python.conda else None
    yield SSL_MISSING.found(
        kind, executable=python.executable, error=python.ssl_error, version=python.version,
        minor=_minor(python.version), prefix=python.conda,
    )  # fmt: skip


@check(OTHER_ON_PATH)
def environment_not_on_path(python: Python, environment: Environment) -> Iterable[Finding]:
    """VIRTUAL_ENV or CONDA_PREFIX names an environment with a Python, and PATH finds another one first."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        folder = environment.get(variable)
        if not folder or folder not in (python.prefix, python.venv, python.conda):
            continue
        if python.on_path and not python.on_path.startswith(folder.rstrip("/") + "/"):
            yield OTHER_ON_PATH.found(variable=variable, folder=folder, on_path=python.on_path)
        return


@summary
def line(python: Python) -> tuple[Text, Mapping[str, Scalar]] | None:
    if python.failure:
        return Text("{executable} does not start", "{executable} 无法启动"), {"executable": python.executable}
    values = {"version": python.version, "tag": python.tag, "place": python.venv or python.conda}
    if python.venv:
        return Text("{version} ({tag}) in the venv {place}", "{version}（{tag}），venv {place}"), values
    if python.conda:
        return Text(
            "{version} ({tag}) in the conda environment {place}", "{version}（{tag}），conda 环境 {place}"
        ), values
    return Text("{version} ({tag})", "{version}（{tag}）"), values
