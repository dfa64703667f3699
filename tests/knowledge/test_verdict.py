"""envdoctor/knowledge/verdict.py: machines by hand, and what must hold for every machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.knowledge import cuda_driver, gpus, torch_builds
from envdoctor.knowledge.cuda_driver import cuda_of
from envdoctor.knowledge.torch_builds import python_holds, releases
from envdoctor.knowledge.verdict import Fit, Machine, Verdict, judge, machine_of, which_torch
from envdoctor.knowledge.versions import at_least, numbers

USUAL = Machine(glibc="2.35", python=(3, 11))


def on(driver: str, *capabilities: str, machine: Machine = USUAL, cuda: str = "") -> Machine:
    return replace(machine, driver=driver, cuda_level=cuda, capabilities=capabilities)


@pytest.mark.parametrize(
    ("about", "machine", "installed", "best", "proposal"),
    [
        ("CUDA 11 is the last that driver 470 runs", on("470.82.01", "8.0"), "2.13.0", "2.7.1+cu118", "2.7.1+cu118"),
        ("the installed release has such a build", on("470.82.01", "8.0"), "2.6.0", "2.7.1+cu118", "2.6.0+cu118"),
        ("V100", on("580.65.06", "7.0"), "2.13.0", "2.14.1+cu126", "2.13.0+cu126"),
        ("V100 with 2.15, which has no CUDA 12", on("580.65.06", "7.0"), "2.15.0", "2.14.1+cu126", "2.14.1+cu126"),
        ("RTX 5090, driver 570", on("570.86.10", "12.0"), "2.4.1", "2.13.0+cu129", "2.13.0+cu129"),
        ("RTX 5090, driver 580", on("580.65.06", "12.0"), "2.6.0", "2.15.0+cu132", "2.15.0+cu132"),
        ("RTX 5090, another patch", on("570.86.10", "12.0"), "2.12.0", "2.13.0+cu129", "2.12.1+cu129"),
        ("driver 550 and the default of 2.11", on("550.54.15", "8.0"), "2.11.0", "2.14.1+cu126", "2.11.0+cu126"),
        ("H100, driver 535", on("535.104.05", "9.0"), "2.10.0", "2.14.1+cu126", "2.10.0+cu128"),
        ("V100 and H100", on("580.65.06", "7.0", "9.0"), "2.13.0", "2.14.1+cu126", "2.13.0+cu126"),
        ("V100 and RTX 5090", on("580.65.06", "7.0", "12.0"), "2.13.0", "2.10.0+cu128", "2.10.0+cu128"),
        ("no build holds both", on("580.65.06", "6.1", "12.0"), "2.13.0", None, None),
        ("K80", on("470.82.01", "3.7"), "2.13.0", "2.7.1+cu118", "2.7.1+cu118"),
        ("K40", on("470.82.01", "3.5"), "", None, None),
        ("GTX 1080 Ti", on("535.104.05", "6.1"), "2.8.0", "2.14.1+cu126", "2.8.0+cu126"),
        (
            "GB200",
            on("570.86.15", "10.0", machine=replace(USUAL, machine="aarch64")),
            "",
            "2.13.0+cu129",
            "2.13.0+cu129",
        ),
        ("Jetson Orin", on("540.4.0", "8.7", machine=replace(USUAL, machine="aarch64"), cuda="12.6"), "", None, None),
        (
            "Jetson Thor",
            on("580.65.06", "11.0", machine=replace(USUAL, machine="aarch64")),
            "",
            "2.15.0+cu132",
            "2.15.0+cu132",
        ),
        ("Python 3.8", on("580.65.06", "8.0", machine=replace(USUAL, python=(3, 8))), "", "2.4.1+cu121", "2.4.1+cu121"),
        ("Python 3.8, RTX 5090", on("580.65.06", "12.0", machine=replace(USUAL, python=(3, 8))), "", None, None),
        (
            "Python 3.14, driver 535",
            on("535.104.05", "8.0", machine=replace(USUAL, python=(3, 14))),
            "",
            "2.14.1+cu126",
            "2.14.1+cu126",
        ),
        (
            "free-threaded 3.13",
            on("580.65.06", "8.0", machine=replace(USUAL, python=(3, 13), free_threaded=True)),
            "",
            "2.12.0+cu130",
            "2.12.0+cu130",
        ),
        (
            "CentOS 7",
            on("535.104.05", "8.0", machine=replace(USUAL, glibc="2.17", python=(3, 10))),
            "",
            "2.6.0+cu118",
            "2.6.0+cu118",
        ),
        ("musl", on("580.65.06", "8.0", machine=replace(USUAL, glibc="")), "", None, None),
        (
            "Windows",
            on("566.36", "8.9", machine=Machine("windows", python=(3, 11), windows_driver=True)),
            "2.13.0",
            "2.14.1+cu126",
            "2.13.0+cu126",
        ),
        ("macOS", Machine("macos", "aarch64", python=(3, 12)), "2.13.0", None, None),
        ("a driver of the day", on("595.58.03", "9.0"), "", "2.15.0+cu132", "2.15.0+cu132"),
        ("an unknown driver rules nothing out", on("", "9.0"), "", "2.15.0+cu132", "2.15.0+cu132"),
    ],
)
def test_machine(about: str, machine: Machine, installed: str, best: str | None, proposal: str | None) -> None:
    verdict = which_torch(machine, installed)
    assert (str(verdict.best) if verdict.best else None) == best, about
    assert (str(verdict.proposal) if verdict.proposal else None) == proposal, about


def test_why_not() -> None:
    verdict = which_torch(on("550.54.15", "8.0"), "2.13.0")
    assert verdict.why_not() == "2.15.0: driver>=580.65.06"
    assert [str(fit) for fit in verdict.alternatives] == ["2.13.0+cu129"]
    assert str(verdict.full) == "2.7.1+cu118" and verdict.axes == {"driver"}
    volta = which_torch(on("580.65.06", "7.0", "12.0"))
    assert volta.why_not(2) == "2.15.0: no sm_70; 2.14.1: cu126 no sm_120, cu130 cu132 no sm_70; ..."
    kepler = which_torch(on("470.82.01", "3.7"))
    assert kepler.why_not() == "2.15.0..2.8.0: no sm_37"
    # Of several builds that want a newer driver, the one that wants least is the way out.
    ampere = which_torch(on("470.82.01", "8.0"))
    assert ampere.why_not() == "2.15.0: driver>=580.65.06; 2.14.1..2.8.0: driver>=525.60.13"
    assert which_torch(on("595.58.03", "9.0")).why_not() == ""


def test_ptx_alone_needs_a_driver_that_translates_it() -> None:
    """The cu129 and cu130 builds of 2.9 carry PTX for 12.0, which a GPU to come runs if the driver is new enough."""
    cu130, cu129 = _known("2.9.0", "cu130"), _known("2.9.0", "cu129")
    assert isinstance(judge(*cu130, on("580.65.06", "13.0", cuda="13.0")), Fit)
    without = judge(*cu129, on("570.86.10", "13.0", cuda="12.8"))
    assert not isinstance(without, Fit)
    assert [reason.needs for reason in without.reasons] == ["driver>=575"]


def _known(version: str, tag: str) -> tuple[torch_builds.Release, torch_builds.Build]:
    release = torch_builds.release(version)
    assert release
    build = release.build(tag)
    assert build
    return release, build


def test_every_axis_is_named() -> None:
    machine = Machine(glibc="2.17", python=(3, 6), driver="418.39", capabilities=("12.0",))
    refused = judge(*_known("2.14.1", "cu126"), machine)
    assert not isinstance(refused, Fit)
    assert [(reason.axis, reason.needs) for reason in refused.reasons] == [
        ("glibc", "glibc>=2.28"),
        ("python", "python 3.10-3.14"),
        ("gpu", "no sm_120"),
        ("driver", "driver>=525.60.13"),
    ]
    free_threaded = judge(*_known("2.14.1", "cu126"), replace(USUAL, python=(3, 13), free_threaded=True))
    assert not isinstance(free_threaded, Fit)
    assert free_threaded.reasons[0].needs == "python 3.14t"
    foreign = judge(*_known("2.14.1", "cu126"), replace(USUAL, machine="ppc64le"))
    assert not isinstance(foreign, Fit)
    assert foreign.reasons[0].needs == "no linux ppc64le wheel"


def test_the_machine_of_the_facts() -> None:
    gpus = (Gpu(name="Tesla V100-SXM2-32GB"), Gpu(compute_capability="9.0"), Gpu(name="a card of the future"))
    host = Host(system="linux", machine="x86_64", glibc="2.31")
    python = Python(version="3.13.1", tag="cp313t", machine="x86_64")
    driver = Driver(release="550.54.15", cuda_level="12.4")
    assert machine_of(host, python, driver, gpus) == Machine(
        "linux", "x86_64", "2.31", (3, 13), True, "550.54.15", "12.4", False, ("7.0", "9.0")
    )
    assert machine_of(None, None, None) == Machine()
    windows = machine_of(Host(system="windows", machine="AMD64"), None, None)
    assert (windows.system, windows.machine, windows.glibc, windows.windows_driver) == ("windows", "x86_64", None, True)
    assert machine_of(Host(system="linux", wsl=2), None, None).windows_driver
    alpine = Host(system="linux", distribution="Alpine Linux")
    assert machine_of(alpine, None, None).glibc == ""
    assert machine_of(Host(system="linux", boot_id="5f1c"), None, None).glibc == ""
    assert machine_of(Host(system="linux"), None, None).glibc is None


CAPABILITIES = st.sampled_from(
    ["3.5", "3.7", "5.0", "5.2", "6.0", "6.1", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "10.3",
     "11.0", "12.0", "12.1", "13.0"]
)  # fmt: skip
DRIVERS = st.sampled_from(
    ["", "418.39", "450.51.05", "450.80.02", "470.82.01", "525.60.11", "535.104.05", "550.54.15", "570.86.10",
     "575.57.08", "580.65.06", "595.58.03", "620.1"]
)  # fmt: skip
MACHINES = st.builds(
    Machine,
    system=st.sampled_from(["linux", "linux", "linux", "windows", "macos"]),
    machine=st.sampled_from(["x86_64", "x86_64", "aarch64", "ppc64le"]),
    glibc=st.sampled_from([None, "", "2.17", "2.27", "2.28", "2.35"]),
    python=st.one_of(st.just((0, 0)), st.tuples(st.just(3), st.integers(6, 16))),
    free_threaded=st.booleans(),
    driver=DRIVERS,
    cuda_level=st.sampled_from(["", "10.2", "11.0", "11.4", "12.2", "12.4", "12.8", "13.0", "13.2"]),
    windows_driver=st.booleans(),
    capabilities=st.lists(CAPABILITIES, max_size=3).map(tuple),
)
INSTALLED = st.sampled_from(["", "nightly", *(release.version for release in releases())])


def breaks(machine: Machine, version: str, tag: str) -> set[str]:
    """The axes of the machine that a build breaks, worked out without the verdict's own code."""
    release = torch_builds.release(version)
    assert release
    build = release.build(tag)
    assert build
    codes = torch_builds.arch_list(version, tag, machine.system, machine.machine)
    span = release.free_threaded if machine.free_threaded else release.pythons(machine.system, machine.machine)
    reach = cuda_driver.reach(cuda_of(tag), machine.driver, machine.cuda_level, machine.windows_driver)
    ran = [gpus.runs(codes, capability) for capability in machine.capabilities]
    broken = {
        "platform": not codes or (machine.system == "linux" and machine.glibc == ""),
        "glibc": bool(machine.glibc) and not at_least(machine.glibc or "", build.glibc or release.glibc),
        "python": machine.python != (0, 0) and not python_holds(span, machine.python),
        "gpu": bool(codes) and "no" in ran,
        "driver": reach == "no" or (reach == "minor" and "jit" in ran),
    }
    return {axis for axis, is_broken in broken.items() if is_broken}


