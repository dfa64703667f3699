"""Where envdoctor keeps what it must remember of this user's machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from envdoctor.errors import CannotMend


def state_folder() -> Path:
    """Where envdoctor keeps what it must remember: $XDG_STATE_HOME/envdoctor, else the platform's place for it.

    Raises:
        CannotMend: the user has no home folder, or it does not exist.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(given):
        return Path(given) / "envdoctor"
    base = {"win32": os.environ.get("LOCALAPPDATA") or "~/AppData/Local", "darwin": "~/Library/Application Support"}
    home = "" if os.environ.get("HOME") == "" else os.path.expanduser("~")
    place = os.path.expanduser(base.get(sys.platform, "~/.local/state"))
    # An empty HOME would make `~/x` the path /x, and root would make a home folder that is only named somewhere.
    if not os.path.isabs(home) or not os.path.isabs(place) or not os.path.isdir(home):
        absent = "the home folder does not exist" if os.path.isabs(home) else "HOME is no absolute path"
        absent_zh = "主目录不存在" if os.path.isabs(home) else "HOME 不是绝对路径"
        raise CannotMend(
            f"{absent if home else 'HOME is empty'}, so there is no place for the undo record; "
            "set XDG_STATE_HOME to a folder of yours",
            f"{absent_zh if home else 'HOME 为空'}，因此没有存放撤销记录的位置；请将 XDG_STATE_HOME 设为自己的目录",
        )
    return Path(place) / "envdoctor"
