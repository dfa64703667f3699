"""A check file with problems and fixes of a user's own, to try `envdoctor fix` on; it works on pip's own file."""

from __future__ import annotations

from pathlib import Path

TEXT = '''
"""Is there tea?"""
from __future__ import annotations
from collections.abc import Iterable
from envdoctor import (
    ByHand, EditFile, Files, Finding, Fix, Missing, Option, Place, Plan, Problem, Remark, RunCommand, Said, Severity,
    Text, UsageError, check, fix, said,
)
from envdoctor.facts.index import AskedPlaces
from envdoctor.facts.pip import PipConfig

NO_KETTLE = Problem("no-kettle", Severity.WARNING, Text("there is no kettle", "没有水壶"), Text("sad", "难过"),
                    command="buy a kettle")
NO_TEA = Problem("no-tea", Severity.WARNING, Text("there is no tea", "没有茶"), Text("sad", "难过"), fix="tea",
                 caused_by=("no-kettle",))
TEA_COLD = Problem("tea-cold", Severity.ERROR, Text("the tea is cold", "茶凉了"), Text("sad", "难过"))
TEA_STOLEN = Problem("tea-stolen", Severity.ERROR, Text("no tea", "没有茶"), Text("sad", "难过"), fix="stubborn")


def values(config: PipConfig) -> dict[str, str]:
    return {value.key: value.value for value in config.values}


@check(NO_TEA, NO_KETTLE, TEA_COLD, TEA_STOLEN)
def is_there_tea(config: PipConfig) -> Iterable[Finding]:
    held = values(config)
    if "retries" not in held:
        yield NO_TEA.found().fixed_by("tea", "--cups", "3")
        if "require-virtualenv" not in held:
            yield NO_KETTLE.found()
    if held.get("retries") == "13":
        yield TEA_COLD.found()
    if "no-color" not in held:
        yield TEA_STOLEN.found()


def drunk(plan: Plan, config: PipConfig) -> Iterable[Said]:
    if values(config).get("retries") != str(plan.wants["cups"]):
        yield said("{cups} cups are not there", "没有 {cups} 杯", cups=plan.wants["cups"])


def shops(config: PipConfig, **options: object) -> Iterable[Place]:
    return [Place("http://127.0.0.1:9/simple")] if options["ask"] else []


@fix("tea", Text("make tea", "泡茶"), mends=("no-tea", "no-kettle"), watches=("tea-cold",), asks=shops, verify=drunk,
     options={"cups": Option(Text("how many", "几杯"), "N"), "ask": Option(Text("ask the shop", "询问商店")),
              "run": Option(Text("a command to run", "要执行的命令"), "COMMAND"),
              "hand": Option(Text("a step by hand", "手动一步")), "wrong": Option(Text("want else", "另有所求"))})
def tea(config: PipConfig, files: Files, shop: AskedPlaces | None, *, cups: int = 2, ask: bool = False,
        run: str = "", hand: bool = False, wrong: bool = False) -> Plan:
    if cups < 1:
        raise UsageError(f"--cups {cups} is no tea; give 1 or more")
    place = next(file.path for file in reversed(config.files) if file.level == "user")
    after = f"[global]\\nretries = {cups}\\n".encode()
    remarks = (Remark(said("the shop is {state}", "商店{state}", state=shop.probes[0].outcome)),) if shop else ()
    commands = (RunCommand(("sh", "-c", run), said("a command", "一条命令")),) if run else ()
    by_hand = (ByHand("pour the tea", said("only you can", "只有您能做")),) if hand else ()
    return Plan(said("{cups} cups of tea", "{cups} 杯茶", cups=cups), (EditFile(place, files.read(place), after),),
                commands, by_hand, remarks, {"cups": cups + wrong})


@fix("stubborn", Text("does not help", "没有用"), mends=("tea-stolen",),
     options={"name": Option(Text("names", "名字"), "NAME", argument=True)})
def stubborn(config: PipConfig, files: Files, *, name: tuple[str, ...] = ()) -> Plan:
    place = next(file.path for file in reversed(config.files) if file.level == "user") + ".other"
    return Plan(said("nothing that helps", "没有用的"), (EditFile(place, files.read(place), " ".join(name).encode()),))
'''


def folder(place: Path) -> Path:
    """The folder for --checks."""
    place.mkdir(exist_ok=True)
    (place / "tea.py").write_text(TEXT, encoding="utf-8")
    return place
