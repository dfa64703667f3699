"""Runs in the Python whose pip is asked: for each line of JSON on standard input, what pip takes and what we read.

Argument: the patient's folder. Each line holds {"environ": {...}, "prefix": folder}. pip stays imported, so that an
answer takes milliseconds.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import types
from typing import Any

COMMANDS = ("install", "download", "wheel", "list")


def pips_answer(create_command: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            for name in COMMANDS:
                options = create_command(name).parse_args([] if name == "list" else ["x"])[0]
                found[name] = {
                    "index-url": options.index_url,
                    "extra-index-url": options.extra_index_urls or [],
                    "find-links": options.find_links or [],
                    "trusted-host": options.trusted_hosts or [],
                    "no-index": bool(options.no_index),
                    "cert": options.cert or "",
                    "proxy": options.proxy or "",
                }
    except SystemExit:
        return {"error": said.getvalue()}
    return found


def our_answer(pip_config: Any, environ: Any, prefix: str, version: str, default_index: str) -> dict[str, Any]:
    config = pip_config.configuration(environ, prefix, os.path.expanduser("~"), version)
    fatal = ("bom", "no-section-header", "duplicate-section", "duplicate-option", "bad-line", "not-decodable")
    faults = [file for file in config["files"] if file.get("fault") in fatal]
    if faults or config["refused"]:
        return {"error": faults, "refused": [config["values"][number]["value"] for number in config["refused"]]}
    found: dict[str, Any] = {}
    for name in COMMANDS:
        taken = {option: config["values"][number]["value"] for option, number in config["winners"][name].items()}
        found[name] = {
            "index-url": taken.get("index-url", default_index),
            "extra-index-url": taken.get("extra-index-url", "").split(),
            "find-links": taken.get("find-links", "").split(),
            "trusted-host": taken.get("trusted-host", "").split(),
            "no-index": taken.get("no-index", "no") == "yes",
            "cert": taken.get("cert", ""),
            "proxy": taken.get("proxy", ""),
        }
    return found


def main() -> None:
    import pip
    from pip._internal.commands import create_command
    from pip._internal.models.index import PyPI

    package: Any = types.ModuleType("envdoctor_patient")
    package.__path__ = [sys.argv[1]]
    sys.modules["envdoctor_patient"] = package
    pip_config = importlib.import_module("envdoctor_patient.pip_config")
    print(json.dumps({"version": pip.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.clear()
        os.environ.update(asked["environ"])
        sys.prefix = asked["prefix"]
        answer = {
            "pip": pips_answer(create_command),
            "ours": our_answer(pip_config, os.environ, sys.prefix, pip.__version__, PyPI.simple_url),
        }
        print(json.dumps(answer), flush=True)


main()