@settings(max_examples=300, deadline=None)
@given(machine=MACHINES, installed=INSTALLED)
def test_no_proposal_breaks_an_axis_and_every_newer_build_has_a_reason(machine: Machine, installed: str) -> None:
    verdict = which_torch(machine, installed)
    for fit in (verdict.best, verdict.keep, verdict.full, *verdict.alternatives):
        if fit is not None:
            assert breaks(machine, fit.version, fit.tag) == set(), fit
    if verdict.full:
        assert verdict.full.reach == "full"
    if verdict.keep:
        assert numbers(verdict.keep.version)[:2] == numbers(installed)[:2]
    newest = numbers(verdict.best.version) if verdict.best else ()
    newer = {
        (release.version, build.tag)
        for release in releases()
        for build in release.builds
        if release.default and numbers(release.version) > newest
    }
    assert {(refusal.version, refusal.tag) for refusal in verdict.refusals} == newer
    for refusal in verdict.refusals:
        assert {reason.axis for reason in refusal.reasons} == breaks(machine, refusal.version, refusal.tag) != set()
        assert all(reason.needs for reason in refusal.reasons)
    assert bool(verdict.why_not()) == bool(verdict.refusals)


def test_an_empty_verdict_proposes_nothing() -> None:
    assert Verdict().proposal is None and Verdict().why_not() == "" and Verdict().axes == frozenset()
