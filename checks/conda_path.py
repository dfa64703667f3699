"""`envdoctor fix conda-path`: `conda activate` works in every new terminal of the user's shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from envdoctor import ByHand, Files, Missing, Option, Plan, Remark, Said, Text, Topic, UsageError, fix, said
from envdoctor.edits import exports, shell_words, start_up
from envdoctor.edits.shell_block import Line
from envdoctor.facts.conda import CondaConfig
from envdoctor.facts.new_shells import NewShells
from envdoctor.facts.shell_files import ShellFiles

TOPIC = Topic("conda", 322, Text("conda in new shells", "在新的 shell 中使用 conda"))

# What conda itself brings for shells to read; `conda init` writes lines that come down to the same.
POSIX, FISH = "etc/profile.d/conda.sh", "etc/fish/conf.d/conda.fish"


def _roots(config: CondaConfig | Missing, shell: ShellFiles) -> list[str]:
    known = (config.root, *config.installations) if isinstance(config, CondaConfig) else ()
    return [root for root in dict.fromkeys((*known, *shell.conda_roots)) if root]


def _statement(root: str, kind: str) -> str:
    """What reads conda's own file, if it is still there."""
    word = shell_words.quoted(f"{root}/{FISH if kind == 'fish' else POSIX}", kind)
    return f"test -f {word}; and source {word}" if kind == "fish" else f"if [ -f {word} ]; then . {word}; fi"


def _here(root: str, kind: str) -> str:
    word = shell_words.quoted(f"{root}/{FISH if kind == 'fish' else POSIX}", kind)
    return f"source {word}" if kind == "fish" else f". {word}"


def _chosen(roots: list[str], wanted: str, kind: str, files: Files) -> str:
    if wanted:
        wanted = wanted.rstrip("/")
        if not wanted.startswith("/"):
            raise UsageError(
                f"--root {wanted}: name conda's folder by its absolute path",
                f"--root {wanted}：请用绝对路径指定 conda 的目录",
            )
        roots = [wanted]
    file = FISH if kind == "fish" else POSIX
    found = next((root for root in roots if files.read(f"{root}/{file}") is not None), "")
    if found:
        return found
    if not roots:
        raise UsageError(
            "no installation of conda is found in the usual places; name its folder: --root FOLDER",
            "在常见位置没有找到 conda；请用 --root FOLDER 指定其目录",
        )
    raise UsageError(
        f"there is no {roots[0]}/{file}: {roots[0]} is not a whole installation of conda; see --root FOLDER",
        f"没有 {roots[0]}/{file}：{roots[0]} 不是完整的 conda 安装；参见 --root FOLDER",
    )


def takes_effect(plan: Plan, shells: NewShells | Missing) -> Iterable[Said]:
    """A new terminal has CONDA_EXE, which conda's own file sets beside the function `conda`."""
    if "conda" not in plan.wants:
        return
    one = shells.of("interactive") or shells.of("login") if isinstance(shells, NewShells) else None
    seen = one.variables.get("CONDA_EXE") if one is not None else None
    if one is None or one.error:
        why = one.error if one is not None else shells.detail if isinstance(shells, Missing) else "-"
        yield said("no new shell could be asked ({why})", "无法启动新的 shell 进行确认（{why}）", why=why)
    elif seen is None:
        yield said("a new shell does not know conda", "新的 shell 中没有 conda")
    elif not seen.startswith(f"{plan.wants['conda']}/"):
        yield said(
            "a new shell has the conda of {seen}", "新的 shell 使用的是 {seen}", seen=seen
        )  # fmt: skip


@fix(
    "conda-path",
    Text("have `conda activate` in every new terminal of your shell", "让新打开的终端都能使用 `conda activate`"),
    mends=("conda-not-on-path", "conda-other-shell"),
    verify=takes_effect,
    options={"root": Option(Text("conda's folder", "conda 所在目录"), metavar="FOLDER")},
)
def conda_path(config: CondaConfig | Missing, shell: ShellFiles, files: Files, *, root: str = "") -> Plan:
    """One line that reads what conda brings for this shell. `conda init` rewrites files in ways that cannot be undone
    to the byte, and activates `base` in every terminal; this does neither."""
    kind = start_up.user_shell(shell)
    if kind not in shell_words.LANGUAGES or kind in ("csh", "tcsh"):
        return _by_conda_itself(config, shell, kind, root)
    try:
        chosen = _chosen(_roots(config, shell), root, kind, files)
        title = said("Have conda of {root} in every new terminal", "让新的终端都能使用 {root} 中的 conda", root=chosen)
        there = shell.sets_up_conda("bash" if shell_words.LANGUAGES[kind] == "sh" else kind)
        if there is not None and not there.ours:
            told = said(
                "{file}:{line} sets it up already", "{file} 第 {line} 行已做初始化", file=there.file, line=there.line
            )
            return Plan(title, remarks=(Remark(told),), wants={"conda": chosen} if not root else {})
        changed = exports.Edits(files)
        for place in start_up.places(shell, files, interactive=True):
            changed.put(place, Line("conda-path", _statement(chosen, place.shell)))
    except shell_words.CannotSay as error:
        raise UsageError(str(error), error.zh) from error
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be read ({error.strerror}), so no line is put there",
            f"无法读取 {error.filename}（{error.strerror}），因此没有写入",
        ) from error
    remarks = [
        exports.in_this_shell(_here(chosen, kind), start_up.only_login(shell)) if changed.made() else None,
        Remark(
            said(
                "no environment is activated by it; batch scripts read no start-up file, so put this before their "
                "`conda activate`: . {file}",
                "不会自动激活任何环境；作业脚本不读取启动文件，请在其中 `conda activate` 之前加上：. {file}",
                file=shlex.quote(f"{chosen}/{POSIX}"),
            )
        ),
    ]
    told_all = tuple(remark for remark in remarks if remark is not None)
    return Plan(title, changed.made(), remarks=(*told_all, *changed.warnings()), wants={"conda": chosen})


def _by_conda_itself(config: CondaConfig | Missing, shell: ShellFiles, kind: str, root: str) -> Plan:
    roots = [root] if root else _roots(config, shell)
    if not roots:
        raise UsageError(
            "no installation of conda is found in the usual places; name its folder: --root FOLDER",
            "在常见位置没有找到 conda；请用 --root FOLDER 指定其目录",
        )
    why = said("envdoctor does not write start-up files of {shell}", "envdoctor 不写 {shell} 的启动文件", shell=kind)
    title = said("Have conda of {root} in every new terminal", "让新的终端都能使用 {root} 中的 conda", root=roots[0])
    return Plan(title, by_hand=(ByHand(f"{shlex.quote(roots[0] + '/bin/conda')} init {shlex.quote(kind)}", why),))
