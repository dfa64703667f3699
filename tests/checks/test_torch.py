"""checks/torch.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor import summaries
from envdoctor.facts.allreduce import Failure
from envdoctor.facts.asked import Asked
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchCopy, TorchImport, TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case, facts_by_type, topic_file
from tests import CHECKS
from tests.checks.bench_results import FINE as BENCHED
from tests.checks.bench_results import stopped

FILE = CHECKS / "torch.py"
HOST = Host(system="linux", machine="x86_64", glibc="2.35")
PYTHON = Python(executable="/e/bin/python", version="3.11.7", tag="cp311")
SITE = "/e/lib/python3.11/site-packages"
OWN = TorchCopy(f"{SITE}/torch", "2.7.1+cu126", "environment")
WHOLE = TorchInstall(
    folder=OWN.folder, version="2.7.1+cu126", cuda="12.6", dist_version="2.7.1",
    dist_info=f"{SITE}/torch-2.7.1.dist-info", installer="pip", copies=(OWN,),
)  # fmt: skip
FINE = TorchImport(version="2.7.1+cu126", cuda="12.6", backends=("gloo", "nccl"), nccl_header="2.26.2", seconds=1.2)
FAILED = TorchImport(error="ImportError", message="no")
ABSENT = (Missing("torch-install", "not-here"), Missing("torch-import", "not-here"), PYTHON, HOST)
RANK = Environment({"RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "29500"})


def shadow(folder: str, version: str, place: str) -> TorchInstall:
    return replace(WHOLE, folder=folder, copies=(TorchCopy(folder, version, place), OWN))


NO_TORCH = Failure("torch", 1, "gpu02", "raised", error="No module named 'torch'", absent=True)
NO_NCCL = stopped("torch", *(Failure("torch", index, f"gpu0{index + 1}", "raised", kind="no-nccl") for index in (0, 1)))
NO_GPU = stopped("torch", Failure("torch", 1, "gpu02", "raised", kind="no-gpu"))
CASES = [
    Case("a benchmark found torch on all nodes", (BENCHED, WHOLE, FINE, PYTHON)),
    Case(
        "in a benchmark, a node's torch cannot do it",
        (stopped("torch", Failure("torch", 1, "gpu02", "raised", kind="undistributed")), WHOLE, FINE),
        {"backend-unavailable": "error"},
    ),
    Case("a benchmark over NCCL with builds for the CPU", (NO_NCCL, WHOLE, FINE), {"backend-unavailable": "error"}),
    Case("a benchmark over NCCL without GPUs", (NO_GPU, WHOLE, FINE), {"backend-unavailable": "error"}),
    Case("another node of a benchmark has none", (stopped("torch", NO_TORCH), WHOLE, FINE), {"torch-missing": "error"}),
    Case(
        "another node of a benchmark has none, and was looked at as well",
        nodes={
            "gpu01": (stopped("torch", NO_TORCH), WHOLE, FINE),
            "gpu02": (*ABSENT, Asked(topics=("torch-missing",))),
        },
        expect={"torch-missing": "error"},
    ),
    Case("this node has none, as is told of it", (stopped("torch", replace(NO_TORCH, member=0)), WHOLE, FINE)),
    Case("whole and fine", (WHOLE, FINE, PYTHON, HOST, RANK, Asked())),
    Case("whole, not imported", (WHOLE, Missing("torch-import", "not-asked"), PYTHON)),
    Case("no torch, nothing shows that one is meant", (*ABSENT, Environment(), Asked()), {"torch-missing": "note"}),
    Case("no torch under a launcher", (*ABSENT, RANK, Asked()), {"torch-missing": "error"}),
    Case("no torch, and a log was given", (*ABSENT, Asked(log=True)), {"torch-missing": "error"}),
    Case("no torch, and it was asked for", (*ABSENT, Asked(topics=("torch-missing",))), {"torch-missing": "error"}),
    Case("no torch, and pip was asked for", (*ABSENT, Asked(topics=("pip",))), {"torch-missing": "note"}),
    Case("no torch, and the interpreter is all that is known", ABSENT[:2], {"torch-missing": "note"}),
    Case("an import hook knows a torch", (ABSENT[0], FINE, PYTHON, HOST)),
    Case("a data folder named torch is no torch",
         (ABSENT[0], TorchImport(error="AttributeError", message="no __version__", file="/home/ada/torch"), PYTHON),
         {"torch-missing": "note"}),
    Case("unreadable is not absent", (Missing("torch-install", "failed"), Missing("torch-import", "failed"))),
    Case("a folder without __init__.py",
         (TorchInstall(leftover=f"{SITE}/torch", dist_version="2.7.1"), FAILED), {"torch-leftover": "error"}),
    Case("a folder without its core", (replace(WHOLE, leftover=WHOLE.folder), FAILED), {"torch-leftover": "error"}),
    Case("remains behind a whole torch", (replace(WHOLE, leftover="/usr/lib/torch"), FINE), {"torch-leftover": "note"}),
    Case("metadata alone", (TorchInstall(dist_version="2.7.1+cpu", dist_info=WHOLE.dist_info), ABSENT[1]),
         {"torch-leftover": "error"}),
    Case("files are gone and the import fails", (replace(WHOLE, broken_files=("torch/lib/a.so",)), FAILED),
         {"torch-leftover": "error"}),
    Case("files are gone and it imports", (replace(WHOLE, broken_files=("torch/onnx/__init__.py",)), FINE),
         {"torch-leftover": "warning"}),
    Case("pip was interrupted", (replace(WHOLE, pip_leftovers=(f"{SITE}/~orch",)), FINE), {"torch-leftover": "note"}),
    Case("pip's remains do not explain a failure", (replace(WHOLE, pip_leftovers=(f"{SITE}/~orch",)), FAILED)),
    Case("torch.py in the working directory", (shadow("/home/ada/torch.py", "", "working directory"), FAILED),
         {"torch-shadowed": "error"}),
    Case("torch.py in the working directory and nothing else",
         (TorchInstall(folder="/src/torch.py", copies=(TorchCopy("/src/torch.py", "", "working directory"),)), FINE),
         {"torch-shadowed": "error"}),
    Case("started in the source tree", (shadow("/src/torch", "2.9.0a0", "working directory"), FAILED),
         {"torch-shadowed": "error"}),
    Case("an older torch in the user's folder", (shadow("/home/u/torch", "2.1.0", "user site"), FINE),
         {"torch-shadowed": "error"}),
    Case("the same torch in the user's folder", (shadow("/home/u/torch", "2.7.1+cu126", "user site"), FINE),
         {"torch-shadowed": "warning"}),
    Case("a build of one's own on PYTHONPATH", (shadow("/src/torch", "2.9.0a0", "PYTHONPATH"), FINE),
         {"torch-shadowed": "warning"}),
    Case("the user's folder holds the only torch",
         (replace(WHOLE, copies=(TorchCopy("/home/u/torch", "2.7.1", "user site"),)), FINE)),
    Case("PYTHONPATH holds the only torch",
         (replace(WHOLE, copies=(TorchCopy("/src/torch", "2.7.1", "PYTHONPATH"),)), FINE)),
    Case("a second copy behind the environment's",
         (replace(WHOLE, copies=(OWN, TorchCopy("/usr/torch", "1.13", "environment"))), FINE)),
    Case("a debug build", (replace(WHOLE, debug=True), FINE), {"torch-debug-build": "warning"}),
    Case("Jetson's build", (WHOLE, replace(FINE, backends=("gloo",)), HOST, Environment()),
         {"backend-unavailable": "note"}),
    Case("no NCCL under a launcher", (WHOLE, replace(FINE, backends=()), HOST, RANK), {"backend-unavailable": "error"}),
    Case("a CPU build has no NCCL", (WHOLE, replace(FINE, cuda="", backends=("gloo",)), HOST, RANK)),
    Case("Windows has no NCCL", (WHOLE, replace(FINE, backends=("gloo",)), Host(system="windows"))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_nodes_whose_torch_lacks_the_same_are_told_together() -> None:
    (found,) = Case("", (NO_NCCL, WHOLE, FINE), {"backend-unavailable": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu01", "gpu02") and found.evidence["node"] == "gpu[01-02]"
    assert found.evidence["version"] == "2.13.0+cu126"
    (found,) = Case("", (NO_GPU, WHOLE, FINE), {"backend-unavailable": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu02",)


def command(about: str) -> str | None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    return finding.command


def test_what_pip_refuses_is_no_command() -> None:
    debian = replace(PYTHON, executable="/usr/bin/python3", externally_managed="/usr/lib/python3.11/EXTERNALLY-MANAGED")
    case = Case("", (*ABSENT[:2], debian, HOST), {"torch-missing": "note"})
    (finding,) = case.assert_holds(FILE)
    assert finding.command and finding.command.startswith("/usr/bin/python3 -m venv ~/venvs/torch && ")


def test_commands() -> None:
    assert command("no torch, and the interpreter is all that is known") == "python -m pip install torch"
    assert (command("no torch under a launcher") or "").startswith("/e/bin/python -m pip install torch==")
    assert command("metadata alone") == (
        "python -m pip install --force-reinstall --no-deps torch==2.7.1+cpu"
        " --index-url https://download.pytorch.org/whl/cpu"
    )
    assert (command("a folder without __init__.py") or "").startswith(f"rm -r {SITE}/torch && python -m pip install")
    assert command("torch.py in the working directory") == "mv /home/ada/torch.py /home/ada/my_torch.py"
    assert command("an older torch in the user's folder") == "export PYTHONNOUSERSITE=1"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ((WHOLE, FINE), "2.7.1+cu126, CUDA 12.6, NCCL 2.26.2, imported in 1.2 s"),
        ((TorchImport(version="2.13.0+cpu", seconds=1.0),), "2.13.0+cpu, CPU, imported in 1.0 s"),
        ((replace(WHOLE, cuda="", hip="6.3"),), "2.7.1+cu126, ROCm 6.3, not imported"),
        ((WHOLE, FAILED), "2.7.1+cu126, CUDA 12.6, `import torch` fails"),
        ((), None),
    ],
)
def test_summary(given: tuple[object, ...], line: str | None) -> None:
    (told,) = summaries.summarise([topic_file(FILE)], {"here": facts_by_type(given)})
    assert (told.text.say("en", told.values) if told.text else None) == line


@pytest.mark.parametrize(
    ("installer", "start"), [("uv", "uv pip install --python /e/bin/python"), ("conda", "conda install -p /e")]
)
def test_who_installed_it_installs_it_again(installer: str, start: str) -> None:
    gone = replace(WHOLE, broken_files=("torch/x.py",), installer=installer)
    (finding,) = Case("", (gone, FAILED, replace(PYTHON, conda="/e")), {"torch-leftover": "error"}).assert_holds(FILE)
    assert finding.command and finding.command.startswith(start)
