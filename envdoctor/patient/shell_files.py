"""The start-up files of the user's shell, conda installations, CUDA toolkits and environment modules."""

import os
import re

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from .sections import Ask

FILES = {
    "bash": (".bash_profile", ".bash_login", ".profile", ".bashrc"),
    "zsh": (".zshenv", ".zprofile", ".zshrc", ".zlogin"),
    "fish": ("fish/config.fish",),
}
SYSTEM = {
    "bash": ("/etc/profile", "/etc/bash.bashrc", "/etc/bashrc"),
    "zsh": ("/etc/zsh/zshrc", "/etc/zshrc"),
    "fish": (),
}
# Settings that decide which libraries, toolkits and packages are found, or how NCCL behaves.
NAMES = re.compile(
    r"^(PATH|LD_LIBRARY_PATH|LIBRARY_PATH|LD_PRELOAD|CUDA_\w+|CUDNN_\w+|PYTHONPATH|PYTHONHOME|NCCL_\w+|GLOO_\w+|TORCH_\w+"
    r"|TORCHINDUCTOR_\w+|PIP_\w+|UV_\w+|CONDA_\w+|HF_HOME|HF_ENDPOINT|XDG_CACHE_HOME|TMPDIR|OMP_NUM_THREADS|MASTER_\w+"
    r"|https?_proxy|HTTPS?_PROXY|all_proxy|no_proxy|NO_PROXY)$"
)
SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|KEY|CREDENTIAL)", re.I)
ASSIGNED = re.compile(r"^\s*(?:export\s+|typeset\s+-x\s+|declare\s+-x\s+)?([A-Za-z_]\w*)=(.*)$")
FISH_SET = re.compile(r"^\s*set\s+(?:-\w+\s+|--\w+\s+)*([A-Za-z_]\w*)\s+(.*)$")
FISH_PATH = re.compile(r"^\s*fish_add_path\s+(?:-\w+\s+|--\w+\s+)*(.*)$")
# A folder entered or a file read by its absolute path. What lies in the home directory is where the file itself lies,
# and what lies on the root file system does not hang.
ENTERED = re.compile(r"(?:^|[;&|]|\bthen\b|\bdo\b)\s*(?:cd|pushd|source|\.)\s+(?:--\s+)?[\"']?(/[^\s;&|\"'$`*?]+)")
LOCAL = ("/etc/", "/usr/", "/lib", "/bin/", "/dev/", "/proc/", "/run/user/")
# The marks of envdoctor's own block, see envdoctor/edits/shell_block.py.
BEGIN, END = "# >>> envdoctor >>>", "# <<< envdoctor <<<"
CONDA_ROOTS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", "miniconda", "anaconda")
CONDA_PLACES = ("/opt/conda", "/opt/miniconda3", "/opt/anaconda3", "/opt/miniforge3", "/usr/local/miniconda3")
MODULES_WANTED = re.compile(
    r"^(cuda|cudatoolkit|nvhpc|nccl|cudnn|conda|miniconda|anaconda|miniforge|mamba|pytorch)\w*$", re.I
)


def home() -> str:
    return os.environ.get("HOME") or os.path.expanduser("~")


def shell_named() -> str:
    """bash, zsh, fish or another's name, as SHELL says."""
    return os.path.basename(os.environ.get("SHELL", ""))


