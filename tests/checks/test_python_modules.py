"""checks/python_modules.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.autopsy import ImportAutopsy, Trial
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchImport
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS

FILE = CHECKS / "python_modules.py"
PLAIN = Python(executable="/usr/bin/python3", version="3.11.7", path=("/home/ada", "/usr/lib/python3.11"))
FINE = TorchImport(version="2.7.1", file="/e/torch/__init__.py")
SHADOW = replace(PLAIN, shadows=("/home/ada/random.py",))
BITTEN = TorchImport(
    error="AttributeError", message="module 'random' has no attribute 'choice'", strays=("/home/ada/random.py",),
    trace=('File "/e/torch/__init__.py", line 3, in <module>',),
)  # fmt: skip

CASES = [
    Case("nothing hides anything", (PLAIN, FINE)),
    Case("a stray random.py breaks the import", (SHADOW, BITTEN), {"python-module-shadowed": "error"}),
    Case("a stray random.py is named by the traceback",
         (SHADOW, TorchImport(error="RuntimeError", trace=('File "/home/ada/random.py", line 1, in <module>',))),
         {"python-module-shadowed": "error"}),
    Case("a stray random.py hangs", (SHADOW, Missing("torch-import", "hung", 'File "/home/ada/random.py", line 2')),
         {"python-module-shadowed": "error"}),
    Case("the trial without the working directory works",
         (SHADOW, TorchImport(error="KeyError", message="x"),
          ImportAutopsy((Trial("cwd", "/home/ada", "cd /", True), Trial("all", "", "", True)))),
         {"python-module-shadowed": "error"}),
    Case("a stray json.py that torch survives",
         (SHADOW, replace(FINE, strays=("/home/ada/random.py",))), {"python-module-shadowed": "warning"}),
    Case("a stray random.py, torch not imported", (SHADOW, Missing("torch-import", "not-asked")),
         {"python-module-shadowed": "warning"}),
    Case("a stray yaml.py that this torch never took", (replace(PLAIN, shadows=("/home/ada/yaml.py",)), FINE),
         {"python-module-shadowed": "note"}),
    Case("an import that fails for another reason is not blamed on it",
         (SHADOW, TorchImport(error="ImportError", message="libx.so: undefined symbol: y"),
          ImportAutopsy((Trial("all", "", "", False),)))),
    Case("own modules that hide nothing", (PLAIN, replace(FINE, strays=("/home/ada/utils/__init__.py",)))),
    Case("torch itself is the matter of another check", (replace(PLAIN, shadows=("/home/ada/torch.py",)), FINE)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def case(about: str) -> Case:
    return next(case for case in CASES if case.about == about)


def test_the_stray_file_is_to_be_renamed() -> None:
    (finding,) = case("a stray random.py breaks the import").assert_holds(FILE)
    assert finding.command == "mv /home/ada/random.py /home/ada/my_random.py"
    assert finding.evidence["place"] == "working directory"
    folder = replace(PLAIN, shadows=("/lib/json/__init__.py",))
    (finding,) = Case("", (folder, FINE), {"python-module-shadowed": "note"}).assert_holds(FILE)
    assert finding.command == "mv /lib/json /lib/my_json"
    assert (finding.evidence["place"], finding.evidence["module"]) == ("PYTHONPATH", "json")
