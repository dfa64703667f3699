"""The environment variables that training looks at: an allow-list, never the whole environment."""

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from .sections import Ask

PREFIXES = (
    "CUDA",
    "NVIDIA_",
    "NVSHMEM_",
    "NCCL_",
    "TORCH",
    "PYTORCH_",
    "GLOO_",
    "UCX_",
    "FI_",
    "OFI_",
    "RDMAV_",
    "IBV_",
    "MLX5_",
    "PYTHON",
    "CONDA",
    "MAMBA",
    "PIP_",
    "UV_",
    "VIRTUAL_ENV",
    "SLURM",
    "OMPI_",
    "PMI",
    "PMIX_",
    "MPI_",
    "MV2_",
    "HYDRA_",
    "PALS_",
    "LSB_",
    "PBS_",
    "FLUX_",
    "JSM_",
    "AIHC_",
    "MA_",
    "RAY_",
    "PET_",
    "ARNOLD_",
    "METIS_",
    "MLP_",
    "SM_",
    "SAGEMAKER_",
    "AZ_",
    "AZUREML_",
    "PAI_",
    "DLC_",
    "VC_",
    "VK_",
    "KUBEFLOW_",
    "KUBERNETES_SERVICE",
    "ROCR_",
    "HIP_",
    "HSA_",
    "OMP_",
    "MKL_",
    "KMP_",
    "NSIGHT_",
    "COMPUTE_PROFILE",
    "OPENCL_PROFILE",
    "LD_",
    "XDG_",
    "HF_",
    "TRITON_",
    "XLA_",
    "ACCELERATE_",
    "DEEPSPEED_",
    "MODULE",
    "LMOD_",
    "ELASTIC_",
    "TCPSTORE",
    "USE_",
)
NAMES = frozenset(
    (
        "PATH",
        "HOME",
        "SHELL",
        "USER",
        "TERM",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TMPDIR",
        "TEMP",
        "TMP",
        "HOSTNAME",
        "LOADEDMODULES",
        "_LMFILES_",
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "NODE_RANK",
        "GROUP_RANK",
        "GROUP_WORLD_SIZE",
        "ROLE_RANK",
        "ROLE_NAME",
        "ROLE_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "NNODES",
        "NPROC_PER_NODE",
        "NUM_NODES",
        "NUM_PROCESSES",
        "MACHINE_RANK",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "ftp_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "CC",
        "CXX",
        "NVCC",
        "CUDACXX",
        "MAX_JOBS",
        "GPU_DEVICE_ORDINAL",
        "ZE_AFFINITY_MASK",
        "BASH_ENV",
        "ENV",
        "container",
        "WSL_DISTRO_NAME",
        "WSL_INTEROP",
        "KMP_DUPLICATE_LIB_OK",
        "APPTAINER_CONTAINER",
        "SINGULARITY_CONTAINER",
        "APPTAINER_NV",
        "SINGULARITY_NV",
        "SSH_CONNECTION",
        "DEBUGINFOD_URLS",
    )
)
# Proxies and indexes carry credentials inside URLs, which the doctor needs to tell apart and never prints. A variable
# that is nothing but a secret is only said to be set.
SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTHKEY|JWT)", re.I)


def environment(ask: "Ask") -> "Dict[str, Any]":
    """Every allowed variable of this process, and the working directory."""
    variables = {}
    secret = []
    for name, value in os.environ.items():
        if name in NAMES or name.startswith(PREFIXES):
            if SECRET.search(name):
                secret.append(name)
            else:
                variables[name] = value[:65536]
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    return {"variables": variables, "secret": sorted(secret), "working_directory": folder}
