"""pip configurations for the tests of checks, with the winners worked out by the patient's own rules."""

from __future__ import annotations

from typing import Any

from envdoctor import decode
from envdoctor.facts.pip import PipConfig
from envdoctor.patient import ini, pip_config

PLACES = {
    "xdg": ("global", "/etc/xdg/pip/pip.conf"),
    "etc": ("global", "/etc/pip.conf"),
    "legacy": ("user", "/home/ada/.pip/pip.conf"),
    "user": ("user", "/home/ada/.config/pip/pip.conf"),
    "site": ("site", "/opt/venv/pip.conf"),
    "env": ("env", "/srv/pip.conf"),
}


def written(
    xdg: str = "", etc: str = "", legacy: str = "", user: str = "", site: str = "", env: str = "",
    variables: dict[str, str] | None = None, open_to_others: bool = False, more: dict[str, Any] | None = None,
) -> PipConfig:  # fmt: skip
    """The fact for these file contents and variables; `more` adds to it as it stands."""
    texts = {"xdg": xdg, "etc": etc, "legacy": legacy, "user": user, "site": site, "env": env}
    files: list[dict[str, Any]] = []
    values: list[dict[str, Any]] = []
    for name, text in texts.items():
        level, path = PLACES[name]
        own = level in ("user", "site")
        file: dict[str, Any] = {"path": path, "level": level, "exists": bool(text), "own": own, "mode": 0o644}
        file["open_to_others"] = open_to_others
        try:
            values += [
                {"key": pip_config.normal_key(item.key), "value": item.value, "section": item.section, "level": level,
                 "file": path, "line": item.line, "last_line": item.last_line}
                for item in ini.read(text.split("\n"))
            ]  # fmt: skip
        except ini.Fault as fault:
            file.update(fault=fault.kind, line=fault.line, detail=fault.text)
        if level != "env" or text:
            files.append(file)
    values += [
        {"key": key, "value": value, "section": ":env:", "level": "env-var", "file": "", "variable": variable}
        for variable, key, value in pip_config.variables(variables or {})
    ]
    found = {name: pip_config.candidates(values, name, ()) for name in pip_config.COMMANDS}
    refused = {n for taken in found.values() for option, n in taken if pip_config.refused(option, values[n]["value"])}
    answer: dict[str, Any] = {
        "pip_version": "26.3", "files": files, "values": values, "refused": sorted(refused),
        "winners": {name: dict(taken) for name, taken in found.items()},
    }  # fmt: skip
    fact = decode.fact("pip-config", {**answer, **(more or {})})
    assert isinstance(fact, PipConfig)
    return fact


def index(url: str, *lines: str) -> str:
    """A file that sets the index."""
    return "\n".join(("[global]", f"index-url = {url}", *lines))
