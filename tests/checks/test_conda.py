"""checks/conda.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.conda import CondaConfig, CondaPackage, CondaPair, CondaProgram, Condarc, CondaSetting
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS

FILE = CHECKS / "conda.py"
CLOUD = "https://mirrors.tuna.tsinghua.edu.cn/anaconda/cloud"
MAIN = "https://mirrors.tuna.tsinghua.edu.cn/anaconda/pkgs/main"
OWN = "https://conda.example/own"
GPU = PciDevices((PciDevice("0000:1b:00.0", "0x10de", "0x2330", "0x030200", "gpu"),))


def condarc(*settings: CondaSetting) -> CondaConfig:
    return CondaConfig(files=(Condarc("/home/ada/.condarc", settings=settings),))


def custom(name: str, value: str) -> CondaConfig:
    return condarc(CondaSetting("custom_channels", 4, (), (CondaPair(name, (value,), 5),)))


def installed(name: str, build: str, *others: str) -> CondaConfig:
    more = tuple(CondaPackage(other, "1.0", "0") for other in others)
    return CondaConfig(
        environment="/opt/envs/train", packages=(CondaPackage(name, "2.5.1", build, "conda-forge"), *more)
    )


DEFAULTS = condarc(CondaSetting("default_channels", 2, (MAIN, MAIN.replace("main", "r"))))


def asked(url: str, **answer: object) -> IndexProbes:
    return IndexProbes((IndexProbe(kind="channel", option="channels", url=url, **answer),))  # type: ignore[arg-type]


CASES = [
    Case(
        "a channel that is gone",
        (DEFAULTS, asked(MAIN, outcome="answered", status=404)),
        {"conda-channel-unreachable": "error"},
    ),
    Case(
        "a channel of nobody known is gone",
        (condarc(CondaSetting("channels", 2, (OWN,))), asked(OWN, outcome="answered", status=404)),
        {"conda-channel-unreachable": "error"},
    ),
    Case("the name twice, elsewhere", (custom("x", "https://c.example/x"),), {"conda-channel-doubled": "error"}),
    Case(
        "a channel out of reach",
        (DEFAULTS, asked(MAIN, outcome="no-name", detail="x")),
        {"conda-channel-unreachable": "warning"},
    ),
    Case(
        "the second of two channels is gone",
        (DEFAULTS, asked(MAIN.replace("main", "r"), outcome="answered", status=404)),
        {"conda-channel-unreachable": "error"},
    ),
    Case(
        "a channel of the alias out of reach",
        (CondaConfig(channels=("x",)), asked(MAIN, outcome="timeout")),
        {"conda-channel-unreachable": "warning"},
    ),
    Case(
        "neither a channel nor an index is in reach",
        (DEFAULTS, IndexProbes((IndexProbe(outcome="no-name"), *asked(MAIN, outcome="no-name").probes))),
        {"conda-channel-unreachable": "note"},
    ),
    Case(
        "the proxy is gone for both",
        (DEFAULTS, IndexProbes((IndexProbe(outcome="proxy"), *asked(MAIN, outcome="proxy").probes))),
        {"conda-channel-unreachable": "warning"},
    ),
    Case("the name twice", (custom("conda-forge", CLOUD + "/conda-forge"),), {"conda-channel-doubled": "error"}),
    Case(
        "the name twice in a URL",
        (condarc(CondaSetting("channels", 1, (CLOUD + "/pytorch/pytorch",))),),
        {"conda-channel-doubled": "error"},
    ),
    Case("a CPU build", (installed("pytorch", "cpu_generic_py312_h8c7d2ad_0"), GPU), {"conda-cpu-solve": "error"}),
    Case(
        "a CPU build, forced",
        (installed("pytorch", "py3.12_cpu_0", "cpuonly"), Gpus(count=1)),
        {"conda-cpu-solve": "error"},
    ),
    Case("not on PATH", (CondaConfig(installations=("/opt/conda",)),), {"conda-not-on-path": "note"}),
    Case("a CUDA build", (installed("pytorch", "py3.12_cuda12.4_cudnn9.1.0_0"), GPU)),
    Case("a build string that does not tell", (installed("pytorch", "py312_0"), GPU)),
    Case("a CPU build without a GPU", (installed("pytorch", "cpu_generic_0"), PciDevices())),
    Case("no torch of conda's", (CondaConfig(environment="/opt/envs/train"), GPU)),
    Case(
        "the recipe as it should be",
        (custom("conda-forge", CLOUD), asked(CLOUD + "/conda-forge", outcome="answered", status=200)),
    ),
    Case("a channel URL that ends in its name", (condarc(CondaSetting("channels", 1, (CLOUD + "/pytorch/",))),)),
    Case(
        "on PATH",
        (CondaConfig(installations=("/opt/conda",), programs=(CondaProgram("conda", "/opt/conda/bin/conda"),)),),
    ),
    Case("a channel that wants a login", (DEFAULTS, asked(MAIN, outcome="answered", status=401))),
    Case(
        "the doubled address is 404 for a reason",
        (custom("pytorch", CLOUD + "/pytorch"), asked(CLOUD + "/pytorch/pytorch", outcome="answered", status=404)),
        {"conda-channel-doubled": "error"},
    ),
    Case("no conda", (Missing("conda-config", "not-here"), GPU)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_places_and_commands() -> None:
    found = {case.about: case.assert_holds(FILE)[0] for case in CASES if case.expect}
    assert found["a channel that is gone"].command == "envdoctor fix conda-mirror --tuna"
    assert found["a channel of nobody known is gone"].command == "${EDITOR:-vi} +2 /home/ada/.condarc"
    assert found["a channel of the alias out of reach"].evidence["place"] == "CONDA_CHANNELS"
    assert found["the name twice"].command == "envdoctor fix conda-mirror --tuna"
    assert found["the name twice, elsewhere"].command == "sed -i '5s|/x/*$||' /home/ada/.condarc"
    assert found["a CPU build, forced"].command == "conda remove -p /opt/envs/train cpuonly"


def test_summary() -> None:
    file = topic_file(FILE)
    assert file.summary is not None
    told = file.summary.line(CondaConfig(root="/opt/conda", channels=("defaults", "pytorch")))
    assert told is not None and told[0].say("en", told[1]) == "/opt/conda; channels defaults, pytorch"
    told = file.summary.line(CondaConfig(environment="/opt/envs/train"))
    assert told is not None and told[0].say("en", told[1]) == "/opt/envs/train"
    assert file.summary.line(CondaConfig()) is None
