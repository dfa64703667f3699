"""Which index uv itself would use: its hidden --show-settings prints what a command resolved and contacts nobody."""

import re

from . import reading, uv_config
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .sections import Ask

COMMANDS = (("project", ("lock",)), ("pip", ("pip", "install", "x")))
# How Rust's {:#?} prints the list of indexes: since uv 0.4.23, which brought [[index]].
INDEXES = re.compile(
    r"^ *index_locations: IndexLocations \{\n *indexes: \[(.*?)\n? *\],\n *(?:flat_index|no_index):", re.S | re.M
)
NAME = re.compile(r'IndexName\(\s*"((?:[^"\\]|\\.)*)"')
GIVEN = re.compile(r'given: Some\(\s*"((?:[^"\\]|\\.)*)"')


def default_of(settings: str) -> "Optional[str]":
    """The default index in the settings uv printed: "" for its own, None where they are not as we know them."""
    found = INDEXES.search(settings)
    if found is None:
        return None
    seen: "List[str]" = []
    for block in re.split(r"^ *Index \{$", found.group(1), flags=re.M)[1:]:
        name = NAME.search(block)
        given = GIVEN.search(block)
        hidden = name is not None and name.group(1) in seen
        if name:
            seen.append(name.group(1))
        if re.search(r"^ *default: true,$", block, re.M) and not hidden:
            return re.sub(r"\\(.)", r"\1", given.group(1)) if given else None
    return ""


def ask_uv(program: str, limit_s: float = 2.0, environ: "Optional[Dict[str, str]]" = None) -> "Dict[str, Any]":
    """What uv says in the working directory; `answers` is empty where it could not."""
    version = reading.run([program, "--version"], limit_s, environ)
    told = re.match(r"uv (\d\S*)", version.out)
    found: "Dict[str, Any]" = {"version": told.group(1) if told else "", "answers": [], "error": ""}
    for command, argv in COMMANDS:
        said = reading.run([program] + list(argv) + ["--show-settings", "--no-progress"], limit_s, environ)
        default = default_of(said.out) if said.status == 0 else None
        if default is not None:
            found["answers"].append({"command": command, "default": default})
        elif said.status and not found["error"]:
            words = [line.strip() for line in said.err.splitlines() if line.strip()]
            found["error"] = "\n".join(words[:6])[:1000]
    return found


def uv_effective(ask: "Ask") -> "Dict[str, Any]":
    config = ask.facts.get("uv-config") or uv_config.uv_config(ask)
    if not config["program"]:
        raise NotHere("there is no uv program")
    return ask_uv(config["program"])
