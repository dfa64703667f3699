"""The distributions around torch, read from the names of their metadata folders, and who owns NVIDIA's libraries."""

import os
import re

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Tuple

    from .sections import Ask

METADATA = re.compile(r"^(.+?)-([^-]+?)(?:-py[\d.]+)?\.(dist-info|egg-info)$")
# Distributions that load, pin or are built for torch or CUDA. Others are counted only.
RELEVANT = re.compile(
    r"^(torch.*|pytorch.*|functorch|triton.*|numpy|nvidia-.*|cuda-.*|pynvml|flash-attn.*|flashinfer.*|xformers"
    r"|bitsandbytes.*|apex|deepspeed|vllm|sglang|accelerate|transformers|lightning|peft|trl|mpi4py|horovod|nccl.*|cupy.*"
    r"|jax.*|tensorflow|transformer-engine.*|megatron-core|fairscale|fairseq|mmcv.*|mmengine|detectron2|natten|mamba-ssm"
    r"|causal-conv1d|pyg-lib|spconv.*|torchvision|torchaudio|auto-gptq|autoawq.*|onnxruntime-gpu|dgl|ray|ninja|mkl)$"
)
# Requirements that say which torch, numpy or CUDA a distribution is meant for.
TELLING = re.compile(r"^(torch(vision|audio)?|numpy|triton|nvidia-[\w.-]+|cuda-(toolkit|bindings))\b", re.I)
NO_REQUIREMENTS = re.compile(r"^(numpy|ninja|mkl|nvidia-.*)$")
VERSION = re.compile(r"^__version__(?:\s*:\s*\w+)?\s*=\s*['\"]([^'\"]+)['\"]", re.M)
MOST = 300
HASH_AT_MOST = 1 << 30  # bytes; the largest library of NVIDIA's wheels is cublasLt with 0.7e9


