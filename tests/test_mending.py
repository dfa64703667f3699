"""envdoctor/mending.py"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from envdoctor import load, mending
from envdoctor.errors import ExaminationError, UsageError
from envdoctor.facts.asked import Asked
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.facts.pip import PipConfig
from envdoctor.facts.rdma import Rdma
from envdoctor.mending import Mender, chain, command_line, of_finding, sections_for
from envdoctor.model import Check, Finding, Missing, Node, Problem, Severity, Text, Topic, TopicFile
from envdoctor.remedy import EditFile, Files, Fix, Option, Place, Plan, Remark, Said, fix, said
from envdoctor.snapshot import Snapshot
from envdoctor.transport import local
from envdoctor.transport.target import Target

COLD = Problem("cold", Severity.WARNING, Text("cold", "冷"), Text("sad", "难过"), caused_by=("no-fire", "absent"))
NO_FIRE = Problem("no-fire", Severity.ERROR, Text("no fire", "没火"), Text("sad", "难过"), caused_by=("cold",))
BURNT = Problem("burnt", Severity.ERROR, Text("burnt", "糊了"), Text("sad", "难过"), command="scrape it")
OTHER = Problem("other", Severity.ERROR, Text("other", "其他"), Text("sad", "难过"))


def cold(host: Host) -> list[Finding]:
    return [COLD.found()] if host.container == "docker" else []


def fire(host: Host, asked: Asked) -> list[Finding]:
    assert asked.offline in (True, False)
    return [NO_FIRE.found()] if host.name == "fireless" else []


def burnt(config: PipConfig) -> list[Finding]:
    return [BURNT.found(), OTHER.found()] if config.pip_version == "1" else []


CHECKS = tuple(
    Check(judge.__name__, problems, judge)
    for judge, problems in ((cold, (COLD,)), (fire, (NO_FIRE,)), (burnt, (BURNT, OTHER)))
)


def made(**options: Any) -> Fix:
    """A fix of a maker that tells in its plan what it was given."""

    def places(host: Host, *, cups: int, strong: bool, names: tuple[str, ...]) -> list[Place]:
        return [Place(f"http://{name}/simple") for name in names]

    def verified(plan: Plan, host: Host, asked: AskedPlaces | None) -> list[Said]:
        return [] if host.container != "docker" else [said("{asked}", "{asked}", asked=asked is not None)]

    @fix("warm", Text("warm it", "加热"), **{"mends": ("cold",), "watches": ("burnt",), "asks": places,
         "verify": verified, "options": {"names": Option(Text("n", "名"), argument=True)}, **options})  # fmt: skip
    def warm(host: Host, rdma: Rdma | None, files: Files, asked: AskedPlaces | Missing, *, cups: int = 2,
             strong: bool = False, names: tuple[str, ...] = ()) -> Plan:  # fmt: skip
        edit = EditFile("/etc/fire", files.read("/etc/fire"), b"hot")
        told = asked.detail if isinstance(asked, Missing) else asked.probes[0].outcome
        return Plan(said("warm", "热"), (edit,), remarks=(Remark(said("{t} {r}", "{t} {r}", t=told, r=rdma is None)),))

    return warm


class Machine:
    """Answers what is asked for: one list of facts after the other."""

    def __init__(self, *looks: tuple[object, ...]) -> None:
        self.looks = list(looks)
        self.requests: list[local.Request] = []

    def __call__(self, target: Target, request: local.Request) -> Snapshot:
        self.requests.append(request)
        known = {mending._names()[type(fact)]: fact for fact in self.looks.pop(0)}
        sections: dict[str, object] = {name: known.get(name, Missing(name, "not-here")) for name in request.only}
        return Snapshot(Node(), "", "", sections)


def mender(machine: Machine, *fixes: Fix, measure: Any = None, **options: Any) -> Mender:
    file = TopicFile(Topic("tea"), CHECKS, (COLD, NO_FIRE, BURNT, OTHER), None, "/checks/tea.py", None, fixes)
    loaded = load.Loaded((file,), {})
    files = Files({"/etc/fire": b"out"}, locked=options.pop("locked", ()))
    return Mender(loaded, Target("/opt/python", "asked"), machine, measure, files=files, **options)


DOCKER, BARE = Host(container="docker"), Host()
OPTIONS: Mapping[str, Any] = {"cups": 2, "strong": False, "names": ()}


def test_a_plan_is_made_of_what_is_observed_and_nothing_more() -> None:
    machine = Machine((DOCKER, PipConfig()))
    prepared = mender(machine, made()).prepare(made(), OPTIONS)
    (request,) = machine.requests
    assert request.only == ("host", "pip-config", "python", "rdma")
    assert request.offline
    assert [finding.code for finding in prepared.found] == ["cold"]
    assert prepared.plan.remarks[0].said.say("en") == "no address is to be asked True"
    assert prepared.plan.edits == (EditFile("/etc/fire", b"out", b"hot"),)
    assert prepared.arguments() == ()


def test_the_arguments_are_those_of_the_command_line() -> None:
    prepared = mender(Machine((DOCKER,)), offline=True).prepare(
        made(), {"cups": 3, "strong": True, "names": ("a", "b")}
    )
    assert prepared.arguments() == ("--cups", "3", "--strong", "a", "b")
    assert (
        command_line("warm", [*prepared.arguments(), "it's"]) == "envdoctor fix warm --cups 3 --strong a b 'it'\"'\"'s'"
    )
    assert prepared.plan.remarks[0].said.say("en") == "--offline True"


def test_places_are_asked_with_what_is_known_of_pip() -> None:
    answer = AskedPlaces((IndexProbe(outcome="ok"),))
    machine = Machine((DOCKER, PipConfig(pip_version="23")), (answer,))
    prepared = mender(machine, timeout=5.0).prepare(made(), {**OPTIONS, "names": ("mirror",)})
    request = machine.requests[1]
    assert (request.only, request.offline, request.limit_s) == (("asked-places",), False, 5.0)
    assert request.places == ({"kind": "index", "url": "http://mirror/simple"},)
    assert request.given is not None and request.given["pip-config"]["pip_version"] == "23"
    assert prepared.plan.remarks[0].said.say("en") == "ok True"
    # The verdict knows what was asked before, and looks at all else again.
    machine.looks = [(DOCKER,)]
    assert [said.say("en") for said in mender(machine).verify(prepared).against] == ["True"]


def test_what_has_been_seen_is_not_looked_at_twice() -> None:
    machine = Machine((PipConfig(),))
    mender(machine).prepare(made(), OPTIONS, {"host": DOCKER, "rdma": Missing("rdma", "not-here")})
    assert machine.requests[0].only == ("pip-config", "python")
    machine = Machine()
    seen = {"host": DOCKER, "rdma": Rdma(), "pip-config": PipConfig()}
    assert mender(machine).prepare(made(), OPTIONS, seen).found


def test_a_fix_that_needs_no_fact_starts_nothing() -> None:
    @fix("write", Text("write", "写"))
    def write(files: Files) -> Plan:
        return Plan(said("x", "x"))

    machine = Machine()
    prepared = mender(machine, write).prepare(write, {})
    assert mender(machine, write).verify(prepared).effective
    assert machine.requests == []


def test_a_needed_fact_that_is_missing_is_a_sentence() -> None:
    machine = Machine(())
    with pytest.raises(UsageError, match=r"no plan can be made here: host is not known$"):
        mender(machine).prepare(made(asks=None, verify=None, mends=(), watches=()), OPTIONS)
    seen = {"host": Missing("host", "failed", "it broke\nin the middle"), "rdma": Rdma()}
    with pytest.raises(UsageError, match=r"host is not known \(it broke\)"):
        mender(Machine()).prepare(made(asks=None, verify=None, mends=(), watches=()), OPTIONS, seen)


def test_a_fact_of_no_section_is_not_known() -> None:
    class Odd:
        pass

    def odd(fact: Odd) -> Plan:
        raise AssertionError

    odd.__annotations__["fact"] = Odd
    with pytest.raises(UsageError, match="odd is not known"):
        mender(Machine()).prepare(Fix("odd", Text("x", "x"), odd), {})


def test_an_option_has_its_fact_measured() -> None:
    asked: list[tuple[str, bool]] = []

    def measure(name: str, known: Mapping[type, object]) -> object:
        asked.append((name, Host in known))
        return AskedPlaces((IndexProbe(outcome="measured"),))

    warm = made(asks=None, options={"strong": Option(Text("x", "x"), measures="asked-places")})
    told = mender(Machine((DOCKER,)), measure=measure).prepare(warm, {**OPTIONS, "strong": True})
    assert asked == [("asked-places", True)]
    assert told.plan.remarks[0].said.say("en") == "measured True"
    mender(Machine((DOCKER,)), measure=measure).prepare(warm, OPTIONS)
    assert len(asked) == 1
    with pytest.raises(UsageError, match="--strong measures over the network, which --offline forbids"):
        mender(Machine((DOCKER,)), measure=measure, offline=True).prepare(warm, {**OPTIONS, "strong": True})
    assert len(asked) == 1


def test_the_verdict_compares_before_and_after() -> None:
    prepared = mender(Machine((DOCKER,))).prepare(made(), OPTIONS)
    verdict = mender(Machine((BARE,))).verify(prepared, "cold")
    assert (verdict.effective, verdict.gone, verdict.left, verdict.unmended) == (True, ("cold",), (), ())
    verdict = mender(Machine((BARE, PipConfig(pip_version="1")))).verify(prepared)
    assert [finding.code for finding in verdict.broken] == ["burnt"]
    assert not verdict.effective
    verdict = mender(Machine((DOCKER,))).verify(prepared, "cold")
    assert (verdict.effective, verdict.unmended) == (False, ("cold",))


def test_what_is_left_of_what_it_mends_is_no_success_without_a_word_of_its_own() -> None:
    silent = made(verify=None)
    prepared = mender(Machine((DOCKER,))).prepare(silent, OPTIONS)
    assert mender(Machine((DOCKER,))).verify(prepared).unmended == ("cold",)
    assert mender(Machine((BARE,))).verify(prepared).effective
    before = mender(Machine((BARE,))).prepare(silent, OPTIONS)
    assert mender(Machine((DOCKER,))).verify(before).effective, "it was not there before: a warning breaks nothing"


def test_what_this_user_may_not_do_is_a_command() -> None:
    prepared = mender(Machine((DOCKER,)), locked=("/etc/fire",)).prepare(made(), OPTIONS)
    assert prepared.plan.edits == ()
    assert "/etc/fire" in prepared.plan.by_hand[0].command


def test_a_code_is_looked_for_together_with_its_causes() -> None:
    machine = Machine((Host(container="docker", name="fireless"),))
    one = mender(machine, made(), offline=True)
    assert chain("cold", one.loaded) == {"cold", "no-fire"}
    assert chain("burnt", one.loaded) == {"burnt"}
    found, seen = one.find("cold")
    assert {finding.code: finding.because_of for finding in found} == {"cold": "no-fire", "no-fire": "cold"}
    assert list(seen) == ["host"]
    (request,) = machine.requests
    assert (request.only, request.offline) == (("host", "python"), True)


def test_what_cannot_be_told_is_not_fine() -> None:
    with pytest.raises(ExaminationError, match=r"whether there is cold cannot be told \(host: not-here\); `envdoctor"):
        mender(Machine(())).find("cold")
    assert mender(Machine((BARE,))).find("cold")[0] == ()

    def judge(host: Host) -> list[Finding]:
        raise ZeroDivisionError

    broken = Check("broken", (COLD,), judge)
    one = mender(Machine((BARE,)))
    file = TopicFile(Topic("tea"), (broken,), (COLD,), None, "/checks/tea.py")
    with pytest.raises(ExaminationError, match="ZeroDivisionError"):
        Mender(load.Loaded((file,), {}), one.target, one.observe, one.measure).find("cold")
    sighted = load.Loaded((TopicFile(Topic("tea"), (), (COLD,), None, "/checks/tea.py"),), {})
    with pytest.raises(UsageError, match="cold shows in logs and scripts only: `envdoctor explain FILE`"):
        Mender(sighted, one.target, one.observe, one.measure).find("cold")


@pytest.mark.parametrize(
    ("rdma", "absent"),
    [
        (Missing("rdma", "not-here", "/sys/class/infiniband is absent"), "/sys/class/infiniband is absent"),
        (Missing("rdma", "denied", "no permission"), ""),
        (Missing("rdma", "not-here"), ""),
    ],
)
def test_what_is_about_something_absent_is_not_there(rdma: Missing, absent: str) -> None:
    def judge(device: Rdma, host: Host) -> list[Finding]:
        return [COLD.found()]

    def other(device: Rdma) -> list[Finding]:
        return [COLD.found()]

    def machine(target: Target, request: local.Request) -> Snapshot:
        known: dict[str, object] = {"rdma": rdma, "host": Missing("host", "not-here", "no host")}
        return Snapshot(Node(), "", "", {name: known.get(name) for name in request.only})

    checks = tuple(Check(one.__name__, (COLD,), one) for one in (judge, other))
    file = TopicFile(Topic("tea"), checks, (COLD,), None, "/checks/tea.py")
    one = Mender(load.Loaded((file,), {}), Target("/opt/python", "asked"), machine, lambda name, known: None)
    if absent:
        found, seen = one.find("cold")
        assert found == () and one.absent("cold", seen) == absent
    else:
        with pytest.raises(ExaminationError, match="whether there is cold cannot be told"):
            one.find("cold")
    assert one.absent("cold", {"host": Missing("host", "not-here", "no host")}) == "", "what is unseen may be there"


def test_findings_of_other_problems_of_a_check_are_not_told() -> None:
    found, _ = mender(Machine((PipConfig(pip_version="1"),))).find("burnt")
    assert [finding.code for finding in found] == ["burnt"]


def test_a_finding_leads_to_its_fix_or_to_a_command() -> None:
    warm = made()
    loaded = mender(Machine(), warm).loaded
    assert of_finding(COLD.found().fixed_by("warm", "--strong"), loaded) == (warm_of(loaded), ("--strong",))
    told = of_finding(BURNT.found(), loaded)
    assert isinstance(told, Plan)
    assert (told.by_hand[0].command, told.title.say("zh"), told.changes) == ("scrape it", "糊了", False)
    with pytest.raises(UsageError, match="no command mends cold; `envdoctor explain cold`"):
        of_finding(COLD.found(), loaded)
    gone = of_finding(COLD.found().fixed_by("no-such-fix"), loaded)
    assert isinstance(gone, Plan)


def warm_of(loaded: load.Loaded) -> Fix:
    return loaded.fixes["warm"]


def test_the_pythons_option_is_part_of_the_commands_of_findings(tmp_path: Path) -> None:
    warm = made(mends=("cold",))
    machine = Machine((DOCKER,))
    one = mender(machine, warm)
    (finding,) = one.prepare(warm, OPTIONS).found
    assert finding.fixed_by("warm").command == "envdoctor fix warm"
    carried = one.loaded.carrying([finding.fixed_by("warm")], [Node(python="/opt/python", python_why="asked")])
    assert carried[0].command == "envdoctor fix warm --python /opt/python"


def test_the_sections_of_every_bundled_fix_are_known() -> None:
    loaded = load.load([load.bundled()])
    for own in loaded.fixes.values():
        assert set(sections_for(own, loaded)) <= set(mending._names().values())
        assert "asked-places" not in sections_for(own, loaded)
