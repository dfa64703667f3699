"""Is what pip and conda downloaded what the index promised?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("pip", 312, Text("the files an index serves", "索引提供的文件"))

PIP_HASH_MISMATCH = Problem(
    code="pip-hash-mismatch",
    severity=Severity.ERROR,
    title=Text("a downloaded file is not the one that was promised", "下载的文件与预期的哈希不符"),
    why=Text("nothing is installed; a truncated wheel would fail later", "不会安装任何内容；残缺的 wheel 之后也会出错"),
    help=Text(
        "a download that broke off or a mirror in the middle of an update: try again without the cache, then at "
        "another index; hashes in a requirements file of another platform or index are renewed with pip-compile or "
        "uv pip compile",
        "通常是下载中断或镜像正在同步：请不用缓存重试，再换一个索引；requirements 文件中的哈希若来自其他平台或"
        "索引，请用 pip-compile 或 uv pip compile 重新生成",
    ),
    look="python -m pip cache purge",
    confirm="python -m pip download --no-cache-dir --no-deps PACKAGE",
    caused_by=("disk-full", "pip-proxy"),
    refs=("https://pip.pypa.io/en/stable/topics/secure-installs/",),
)
