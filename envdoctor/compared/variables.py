"""Variables that libraries read, as they take effect: of the environment and of NCCL's configuration files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envdoctor.compared import Facts, Told, aspect, get
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.nccl import NcclSettings, view
from envdoctor.facts.python import Python
from envdoctor.facts.torch import TorchInstall

# Who a process is, where it was started from and by which job: never the same, never the reason.
IDENTITY = re.compile(
    r"(LOCAL_|GROUP_|ROLE_|NODE_|MACHINE_|GLOBAL_)?RANK|ROLE_NAME|HOSTNAME|HOME|USER|SHELL|TERM|SSH_.*|XDG_.*|.*_RUN_ID"
    r"|.*_PID|.*_HOST(NAME)?|.*(_|^)JOB_?ID|LSB_.*|PBS_.*|PMI_?.*|PMIX_.*|HYDRA_.*|JSM_.*|FLUX_.*|PALS_.*|OMPI_.*|MV2_.*"
    r"|MPI_.*|SLURM.*|SM_.*|AZ_.*|KUBERNETES_SERVICE.*|CONDA_(PROMPT_MODIFIER|SHLVL|PREFIX_\d+)|VIRTUAL_ENV_PROMPT"
    r"|LMOD_.*|MODULE.*|_LMFILES_|LOADEDMODULES|PYTHONSTARTUP|SSL_CERT_.*|DEBUGINFOD_URLS|WSL_INTEROP"
)
# The shape of a job is no identity.
SHAPE = re.compile(
    r"SLURM_(JOB_NUM_NODES|NNODES|NTASKS|NTASKS_PER_NODE|TASKS_PER_NODE|GPUS.*|CPUS_PER_TASK|CPU_BIND_TYPE"
    r"|MEM_PER_NODE|MPI_TYPE)|OMPI_COMM_WORLD_(SIZE|LOCAL_SIZE)|OMPI_MCA_.*|PMI_SIZE"
)
# What decides how training runs; the others (PATH, languages, folders) are details.
DECISIVE = re.compile(
    r"NCCL_.*|TORCH.*|PYTORCH_.*|GLOO_.*|UCX_.*|FI_.*|OFI_.*|CUDA.*|NVIDIA_.*|NVSHMEM_.*|RDMAV_.*|IBV_.*|MLX5_.*"
    r"|LD_(LIBRARY_PATH|PRELOAD)|OMP_.*|MKL_.*|KMP_.*|ROCR_.*|HIP_.*|HSA_.*|TRITON_.*|XLA_.*|ACCELERATE_.*|DEEPSPEED_.*"
    r"|PYTHON(PATH|HOME|OPTIMIZE|MALLOC|NOUSERSITE|HASHSEED|SAFEPATH)|WORLD_SIZE|LOCAL_WORLD_SIZE|NNODES|NPROC_PER_NODE"
    r"|NUM_NODES|NUM_PROCESSES|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|HF_(ENDPOINT|HUB_OFFLINE|HOME)|USE_.*"
)


@aspect("variables", Environment)
def variables(found: Environment, facts: Facts) -> Iterator[Told]:
    settings = view(get(facts, NcclSettings), found, get(facts, TorchInstall)).settings
    python, host = get(facts, Python), get(facts, Host)
    values = {**{name: setting.value for name, setting in settings.items()}, **found.variables}
    for name in sorted(values):
        if IDENTITY.fullmatch(name) and not SHAPE.fullmatch(name):
            continue
        detail = not (DECISIVE.fullmatch(name) or SHAPE.fullmatch(name))
        yield Told(name, _without_identity(values[name], python, host) or "(empty)", detail=detail)
    for name in found.secret:
        yield Told(name, "(secret)", detail=True)


def _without_identity(value: str, python: Python | None, host: Host | None) -> str:
    """The value with the folder of the environment and the machine's own name called by what they are."""
    if python is not None and len(python.prefix) > 4:
        value = re.sub(rf"{re.escape(python.prefix)}(?=[/:]|$)", "{env}", value)
    if host is not None and len(host.name) > 3:
        value = re.sub(rf"(?<![\w.-]){re.escape(host.name)}(?![\w.-])", "{host}", value)
    return value
