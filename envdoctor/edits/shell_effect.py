"""Whether new shells have what a plan wants, as real ones have answered.

A plan says it in `wants`: "env NAME" is the value (None for unset), "first PATH" a folder and others, joined by
colons, that it must come before, "without LD_LIBRARY_PATH" folders that may not be there; "activated NAME" is the value
once the conda environment is active.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from envdoctor.facts.new_shells import NewShell, NewShells
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.model import Missing, Scalar
from envdoctor.remedy import Plan, Said, said

KINDS = ("env", "first", "without", "activated")


def _wanted(plan: Plan) -> Iterator[tuple[str, str, Scalar]]:
    for key, value in plan.wants.items():
        kind, _, name = key.partition(" ")
        if kind in KINDS and name:
            yield kind, name, value


def takes_effect(plan: Plan, shells: NewShells | Missing, shell: ShellFiles) -> Iterable[Said]:
    """Whether new shells of every kind have what the plan wants; what stands against it where not."""
    wanted = tuple(_wanted(plan))
    if not wanted:
        return
    if isinstance(shells, Missing):
        why = shells.detail or shells.reason
        yield said("no new shell could be asked ({why})", "无法启动新的 shell 进行确认（{why}）", why=why)
        return
    if any(kind == "activated" for kind, _, _ in wanted) and shells.of("activated") is None:
        yield said("the scripts of the conda environment are not there", "conda 环境的激活脚本不存在")
    for one in shells.shells:
        how = f"{shells.shell}, {one.mode}"
        if one.error:
            text = "a new shell ({how}) said nothing: {error}", "新的 shell（{how}）没有回答：{error}"
            yield said(*text, how=how, error=one.error)
            continue
        for kind, name, value in wanted:
            if (kind == "activated") != (one.mode == "activated"):
                continue
            if not _holds(one, kind, name, value):
                yield _differs(one, how, shell, name)


def _holds(one: NewShell, kind: str, name: str, value: Scalar) -> bool:
    seen = one.variables.get(name)
    if kind in ("env", "activated"):
        return seen == value and (value is not None or name not in one.names)
    parts = [part.rstrip("/") for part in (seen or "").split(":")]
    folders = [folder.rstrip("/") for folder in str(value).split(":")]
    if kind == "without":
        return not set(folders) & set(parts)
    return next((part for part in parts if part in folders), None) == folders[0]


def _differs(one: NewShell, how: str, shell: ShellFiles, name: str) -> Said:
    seen = one.variables.get(name, "?" if name in one.names else "unset")
    where = next(
        (f"{line.file}:{line.line}" for line in reversed(shell.lines) if line.name == name and not line.ours), ""
    )
    return said(
        "in a new shell ({how}) {name} is {seen}" + ("; {where} sets it" if where else ""),
        "在新的 shell（{how}）中 {name} 为 {seen}" + ("，由 {where} 设置" if where else ""),
        how=how, name=name, seen=seen, where=where,
    )  # fmt: skip


def environment_there(plan: Plan, shells: object, environ: Mapping[str, str]) -> dict[str, str] | None:
    """This environment with the variables that a plan is about as an interactive new shell has them.

    None where no new shell has answered: what is judged then is this shell.
    """
    if not isinstance(shells, NewShells):
        return None
    wanted = [(kind, name) for kind, name, _ in _wanted(plan)]
    activated = any(kind == "activated" for kind, _ in wanted)
    answered = (one for one in shells.shells if not one.error and (one.mode == "activated") == activated)
    one = next(answered, None)
    if one is None or not wanted:
        return None
    names = [name for _, name in wanted]
    there = {name: value for name, value in environ.items() if name not in names}
    return {**there, **{name: one.variables[name] for name in names if name in one.variables}}
