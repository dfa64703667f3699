"""checks/torch_install.py: plans from facts."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from envdoctor import Files, Missing, Plan, UsageError
from envdoctor.facts.conda import CondaConfig, CondaPackage, CondaProgram
from envdoctor.facts.disks import Disks, Place
from envdoctor.facts.driver import Driver
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.facts.packages import Distribution, Packages
from envdoctor.facts.pip import PipConfig
from envdoctor.facts.python import Python
from envdoctor.facts.torch import Pin, TorchCopy, TorchCuda, TorchImport, TorchInstall
from envdoctor.facts.uv import UvConfig
from envdoctor.remedy import Fix
from envdoctor.testing import topic_file
from tests import CHECKS

ENV = "/opt/envs/train"
SITE = f"{ENV}/lib/python3.11/site-packages"
PYTHON = Python(f"{ENV}/bin/python", "3.11.7", prefix=ENV, venv=ENV, isolated_path=("/usr/lib/python3.11", SITE))
HOST = Host(system="linux", glibc="2.36", boot_id="x")
DRIVER = Driver(release="535.104.05", cuda_level="12.2")
GPUS = Gpus(gpus=(Gpu(index=0, name="NVIDIA A100-SXM4-40GB", compute_capability="8.0"),), count=1)
TORCH = TorchInstall(f"{SITE}/torch", "2.14.1+cu130", "13.0", dist_version="2.14.1", installer="pip",
                     pins=(Pin("nvidia-nccl-cu13", "2.30.7"),))  # fmt: skip
PIP = PipConfig("25.0")
WHEELS = Packages(
    2,
    (Distribution("torch", "2.14.1", SITE), Distribution("nvidia-nccl-cu13", "2.30.7", SITE),
     Distribution("numpy", "2.3.0", SITE)),
)  # fmt: skip


def the_fix() -> Fix:
    found: Fix = next(fix for fix in topic_file(CHECKS / "torch_install.py").fixes if fix.name == "torch")
    return found


def plan(
    torch: TorchInstall | Missing = TORCH, *, python: Python = PYTHON, driver: Driver | None = DRIVER,
    gpus: Gpus | None = GPUS, packages: Packages | None = WHEELS, pip: PipConfig | None = PIP,
    uv: UvConfig | None = None, conda: CondaConfig | None = None, disks: Disks | None = None,
    asked: AskedPlaces | None = None, files: Files | None = None, **options: Any,
) -> Plan:  # fmt: skip
    made = the_fix().make(
        python, torch, HOST, driver, gpus, None, packages, pip, uv, conda, disks, asked, files or Files(), **options
    )
    assert isinstance(made, Plan)
    return made


def argvs(made: Plan) -> list[tuple[str, ...]]:
    return [command.argv for command in made.commands]


def said_by(made: Plan) -> str:
    return "\n".join(remark.said.say("en") for remark in made.remarks)


def test_the_build_that_the_driver_serves_and_what_shares_its_files_goes_first() -> None:
    made = plan()
    pip = (f"{ENV}/bin/python", "-m", "pip")
    index_url = "https://download.pytorch.org/whl/cu126"
    assert argvs(made) == [
        (*pip, "uninstall", "-y", "nvidia-nccl-cu13"),
        (*pip, "install", "torch==2.14.1+cu126", "--index-url", index_url),
    ]
    back = (sys.executable, "-m", "envdoctor.put_back", "--python", f"{ENV}/bin/python")
    assert made.commands[0].undo == (*back, "torch==2.14.1", "nvidia-nccl-cu13==2.30.7")
    assert made.commands[1].undo == made.commands[0].undo
    assert dict(made.wants) == {"version": "2.14.1", "tag": "cu126", "gpus": True}


def test_what_fits_is_left_alone() -> None:
    fitting = replace(TORCH, version="2.8.0+cu126", cuda="12.6", dist_version="2.8.0+cu126")
    for made in (plan(fitting), plan(gpus=None, driver=None), plan(fitting, version="2.8.0", cuda="cu126")):
        assert not made.changes and not made.by_hand


@pytest.mark.parametrize(
    ("options", "installed"),
    [
        ({"version": "2.8.0"}, "torch==2.8.0+cu126"),
        ({"version": "2.8.0", "cuda": "12.6"}, "torch==2.8.0+cu126"),
        ({"cuda": "cu126"}, "torch==2.14.1+cu126"),
        ({"cpu": True}, "torch==2.14.1+cpu"),
    ],
)
def test_a_build_that_was_asked_for(options: dict[str, Any], installed: str) -> None:
    words = argvs(plan(driver=replace(DRIVER, cuda_level="12.6", release="560.35.05"), **options))[-1]
    tag = installed.partition("+")[2]
    assert installed in words or installed.replace("+cu126", "") in words
    assert f"https://download.pytorch.org/whl/{tag}" in words or "--index-url" not in words


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"version": "2.8.0", "cuda": "cu130"}, "no build of torch 2.8.0 for cu130"),
        ({"version": "2.14.1", "cuda": "cu130"}, "cannot run here .*driver>=580"),
        ({"version": "9.9"}, "no release of torch known here"),
        ({"cuda": "rocm"}, "no build of torch; it takes"),
        ({"cuda": "cu126", "cpu": True}, "exclude each other"),
        ({"beside": ("torchtext",)}, "it takes torchvision and torchaudio"),
        ({"wheels_mirror": "tuna"}, "there is nju"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan(**options)


def test_where_nothing_fits() -> None:
    with pytest.raises(UsageError, match="no torch on PyTorch's index fits this machine"):
        plan(driver=Driver(release="390.157", cuda_level="9.1"))


def test_companions_and_a_mirror_of_the_wheels() -> None:
    words = argvs(plan(version="2.8.0", cuda="cu126", beside=("torchvision,torchaudio",), wheels_mirror="nju"))[-1]
    assert words[-1] == "https://mirror.nju.edu.cn/pytorch/whl/cu126"
    assert [word.partition("==")[0] for word in words if "==" in word] == ["torch", "torchvision", "torchaudio"]
    beside = replace(WHEELS, distributions=(*WHEELS.distributions, Distribution("torchvision", "0.29.1", SITE)))
    assert any(word.startswith("torchvision==") for word in argvs(plan(packages=beside))[-1])


def test_the_tool_that_keeps_the_environment() -> None:
    uv = UvConfig(program="/usr/bin/uv")
    assert argvs(plan(replace(TORCH, installer="uv"), uv=uv))[-1][:3] == ("uv", "pip", "install")
    assert "--uv" in plan(replace(TORCH, installer="uv"), uv=uv).commands[0].undo
    assert argvs(plan(replace(TORCH, installer="uv")))[-1][1:3] == ("-m", "pip")  # uv is gone, pip is there
    assert argvs(plan(Missing("torch-install", "not-here"), pip=PipConfig(), uv=uv))[-1][0] == "uv"


def test_conda_s_torch_comes_from_conda_forge() -> None:
    conda = CondaConfig(
        programs=(CondaProgram("conda", "/opt/conda/bin/conda"),), root="/opt/conda", environment=ENV,
        packages=(CondaPackage("pytorch", "2.5.1", "py3.11_cpu_0", "pytorch"),
                  CondaPackage("cpuonly", "2.0", "0", "pytorch")),
    )  # fmt: skip
    own = replace(TORCH, version="2.5.1", cuda="", installer="conda", dist_version="2.5.1", pins=())
    made = plan(own, python=replace(PYTHON, conda=ENV), conda=conda)
    remove, install = argvs(made)
    assert remove == ("/opt/conda/bin/conda", "remove", "-p", ENV, "--yes", "--force", "cpuonly")
    assert install[:7] == ("/opt/conda/bin/conda", "install", "-p", ENV, "--yes", "--override-channels", "-c")
    assert "pytorch-gpu" in install and any(word.startswith("cuda-version=12.") for word in install)
    assert made.commands[0].undo[2:] == (
        "envdoctor.put_back", "--conda", "/opt/conda/bin/conda", "--prefix", ENV, "--channel", "pytorch",
        "pytorch==2.5.1=py3.11_cpu_0", "cpuonly==2.0=0",
    )  # fmt: skip
    unknown = plan(own, python=replace(PYTHON, conda=ENV), conda=None)
    assert "no conda on PATH" in unknown.by_hand[0].why.say("en")
    assert unknown.by_hand[0].command.startswith(f"conda install -p {ENV} --yes --override-channels -c conda-forge")
    base = plan(own, python=replace(PYTHON, conda="/opt/conda"), conda=conda)
    assert not base.changes and "conda's base" in base.by_hand[0].why.say("en")


def test_environments_that_are_not_the_user_s_to_change() -> None:
    marked = plan(python=replace(PYTHON, externally_managed="/usr/lib/python3.11/EXTERNALLY-MANAGED"))
    locked = plan(files=Files(locked=(f"{SITE}/.envdoctor-new",)))
    for made, why in ((marked, "PEP 668"), (locked, "may not write to")):
        assert made.title.say("en").startswith("Install torch "), "which is not done yet"
        assert not made.changes and why in made.by_hand[0].why.say("en")
        assert "-m venv ~/venvs/torch && ~/venvs/torch/bin/python -m pip install torch==" in made.by_hand[0].command


def test_what_a_user_should_know_before_saying_yes() -> None:
    disks = Disks((Place("temporary", "/tmp", mount_point="/", free_bytes=int(2e9)),
                   Place("home", "/home/ada", mount_point="/opt", free_bytes=int(5e9))))  # fmt: skip
    built = Distribution("flash-attn", "2.7.4+cu12torch2.6cxx11abiFALSE", SITE)
    shadowed = replace(TORCH, pins=(), copies=(TorchCopy("/home/ada/lib/torch", "2.6.0", "PYTHONPATH"),))
    silent = AskedPlaces((IndexProbe(url="https://download.pytorch.org/whl/cu126", outcome="no-name"),))
    told = said_by(
        plan(
            shadowed, packages=replace(WHEELS, distributions=(*WHEELS.distributions, built)), disks=disks, asked=silent
        )
    )
    for piece in (
        "/ has 2.0 GB free",
        "/opt has 5.0 GB free",
        "flash-attn",
        "which wins",
        "undo installs",
        "(no-name)",
    ):
        assert piece in told, piece
    own = replace(TORCH, version="2.9.0a0+gitdeadbee", dist_version="2.9.0a0+gitdeadbee", cuda="13.0")
    made = plan(own)
    assert made.commands[0].undo == () and "cannot be brought back" in said_by(made)


def test_nothing_to_say_where_nothing_is_in_the_way() -> None:
    answered = AskedPlaces((IndexProbe(url="https://download.pytorch.org/whl/cu126", outcome="answered", status=200),))
    made = plan(Missing("torch-install", "not-here"), packages=None, asked=answered)
    assert made.remarks == () and made.commands[0].undo == ()
    assert plan(replace(TORCH, installer="uv"), pip=None, uv=None).commands[0].argv[1:3] == ("-m", "pip")
    nowhere = plan(python=replace(PYTHON, isolated_path=()))
    assert nowhere.changes


def test_a_torch_that_lost_files_is_written_again() -> None:
    info, lost = f"{SITE}/torch-2.8.0+cu126.dist-info", (f"{SITE}/torch/lib/x.so",)
    fitting = replace(TORCH, version="2.8.0+cu126", cuda="12.6", pins=(), dist_info=info, broken_files=lost)
    made = plan(fitting)
    assert [argv[3] for argv in argvs(made)] == ["install", "install"]
    assert argvs(made)[-1][4:7] == ("--force-reinstall", "--no-deps", "torch==2.8.0+cu126")
    assert [command.why.say("en") for command in made.commands][-1] == "puts every file of torch in place again"


def test_nothing_is_removed_for_an_index_that_does_not_answer() -> None:
    silent = AskedPlaces((IndexProbe(url="https://download.pytorch.org/whl/cu126", outcome="answered", status=503),))
    with pytest.raises(UsageError, match=r"does not answer now \(HTTP 503\).*--wheels-mirror nju"):
        plan(asked=silent)
    assert plan(asked=None).changes


def test_the_place_that_only_pytorch_serves_is_asked() -> None:
    fix = the_fix()
    assert fix.asks is not None
    facts = (PYTHON, TORCH, HOST, DRIVER, GPUS, None, WHEELS)
    assert [place.url for place in fix.asks(*facts)] == ["https://download.pytorch.org/whl/cu126"]
    assert [place.url for place in fix.asks(*facts, version="2.8.0", cuda="cu126", wheels_mirror="nju")] == [
        "https://mirror.nju.edu.cn/pytorch/whl/cu126"
    ]
    fitting = replace(TORCH, version="2.8.0+cu126", cuda="12.6")
    for own, options in (
        (fitting, {}),
        (fitting, {"version": "2.8.0", "cuda": "cu126"}),
        (replace(TORCH, installer="conda"), {}),
    ):
        assert list(fix.asks(PYTHON, own, HOST, DRIVER, GPUS, None, WHEELS, **options)) == []
    newer = Driver(release="580.95.05", cuda_level="13.0")
    absent = Missing("torch-install", "not-here")
    assert list(fix.asks(PYTHON, absent, HOST, newer, GPUS, None, WHEELS)) == []  # pip's own index has it


def test_what_shows_that_it_works() -> None:
    fix = the_fix()
    assert fix.verify is not None
    made = plan()
    good = replace(TORCH, version="2.14.1+cu126", cuda="12.6", dist_version="2.14.1+cu126")
    fine, gone = TorchImport(version="2.14.1+cu126"), Missing("torch-cuda", "not-here")
    assert list(fix.verify(made, good, fine, TorchCuda(available=True))) == []
    for facts, piece in (
        ((TORCH, fine, gone), "torch 2.14.1+cu130 is there, not 2.14.1+cu126"),
        ((good, TorchImport(error="OSError", message="libx"), gone), "OSError: libx"),
        ((good, Missing("torch-import", "crashed"), gone), "crashed"),
        ((good, fine, TorchCuda(error="CUDA error 802")), "CUDA error 802"),
        ((Missing("torch-install", "not-here"), gone, gone), "there is no torch"),
    ):
        assert any(one.say("en").endswith(piece) for one in list(fix.verify(made, *facts))), piece
