"""Do the C and C++ libraries of this system offer what torch and its extensions were built against?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.host import Host
from envdoctor.facts.libraries import Binary, Libraries
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge.installing import for_python
from envdoctor.knowledge.versions import numbers
from envdoctor.model import Scalar

TOPIC = Topic("libraries", 87, Text("glibc and libstdc++", "glibc 与 libstdc++"))

GLIBC_TOO_OLD = Problem(
    code="glibc-too-old",
    severity=Severity.ERROR,
    title=Text("{owner} needs glibc {needs}, this system has {glibc}", "{owner} 需要 glibc {needs}，本系统为 {glibc}"),
    why=Text(
        "importing it fails: version `GLIBC_{needs}' not found",
        "导入会失败：version `GLIBC_{needs}' not found",
    ),
    seen=Text("{path} asks for GLIBC_{needs}; {system}", "{path} 要求 GLIBC_{needs}；{system}"),
    help=Text(
        "glibc comes with the system and cannot be replaced: use a newer system or container, a conda-forge build, or "
        "an older release (wheels of torch up to 2.5 need glibc 2.17, later ones 2.28)",
        "glibc 随系统提供，无法单独更换：请使用更新的系统或容器、conda-forge 构建，或较旧的版本"
        "（torch 2.5 及以前的 wheel 需要 glibc 2.17，之后需要 2.28）",
    ),
    confirm="ldd --version",
    situations={
        "torch": Situation(command="pip install 'torch<2.6'"),
        "extension": Situation(command="pip install --force-reinstall --no-deps --no-binary :all: {distribution}"),
    },
)

LIBSTDCXX_TOO_OLD = Problem(
    code="libstdcxx-too-old",
    severity=Severity.ERROR,
    title=Text(
        "{owner} needs {needs}, the libstdc++ that is found offers {offers}",
        "{owner} 需要 {needs}，而找到的 libstdc++ 只提供到 {offers}",
    ),
    why=Text("importing it fails: version `{needs}' not found", "导入会失败：version `{needs}' not found"),
    seen=Text(
        "{path} asks for {needs}\n{library} offers up to {offers}, found through {through}",
        "{path} 要求 {needs}\n{library} 最高提供 {offers}，经由 {through} 找到",
    ),
    confirm="strings {library} | grep GLIBCXX",
    situations={
        "path": Situation(
            command="unset LD_LIBRARY_PATH",
            help=Text(
                "LD_LIBRARY_PATH leads to the older copy; take its folder out where it is set",
                "LD_LIBRARY_PATH 指向了较旧的副本；请在设置它的地方去掉该目录",
            ),
        ),
        "conda": Situation(
            command="conda install -c conda-forge 'libstdcxx-ng>=13'",
            help=Text(
                "the environment's own libstdc++ must come first: start its Python by its path or `conda activate`",
                "应先找到环境自带的 libstdc++：请用该环境的 Python 路径启动，或先 `conda activate`",
            ),
        ),
        "system": Situation(
            help=Text(
                "use a newer system or container, or a conda environment, which brings its own libstdc++",
                "请使用更新的系统或容器，或自带 libstdc++ 的 conda 环境",
            ),
        ),
    },
)


def _most(binaries: Iterable[Binary], field: str) -> dict[str, Binary]:
    """Of each owner the file that needs the newest version."""
    most: dict[str, Binary] = {}
    for binary in binaries:
        known = most.get(binary.owner)
        if known is None or numbers(getattr(binary, field)) > numbers(getattr(known, field)):
            most[binary.owner] = binary
    return most


@check(GLIBC_TOO_OLD)
def glibc_too_old(
    libraries: Libraries, host: Host, python: Python | None, torch: TorchInstall | None
) -> Iterable[Finding]:
    """The newest GLIBC_ version that the compiled files ask for, against the system's."""
    if not host.glibc:
        return
    for owner, binary in _most(libraries.binaries, "glibc").items():
        if numbers(binary.glibc) > numbers(host.glibc):
            found = GLIBC_TOO_OLD.found(
                "torch" if owner == "torch" else "extension",
                owner=owner,
                distribution=owner.replace("_", "-"),
                needs=binary.glibc,
                glibc=host.glibc,
                path=binary.path,
                system=f"{host.distribution} {host.distribution_version}".strip() or host.system,
            )
            yield found.mended_by(for_python(found.command, python, torch))


@check(LIBSTDCXX_TOO_OLD)
def libstdcxx_too_old(libraries: Libraries, python: Python | None) -> Iterable[Finding]:
    """The newest GLIBCXX_ and CXXABI_ versions asked for, against the libstdc++ that would be loaded."""
    offers = next((library for library in libraries.standard if library.place == "loaded"), None)
    offers = offers or next((library for library in libraries.standard if library.place == "ldconfig"), None)
    if offers is None:
        return
    loaded = next((library for library in libraries.loads if library.path == offers.path), None)
    through = loaded.through if loaded else "ldconfig"
    conda = bool(python and python.conda)
    situation = "path" if through == "LD_LIBRARY_PATH" else "conda" if conda else "system"
    for field, mark in (("glibcxx", "GLIBCXX_"), ("cxxabi", "CXXABI_")):
        offered = getattr(offers, field)
        for owner, binary in _most(libraries.binaries, field).items() if offered else ():
            needed = getattr(binary, field)
            if numbers(needed) > numbers(offered):
                yield LIBSTDCXX_TOO_OLD.found(
                    situation,
                    owner=owner,
                    needs=mark + needed,
                    offers=mark + offered,
                    path=binary.path,
                    library=offers.path,
                    through=through,
                )
                return


@summary
def line(host: Host, libraries: Libraries) -> tuple[Text, Mapping[str, Scalar]] | None:
    offers = next((library for library in libraries.standard if library.glibcxx), None)
    if not host.glibc:
        return None
    return Text("glibc {glibc}, libstdc++ GLIBCXX_{glibcxx}", "glibc {glibc}，libstdc++ GLIBCXX_{glibcxx}"), {
        "glibc": host.glibc,
        "glibcxx": offers.glibcxx if offers else None,
    }
