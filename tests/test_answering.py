"""envdoctor/answering.py"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from envdoctor import answering
from tests import ROOT, needs

# With a file system that nobody serves over its folder, in a mount namespace that ends with it.
HUNG = """
import sys
from envdoctor import answering
from tests.lab import hung_files
device = hung_files.mount(sys.argv[1])
print(answering.answers("/usr", sys.argv[1] + "/bin"), answering.search_path("/usr/bin:" + sys.argv[1] + "/bin:/bin"))
"""


def test_what_is_there_and_what_is_not_answer_alike(tmp_path: Path) -> None:
    assert answering.answers("/", tmp_path, tmp_path / "none of these; false")
    assert answering.answers()


def test_a_search_path_whose_folders_answer_stays_as_it_is() -> None:
    assert answering.search_path("/usr/bin::/nowhere") == "/usr/bin::/nowhere"
    assert answering.search_path("") == ""
    assert answering.search_path(None) == os.defpath


def test_what_does_not_answer_is_found_by_another(tmp_path: Path) -> None:
    needs.fuse()
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", HUNG, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "/usr/bin:/bin"], done.stderr
