"""RDMA devices: ports, GIDs, the device nodes a process needs, user space, and the ways to GPU memory."""

import os
import re

from . import reading
from .sections import NotHere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from .sections import Ask

CLASS = "/sys/class/infiniband"
# NCCL takes GPUDirect RDMA through peer memory for available if one of these exists (src/transport/net_ib/gdr.cc).
PEER_MEMORY = (
    "/sys/kernel/mm/memory_peers/nv_mem/version",
    "/sys/kernel/mm/memory_peers/nv_mem_nc/version",
    "/sys/module/nvidia_peermem/version",
)
COUNTERS = ("link_downed", "link_error_recovery", "symbol_error", "port_rcv_errors", "port_xmit_discards")
HW_COUNTERS = ("local_ack_timeout_err", "packet_seq_err", "out_of_sequence", "rnr_nak_retry_err")
MOST_GIDS = 256
EMPTY = re.compile(r"^(0000:){7}0000$|^fe80(:0000){7}$")
PCI = re.compile(r"^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")


def gids(port: str) -> "List[Dict[str, Any]]":
    """The filled slots of a port's GID table. A slot whose type cannot be read is not mapped into this container."""
    found = []
    slots = sorted((int(name) for name in reading.names(port + "/gids") if name.isdigit()))[:MOST_GIDS]
    for slot in slots:
        gid = reading.line("%s/gids/%d" % (port, slot))
        if gid is None or EMPTY.match(gid):
            continue
        found.append(
            {
                "index": slot,
                "gid": gid,
                "type": reading.line("%s/gid_attrs/types/%d" % (port, slot)) or "",
                "netdev": reading.line("%s/gid_attrs/ndevs/%d" % (port, slot)) or "",
            }
        )
    return found


def named(value: "Optional[str]") -> str:
    """ "ACTIVE" of "4: ACTIVE"."""
    return (value or "").rpartition(":")[2].strip()


def rate(value: "Optional[str]") -> "Optional[float]":
    """Gb/s of "200 Gb/sec (4X HDR)"."""
    found = re.match(r"([\d.]+) Gb", value or "")
    return float(found.group(1)) if found else None


def port(device: str, number: str) -> "Dict[str, Any]":
    folder = "%s/%s/ports/%s" % (CLASS, device, number)
    counters = {}
    for name in COUNTERS:
        counters[name] = reading.number(folder + "/counters/" + name)
    for name in HW_COUNTERS:
        counters[name] = reading.number(folder + "/hw_counters/" + name)
    return {
        "number": int(number),
        "state": named(reading.line(folder + "/state")),
        "physical_state": named(reading.line(folder + "/phys_state")),
        "link_layer": reading.line(folder + "/link_layer") or "",
        "rate_gbps": rate(reading.line(folder + "/rate")),
        "rate_text": reading.line(folder + "/rate") or "",
        "gids": gids(folder),
        "counters": dict((name, value) for name, value in counters.items() if value is not None),
    }


def node(name: str) -> "Tuple[str, str]":
    """Path of the device node behind /sys/class/infiniband_verbs/NAME and "" or why it cannot be opened.

    Opening allocates a context that closing frees; NCCL does the same to every device.
    """
    path = "/dev/infiniband/" + name
    try:
        descriptor = os.open(reading.rooted(path), os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return path, "absent"
    except PermissionError as error:
        return path, "denied: " + (error.strerror or "")
    except OSError as error:
        return path, error.strerror or str(error)
    os.close(descriptor)
    return path, ""


def nodes() -> "Dict[str, Tuple[str, str]]":
    """Device -> its verbs node and why that cannot be opened."""
    found = {}
    for name in reading.names("/sys/class/infiniband_verbs"):
        device = reading.line("/sys/class/infiniband_verbs/%s/ibdev" % name)
        if device:
            found[device] = node(name)
    return found


def devices() -> "List[Dict[str, Any]]":
    by_node = nodes()
    found = []
    for name in reading.names(CLASS):
        folder = CLASS + "/" + name
        parts = reading.link(folder + "/device").split("/")
        path, error = by_node.get(name, ("", "absent"))
        found.append(
            {
                "name": name,
                "ports": [port(name, each) for each in reading.names(folder + "/ports") if each.isdigit()],
                "node_type": named(reading.line(folder + "/node_type")),
                "firmware": reading.line(folder + "/fw_ver") or "",
                "board": reading.line(folder + "/board_id") or "",
                "driver": os.path.basename(reading.link(folder + "/device/driver"))
                if reading.exists(folder + "/device/driver")
                else "",
                "pci": next((part for part in reversed(parts) if PCI.match(part)), ""),
                "numa_node": reading.number(folder + "/device/numa_node"),
                "netdevs": reading.names(folder + "/device/net"),
                "node": path,
                "node_error": error,
            }
        )
    return found


def user_space() -> "Dict[str, Any]":
    """Whether libibverbs loads, as NCCL tries it, and which devices it then offers.

    A device that sysfs shows and libibverbs does not has no provider library in this image.
    """
    import ctypes

    errors = []
    for name in (os.environ.get("NCCL_IBVERBS_LIB") or "", "libibverbs.so", "libibverbs.so.1"):
        if not name:
            continue
        try:
            library = ctypes.CDLL(name)
        except OSError as error:
            errors.append(str(error))
            continue
        count = ctypes.c_int(0)
        library.ibv_get_device_list.restype = ctypes.POINTER(ctypes.c_void_p)
        library.ibv_get_device_name.restype = ctypes.c_char_p
        library.ibv_get_device_name.argtypes = [ctypes.c_void_p]
        listed = library.ibv_get_device_list(ctypes.byref(count))
        offered = [library.ibv_get_device_name(listed[place]) for place in range(count.value if listed else 0)]
        return {"libibverbs": name, "offered": [(each or b"").decode("ascii", "replace") for each in offered]}
    return {"libibverbs": "", "libibverbs_error": errors[-1] if errors else "", "offered": None}


def rdma(ask: "Ask") -> "Dict[str, Any]":
    if not reading.names(CLASS):
        raise NotHere(CLASS + (" is empty" if reading.exists(CLASS) else " is absent"))
    from . import children

    # A library that crashes or a device that does not answer must not take the ports with it.
    told, value = children.ask(user_space, 2.0)
    space = value if told == "ok" else {"libibverbs": "", "libibverbs_error": "%s: %s" % (told, value)}
    answer = {
        "devices": devices(),
        "rdma_cm": node("rdma_cm")[1],
        "peer_memory": [path for path in PEER_MEMORY if reading.exists(path)],
    }
    answer.update(space)
    return answer
