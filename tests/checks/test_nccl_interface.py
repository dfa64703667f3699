"""checks/nccl_interface.py: `envdoctor fix nccl-interface`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envdoctor import Files, Finding, Plan, UsageError, load, testing
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.nccl import ConfFile, NcclSettings, Row
from envdoctor.facts.new_shells import NewShell, NewShells
from envdoctor.facts.nics import Nics
from envdoctor.facts.shell_files import ShellFiles
from tests import ROOT
from tests.checks.interfaces import COMPOSE, ETH0, LO, NOTHING, nics
from tests.edits.real_shells import home_of
from tests.unreadable import Unreadable

HOME = "/home/ada"
BASH = ShellFiles("bash", HOME)
THERE = {f"{HOME}/.bashrc": b"", f"{HOME}/.profile": b". ~/.bashrc\n"}
MACHINE = nics(LO, COMPOSE, ETH0)
CONF = NcclSettings((ConfFile(f"{HOME}/.nccl.conf", "HOME", rows=(Row("NCCL_SOCKET_IFNAME", "br-4f2a9100aabb", 2),)),))


def found_by(file: str, *facts: object) -> list[Finding]:
    """What the checks of a file find."""
    return list(testing.findings(testing.checks_of(testing.topic_file(ROOT / "checks" / f"{file}.py")), *facts))


def the_fix() -> Any:
    return load.everything().fixes["nccl-interface"]


def plan(
    machine: Nics = MACHINE,
    environment: Environment = NOTHING,
    settings: NcclSettings | None = None,
    shell: ShellFiles = BASH,
    host: Host | None = None,
    files: Files | None = None,
    interface: str = "",
) -> Plan:
    made = the_fix()(machine, environment, settings, None, shell, host, files or Files(THERE), interface=interface)
    assert isinstance(made, Plan)
    return made


def test_the_interface_of_the_default_route_is_taken() -> None:
    made = plan()
    assert made.wants == {
        "env NCCL_SOCKET_IFNAME": "=eth0", "env GLOO_SOCKET_IFNAME": "eth0", "interface": "eth0",
    }  # fmt: skip
    (edit,) = made.edits
    assert b"export NCCL_SOCKET_IFNAME='=eth0'\nexport GLOO_SOCKET_IFNAME=eth0\n" in (edit.after or b"")


def test_one_that_is_named_is_taken_with_a_warning_where_it_leads_nowhere() -> None:
    made = plan(interface="br-4f2a9100aabb")
    assert made.wants["interface"] == "br-4f2a9100aabb"
    assert "does not lead to other nodes (bridge)" in made.remarks[0].said.say("en")
    with pytest.raises(UsageError, match="there are lo, br-4f2a9100aabb, eth0"):
        plan(interface="eth9")


def test_without_a_route_the_user_must_say() -> None:
    with pytest.raises(UsageError, match="name it"):
        plan(nics(LO, COMPOSE, source=""))


def test_nccl_s_own_file_is_changed_where_it_decides() -> None:
    content = b"# ours\nNCCL_SOCKET_IFNAME=br-4f2a9100aabb\r\nNCCL_DEBUG=WARN"
    made = plan(settings=CONF, files=Files({**THERE, f"{HOME}/.nccl.conf": content}))
    conf, bashrc = made.edits
    assert conf.after == content.replace(b"br-4f2a9100aabb", b"=eth0")
    assert conf.by_hand == "sudo sed -i '2s/=.*/==eth0/' /home/ada/.nccl.conf"
    assert b"GLOO" in (bashrc.after or b"") and b"NCCL" not in (bashrc.after or b"")
    assert made.wants["env NCCL_SOCKET_IFNAME"] is None


def test_the_environment_wins_over_the_file_and_is_what_changes() -> None:
    environment = Environment({"NCCL_SOCKET_IFNAME": "docker0"})
    made = plan(settings=CONF, environment=environment, files=Files({**THERE, f"{HOME}/.nccl.conf": b"x\n"}))
    assert [edit.path for edit in made.edits] == [f"{HOME}/.bashrc"]
    changed_meanwhile = plan(settings=CONF, files=Files({**THERE, f"{HOME}/.nccl.conf": b"x\n"}))
    assert [edit.path for edit in changed_meanwhile.edits] == [f"{HOME}/.bashrc"]


def test_where_nccl_s_file_cannot_be_read_the_shells_outdo_it() -> None:
    made = plan(settings=CONF, files=Unreadable({f"{HOME}/.nccl.conf"}, THERE))
    (bashrc,) = made.edits
    assert b"NCCL_SOCKET_IFNAME='=eth0'" in (bashrc.after or b"")
    assert made.wants["env NCCL_SOCKET_IFNAME"] == "=eth0"


@pytest.mark.parametrize(
    ("host", "shell", "command"),
    [
        (Host(container="docker"), BASH, "docker run -e NCCL_SOCKET_IFNAME==eth0 -e GLOO_SOCKET_IFNAME=eth0 ..."),
        (
            Host(scheduler=Scheduler("slurm", "7")),
            BASH,
            "export NCCL_SOCKET_IFNAME='=eth0'\nexport GLOO_SOCKET_IFNAME=eth0",
        ),
        (
            Host(),
            replace(BASH, sbatch="/usr/bin/sbatch"),
            "export NCCL_SOCKET_IFNAME='=eth0'\nexport GLOO_SOCKET_IFNAME=eth0",
        ),
    ],
)
def test_where_no_shell_of_the_user_s_runs_the_job_the_words_are_given(
    host: Host, shell: ShellFiles, command: str
) -> None:
    made = plan(host=host, shell=shell)
    assert not made.edits
    assert [step.command for step in made.by_hand] == [command]
    assert "exactly this name" in made.remarks[0].said.say("en"), "== is no slip"
    assert not any("exactly" in remark.said.say("en") for remark in plan().remarks)


def against(made: Plan, shells: NewShells, environment: Environment, settings: NcclSettings | None = None) -> list[str]:
    told = the_fix().verify(made, shells, BASH, MACHINE, environment, settings, None)
    return [one.say("en") for one in told]


def test_it_is_in_effect_when_nccl_s_rules_lead_there() -> None:
    made = plan()
    variables = {"NCCL_SOCKET_IFNAME": "=eth0", "GLOO_SOCKET_IFNAME": "eth0"}
    shells = NewShells("bash", "/bin/bash", (NewShell("interactive", variables, tuple(variables)),))
    assert against(made, shells, Environment(variables)) == []
    assert against(made, shells, NOTHING) == ["NCCL would still take br-4f2a9100aabb (unset)"]
    nothing = NewShells("bash", "/bin/bash", (NewShell("interactive"),))
    assert len(against(made, nothing, NOTHING)) == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_real_shells_have_it(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of(shell, tmp_path, monkeypatch)
    made = plan(shell=replace(home.facts(), sbatch=""), files=home.files())
    home.apply(made.edits)
    shells = home.new_shells()
    one = shells.of("command")
    assert one is not None
    assert against(made, shells, Environment(one.variables)) == []


def test_the_findings_point_here_where_the_user_s_shell_starts_the_job() -> None:
    environment = Environment({"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "NCCL_SOCKET_IFNAME": "br-4f2a9100aabb"})

    def commands(*more: object) -> list[str | None]:
        return [finding.command for finding in found_by("network", MACHINE, environment, *more)]

    assert commands(Host(), BASH) == ["envdoctor fix nccl-interface eth0"]
    for more in ((Host(container="docker"), BASH), (Host(), replace(BASH, sbatch="/usr/bin/sbatch")), ()):
        assert commands(*more) == ["export NCCL_SOCKET_IFNAME='=eth0'"]
