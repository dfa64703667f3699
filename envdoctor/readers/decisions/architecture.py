"""GPU architectures: whether code is too old or too new for a GPU, or an extension's alone, by what the text names."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.log import Sighting
from envdoctor.facts.torch import TorchInstall
from envdoctor.knowledge import gpus, torch_builds
from envdoctor.readers.decisions import Context, value
from envdoctor.readers.decisions.container import container, wsl
from envdoctor.readers.decisions.imports import asker

CODE = re.compile(r"(?:sm|compute)_(\d+)")
# From Blackwell on new majors overlap with old ones in the lists of builds: what is missing there is new.
BLACKWELL = 100
# Volta and before were dropped by CUDA 13; those before it by torch's builds for CUDA 12.8 (torch_builds.toml).
VOLTA, OLDEST_OF_CUDA_13 = 70, 75
# Packages with CUDA code of their own: an error raised within them is theirs before it is torch's.
COMPILED = re.compile(
    r"flash_attn|xformers|bitsandbytes|mmcv|detectron2|apex|spconv|MinkowskiEngine|torch_scatter|torch_sparse|"
    r"torch_cluster|pointnet2|diff_gaussian|simple_knn|gsplat|nvdiffrast|tinycudann|exllama|auto_gptq|awq|quant_cuda|"
    r"causal_conv1d|mamba_ssm|selective_scan|natten|pytorch3d|kaolin|torchsparse|deep_gemm|flashinfer|sgl_kernel|"
    r"fused_dense|rotary_emb|dropout_layer_norm|transformer_engine|MultiScaleDeformableAttention|cumm|"
    r"(?:error|Error) in \w{3,60}_cuda|im2col_cuda"
)
# Brings kernels for fewer architectures than the torch that its wheels are pinned to.
BEYOND_TORCH = ("vllm", "sglang", "sgl_kernel", "lmdeploy")
# AMD's generations up to Vega and CDNA have three digits (gfx803, gfx906, gfx90a): ROCm drops the oldest of them.
OLD_GFX = re.compile(r"gfx[789][0-9a-f]{2}\b")


def architecture(seen: Sighting, context: Context) -> Sighting:
    """torch names the GPU's capability and those it was built for: newer than all of them, or dropped."""
    del context
    device = int(value(seen, "cc").replace(".", "") or 0)
    return _judged(seen, device, [int(code) for code in CODE.findall(value(seen, "built"))])


def listed_architectures(seen: Sighting, context: Context) -> Sighting:
    """Up to 2.9 a minimum or a range stands below the GPU's capability, since 2.10 a list with what runs each code."""
    told, below = value(seen, "cc"), value(seen, "list")
    if not told:
        return replace(seen, kind="symptom") if context.saw("arch-incompatible") else seen
    device = int(told.replace(".", ""))
    if built := [int(major + minor) for major, minor in re.findall(r"- (\d{1,2})\.(\d) which supports", below)]:
        return _judged(seen, device, built)
    if limits := re.search(r"\((\d{1,2})\.(\d)\) - \((\d{1,2})\.(\d)\)", below):
        least, most = int(limits[1] + limits[2]), int(limits[3] + limits[4])
        if device > most:
            # Within a major version newer GPUs run older code.
            same = device // 10 == most // 10
            return replace(seen, code="gpu-arch-unsupported-new", severity="note" if same else "error")
        return seen if device < least else replace(seen, severity="note")
    return seen