def normal(name: str) -> str:
    """The normalised name of a distribution, PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def folders(ask: "Ask") -> "List[str]":
    """The folders a training run started here imports from."""
    from .torch_install import places

    return [folder for folder in places(ask)[0] if os.path.isdir(folder)]


def packages(ask: "Ask") -> "Dict[str, Any]":
    count = 0
    found: "List[Dict[str, Any]]" = []
    nvidia: "List[Tuple[str, str, str]]" = []  # distribution, folder, RECORD
    for folder in folders(ask):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for entry in names:
            if not entry.endswith("-info"):
                continue
            told = METADATA.match(entry)
            if told is None:
                continue
            count += 1
            name = normal(told.group(1))
            if RELEVANT.match(name) is None or len(found) >= MOST:
                continue
            found.append(_distribution(name, told.group(2), folder, entry))
            if name.startswith("nvidia-"):
                nvidia.append((name, folder, os.path.join(folder, entry, "RECORD")))
    return {"count": count, "distributions": found, "damaged": damaged(nvidia, ask.quick)}


def _distribution(name: str, version: str, folder: str, entry: str) -> "Dict[str, Any]":
    told: "Dict[str, Any]" = {"name": name, "version": version, "folder": folder, "info": entry}
    if NO_REQUIREMENTS.match(name) is None:
        metadata = reading.text(os.path.join(folder, entry, "METADATA"), 1 << 17) or ""
        told["requires"] = requirements(metadata)
    if name in ("torchvision", "torchaudio"):
        match = VERSION.search(reading.text(os.path.join(folder, name, "version.py"), 65536) or "")
        told["module_version"] = match.group(1) if match else ""
    told.update(_built_for(name, folder))
    origin = reading.text(os.path.join(folder, entry, "direct_url.json"), 65536)
    if origin:
        told["wheel"] = _wheel(origin)
    return told


def requirements(metadata: str) -> "List[str]":
    """The requirements in a METADATA that say which torch, numpy or CUDA it is meant for, as they stand there."""
    header = metadata.partition("\n\n")[0]
    found = [line[14:].strip() for line in header.splitlines() if line.startswith("Requires-Dist:")]
    return [requirement for requirement in found if TELLING.match(requirement)][:80]


def _built_for(name: str, folder: str) -> "Dict[str, str]":
    """The torch and CUDA a compiled extension says it was built for."""
    if name == "xformers":
        import json

        try:
            told = json.loads(reading.text(os.path.join(folder, "xformers", "cpp_lib.json"), 65536) or "")["version"]
            number = int(told.get("cuda") or 0)
            cuda = "%d.%d" % (number // 100, number % 100) if number else ""
            return {"built_torch": str(told.get("torch") or ""), "built_cuda": cuda}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}
    if name == "deepspeed":
        told_text = reading.text(os.path.join(folder, "deepspeed", "git_version_info_installed.py"), 65536) or ""
        torch = re.search(r"torch_info\s*=\s*\{[^}]*'version': '([\d.]+)'", told_text)
        cuda_told = re.search(r"torch_info\s*=\s*\{[^}]*'cuda_version': '([\d.]+)'", told_text)
        built = re.search(r"installed_ops\s*=\s*\{[^}]*: True", told_text)
        if torch and built:
            return {"built_torch": torch.group(1), "built_cuda": cuda_told.group(1) if cuda_told else ""}
    return {}


def _wheel(origin: str) -> str:
    """The file name at the end of the URL in a direct_url.json; nothing else of it, it may hold credentials."""
    match = re.search(r'"url"\s*:\s*"[^"]*?([^"/?#]+\.whl)', origin)
    return match.group(1).replace("%2B", "+").replace("%2b", "+") if match else ""


def damaged(records: "Iterable[Tuple[str, str, str]]", quick: bool) -> "List[Dict[str, Any]]":
    """Shared libraries of NVIDIA's distributions that are absent, altered, or claimed by several of them.

    Args:
        records: distribution, site-packages folder and path of the RECORD of each.
        quick: do not hash files whose size does not settle whose they are.
    """
    owners: "Dict[str, List[Tuple[str, str, int]]]" = {}
    for name, folder, record in records:
        for line in (reading.text(record, 1 << 22) or "").splitlines():
            path, _, rest = line.partition(",")
            if ".so" in path and not path.startswith('"') and ".so" in os.path.basename(path):
                digest, _, length = rest.partition(",")
                owners.setdefault(os.path.normpath(os.path.join(folder, path)), []).append(
                    (name, digest, int(length) if length.isdigit() else -1)
                )
    found = []
    for path, claims in sorted(owners.items()):
        try:
            size = os.stat(path).st_size
        except OSError:
            found.append({"path": path, "owners": [name for name, _, _ in claims], "present": False})
            continue
        fitting = [claim for claim in claims if claim[2] in (size, -1)]
        if len(claims) > 1 and len({digest for _, digest, _ in fitting}) > 1 and not quick:
            digest = _sha256(path, size)
            fitting = [claim for claim in fitting if not digest or claim[1] == digest]
        if len(fitting) < len(claims) or (len(claims) > 1 and len({digest for _, digest, _ in claims}) > 1):
            settled = len({digest for _, digest, _ in fitting}) == 1
            found.append(
                {
                    "path": path,
                    "owners": [name for name, _, _ in claims],
                    "present": True,
                    "belongs_to": fitting[0][0] if settled else "",
                    "altered": not fitting,
                }
            )
    return found[:MOST]


def _sha256(path: str, size: int) -> str:
    """The digest as RECORD writes it, empty where the file cannot be read or is too large."""
    import base64
    import hashlib

    if size > HASH_AT_MOST:
        return ""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for part in iter(lambda: file.read(1 << 20), b""):
                digest.update(part)
    except OSError:
        return ""
    return "sha256=" + base64.urlsafe_b64encode(digest.digest()).decode("ascii").rstrip("=")
