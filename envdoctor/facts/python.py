"""The Python under examination."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Python:
    """The interpreter, its environment and where it looks for modules.

    Attributes:
        executable: absolute path, as chosen (links not resolved).
        version: "3.11.7".
        tag: "cp311", what wheel names carry; free-threaded builds are "cp313t".
        machine: "x86_64", "aarch64", ...: the interpreter's, which may differ from the kernel's.
        prefix, base_prefix: they differ inside a venv.
        venv: folder of the venv, empty outside of one.
        venv_version: version in pyvenv.cfg, empty if it names none.
        venv_home: folder of the base Python as pyvenv.cfg has it.
        venv_packages_of: Python versions for which the venv holds packages besides pip: "3.11".
        scripts_python: the interpreter that the environment's own programs (pip, torchrun) name in their first line,
            empty where it has none.
        scripts_python_exists: whether there is one at that path.
        conda: folder of the conda environment the interpreter belongs to, empty for none.
        on_path: the `python` (else `python3`) that PATH finds, empty if none.
        path: sys.path of a training run started here; the first entry is the working directory.
        isolated_path: sys.path without working directory, PYTHONPATH and user site-packages.
        user_site: the user's site-packages folder where it is in use, else empty.
        shadows: files in the working directory or on PYTHONPATH that hide a module of the standard library, torch or
            one of its dependencies: path of each.
        ssl: the OpenSSL version, empty where the ssl module cannot be imported.
        ssl_error: why it cannot.
        externally_managed: path of the EXTERNALLY-MANAGED marker of PEP 668, empty without one or inside a venv.
        writable: this user may add packages to it; False also where nobody looked.
        failure: what it said when it did not start, in which case another Python looked at it from outside; else empty.
        failure_kind: "dangling" (a link that leads nowhere), "absent", "denied", "foreign" (another architecture),
            "library" (a shared library is missing), "stdlib" (its standard library is), "too-old" (older than 3.4),
            "silent" (not a word in time), "hung" (the file system it lies on does not answer), "startup" (a start-up
            file raises), "stub" (of the Windows store) or "other"; empty if it starts.
        failure_about: what the kind is about: the file the link names, the library, the machine, file:line.
    """

    executable: str = ""
    version: str = ""
    implementation: str = "cpython"
    tag: str = ""
    machine: str = ""
    prefix: str = ""
    base_prefix: str = ""
    venv: str = ""
    venv_version: str = ""
    venv_home: str = ""
    venv_packages_of: tuple[str, ...] = ()
    scripts_python: str = ""
    scripts_python_exists: bool = True
    conda: str = ""
    on_path: str = ""
    path: tuple[str, ...] = ()
    isolated_path: tuple[str, ...] = ()
    user_site: str = ""
    shadows: tuple[str, ...] = ()
    ssl: str = ""
    ssl_error: str = ""
    externally_managed: str = ""
    writable: bool = False
    failure: str = ""
    failure_kind: str = ""
    failure_about: str = ""

    @property
    def minor(self) -> tuple[int, int]:
        """(3, 11) of "3.11.7"; (0, 0) if unknown."""
        parts = self.version.split(".")
        return (
            (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else (0, 0)
        )


def name_of(python: Python | None) -> str:
    """What a shell calls it: its path, quoted, or the `python` of PATH where none is known."""
    return shlex.quote(python.executable) if python and python.executable else "python"
