"""checks/torch_import.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.allreduce import Failure
from envdoctor.facts.autopsy import ImportAutopsy, Trial
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport, TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.bench_results import FINE, stopped

FILE = CHECKS / "torch_import.py"
PYTHON = Python(executable="/e/bin/python")
INSTALLED = TorchInstall(version="2.7.1+cu126", dist_version="2.7.1")
UNDEFINED = TorchImport(
    error="ImportError",
    message="/e/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommResume\nmore",
    trace=('File "/e/torch/__init__.py", line 417, in <module>', "ImportError: ..."),
    missing_symbol="ncclCommResume",
)
STACK = (
    'Fatal Python error: Segmentation fault\nCurrent thread 0x1 (most recent call first):\n  File "<frozen x>", line 1'
)
STACK += '\n  File "/e/torch/__init__.py", line 417 in <module>'
ALL_WORKS = Trial("all", "", "python -I -c 'import torch'", True)
ALL_FAILS = Trial("all", "", "python -I -c 'import torch'", False, "ImportError")
LIBRARY_PATH = Trial(
    "LD_LIBRARY_PATH", "/usr/local/cuda/lib64", "env -u LD_LIBRARY_PATH python -c 'import torch'", True
)


def missing(reason: str, detail: str = "") -> Missing:
    return Missing("torch-import", reason, detail)


FAILS, CRASHES, HANGS = (
    {"torch-import-fails": "error"},
    {"torch-import-crashes": "error"},
    {"torch-import-hangs": "error"},
)
BROKEN = Failure(
    "torch", 1, "gpu02", "raised", kind="ImportError", error="libcudart.so.12: cannot open\nmore", place="torch.py:3"
)
UNFINISHED = {"torch-import-unfinished": "error"}

CASES = [
    Case("in a benchmark all have it", (FINE,)),
    Case("in a benchmark, on another node", (stopped("torch", BROKEN),), FAILS),
    Case("absent there", (stopped("torch", replace(BROKEN, kind="ModuleNotFoundError", absent=True)),)),
    Case("it dies there", (stopped("torch", replace(BROKEN, how="died", signal="SIGILL", said="x")),),
         {"torch-import-crashes": "error"}),
    Case("it ends there", (stopped("torch", replace(BROKEN, how="died", status=3, said="goodbye")),), FAILS),
    Case("it was killed there", (stopped("torch", replace(BROKEN, how="died", signal="SIGKILL")),)),
    Case("it does not come back there", (stopped("torch", replace(BROKEN, how="silent", ranks=(1,), seconds=60.0)),),
         UNFINISHED),
    Case("it comes in", (TorchImport(version="2.7.1"), INSTALLED)),
    Case("it was not asked for", (missing("not-asked"),)),
    Case("there is no torch", (missing("not-here"),)),
    Case("the interpreter did not start", (missing("failed", "/e/bin/python does not run"),)),
    Case("it raises, nothing was tried", (UNDEFINED,), FAILS),
    Case("LD_LIBRARY_PATH was it", (UNDEFINED, ImportAutopsy((LIBRARY_PATH, ALL_WORKS)), PYTHON), FAILS),
    Case("several things at once",
         (UNDEFINED, ImportAutopsy((Trial("PYTHONPATH", "/x", "", False), ALL_WORKS))), FAILS),
    Case("nothing around it was it", (UNDEFINED, ImportAutopsy((ALL_FAILS,)), INSTALLED), FAILS),
    Case("a module is absent", (TorchImport(error="ModuleNotFoundError", missing_module="typing_extensions"),), FAILS),
    Case("torch lacks a module of its own",
         (TorchImport(error="ModuleNotFoundError", missing_module="torch.onnx"), PYTHON, INSTALLED), FAILS),
    Case("it exits", (missing("failed", "ended with exit status 0\nlicence expired"),), FAILS),
    Case("it exits in this folder",
         (missing("failed", "ended with exit status 3"), ImportAutopsy((Trial("cwd", "/work", "cd /", True),))), FAILS),
    Case("it crashes", (missing("crashed", f"SIGSEGV\n{STACK}\nfree(): invalid pointer\n"), PYTHON), CRASHES),
    Case("it crashes by LD_PRELOAD",
         (missing("crashed", "SIGSEGV\n" + STACK),
          ImportAutopsy((Trial("LD_PRELOAD", "/x.so", "env -u LD_PRELOAD python", True),))), CRASHES),
    Case("the processor is too old", (missing("crashed", "SIGILL"),), CRASHES),
    Case("the kernel killed it", (missing("crashed", "SIGKILL"),), CRASHES),
    Case("it hangs", (missing("hung", STACK),), HANGS),
    Case("it hangs in the kernel", (missing("hung", "stuck in nfs_wait\n"), PYTHON), HANGS),
    Case("it is slow", (missing("slow", STACK),), {"torch-import-unfinished": "note"}),
]  # fmt: skip


def test_the_node_of_a_benchmark_on_which_it_fails_is_named() -> None:
    (found,) = Case("", (stopped("torch", BROKEN),), FAILS).assert_holds(CHECKS / "torch_import.py")
    assert found.nodes == ("gpu02",)
    assert found.evidence["error"] == "ImportError: libcudart.so.12: cannot open"
    assert (found.evidence["place"], found.evidence["python"]) == ("torch.py:3", "/opt/env/bin/python")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def finding_of(about: str) -> tuple[str, str, str | None]:
    """Title, evidence and command of a case's only finding."""
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    words = finding.words
    assert words.title
    return (
        words.title.say("en", finding.evidence),
        words.seen.say("en", finding.evidence) if words.seen else "",
        finding.command,
    )


def test_the_proof_is_shown_and_is_the_command() -> None:
    title, seen, command = finding_of("LD_LIBRARY_PATH was it")
    assert title == "`import torch` fails: ImportError: /e/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommResume"
    assert "env -u LD_LIBRARY_PATH python -c 'import torch'" in seen and "/usr/local/cuda/lib64" in seen
    assert command == "env -u LD_LIBRARY_PATH python -c 'import torch'"
    assert finding_of("it crashes by LD_PRELOAD")[2] == "env -u LD_PRELOAD python"


def test_a_place_is_named() -> None:
    assert finding_of("it raises, nothing was tried")[1].endswith("at /e/torch/__init__.py:417")
    assert finding_of("it crashes")[1] == "SIGSEGV at /e/torch/__init__.py:417\nlast words: free(): invalid pointer"
    assert finding_of("it hangs")[0] == "`import torch` hangs at /e/torch/__init__.py:417"
    assert finding_of("it hangs in the kernel")[0] == "`import torch` hangs in the kernel (nfs_wait)"
    assert "licence expired" in finding_of("it exits")[1]


def test_an_absent_module_is_to_be_installed() -> None:
    assert finding_of("a module is absent")[2] == "python -m pip install typing-extensions"
    again = "/e/bin/python -m pip install --force-reinstall --no-deps torch==2.7.1"
    assert finding_of("torch lacks a module of its own")[2] == again
    assert finding_of("nothing around it was it")[2] is None
