"""Small real shared libraries, made with gcc."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests import needs


def shared(
    path: Path,
    source: str = "",
    *,
    soname: str = "",
    needs_libraries: tuple[Path, ...] = (),
    rpath: str = "",
    runpath: str = "",
    version_script: str = "",
) -> Path:
    """Compile a shared library.

    Args:
        soname: the file's own name if not given.
        needs_libraries: libraries it is linked to.
        rpath: for DT_RPATH; runpath: for DT_RUNPATH.
        version_script: of the symbols it defines.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    code = path.with_suffix(".c")
    code.write_text(source or f"int of_{abs(hash(path.name)) % 10**6}(void) {{ return 1; }}\n")
    argv = [needs.program("gcc"), "-shared", "-fPIC", "-nostdlib", "-o", str(path), str(code)]
    argv += [f"-Wl,-soname,{soname or path.name}", "-Wl,--no-as-needed"]
    argv += [f"-L{library.parent}" for library in needs_libraries]
    argv += [f"-l:{library.name}" for library in needs_libraries]
    if rpath:
        argv += ["-Wl,--disable-new-dtags", f"-Wl,-rpath,{rpath}"]
    if runpath:
        argv += ["-Wl,--enable-new-dtags", f"-Wl,-rpath,{runpath}"]
    if version_script:
        script = path.with_suffix(".map")
        script.write_text(version_script)
        argv.append(f"-Wl,--version-script={script}")
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code.unlink()
    return path