def _judged(seen: Sighting, device: int, built: list[int]) -> Sighting:
    if not device or not built:
        return seen
    runs = gpus.runs([f"sm_{code}" for code in built], _dotted(device))
    new = device > max(built) or (device >= BLACKWELL and runs == "no")
    # torch leaves Jetson's out of what it says it supports, and runs there by the code of its major version.
    same = any(code // 10 == device // 10 and code <= device for code in built)
    severity = "note" if runs != "no" or same else seen.severity
    return replace(seen, code="gpu-arch-unsupported-new" if new else "gpu-arch-unsupported-old", severity=severity)


def no_kernel(seen: Sighting, context: Context) -> Sighting | None:
    """Old or new is told by the GPU; where the torch that the text shows runs on it, an extension is at fault."""
    if "named symbol not found" in seen.quote and ("Error 500" in seen.quote or "cudaGetDeviceCount" in seen.quote):
        # No kernel was wanted yet: libcuda itself lacks an entry point, as one handed in from another driver does.
        if wsl(context):
            return replace(seen, code="wsl-driver")
        other = "gpu-not-in-container" if container(context) else "cuda-init-failed-unknown"
        return replace(seen, code=other, severity="warning")
    found = capabilities(context)
    built = _built(context)
    if found and built:
        capability = min(found, key=gpus.whole)
        if gpus.runs(built, capability) != "no":
            # torch itself runs there, unless the text shows another torch or machine than the one that failed.
            own = COMPILED.search(seen.quote) or COMPILED.search(asker(seen, context))
            return replace(seen, code="extension-arch-mismatch", severity="error" if own else "warning")
        old = gpus.older_than_all([code for code in built if code.startswith("sm_")], capability)
        return replace(seen, code="gpu-arch-unsupported-old" if old else "gpu-arch-unsupported-new")
    if COMPILED.search(seen.quote):
        return replace(seen, code="extension-arch-mismatch")
    if COMPILED.search(asker(seen, context)) or asker(seen, context) in BEYOND_TORCH:
        # Errors of kernels come late: torch's own may surface in the extension that is called next.
        return replace(seen, code="extension-arch-mismatch", severity="warning")
    if not found:
        return seen
    capability = min(found, key=gpus.whole)
    torch = context.sections.get("torch-install")
    cuda = torch.cuda if isinstance(torch, TorchInstall) else ""
    if gpus.whole(capability) < OLDEST_OF_CUDA_13 and (gpus.whole(capability) < VOLTA or cuda.startswith("13")):
        return replace(seen, code="gpu-arch-unsupported-old")
    return seen


def capabilities(context: Context) -> list[str]:
    """Those of the GPUs that nvidia-smi or a report lists; without them, of what is named in passing."""
    listed = context.sections.get("gpu")
    if isinstance(listed, Gpus) and (known := [gpu.compute_capability for gpu in listed.gpus]):
        return [one for one in known if one]
    named = [_named(one) for one in context.sightings if one.signature in ("capability-named", "gpu-named")]
    return [one for one in dict.fromkeys(named) if one]


def _named(seen: Sighting) -> str:
    if gpu := value(seen, "gpu"):
        return gpus.capability_of(gpu)
    if major := value(seen, "major"):
        return f"{major}.{value(seen, 'minor')}"
    told = value(seen, "cc")
    return told if "." in told else _dotted(int(told))


def _built(context: Context) -> tuple[str, ...]:
    """The code in the torch of the text, by its own list, or by what is known of the release; () where neither is."""
    listed = context.saw("arch-list")
    if listed is not None:
        return tuple(re.findall(r"(?:sm|compute)_\d+[af]?", value(listed, "built")))
    torch = context.sections.get("torch-install")
    if not isinstance(torch, TorchInstall):
        return ()
    tag = torch_builds.official_tag(torch.version)
    return torch_builds.arch_list(torch.version, tag, "linux", "x86_64") if tag else ()


def compiler_architecture(seen: Sighting, context: Context) -> Sighting:
    """nvcc and ptxas know no architecture newer than themselves, and drop the oldest: CUDA 12 those before 5.0, CUDA 13
    those before 7.5."""
    del context
    told = value(seen, "compute") or value(seen, "sm")
    return replace(seen, code="gpu-arch-unsupported-old") if told and int(told) < VOLTA else seen


def hip(seen: Sighting, context: Context) -> Sighting:
    """A ROCm build beside an NVIDIA GPU is the wrong build; without one ROCm may not reach its own devices."""
    found = context.sections.get("gpu")
    if not value(seen, "none"):
        return replace(seen, code="gpu-arch-unsupported-old") if OLD_GFX.search(seen.quote) else seen
    if isinstance(found, Gpus) or "driver" in context.sections:
        return replace(seen, code="torch-rocm-build")
    return replace(seen, code="gpu-not-visible", severity="warning")


def _dotted(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"
