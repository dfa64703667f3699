"""All checks together on whole machines: silence where nothing is wrong, one root where one thing is."""

from __future__ import annotations

import pytest

from envdoctor import engine, facts, load
from envdoctor.model import Check, Finding, Missing, Severity
from envdoctor.patient.sections import SECTIONS
from envdoctor.testing import findings
from tests.checks.whole_cluster_faults import CLUSTER_FAULTS
from tests.checks.whole_gpu_faults import GPU_FAULTS
from tests.checks.whole_installs import INSTALLS
from tests.checks.whole_jobs import JOBS
from tests.checks.whole_machines import COMPUTERS
from tests.checks.whole_parts import Machine, kinds, without
from tests.checks.whole_python_faults import PYTHON_FAULTS
from tests.checks.whole_servers import SERVERS, worker
from tests.checks.whole_torch_faults import TORCH_FAULTS

CHECKS = load.load([load.bundled()]).checks
HEALTHY = {**COMPUTERS, **INSTALLS, **SERVERS, **JOBS}
FAULTS = {**GPU_FAULTS, **TORCH_FAULTS, **PYTHON_FAULTS, **CLUSTER_FAULTS}
# What --quick leaves out.
LEFT_OUT = tuple(section.name for section in SECTIONS if section.network or section.heavy)
# A section that is slow, or an import that did not come back, may be news in itself.
UNKNOWN = ("failed", "denied", "not-asked")


def loud(machine: Machine, checks: tuple[Check, ...] = CHECKS) -> list[Finding]:
    return [found for found in findings(checks, *machine.values()) if found.severity is not Severity.NOTE]


def told(found: list[Finding]) -> list[str]:
    return [f"{one.severity.value} {one.code} {one.situation or ''} {dict(one.evidence)}" for one in found]


def looking_at(name: str) -> tuple[Check, ...]:
    """The checks whose judgement may change with a fact."""
    kind = facts.kind(name)
    return tuple(check for check in CHECKS if kind in (need.fact for need in engine.needs(check.judge)))


@pytest.mark.parametrize("about", HEALTHY)
def test_nothing_is_said_where_nothing_is_wrong(about: str) -> None:
    machine = HEALTHY[about]
    assert not kinds(machine), "facts of which it is not even said why they are missing"
    assert not told(loud(machine))


@pytest.mark.parametrize("about", HEALTHY)
def test_what_is_not_known_is_no_fault(about: str) -> None:
    machine = HEALTHY[about]
    for name in facts.KINDS:
        if not isinstance(machine.get(facts.kind(name), Missing(name, "")), Missing):
            reason = UNKNOWN[len(name) % len(UNKNOWN)]
            assert not told(loud(without(machine, name, reason=reason), looking_at(name))), f"without {name}"
    assert not told(loud(without(machine, *LEFT_OUT, reason="not-asked")))


@pytest.mark.parametrize("about", FAULTS)
def test_one_root_leads(about: str) -> None:
    machine, code = FAULTS[about]
    found = findings(CHECKS, *machine.values())
    roots = {one.code for one in loud(machine) if one.because_of is None}
    assert roots == {code}, "\n".join(told(list(found)))
    assert found[0].code == code and found[0].because_of is None


def test_a_fault_is_put_into_a_machine_that_is_well() -> None:
    quiet = {code for machine, code in FAULTS.values() if not loud(machine)}
    assert not quiet, "a fault that nobody hears is none"
    assert len({code for _, code in FAULTS.values()}) >= 50


def test_two_nodes_of_a_job_agree() -> None:
    nodes = {"gpu-a01": tuple(worker(0).values()), "gpu-a02": tuple(worker(9).values())}
    assert not [one.code for one in findings(CHECKS, nodes=nodes) if one.severity is not Severity.NOTE]


def test_the_fault_of_one_node_is_told_of_that_node() -> None:
    well, ill = worker(0), FAULTS["a firewall"][0]
    found = findings(CHECKS, nodes={"gpu-a01": tuple(well.values()), "gpu-a02": tuple(ill.values())})
    assert [(one.code, one.nodes) for one in found if one.severity is Severity.ERROR] == [
        ("firewall-blocks-ports", ("gpu-a02",))
    ]
