"""Whether new shells have what a plan wants, as real ones have answered."""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor.facts.new_shells import NewShells
from envdoctor.facts.shell_files import ShellFiles
from envdoctor.model import Missing, Scalar
from envdoctor.remedy import Plan, Said, said


def takes_effect(plan: Plan, shells: NewShells | Missing, shell: ShellFiles) -> Iterable[Said]:
    """Whether new shells of every kind have what the plan wants under "env NAME"; what stands against it where not."""
    wanted = {name.removeprefix("env "): value for name, value in plan.wants.items() if name.startswith("env ")}
    if not wanted:
        return
    if isinstance(shells, Missing):
        yield said(
            "no new shell could be asked ({why})",
            "无法启动新的 shell 进行确认（{why}）",
            why=shells.detail or shells.reason,
        )
        return
    for one in shells.shells:
        for name, value in wanted.items():
            yield from _differs(shells, shell, one.mode, name, value)


def _differs(shells: NewShells, shell: ShellFiles, mode: str, name: str, value: Scalar) -> Iterable[Said]:
    one = shells.of(mode)
    if one is None:
        return
    how = f"{shells.shell}, {mode}"
    if one.error:
        yield said(
            "a new shell ({how}) said nothing: {error}",
            "新的 shell（{how}）没有回答：{error}",
            how=how,
            error=one.error,
        )
        return
    seen = one.variables.get(name)
    if seen == value:
        return
    if seen is None and name in one.names:
        seen = "?"
    where = next(
        (f"{line.file}:{line.line}" for line in reversed(shell.lines) if line.name == name and not line.ours), ""
    )
    yield said(
        "in a new shell ({how}) {name} is {seen}" + ("; {where} sets it" if where else ""),
        "在新的 shell（{how}）中 {name} 为 {seen}" + ("，由 {where} 设置" if where else ""),
        how=how, name=name, seen="unset" if seen is None else seen, where=where,
    )  # fmt: skip
