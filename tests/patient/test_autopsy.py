"""envdoctor/patient/autopsy.py: what around a failed import is to blame, proven by leaving it out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor.transport import local
from tests import needs
from tests.patient.fake_torch import FINE, environment

ONLY = ("torch-import", "import-autopsy")


def trials(
    python: Path, folder: Path, environ: dict[str, str] | None = None, limit_s: float = 20.0
) -> dict[str, dict[str, Any]]:
    request = local.Request(
        limit_s=limit_s, offline=True, only=ONLY, environ={**os.environ, **(environ or {})}, folder=str(folder)
    )
    answer = local.examine(str(python), request)
    assert "import-autopsy" in answer.values, answer.missing
    return {trial["change"]: trial for trial in answer.values["import-autopsy"]["trials"]}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_only_what_is_set_is_left_out(tmp_path: Path, empty: Path) -> None:
    told = trials(environment(tmp_path / "env", "raise ImportError('no')"), empty)
    assert list(told) == ["all"]
    assert told["all"]["works"] is False
    assert told["all"]["error"] == "ImportError: no"
    assert told["all"]["command"].endswith("python -I -c 'import torch'")


@pytest.mark.parametrize("variable", ["LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH"])
def test_a_variable_that_is_to_blame(tmp_path: Path, empty: Path, variable: str) -> None:
    source = f"import os\nif os.environ.get({variable!r}): raise ImportError('undefined symbol: x')\n" + FINE
    # Of LD_PRELOAD the loader says that it cannot be opened, and goes on.
    told = trials(environment(tmp_path / "env", source), empty, {variable: "/nowhere/lib.so"})
    assert {change: trial["works"] for change, trial in told.items()} == {variable: True, "all": True}
    assert told[variable]["was"] == "/nowhere/lib.so"
    assert told[variable]["command"] == f"env -u {variable} python -c 'import torch'"


def test_a_crash_is_tried_again_too(tmp_path: Path, empty: Path) -> None:
    source = "import os\nif os.environ.get('LD_LIBRARY_PATH'): os.abort()\n" + FINE
    told = trials(environment(tmp_path / "env", source), empty, {"LD_LIBRARY_PATH": "/x", "PYTHONPATH": "/y"})
    assert {change: trial["works"] for change, trial in told.items()} == {
        "LD_LIBRARY_PATH": True, "PYTHONPATH": False, "all": True,
    }  # fmt: skip
    assert told["PYTHONPATH"]["error"].startswith("crashed: SIGABRT")


def test_the_users_packages(tmp_path: Path, empty: Path) -> None:
    if not os.path.exists(sys.base_prefix + "/bin/python3"):
        pytest.skip("the base Python lies elsewhere")
    site = tmp_path / "home" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    (site / "numpy_of_old.py").write_text("raise AttributeError('_ARRAY_API not found')\n")
    source = "try:\n    import numpy_of_old\nexcept ImportError: pass\n" + FINE
    python = environment(tmp_path / "env", source, system_site=True)
    told = trials(python, empty, {"PYTHONUSERBASE": str(tmp_path / "home")})
    assert {change: trial["works"] for change, trial in told.items()} == {"user-site": True, "all": True}
    assert told["user-site"]["was"] == str(site)


def test_a_trial_that_does_not_end_says_nothing(tmp_path: Path, empty: Path) -> None:
    source = "import os, time\nif not os.environ.get('PYTHONPATH'): time.sleep(60)\nraise ImportError('no')\n"
    told = trials(environment(tmp_path / "env", source), empty, {"PYTHONPATH": "/x"}, limit_s=5.0)
    assert told["PYTHONPATH"]["works"] is None
    assert told["PYTHONPATH"]["error"].startswith("hung") or told["PYTHONPATH"]["error"].startswith("slow")


def test_a_real_library_that_lacks_a_symbol_is_found_through_the_loader(tmp_path: Path, empty: Path) -> None:
    """A wheel's library beside the module, and another of the same name on LD_LIBRARY_PATH, as with nvJitLink."""
    cc = needs.program("cc", "gcc")
    python = environment(tmp_path / "env", "import ctypes\nctypes.CDLL(__path__[0] + '/lib/libtorch_fake.so')\n" + FINE)
    lib = next((tmp_path / "env").glob("lib/python*/site-packages/torch")) / "lib"
    lib.mkdir()
    old = tmp_path / "cuda"
    old.mkdir()
    (tmp_path / "new.c").write_text("int nvJitLinkComplete_12_4(void) { return 1; }\n")
    (tmp_path / "old.c").write_text("int nvJitLinkComplete_12_0(void) { return 1; }\n")
    (tmp_path / "use.c").write_text(
        "int nvJitLinkComplete_12_4(void);\nint use(void) { return nvJitLinkComplete_12_4(); }\n"
    )
    name = "libnvJitLink.so.12"
    shared = [cc, "-shared", "-fPIC", "-Wl,-z,now"]
    for source, place in (("new", lib), ("old", old)):
        subprocess.run([*shared, f"-Wl,-soname,{name}", "-o", place / name, tmp_path / f"{source}.c"], check=True)
    use = [*shared, "-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN", "-o", lib / "libtorch_fake.so", tmp_path / "use.c"]
    subprocess.run([*map(str, use), str(lib / name)], check=True)
    told = trials(python, empty, {"LD_LIBRARY_PATH": str(old)})
    assert told["LD_LIBRARY_PATH"]["works"] is True
    request = local.Request(
        limit_s=20, only=ONLY, environ={**os.environ, "LD_LIBRARY_PATH": str(old)}, folder=str(empty)
    )
    answer = local.examine(str(python), request)
    assert answer.values["torch-import"]["missing_symbol"] == "nvJitLinkComplete_12_4"
    shutil.rmtree(old)
