"""envdoctor/patient/torch_import.py: torches that hang, crash, exit, flood; each is named, nothing else suffers."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.patient import torch_import
from envdoctor.transport import local
from tests import needs
from tests.patient.fake_torch import FINE, environment, site_packages

LATE_S = 10.0  # a busy machine may be so late, and no more is meant to be tested here
ONLY = ("host", "python", "torch-install", "torch-import", "torch-cuda", "import-autopsy")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GRACE_S", LATE_S)


def examine(python: Path, limit_s: float = 20.0, folder: Path | None = None, **environ: str) -> local.Answer:
    began = time.monotonic()
    request = local.Request(
        limit_s=limit_s, offline=True, only=ONLY, environ={**os.environ, **environ},
        folder=str(folder or python.parent.parent.parent),
    )  # fmt: skip
    answer = local.examine(str(python), request)
    assert time.monotonic() - began < limit_s + LATE_S + 1.5
    assert answer.complete
    # Whatever torch does, the other facts are there.
    assert {"host", "python"} <= set(answer.values)
    return answer


def imported(answer: local.Answer) -> dict[str, Any]:
    value: dict[str, Any] = answer.values["torch-import"]
    return value


def test_a_torch_that_comes_in(tmp_path: Path) -> None:
    told = examine(environment(tmp_path / "env", FINE + "print('hello')\nimport sys; sys.stderr.write('careful\\n')"))
    assert imported(told)["version"] == "2.7.1+cu126"
    assert imported(told)["cuda"] == "12.6"
    assert sorted(imported(told)["warnings"]) == ["careful", "hello"]
    assert imported(told)["file"] == str(site_packages(tmp_path / "env") / "torch" / "__init__.py")
    assert told.missing["import-autopsy"].reason == "not-here"
    # It says it is a CUDA build and has no torch.cuda: that is the answer of its section alone.
    assert told.missing["torch-cuda"].reason == "failed"


def test_no_torch_is_said_without_running_anything(tmp_path: Path) -> None:
    told = examine(environment(tmp_path / "env", None))
    for section in ("torch-import", "torch-cuda", "torch-install"):
        assert told.missing[section].reason == "not-here", section


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("import torchvision_of_nobody", "ModuleNotFoundError", "No module named 'torchvision_of_nobody'"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("def broken(:", "SyntaxError", "invalid syntax"),
        ("x = 1 / 0", "ZeroDivisionError", "division by zero"),
        ("import sys; del sys.modules['torch']", "KeyError", "'torch'"),
    ],
)
def test_an_import_that_raises(tmp_path: Path, source: str, error: str, message: str) -> None:
    told = imported(examine(environment(tmp_path / "env", source)))
    assert told["error"] == error
    assert message in told["message"]
    assert any("torch/__init__.py" in line for line in told["trace"]) or error == "KeyError"


def test_what_an_import_error_names(tmp_path: Path) -> None:
    symbol = "/x/libtorch_cuda.so: undefined symbol: ncclCommResume"
    told = imported(examine(environment(tmp_path / "env", f"raise ImportError({symbol!r})")))
    assert told["missing_symbol"] == "ncclCommResume"
    library = "libcudnn.so.9: cannot open shared object file: No such file or directory"
    told = imported(examine(environment(tmp_path / "env2", f"raise OSError({library!r})")))
    assert told["missing_library"] == "libcudnn.so.9"
    told = imported(examine(environment(tmp_path / "env3", "import typing_extensions_")))
    assert told["missing_module"] == "typing_extensions_"


def test_the_cause_of_an_exception_is_in_its_trace(tmp_path: Path) -> None:
    source = "try:\n    import gone_away\nexcept ImportError as error:\n    raise RuntimeError('half') from error\n"
    told = imported(examine(environment(tmp_path / "env", source)))
    assert told["message"] == "half"
    assert told["trace"][-1] == "RuntimeError: half"
    assert "ModuleNotFoundError: No module named 'gone_away'" in told["trace"]


def test_a_folder_without_init_is_no_torch(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", None)
    (site_packages(tmp_path / "env") / "torch" / "lib").mkdir(parents=True)
    told = examine(python)
    assert imported(told)["message"] == "module 'torch' has no attribute '__version__'"
    assert told.values["torch-install"]["leftover"] == str(site_packages(tmp_path / "env") / "torch")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os\nos.abort()", "SIGABRT"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_a_crash_names_the_signal_and_the_line(tmp_path: Path, source: str, said: str) -> None:
    missing = examine(environment(tmp_path / "env", source)).missing["torch-import"]
    assert missing.reason == "crashed"
    assert missing.detail.startswith(said)
    assert said == "SIGKILL" or 'torch/__init__.py", line 2' in missing.detail
    assert not list(tmp_path.glob("core*")), "no core file in the user's folder"


@pytest.mark.parametrize("status", [0, 7])
def test_an_import_that_ends_the_interpreter(tmp_path: Path, status: int) -> None:
    missing = examine(environment(tmp_path / "env", f"import os\nos._exit({status})")).missing["torch-import"]
    assert (missing.reason, missing.detail) == ("failed", f"ended with exit status {status}")


def test_a_hang_is_located_to_the_line(tmp_path: Path) -> None:
    source = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\ntime.sleep(600)"
    missing = examine(environment(tmp_path / "env", source), limit_s=4.5).missing["torch-import"]
    assert missing.reason == "hung"
    assert 'torch/__init__.py", line 4' in missing.detail


def test_a_busy_import_is_slow_and_does_not_hang(tmp_path: Path) -> None:
    told = examine(environment(tmp_path / "env", "\nwhile True:\n    pass"), limit_s=4.5)
    assert told.missing["torch-import"].reason == "slow"
    assert 'torch/__init__.py", line' in told.missing["torch-import"].detail


def test_a_helper_that_works_for_it_keeps_it_from_hanging(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True).wait()"
    )
    assert examine(environment(tmp_path / "env", source), limit_s=4.5).missing["torch-import"].reason == "slow"


def test_helpers_that_hold_the_pipes_are_not_waited_for(tmp_path: Path) -> None:
    source = (
        "import os, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'], close_fds=False, pass_fds=(3,))\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        import time; time.sleep(20)\n"
        "    os._exit(0)\n" + FINE
    )
    began = time.monotonic()
    told = examine(environment(tmp_path / "env", source), limit_s=20)
    assert imported(told)["version"] == "2.7.1+cu126"
    assert time.monotonic() - began < 8


def test_twenty_megabytes_of_noise(tmp_path: Path) -> None:
    source = "import sys\nfor _ in range(20):\n    sys.stderr.write('x' * 999 + '\\n' + 'y' * 1000000)\n" + FINE
    told = imported(examine(environment(tmp_path / "env", source), limit_s=20))
    assert told["version"] == "2.7.1+cu126"
    assert len(told["warnings"]) <= 20
    assert max(map(len, told["warnings"])) <= 500


@pytest.mark.parametrize("name", ["json", "random", "types", "subprocess", "enum"])
def test_a_stray_file_bites_torch_and_not_the_examination(tmp_path: Path, name: str) -> None:
    python = environment(tmp_path / "env", f"import {name}\n{name}.__all__\n" + FINE)
    stray = tmp_path / f"{name}.py"
    stray.write_text("print('mine')\n")
    told = examine(python, folder=tmp_path)
    assert imported(told)["error"] == "AttributeError"
    assert imported(told)["strays"] == told.values["python"]["shadows"] == [str(stray)]
    trials = {trial["change"]: trial["works"] for trial in told.values["import-autopsy"]["trials"]}
    assert trials == {"cwd": True, "all": True}


def test_pythonpath_counts_and_the_library_beside_it_is_not_ours(tmp_path: Path) -> None:
    stray = tmp_path / "mine"
    stray.mkdir()
    (stray / "random.py").write_text("raise RuntimeError('mine')\n")
    python = environment(tmp_path / "env", "import random\n" + FINE)
    told = examine(python, PYTHONPATH=str(stray))
    assert imported(told)["message"] == "mine"
    trials = {trial["change"]: trial for trial in told.values["import-autopsy"]["trials"]}
    assert trials["PYTHONPATH"]["works"] is True
    assert trials["PYTHONPATH"]["command"].startswith("env -u PYTHONPATH python")
    assert trials["all"]["works"] is True


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.13"])
def test_other_pythons(tmp_path: Path, version: str) -> None:
    python = needs.python(version)
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("from torch.version import __version__\nimport torch.version\n")
    (tmp_path / "torch" / "version.py").write_text("__version__ = '1.10.2'\ncuda = None\n")
    told = examine(Path(python), folder=tmp_path, limit_s=20)
    assert imported(told)["version"] == "1.10.2"
    assert told.missing["torch-cuda"].detail == "a CPU build"
    assert told.values["python"]["version"].startswith(version)


@pytest.mark.torch
def test_the_real_torch() -> None:
    version = needs.distribution("torch")
    answer = local.examine(sys.executable, local.Request(limit_s=60, offline=True, only=ONLY))
    told = imported(answer)
    assert told["version"] == version
    assert "gloo" in told["backends"]
    assert not told.get("error")
    install = answer.values["torch-install"]
    assert install["version"] == install["dist_version"] == version
    assert os.path.join(install["folder"], "__init__.py") == told["file"]
    assert install["broken_files"] == [] and install["leftover"] == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-16", exclude_categories=[])),
    lambda own: st.lists(own) | st.dictionaries(st.text(), own), max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_its_json_is_json(value: Any) -> None:
    assert json.loads(torch_import.json_text(value)) == value


def test_numbers_that_json_lacks_are_null_and_bad_bytes_survive() -> None:
    assert torch_import.json_text([float("nan"), float("inf"), (1,)]) == "[null,null,[1]]"
    assert json.loads(torch_import.json_text("\udcff")) == "\udcff"


@pytest.mark.parametrize(
    ("number", "release"),
    [((2 << 32) | (27 << 16) | 5, "2.27.5"), (22705, "2.27.5"), (2708, "2.7.8"), (21005, "2.10.5")],
)
def test_nccl_numbers(number: int, release: str) -> None:
    assert torch_import.nccl_release(number) == release


def test_cudnn_numbers() -> None:
    assert (torch_import.cudnn_release(91002), torch_import.cudnn_release(8902)) == ("9.10.2", "8.9.2")
