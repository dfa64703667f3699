"""`envdoctor fix env NAME=VALUE`: a variable for every new shell of the user's, or none any more."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envdoctor import Files, Option, Plan, Remark, Said, Text, Topic, UsageError, fix, said
from envdoctor.edits import exports, job_words, shell_effect, shell_words, start_up
from envdoctor.facts.environment import is_secret
from envdoctor.facts.host import Host
from envdoctor.facts.nccl import nccl_version
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import nccl_variables

TOPIC = Topic("shell", 402, Text("environment variables in start-up files", "启动文件中的环境变量"))

LISTS = {"PATH": "cuda-path", "LD_LIBRARY_PATH": "library-path"}


def _assigned(words: tuple[str, ...]) -> dict[str, str | None]:
    if not words:
        raise UsageError(
            "name what to set: `envdoctor fix env NAME=VALUE`; `NAME=` takes a variable out",
            "请指定要设置的变量：`envdoctor fix env NAME=VALUE`；`NAME=` 则移除该变量",
        )
    values: dict[str, str | None] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(
                f"{word!r} is no NAME=VALUE; `{word}=` takes a variable out of the start-up files",
                f"{word!r} 不是 NAME=VALUE 的形式；`{word}=` 可从启动文件中移除该变量",
            )
        if not shell_words.NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a variable: letters, digits and _, not beginning with a digit",
                f"{name!r} 不是合法的变量名：只能含字母、数字和 _，且不能以数字开头",
            )
        values[name] = value or None
    return values


def _refuse(name: str, value: str, torch: TorchInstall | None) -> None:
    """Raise UsageError for what would do harm."""
    if is_secret(name):
        raise UsageError(
            f"{name} is a secret, which a start-up file, the record for undoing and the shell's history would keep "
            "readable; use the program's own login (`hf auth login`, `wandb login`), or a file that you alone can read",
            f"{name} 是机密，写入启动文件后，它会以明文留在启动文件、撤销记录和 shell 历史中；"
            "请使用程序自带的登录方式（`hf auth login`、`wandb login`），或存入仅自己可读的文件",
        )
    if name == "HOME":
        raise UsageError(
            f"HOME={value} would have every program look for its files elsewhere, envdoctor's own record for undoing "
            "this too; a program's own variable moves what is its own (XDG_CACHE_HOME, HF_HOME)",
            f"HOME={value} 会让所有程序到别处查找自己的文件，envdoctor 的撤销记录也不例外；"
            "各程序可用自己的变量移动自己的文件（XDG_CACHE_HOME、HF_HOME）",
        )
    if name == "LD_LIBRARY_PATH" and (torch is None or torch.from_wheels):
        raise UsageError(
            "a torch from wheels brings its libraries and finds them itself; LD_LIBRARY_PATH would put others before "
            "them, so it is not set (`envdoctor fix library-path` takes folders out of it)",
            "由 wheel 安装的 torch 自带所需的库，并能自行找到；LD_LIBRARY_PATH 会让其他库抢在前面，"
            "因此不予设置（`envdoctor fix library-path` 可从中移除目录）",
        )
    if name in LISTS and re.search(r"\$\{?" + name, value):
        raise UsageError(
            f"the value is written as it stands and ${name} would not be expanded; see `envdoctor fix {LISTS[name]}`",
            f"值会原样写入，其中的 ${name} 不会展开；参见 `envdoctor fix {LISTS[name]}`",
        )
    if name == "PATH":
        raise UsageError(
            f"PATH={value} would take all other folders away; see `envdoctor fix cuda-path`",
            f"PATH={value} 会丢掉其他所有目录；参见 `envdoctor fix cuda-path`",
        )


def _worth_a_word(name: str, value: str, torch: TorchInstall | None) -> Iterable[Remark]:
    meant = nccl_variables.meant(name)
    if meant:
        yield _warning(
            "nothing reads {name}; did you mean {meant}?",
            "没有程序读取 {name}；是否应为 {meant}？",
            name=name,
            meant=meant,
        )
    elif meant is None:
        yield _warning("NCCL does not know {name}; a plugin may", "NCCL 不识别 {name}，也许某个插件会读取", name=name)
    if new := nccl_variables.renamed(name):
        yield _warning("{name} is an old name of {new}", "{name} 是 {new} 的旧名称", name=name, new=new)
    if misread := nccl_variables.misread(name, value, nccl_version(torch)):
        taken = {"name": name, "value": value, "taken": misread.taken_as, "accepts": misread.accepts}
        if misread.fails:
            yield _warning(
                "{name}={value} is refused at start-up; accepted: {accepts}",
                "{name}={value} 会导致启动失败；可用值：{accepts}",
                **taken,
            )
        else:
            yield _warning(
                "{name}={value} is read as {taken}; accepted: {accepts}",
                "{name}={value} 会被读作 {taken}；可用值：{accepts}",
                **taken,
            )
    if name == "LD_LIBRARY_PATH":
        yield _warning("it takes the place of what modules and images put there", "它会取代 module 与镜像设置的内容")
    if re.search(r"://[^/?#\s@]*:[^/?#\s]+@", value):
        yield _warning(
            "the value holds a password: everybody who may read the start-up file reads it",
            "该值含有密码：凡能读取启动文件的人都能看到",
        )
    if "$" in value:
        text = "the value is taken as it stands: $ in it is not expanded", "值按原样写入：其中的 $ 不会展开"
        yield Remark(said(*text))
    if re.match(r"~(/|$)", value):
        yield _warning("the value is taken as it stands: ~ is not expanded", "值按原样写入：~ 不会展开")


def _moved(name: str, value: str, files: Files) -> Iterable[Remark]:
    """What the value does to every program that is started with it."""
    if name == "XDG_STATE_HOME":
        yield _warning(
            "envdoctor keeps its record for undoing there: `{undo}` takes this one back",
            "envdoctor 的撤销记录保存在该目录下：撤销本次修改请执行 `{undo}`",
            undo=f"env -u {name} envdoctor fix env --undo",
        )
    if name != "LD_PRELOAD":
        return
    for path in re.split(r"[:\s]+", value):  # ld.so(8)
        if path.startswith("/") and "$" not in path and not _there(path, files):
            yield _warning(
                "there is no {path}: ld.so complains of it at every start of every program",
                "{path} 不存在：每个程序启动时 ld.so 都会报错",
                path=path,
            )


def _there(path: str, files: Files) -> bool:
    try:
        return files.read(path) is not None
    except OSError:
        return True  # too large to be looked into, or not for this user


def _warning(en: str, zh: str, /, **values: str) -> Remark:
    return Remark(said(en, zh, **values), "warning")


def _outside_of_shells(values: dict[str, str], host: Host | None) -> Iterable[Remark]:
    """Containers and jobs that no start-up file reaches."""
    if host is None:
        return
    for step in job_words.by_hand_for_job(values, host.container, host.scheduler.kind):
        words = {"why": step.why.say("en"), "command": step.command.replace("\n", "; ")}
        zh = step.why.say("zh")
        yield Remark(Said(Text("{why}: {command}", zh.replace("{", "{{").replace("}", "}}") + "：{command}"), words))


def _title(values: dict[str, str | None], only_login: bool) -> Said:
    (name, value), *others = values.items()
    more = f" (+{len(others)})" if others else ""
    if value is None:
        return said(
            "Take {name} out of the start-up files{more}", "从启动文件中去掉 {name}{more}", name=name, more=more
        )
    words = (
        ("Have {name}={value} in new login shells{more}", "让新的登录 shell 都有 {name}={value}{more}")
        if only_login
        else ("Have {name}={value} in every new shell{more}", "让每个新的 shell 都有 {name}={value}{more}")
    )
    return said(*words, name=name, value=value, more=more)


@fix(
    "env",
    Text(
        "set environment variables in the start-up file of your shell, NAME=VALUE; NAME= takes one out",
        "在 shell 启动文件中设置环境变量 NAME=VALUE；NAME= 表示去掉",
    ),
    mends=("shell-path-stale", "pip-config-shadowed"),
    verify=shell_effect.takes_effect,
    options={"assignments": Option(Text("what to set", "要设置的内容"), metavar="NAME=VALUE...", argument=True)},
)
def env(
    shell: ShellFiles, torch: TorchInstall | None, host: Host | None, files: Files, *, assignments: tuple[str, ...] = ()
) -> Plan:
    """Any variable but those that would do harm; names and values that NCCL or torch would not read get a warning."""
    values = _assigned(assignments)
    given = {name: value for name, value in values.items() if value is not None}
    remarks: list[Remark] = []
    for name, value in given.items():
        _refuse(name, value, torch)
        remarks += [*_worth_a_word(name, value, torch), *_moved(name, value, files)]
    try:
        change = exports.exporting(shell, files, values)
    except shell_words.CannotSay as error:
        raise UsageError(str(error), error.zh) from error
    remarks += [*change.remarks, *(_outside_of_shells(given, host) if given else ())]
    title = _title(values, start_up.only_login(shell))
    return Plan(title, change.edits, by_hand=change.by_hand, remarks=tuple(remarks), wants=change.wants)
