"""What to know before pip's index changes: what pip could not read, what is lost, what wins over every file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from envdoctor.edits.pip_levels import Levels, Written
from envdoctor.facts.pip import host_of
from envdoctor.knowledge import mirrors
from envdoctor.knowledge.chosen_index import Chosen
from envdoctor.model import Text
from envdoctor.remedy import Remark, said

TRUE = ("y", "yes", "t", "true", "on", "1")
FAULTS = {
    "bom": Text("a byte order mark", "字节顺序标记（BOM）"),
    "no-section-header": Text("values before any section", "任何段之前就有内容"),
    "duplicate-section": Text("a section written twice", "同一段出现两次"),
    "duplicate-option": Text("an option written twice", "同一选项设置了两次"),
    "bad-line": Text("a line that is no setting", "无法识别的行"),
    "not-decodable": Text("bytes of another encoding", "其他编码的字节"),
}


def unreadable(levels: Levels) -> Iterator[Remark]:
    """Files that every pip command dies of, and that are mended."""
    for sheet in levels.sheets:
        for fault in sheet.faults:
            kind = FAULTS[fault.kind]
            yield Remark(said(
                f"every pip command fails because of {{path}}:{{line}}, {kind.en}; this is mended here",
                f"{{path}}:{{line}} 处有{kind.zh}，导致所有 pip 命令都失败；将一并修正",
                path=sheet.path, line=fault.line,
            ), "warning")  # fmt: skip


def replaced(levels: Levels, wanted: Chosen, before: Mapping[str, Written]) -> Iterator[Remark]:
    """What is lost with the index that is replaced, and who else feels it."""
    for url in dict.fromkeys(won.value for won in before.values()):
        host = host_of(url)
        if wanted.is_at(url) or not host or mirrors.pypi_mirror(url) or host == wanted.host:
            continue
        yield Remark(said(
            "{host} is no known mirror: packages that only it has will not be found; to keep it, name it in "
            "extra-index-url",
            "{host} 不是已知的镜像：只在该处提供的软件包将无法找到；如需保留，请写入 extra-index-url", host=host,
        ), "warning")  # fmt: skip
    for sheet in levels.sheets:
        if sheet.data != sheet.before and sheet.shared:
            yield Remark(said("{path} is for every user of this machine", "{path} 对本机所有用户生效", path=sheet.path))
        told = levels.config.file(sheet.path)
        if "@" in urlsplit(wanted.url).netloc and sheet.data != sheet.before and told and told.open_to_others:
            yield Remark(said(
                "the address holds credentials and every user may read {path}: chmod 600 it",
                "该地址含有凭据，而所有用户都可读取 {path}：请执行 chmod 600", path=sheet.path,
            ), "warning")  # fmt: skip
    extra = levels.winner("extra-index-url")
    if extra and any(wanted.is_at(url) for url in extra.value.split()):
        yield Remark(said(
            "extra-index-url at {place} names it as well, which does no harm",
            "{place} 处的 extra-index-url 也写有该地址，没有害处", place=extra.place,
        ))  # fmt: skip


def against(levels: Levels, wanted: Chosen) -> Iterator[Remark]:
    """What wins over every file."""
    if levels.nowhere:
        yield Remark(said(
            "PIP_CONFIG_FILE={file} keeps pip from reading any file: `unset PIP_CONFIG_FILE` for this to take effect",
            "PIP_CONFIG_FILE={file} 使 pip 不读取任何文件：执行 `unset PIP_CONFIG_FILE` 后才会生效",
            file=levels.config.config_file_variable,
        ), "warning")  # fmt: skip
    for option in ("index-url", "no-index"):
        won = levels.winner(option, variables=True)
        if (
            won
            and won.variable
            and not (wanted.is_at(won.value) if option == "index-url" else won.value.lower() not in TRUE)
        ):
            yield Remark(said(
                "{variable} is set in this shell and wins over the file: `unset {variable}` for this to take effect",
                "当前 shell 设置了 {variable}，优先于文件：执行 `unset {variable}` 后才会生效", variable=won.variable,
            ), "warning")  # fmt: skip