def login_shell() -> str:
    """The path of the shell that the password database gives this user, "" if unknown."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_shell
    except (ImportError, AttributeError, KeyError, OSError):
        return ""


def setting(line: str, ours: bool = False) -> "Optional[Tuple[str, str]]":
    """The variable a line sets and its value as written; None for any other line.

    Args:
        ours: the line stands in envdoctor's block, where any variable is of interest.
    """
    added = FISH_PATH.match(line)
    if added:
        return "PATH", added.group(1).strip()
    found = ASSIGNED.match(line) or FISH_SET.match(line)
    if not found or not (ours or NAMES.match(found.group(1))) or SECRET.search(found.group(1)):
        return None
    return found.group(1), found.group(2).strip()


def entered(line: str) -> str:
    """The folder that a line enters or the file that it reads, where that may lie on a file server; else ""."""
    found = ENTERED.search(line)
    path = found.group(1) if found else ""
    return "" if path.startswith(LOCAL) or path.startswith(home().rstrip("/") + "/") else path


def missing_folders(value: str) -> "List[str]":
    """The folders a value names that do not exist. What only the shell can expand is left alone."""
    gone = []
    value = re.sub(r"\s+#.*$", "", value).replace('"', " ").replace("'", " ").replace(";", " ")
    for part in re.split(r"[:\s]+", value):
        part = re.sub(r"^(~|\$HOME|\$\{HOME\})(?=/|$)", home(), part)
        if part.startswith("/") and not re.search(r"[$`*?\\(){}]", part) and not reading.exists(part):
            gone.append(part)
    return gone


def lines_of(path: str) -> "List[Dict[str, Any]]":
    """The lines of a start-up file that matter here."""
    found = []
    block = ours = False
    # A shell's lines end at line feeds alone.
    for number, line in enumerate((reading.text(path, 1 << 19) or "").split("\n"), 1):
        if line.strip() in (BEGIN, END):
            ours = line.strip() == BEGIN
        elif ">>> conda initialize >>>" in line or ">>> mamba initialize >>>" in line:
            block = True
            found.append({"file": path, "line": number, "kind": "conda-block"})
        elif "<<< conda initialize <<<" in line or "<<< mamba initialize <<<" in line:
            block = False
        elif block or line.lstrip().startswith("#"):
            continue
        elif re.search(r"conda\.sh|conda\.fish|shell\.(bash|zsh|fish)\s+hook|micromamba shell hook", line):
            found.append({"file": path, "line": number, "kind": "conda-hook"})
            if ours:
                found[-1]["ours"] = True
        elif re.match(r"\s*(module|ml)\s+(load|add)\b", line):
            found.append({"file": path, "line": number, "kind": "module", "value": line.strip()[:300]})
        else:
            if entered(line):
                found.append({"file": path, "line": number, "kind": "enters", "value": entered(line)[:300]})
            told = setting(line, ours)
            if told:
                gone = missing_folders(told[1]) if re.search(r"PATH|HOME|ROOT|DIR", told[0]) else []
                found.append(
                    {
                        "file": path,
                        "line": number,
                        "kind": "setting",
                        "name": told[0],
                        "value": told[1][:1000],
                        "missing": gone[:20],
                    }
                )
                if ours:
                    found[-1]["ours"] = True
    return found


def start_up_files() -> "List[Dict[str, Any]]":
    """Every start-up file that exists, and its lines."""
    files = []
    for shell, listed in FILES.items():
        folder = home()
        if shell == "zsh":
            folder = os.environ.get("ZDOTDIR") or folder
        elif shell == "fish":
            folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join(folder, ".config")
        paths = [os.path.join(folder, name) for name in listed]
        if shell == "zsh" and folder != home():
            paths.insert(0, os.path.join(home(), ".zshenv"))
        if shell == "fish":
            parts = os.path.join(folder, "fish/conf.d")
            paths += [os.path.join(parts, name) for name in reading.names(parts)[:50]]
        for path in paths + list(SYSTEM[shell]):
            if reading.exists(path):
                files.append({"path": path, "shell": shell, "lines": lines_of(path)[:200]})
    return files


def conda_roots() -> "List[str]":
    """Folders of conda installations: those that hold conda itself."""
    exe = os.environ.get("CONDA_EXE", "")
    places = [os.path.dirname(os.path.dirname(exe))] if exe.startswith("/") else []
    places += [os.path.join(home(), name) for name in CONDA_ROOTS] + list(CONDA_PLACES)
    found: "List[str]" = []
    for place in places:
        if place not in found and any(reading.exists(place + below) for below in ("/bin/conda", "/condabin/conda")):
            found.append(place)
    return found


def on_path(name: str) -> str:
    """Where PATH finds a program, "" if nowhere."""
    for folder in reading.parts(os.environ.get("PATH")):
        path = os.path.join(folder, name)
        if folder.startswith("/") and reading.exists(path):
            return path
    return ""


def toolkits() -> "List[str]":
    """CUDA toolkits with a compiler in the usual place, links resolved."""
    found: "List[str]" = []
    for name in reading.names("/usr/local"):
        path = "/usr/local/" + name
        if re.match(r"cuda(-[0-9.]+)?$", name) and reading.exists(path + "/bin/nvcc"):
            real = reading.link(path)
            if real not in found:
                found.append(real)
    return found


def modules() -> "Tuple[List[str], List[str]]":
    """Environment modules of interest that could be loaded, "cuda/12.4", and the folders they stand in."""
    folders = [folder for folder in reading.parts(os.environ.get("MODULEPATH")) if folder.startswith("/")][:50]
    found: "List[str]" = []
    for folder in folders:
        for name in reading.names(folder)[:2000]:
            bare = re.sub(r"\.lua$", "", name)
            if not MODULES_WANTED.match(bare):
                continue
            versions = [re.sub(r"\.lua$", "", one) for one in reading.names(folder + "/" + name) if one[0] != "."]
            found += [bare + "/" + version for version in versions[:50]] or [bare]
    return found[:200], folders


def shell_files(ask: "Ask") -> "Dict[str, Any]":
    available, folders = modules()
    return {
        "shell": shell_named(),
        "login_shell": os.path.basename(login_shell()),
        "zdotdir": os.environ.get("ZDOTDIR", ""),
        "config_home": os.environ.get("XDG_CONFIG_HOME", ""),
        "sbatch": on_path("sbatch"),
        "home": home(),
        "files": start_up_files(),
        "conda_roots": conda_roots(),
        "conda": on_path("conda") or on_path("mamba") or on_path("micromamba"),
        "toolkits": toolkits(),
        "nvcc": on_path("nvcc"),
        "modules": available,
        "module_folders": folders,
    }
