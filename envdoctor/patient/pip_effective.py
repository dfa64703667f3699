"""What takes effect, said by the target's own pip in a child; our own reading where pip fails."""

import json
import os
import sys

from . import pip_config, reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .sections import Ask

MARK = "envdoctor-pip:"
# Runs in the target as `python -m pip` would, the working directory left out. Names differ before pip 19.3 and 20.
SCRIPT = r"""
import json, sys
sys.path[:] = [part for part in sys.path if part]
import pip
from pip._internal.models.index import PyPI
found = {"version": pip.__version__, "default_index": PyPI.simple_url, "commands": []}
try:
    from pip._internal.commands import create_command
except ImportError:
    from pip._internal.commands import commands_dict
    create_command = lambda name: commands_dict[name]()
def told(command, options):
    get = lambda name, other=None: getattr(options, name, None) or other
    return {"command": command, "index_url": get("index_url", ""), "extra_index_urls": get("extra_index_urls", []),
            "find_links": get("find_links", []), "trusted_hosts": get("trusted_hosts", []),
            "no_index": bool(get("no_index")), "cert": get("cert", ""), "client_cert": get("client_cert", ""),
            "proxy": get("proxy", ""), "timeout": get("timeout")}
for name in %(commands)r:
    command = create_command(name)
    found["commands"].append(told(name, command.parse_args([] if name == "list" else ["x"])[0]))
    if name == "install":
        known = set()
        for option in command.parser.option_list_all:
            known.update(word[2:] for word in option._long_opts)
        found["options"] = sorted(known)
try:
    try:
        from pip._internal.network.session import user_agent
    except ImportError:
        from pip._internal.download import user_agent
    found["user_agent"] = user_agent()
except Exception as error:
    found["user_agent_error"] = str(error)
print(%(mark)r + json.dumps(found))
"""


def from_files(config: "Dict[str, Any]") -> "List[Dict[str, Any]]":
    """What each command takes by our own reading."""
    found = []
    for command in pip_config.COMMANDS:
        won = config["winners"][command]
        taken = {option: config["values"][number]["value"] for option, number in won.items()}
        found.append(
            {
                "command": command,
                "index_url": taken.get("index-url", ""),
                "extra_index_urls": taken.get("extra-index-url", "").split(),
                "find_links": taken.get("find-links", "").split(),
                "trusted_hosts": taken.get("trusted-host", "").split(),
                "no_index": taken.get("no-index", "").lower() in ("y", "yes", "t", "true", "on", "1"),
                "cert": taken.get("cert", ""),
                "client_cert": taken.get("client-cert", ""),
                "proxy": taken.get("proxy", ""),
            }
        )
    return found


def disagreements(told: "Dict[str, Any]", config: "Dict[str, Any]") -> "List[str]":
    """Where pip's answer is not what our reading expects."""
    found = []
    for number, read in enumerate(from_files(config)):
        said = told["commands"][number]
        for name, expected in read.items():
            if name == "index_url" and not expected:
                expected = told["default_index"]
            # pip turns a path of find-links into the path it finds, nothing else.
            if said[name] != expected and name != "find_links":
                found.append("%s %s: pip %r, files %r" % (read["command"], name, said[name], expected))
    return found


def ask_pip(python: str, limit_s: float, environ: "Optional[Dict[str, str]]" = None) -> "Dict[str, Any]":
    """The answer of the pip of `python`, or {"error": its last words}."""
    env = dict(os.environ if environ is None else environ)
    # A keyring may ask for a password, and nothing here needs one.
    env["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    script = SCRIPT % {"commands": pip_config.COMMANDS, "mark": MARK}
    said = reading.run([python, "-c", script], limit_s, env)
    for line in said.out.splitlines():
        if line.startswith(MARK):
            try:
                return dict(json.loads(line[len(MARK) :]))
            except ValueError:
                break
    if said.failure == "timeout":
        return {"error": "no answer within %.0f s" % limit_s}
    words = [line for line in (said.err + "\n" + said.out).splitlines() if line.strip()]
    return {"error": "\n".join(words[-3:])[:1000] or "ended with status %s" % said.status}


def pip_effective(ask: "Ask") -> "Dict[str, Any]":
    if ask.stands_for:
        raise NotHere("%s does not run, nor does its pip" % ask.stands_for)
    config = ask.facts.get("pip-config") or pip_config.pip_config(ask)
    if not config["pip_version"]:
        raise NotHere("this Python has no pip")
    found = ask_pip(sys.executable, 8.0)
    if "error" in found:
        return {
            "source": "files",
            "version": config["pip_version"],
            "error": found["error"],
            "commands": from_files(config),
        }
    found["source"] = "pip"
    found["disagreements"] = disagreements(found, config)
    return found
