"""envdoctor/patient/torch_install.py: torch on disk, whole, halved, doubled, shadowed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from envdoctor.patient import torch_install
from envdoctor.transport import local
from envdoctor.transport.target import Target
from tests.patient.fake_torch import FINE, VERSION, environment, package, site_packages


def look(python: Path, folder: Path | None = None, **environ: str) -> dict[str, Any]:
    request = local.Request(
        limit_s=10, quick=True, only=("torch-install",), environ={**os.environ, **environ},
        folder=str(folder or python.parent),
    )  # fmt: skip
    answer, _ = local.examine_target(Target(str(python), "asked"), request)
    assert "torch-install" in answer.values, answer.missing
    value: dict[str, Any] = answer.values["torch-install"]
    return value


def test_a_whole_torch(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    folder = str(site_packages(tmp_path / "env") / "torch")
    told = look(python)
    assert told["folder"] == folder
    assert (told["version"], told["cuda"], told["hip"], told["debug"]) == ("2.7.1+cu126", "12.6", "", False)
    assert (told["dist_version"], told["installer"]) == ("2.7.1+cu126", "pip")
    assert told["pins"] == [{"name": "nvidia-nccl-cu12", "version": "2.26.2"}, {"name": "triton", "version": "3.3.1"}]
    assert told["copies"] == [{"folder": folder, "version": "2.7.1+cu126", "place": "environment"}]
    assert told["leftover"] == "" and told["broken_files"] == [] and told["pip_leftovers"] == []


def test_nothing_at_all(tmp_path: Path) -> None:
    answer = local.examine(
        str(environment(tmp_path / "env", None)), local.Request(limit_s=10, quick=True, only=("torch-install",))
    )
    assert answer.missing["torch-install"].reason == "not-here"


def test_files_that_record_names_and_that_are_gone(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    site = site_packages(tmp_path / "env")
    (site / "torch-2.7.1+cu126.dist-info" / "RECORD").write_text(
        "torch/__init__.py,,\ntorch/lib/libtorch_cpu.so,,\ntorch/onnx/__init__.py,,\ntorch/onnx/deep/x.py,,\n"
        "torch/__pycache__/a.pyc,,\ntorchgen/gone.py,,\n../../../bin/torchrun,,\n"
    )
    assert look(python)["broken_files"] == [
        str(site / "torch/lib/libtorch_cpu.so"),
        str(site / "torch/onnx/__init__.py"),
    ]


def test_half_removed(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    torch = site_packages(tmp_path / "env") / "torch"
    (torch / "__init__.py").unlink()
    told = look(python)
    assert (told["leftover"], told["folder"], told["dist_version"]) == (str(torch), "", "2.7.1+cu126")
    (torch / "__init__.py").write_text("")
    next(torch.glob("_C.*")).unlink()
    told = look(python)
    assert told["leftover"] == told["folder"] == str(torch)


def test_what_an_interrupted_pip_leaves(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    site = site_packages(tmp_path / "env")
    for name in ("~orch", "~-rch", "~orch-2.1.0.dist-info", "~umpy", "torchvision"):
        (site / name).mkdir()
    assert look(python)["pip_leftovers"] == [str(site / name) for name in ("~-rch", "~orch", "~orch-2.1.0.dist-info")]


def test_metadata_alone(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", None, files={"torch-2.3.0.dist-info/METADATA": "Name: torch\n"})
    told = look(python)
    assert (told["folder"], told["dist_version"]) == ("", "2.3.0")


@pytest.mark.parametrize("name", ["torch.py", "torch/__init__.py"])
def test_a_torch_in_the_working_directory_comes_first(tmp_path: Path, name: str) -> None:
    python = environment(tmp_path / "env")
    work = tmp_path / "work"
    (work / name).parent.mkdir(parents=True)
    (work / name).write_text("")
    told = look(python, work)
    assert [copy["place"] for copy in told["copies"]] == ["working directory", "environment"]
    assert told["folder"] == str(work / name.partition("/")[0])
    assert told["leftover"] == ""


def test_a_data_folder_named_torch_is_none(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    (tmp_path / "work" / "torch").mkdir(parents=True)
    told = look(python, tmp_path / "work")
    assert [copy["place"] for copy in told["copies"]] == ["environment"]


def test_pythonpath_comes_before_the_environment(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    package(tmp_path / "mine", FINE, "__version__ = '2.1.0'\ndebug: bool = True\ncuda: Optional[str] = None\n")
    told = look(python, PYTHONPATH=str(tmp_path / "mine"))
    assert [(copy["place"], copy["version"]) for copy in told["copies"]] == [
        ("PYTHONPATH", "2.1.0"),
        ("environment", "2.7.1+cu126"),
    ]
    assert told["debug"] is True and told["cuda"] == ""


def test_the_environment_of_a_broken_python_is_looked_at_from_outside(tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    python.unlink()
    python.symlink_to("/gone/python")
    told = look(python)
    assert told["folder"] == str(site_packages(tmp_path / "env") / "torch")
    assert told["version"] == "2.7.1+cu126"


def test_conda_keeps_a_record_of_its_own(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", None)
    (tmp_path / "env" / "conda-meta").mkdir()
    (tmp_path / "env" / "conda-meta" / "pytorch-2.5.1-cuda126_py311h_0.json").write_text("{}")
    told = look(python)
    assert (told["dist_version"], told["installer"]) == ("2.5.1", "conda")


@pytest.mark.parametrize(
    ("text", "version", "cuda", "hip"),
    [
        (VERSION, "2.7.1+cu126", "12.6", ""),
        ("__version__ = '1.4.0'\ndebug = False\ncuda = '10.1'\ngit_version = 'x'\n", "1.4.0", "10.1", ""),
        ("__version__ = '2.9.0+rocm6.4'\ncuda: Optional[str] = None\nhip: Optional[str] = '6.4.43482'\n",
         "2.9.0+rocm6.4", "", "6.4.43482"),
        ("", "", "", ""),
    ],
)  # fmt: skip
def test_version_files_of_all_times(tmp_path: Path, text: str, version: str, cuda: str, hip: str) -> None:
    (tmp_path / "version.py").write_text(text)
    told = torch_install.version_file(str(tmp_path))
    assert (told["version"], told["cuda"], told["hip"]) == (version, cuda, hip)
