"""condarc files as people write them, made up by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

HOSTS = (
    "https://mirrors.tuna.tsinghua.edu.cn/anaconda",
    "https://mirrors.bfsu.edu.cn/anaconda",
    "http://m.example:8080/conda",
)
NAMES = ("defaults", "conda-forge", "pytorch", "nvidia", "bioconda", "msys2", "my_channel", "yes", "3dlab")
urls = st.builds(
    lambda host, rest: host + rest,
    st.sampled_from(HOSTS),
    st.sampled_from(("/pkgs/main", "/pkgs/r", "/cloud", "/cloud/", "/cloud/conda-forge", "/other/x%20c", "")),
)
names = st.sampled_from(NAMES)
values = st.one_of(names, urls, st.sampled_from(("file:///a/b c", "it's", "~/channel", "a#b", "team/x", "1.0")))
comments = st.sampled_from(("", "", "  # the big one", " #!top", "   # 镜像", " #!bottom"))
KEYS = ("channels", "default_channels", "custom_channels", "channel_alias")
OTHERS = (
    "show_channel_urls: true", "ssl_verify: /etc/ssl/ca.pem  # ours", "# only a comment", "", "  # indented comment",
    "proxy_servers:\n  https: http://u:p@proxy.example:3128", "envs_dirs: [/data/envs, ~/envs]",
    "create_default_packages:\n- pip\n# between\n- ipython", "changeps1: 'no' # why", "auto_stack: 1",
    "pinned_packages:\n    - python 3.11.*\n\n    - numpy>1", "report: |\n  # no comment\n  channels:\n    - x",
    "custom_multichannels:\n  mine:\n    - https://a.example/one\n    - two", "add_pip_as_python_dependency: ~",
)  # fmt: skip


def quoted(value: str, style: str) -> str:
    """A value in single, double or no quotes; plain only where YAML reads it back as it is."""
    if style == "plain" and value not in NAMES[-2:] and value != "1.0":
        return value
    return "'" + value.replace("'", "''") + "'" if style != "double" else f'"{value}"'


styles = st.sampled_from(("plain", "plain", "single", "double"))


@st.composite
def listed(draw: st.DrawFn, key: str) -> str:
    """A list in one of the styles."""
    items = draw(st.lists(values, max_size=4, unique=True))
    told = [quoted(item, draw(styles)) for item in items]
    if not items:
        return f"{key}:" + draw(st.sampled_from(("", " []", " ~", " null", "  # none", " [ ] # none")))
    if draw(st.booleans()) and not any(":" in one and one[0] not in "\"'" and "://" not in one for one in told):
        gap = draw(st.sampled_from((", ", ",", " , ")))
        return f"{key}: [{gap.join(told)}]" + draw(comments)
    indent = draw(st.sampled_from(("", "  ", "    ")))
    lines = [key + ":" + draw(st.sampled_from(("", "  # mine", " ")))]
    # conda does not see a marker that a comment on a line of its own follows.
    marked = draw(st.booleans())
    for one in told:
        lines.append(f"{indent}- {one}" + draw(comments if marked else st.sampled_from(("", "  # mine"))))
        if not marked and draw(st.integers(0, 5)) == 0:
            lines.append(draw(st.sampled_from(("  # a line of its own", "", "# at the margin"))))
    return "\n".join(lines)


@st.composite
def mapped(draw: st.DrawFn, key: str) -> str:
    """A map in one of the styles."""
    entries = draw(st.dictionaries(names.filter(lambda name: name[0] > "9"), urls, max_size=4))
    told = {quoted(name, draw(styles)): quoted(url, draw(styles)) for name, url in entries.items()}
    if not entries:
        return f"{key}:" + draw(st.sampled_from(("", " {}", " ~", "  # none")))
    if draw(st.booleans()):
        return f"{key}: {{{', '.join(f'{name}: {url}' for name, url in told.items())}}}" + draw(comments)
    indent = draw(st.sampled_from(("  ", "    ", " ")))
    return "\n".join([f"{key}:", *(f"{indent}{name}: {url}" + draw(comments) for name, url in told.items())])


@st.composite
def condarcs(draw: st.DrawFn) -> bytes:
    """A whole file, with oddities that conda reads without a word."""
    wanted = draw(st.lists(st.sampled_from(KEYS), unique=True))
    parts = []
    for key in wanted:
        if key == "channel_alias":
            parts.append(f"channel_alias: {quoted(draw(urls), draw(styles))}" + draw(comments))
        else:
            parts.append(draw(mapped(key) if key == "custom_channels" else listed(key)))
    parts += draw(st.lists(st.sampled_from(OTHERS), max_size=4, unique=True))
    text = "\n".join(draw(st.permutations(parts)))
    if draw(st.booleans()):
        text = "---\n" + text
    if text and draw(st.booleans()):
        text += "\n"
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\n", "\r\n")
    if draw(st.integers(0, 6)) == 0:
        text = "\ufeff" + text
    return text.encode()


def read(data: bytes) -> dict[str, Any]:
    """What conda's YAML library makes of a file, with conda's settings (conda/common/serialize/yaml.py)."""
    found = YAML(typ="safe", pure=True).load(data.decode("utf-8-sig"))
    return found or {}
