"""Do the libraries that torch needs on Windows load?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("torch", 69, Text("the DLLs of torch on Windows", "Windows 上 torch 的 DLL"))

WINDOWS_DLL_MISSING = Problem(
    code="windows-dll-missing",
    severity=Severity.ERROR,
    title=Text("a DLL of torch, or one that it needs, does not load", "torch 的某个 DLL 或其依赖的 DLL 无法加载"),
    why=Text("`import torch` ends with an OSError", "`import torch` 以 OSError 结束"),
    help=Text(
        "install the current Visual C++ Redistributable (x64); if the named file is fbgemm.dll of torch 2.3 or 2.4.0, "
        "upgrade torch; else make a new environment, without conda's DLLs first on PATH",
        "请安装最新的 Visual C++ Redistributable（x64）；若指名的是 torch 2.3 或 2.4.0 的 fbgemm.dll，请升级 torch；"
        "否则请新建环境，并避免 conda 的 DLL 目录排在 PATH 最前",
    ),
    confirm='python -c "import torch"',
    refs=("https://learn.microsoft.com/en-us/cpp/windows/latest-supported-vc-redist",),
)
