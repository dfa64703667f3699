"""The patient as a program that needs a Python on the other side and nothing else: its sources travel with it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from envdoctor.patient import boot, examining, fresh
from envdoctor.transport import local


@cache
def _sources() -> dict[str, str]:
    """Module -> source; NVIDIA's own binding for NVML among them where it is installed here."""
    found = {f"{examining.PACKAGE}.{path.stem}": path.read_text("utf-8") for path in local.PATIENT.glob("*.py")}
    if binding := local.pynvml():
        found[fresh.BINDING] = Path(binding).read_text("utf-8")
    return found


def program(
    request: local.Request, cookie: str, environ: Mapping[str, str], stands_for: str = "", failure: str = ""
) -> bytes:
    """What goes to the standard input of `boot.COMMAND` on the other side: at most 200 kB.

    Args:
        cookie: stands before each line that comes back.
        environ: variables to set there.
        stands_for: the Python that is meant, where another runs this in its place; failure: what it said.
    """
    sources = _sources()
    main = f"{examining.PACKAGE}.{examining.__name__.rpartition('.')[2]}"
    whole: dict[str, Any] = {
        "boot": sources[f"{examining.PACKAGE}.{boot.__name__.rpartition('.')[2]}"],
        "modules": sources,
        "first": [main],
    }
    asked = {
        "cookie": cookie, "limit_s": request.limit_s, "quick": request.quick, "offline": request.offline,
        "port": request.port, "only": list(request.only), "environ": dict(environ),
        "stands_for": stands_for, "stands_for_failure": failure,
    }  # fmt: skip
    return boot.line(whole, main, asked)


def cookie() -> str:
    """A new one."""
    return secrets.token_hex(12)
