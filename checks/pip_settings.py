"""Do pip's settings take effect, and do they keep their secrets?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.index import IndexProbes
from envdoctor.facts.launch import launches
from envdoctor.facts.names import NameResolution
from envdoctor.facts.pip import PipConfig, PipValue
from envdoctor.facts.pip_rules import Shadowed, put, shadowed, stronger, unset
from envdoctor.facts.python import Python, name_of
from envdoctor.facts.shell_files import ShellFiles, ShellLine
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import mirrors, other_index
from envdoctor.knowledge.chosen_index import asks
from envdoctor.model import Scalar

TOPIC = Topic("pip", 302, Text("pip settings without effect, and secrets in them", "不起作用的 pip 设置及其中的机密"))
RULES = "https://pip.pypa.io/en/stable/topics/configuration/"


PIP_CONFIG_SHADOWED = Problem(
    code="pip-config-shadowed",
    severity=Severity.WARNING,
    title=Text("`{option}` at {place} has no effect", "{place} 处的 `{option}` 不起作用"),
    why=Text("pip uses another value than the one written there", "pip 使用的并不是写在那里的值"),
    seen=Text(
        "{place}: {value}\n{winner_place}: {winner}, which wins", "{place}：{value}\n{winner_place}：{winner}（生效）"
    ),
    refs=(RULES,),
    situations={
        "level": Situation(severity=Severity.NOTE),
        "variable": Situation(
            why=Text("an environment variable beats every file", "环境变量优先于所有文件"),
        ),
        "start-up": Situation(
            why=Text(
                "{variable} beats every file of pip's, and every new shell sets it",
                "{variable} 优先于 pip 的所有配置文件，且每个新 shell 都会设置它",
            ),
        ),
        "command-section": Situation(
            why=Text(
                "a section of the command beats every [global], whatever the files; other commands take the value",
                "命令自己的段优先于所有 [global]，与所在文件无关；其他命令仍使用该值",
            ),
        ),
        "list": Situation(
            title=Text("`{option}` at {place} is replaced, not added to", "{place} 处的 `{option}` 被替换，而不是合并"),
            why=Text("a list replaces a weaker one: {lost} is not used", "列表会整体替换较弱的列表：{lost} 未被使用"),
        ),
        "section": Situation(
            title=Text(
                "pip reads no section [{section}]: `{option}` has no effect",
                "pip 不读取 [{section}] 段：`{option}` 不起作用",
            ),
            why=Text("section names are lower-case names of commands, or `global`", "段名须为小写的命令名或 `global`"),
            seen=Text("{place}: {value}, under [{section}]", "{place}：{value}，位于 [{section}] 之下"),
        ),
        "empty": Situation(
            severity=Severity.NOTE,
            title=Text("{place} is empty and overrides nothing", "{place} 为空，不会覆盖任何设置"),
            why=Text("pip drops empty values: {winner_place} still holds", "pip 会丢弃空值：{winner_place} 仍然生效"),
            seen=Text(
                "{place} is set to nothing\n{winner_place}: {winner}", "{place} 被设为空\n{winner_place}：{winner}"
            ),
        ),
        "switched-off": Situation(
            title=Text("PIP_CONFIG_FILE keeps pip from reading {place}", "PIP_CONFIG_FILE 使 pip 不再读取 {place}"),
            why=Text("its settings have no effect in this environment", "其中的设置在当前环境中无效"),
            seen=Text("PIP_CONFIG_FILE={value}", "环境变量 PIP_CONFIG_FILE={value}"),
            command="unset PIP_CONFIG_FILE",
        ),
    },
)


def _badness(found: Shadowed) -> Severity | None:
    """A site that overrides the machine's file is as it should be; None leaves the situation's own severity."""
    if found.how == "variable" and found.value.level in ("global", "env-var"):
        return Severity.NOTE
    if found.how == "command-section" and found.winner and not stronger(found.value, found.winner):
        return Severity.NOTE
    if found.how == "list" and found.option == "trusted-host":
        return Severity.NOTE
    return None


def _is_address(url: str) -> bool:
    """Whether the fix may be asked to write it: an index that works as far as is known."""
    mirror = mirrors.pypi_mirror(url)
    plain = re.fullmatch(r"https?://[^\s@]+/simple/?", url) is not None
    return plain and not mirrors.wheels(url) and (mirror is None or mirror.status != "dead")


def _exported(shell: ShellFiles | None, winner: PipValue | None) -> ShellLine | None:
    """The line of a start-up file that gives a variable its value, so that it would be back in the next shell."""
    line = shell.sets(winner.variable) if shell and winner and winner.variable else None
    return line if line and winner and ("$" in line.value or winner.value in line.value) else None


@check(PIP_CONFIG_SHADOWED)
def pip_config_shadowed(
    config: PipConfig,
    python: Python | None,
    shell: ShellFiles | None,
    probes: IndexProbes | None,
    resolution: NameResolution | None,
) -> Iterable[Finding]:
    """A value that is written and not taken, with what wins."""
    for found in shadowed(config):
        value, winner = found.value, found.winner
        exported = _exported(shell, winner) if found.how == "variable" else None
        evidence: dict[str, Scalar] = {
            "option": found.option,
            "place": value.place,
            "value": value.value,
            "section": value.section,
            "winner": winner.value if winner else None,
            "winner_place": f"{exported.file}:{exported.line}" if exported else winner.place if winner else None,
            "lost": " ".join(found.lost) or None,
        }
        if found.how == "section" and winner is None:
            command = f"{name_of(python)} -m pip config --user set global.{found.option} {shlex.quote(value.value)}"
        elif found.how == "empty" or winner is None:
            command = f"unset {value.variable}"
        elif found.how == "list":
            both = dict.fromkeys((*winner.items, *value.items))
            command = put(config, winner, found.option, " ".join(both), name_of(python))
        else:
            gone = value if found.how in ("level", "section") else winner
            command = unset(config, gone, name_of(python))
        if exported:
            evidence["variable"] = exported.name
        finding = PIP_CONFIG_SHADOWED.found("start-up" if exported else found.how, **evidence).mended_by(command)
        venv = found.how == "level" and winner is not None and winner.level == "site"
        if found.option == "index-url" and (venv or found.how == "command-section") and _is_address(value.value):
            # The fix writes what was meant in the place of what wins, or what every finding about that one names.
            instead = other_index.instead_of(winner.value, probes, resolution) if winner else ""
            finding = asks(finding, config, instead or value.value, name_of(python))
        if exported:
            finding = finding.fixed_by("env", f"{exported.name}=")
        severity = _badness(found)
        yield finding.at(severity) if severity else finding
    for path in config.switched_off:
        finding = PIP_CONFIG_SHADOWED.found("switched-off", place=path, value=config.config_file_variable)
        yield finding.at(Severity.NOTE) if config.config_file_variable == "/dev/null" else finding


PIP_CONFIG_SECRET = Problem(
    code="pip-config-secret",
    severity=Severity.WARNING,
    title=Text(
        "{file} holds a password that every user of this machine can read", "{file} 中含有本机所有用户都可读取的密码"
    ),
    why=Text(
        "anyone with an account here can fetch from, or publish to, your index",
        "本机任何用户都能以你的身份访问或发布到该索引",
    ),
    seen=Text("{file}:{line}: `{key}` holds credentials; mode {mode}", "{file}:{line}：`{key}` 含有凭据；权限 {mode}"),
    command="chmod 600 {path}",
    refs=("https://pip.pypa.io/en/stable/topics/authentication/",),
    situations={
        "shared": Situation(
            command="sudo chmod 640 {path}",
            help=Text(
                "the file is meant for all users: better keep the password in each user's ~/.netrc or keyring",
                "该文件供所有用户使用：更好的做法是把密码放在各用户的 ~/.netrc 或 keyring 中",
            ),
        ),
    },
)


def _holds_credentials(text: str) -> bool:
    """Whether a URL in the text carries a password, or a user name long enough to be a token."""
    for userinfo in re.findall(r"://([^/?#\s]*)@", text):
        user, _, password = userinfo.partition(":")
        if (password and not password.startswith("$")) or (len(user) >= 20 and not user.startswith("$")):
            return True
    return False


@check(PIP_CONFIG_SECRET)
def pip_config_secret(config: PipConfig) -> Iterable[Finding]:
    """Credentials in a file that others can read."""
    told = set()
    for value in config.values:
        file = config.file(value.file)
        if file and file.open_to_others and file.path not in told and _holds_credentials(value.value):
            told.add(file.path)
            yield PIP_CONFIG_SECRET.found(
                "shared" if value.level == "global" or not file.own else None,
                file=file.path,
                path=shlex.quote(file.path),
                line=value.line,
                key=value.key,
                mode=f"{file.mode or 0:04o}",
            )


PIP_EXTERNALLY_MANAGED = Problem(
    code="pip-externally-managed",
    severity=Severity.NOTE,
    title=Text(
        "this Python belongs to the system: pip refuses to install into it",
        "该 Python 由系统管理：pip 会拒绝向其中安装",
    ),
    why=Text(
        '`pip install` ends with "externally-managed-environment"; packages belong into an environment of their own',
        '`pip install` 会以 "externally-managed-environment" 失败；软件包应装入独立的环境',
    ),
    seen=Text("{marker} exists", "存在 {marker}"),
    command="{python} -m venv ~/.venvs/train && . ~/.venvs/train/bin/activate",
    refs=("https://peps.python.org/pep-0668/",),
)


@check(PIP_EXTERNALLY_MANAGED)
def pip_externally_managed(
    python: Python,
    config: PipConfig | None,
    torch: TorchInstall | Missing,
    gpus: Gpus | None,
    environment: Environment | None,
) -> Iterable[Finding]:
    """The system's Python without a venv; a warning where torch is yet to be installed and is wanted: there are GPUs,
    or a launcher is at work."""
    allowed = config.winner("break-system-packages") if config else None
    if not python.externally_managed or (allowed and allowed.value.lower() in ("1", "true", "yes", "on", "t", "y")):
        return
    finding = PIP_EXTERNALLY_MANAGED.found(marker=python.externally_managed, python=name_of(python))
    wanted = bool(gpus and gpus.count) or bool(environment and launches(environment))
    absent = isinstance(torch, Missing) and torch.reason == "not-here"
    yield finding.at(Severity.WARNING) if absent and wanted else finding
