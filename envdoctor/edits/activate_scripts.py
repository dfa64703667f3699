"""Variables of a conda environment: scripts that `conda activate` and `conda deactivate` read.

conda sources every script of etc/conda/activate.d and deactivate.d whose ending belongs to the shell (.sh for bash, zsh
and sh, .fish, .csh). PATH is left alone: of it `conda deactivate` takes out the environment's own folders only
(conda/activate.py, `_replace_prefix_in_path`), so that what a script put there would stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from envdoctor.edits import shell_words
from envdoctor.remedy import EditFile, Files

HEAD = "# Written by `envdoctor fix {fix}`. conda reads it when this environment is {when}.\n"
ENDINGS = {"sh": "sh", "fish": "fish"}


def scripts(
    prefix: str, fix: str, values: Mapping[str, str], files: Files, first: bool = False
) -> tuple[EditFile, ...]:
    """The scripts that give an environment variables and take them back, with what was set before.

    Args:
        prefix: folder of the conda environment.
        fix: name of the fix, which the files are named after.
        first: the values are folders that come first on lists; else they take the place of what is set.

    Raises:
        CannotSay: a value that a shell has no notation for.
        OSError: a script that is there cannot be read.
    """
    edits = []
    for shell, ending in ENDINGS.items():
        for when, say in (("activate", _on), ("deactivate", _off)):
            path = f"{prefix}/etc/conda/{when}.d/envdoctor-{fix}.{ending}"
            head = HEAD.format(fix=fix, when=when + "d")
            lines = "".join(say(name, value, shell, first) + "\n" for name, value in values.items())
            edits.append(EditFile(path, files.read(path), (head + lines).encode("utf-8", "surrogateescape")))
    return tuple(edits)


def _on(name: str, value: str, shell: str, first: bool) -> str:
    kept = f"ENVDOCTOR_OLD_{name}"
    setting = (shell_words.first_on if first else shell_words.setting)(name, value, shell)
    if shell == "fish":
        return f"set -q {name}; and set -gx {kept} ${name}\n{setting}"
    return f'if [ -n "${{{name}:-}}" ]; then export {kept}="${name}"; fi\n{setting}'


def _off(name: str, value: str, shell: str, first: bool) -> str:
    kept = f"ENVDOCTOR_OLD_{name}"
    if shell == "fish":
        return f"if set -q {kept}; set -gx {name} ${kept}; set -e {kept}; else; set -e {name}; end"
    return f'if [ -n "${{{kept}:-}}" ]; then export {name}="${kept}"; unset {kept}; else unset {name}; fi'
