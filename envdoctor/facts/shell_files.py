"""The user's shell start-up files, and what they could set up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ShellLine:
    """A line of a start-up file that decides which programs, libraries or packages are found.

    Attributes:
        kind: "setting", "conda-block" (what `conda init` writes), "conda-hook" (conda.sh sourced by hand), "module", or
            "enters": it enters a folder or reads a file, `value`, that may lie on a file server.
        name, value: of a setting, as written; `missing` are folders it names that do not exist.
        ours: it stands in envdoctor's own block.
    """

    file: str = ""
    line: int = 0
    kind: str = "setting"
    name: str = ""
    value: str = ""
    missing: tuple[str, ...] = ()
    ours: bool = False


@dataclass(frozen=True)
class StartUpFile:
    """A start-up file of bash, zsh or fish that exists."""

    path: str = ""
    shell: str = ""
    lines: tuple[ShellLine, ...] = ()


@dataclass(frozen=True)
class ShellFiles:
    """Start-up files, and the conda installations, CUDA toolkits and environment modules of this machine.

    Attributes:
        shell: the name in SHELL. login_shell: that of the password database.
        zdotdir, config_home: ZDOTDIR and XDG_CONFIG_HOME where they are set.
        conda_roots: folders of conda installations. conda: the program that PATH finds, empty if none.
        toolkits: CUDA toolkits with a compiler under /usr/local. nvcc: the compiler that PATH finds.
        modules: environment modules of CUDA, NCCL, conda and PyTorch that could be loaded: "cuda/12.4".
        sbatch: Slurm's program that PATH finds: jobs are submitted from here.
    """

    shell: str = ""
    home: str = ""
    files: tuple[StartUpFile, ...] = ()
    conda_roots: tuple[str, ...] = ()
    conda: str = ""
    toolkits: tuple[str, ...] = ()
    nvcc: str = ""
    modules: tuple[str, ...] = ()
    module_folders: tuple[str, ...] = ()
    login_shell: str = ""
    zdotdir: str = ""
    config_home: str = ""
    sbatch: str = ""

    @property
    def lines(self) -> tuple[ShellLine, ...]:
        return tuple(line for file in self.files for line in file.lines)

    def sets(self, name: str) -> ShellLine | None:
        """The last line that sets a variable in the user's own files of the shell in use."""
        for file in reversed(self.files):
            if file.shell in (self.shell or self.login_shell, "") and file.path.startswith(self.home + "/"):
                for line in reversed(file.lines):
                    if line.kind == "setting" and line.name == name:
                        return line
        return None

    def sets_up_conda(self, shell: str = "") -> ShellLine | None:
        """The first line that initialises conda, in the files of a shell if one is given."""
        for file in self.files:
            for line in file.lines:
                if line.kind in ("conda-block", "conda-hook") and shell in ("", file.shell):
                    return line
        return None
