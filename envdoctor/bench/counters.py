"""What a machine counts of losses, errors and throttling: read before and after a measurement, for what moved.

Streamed to every node; Python 3.6 syntax, standard library only (NVIDIA's binding where the Python at hand has it).
"""

import os

from envdoctor.bench import ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    Record = Dict[str, Any]
    Found = Iterator[Tuple[str, str, str, int]]

ROOT = "/"
NVML_S = 2.0  # a driver that hangs must not keep the benchmark
NET = "/sys/class/net"
RDMA = "/sys/class/infiniband"
# Documentation/ABI/testing/sysfs-class-net-statistics of Linux.
NIC = (
    "rx_errors", "tx_errors", "rx_dropped", "tx_dropped", "rx_crc_errors", "rx_frame_errors", "rx_missed_errors",
    "rx_fifo_errors", "rx_over_errors", "tx_carrier_errors", "tx_fifo_errors",
)  # fmt: skip
# Of what drivers keep in counters/ and hw_counters/ of a port, the ones that show loss, damage or congestion
# (Documentation/ABI/stable/sysfs-class-infiniband of Linux; NVIDIA's "Understanding mlx5 counters"; EFA's retrans_*).
PORT = frozenset(
    "symbol_error link_error_recovery link_downed port_rcv_errors port_rcv_remote_physical_errors "
    "port_rcv_switch_relay_errors port_xmit_discards port_rcv_constraint_errors port_xmit_constraint_errors "
    "local_link_integrity_errors excessive_buffer_overrun_errors VL15_dropped port_xmit_wait "
    "local_ack_timeout_err packet_seq_err out_of_sequence out_of_buffer rnr_nak_retry_err implied_nak_seq_err "
    "duplicate_request rx_icrc_encapsulated np_cnp_sent rp_cnp_handled rp_cnp_ignored np_ecn_marked_roce_packets "
    "req_cqe_error resp_cqe_error roce_adp_retrans roce_adp_retrans_to roce_slow_restart rx_drops retrans_pkts "
    "retrans_timeout_events".split()
)
# nvmlPerfPolicyType_t: nanoseconds in which clocks were held down.
POLICIES = ((0, "throttled_power_ns"), (1, "throttled_thermal_ns"), (5, "throttled_reliability_ns"))
# nvmlNvLinkErrorCounter_t.
LINK_ERRORS = ((0, "nvlink_replay"), (1, "nvlink_recovery"), (2, "nvlink_crc_flit"), (3, "nvlink_crc_data"))
MOST_LINKS = 18


def count(event: "Record") -> "Record":
    """The rung: every counter of this machine, "kind|device|name" -> value. What cannot be read is left out.

    Args:
        event: "network", whether what is measured crosses it: else its counters tell of somebody else's traffic.
    """
    rows = list(tcp()) + list(nics()) + list(rdma()) if event["network"] else []
    try:
        rows += ways.within(NVML_S, gpus)
    except Exception:
        pass  # no binding, no driver, or one that hangs
    return {"counters": {"%s|%s|%s" % (kind, device, name): value for kind, device, name, value in rows}}


def tcp() -> "Found":
    """Segments sent, sent again, and timeouts of this network namespace."""
    for path, group, names in (
        ("proc/self/net/snmp", "Tcp:", ("OutSegs", "RetransSegs")),
        ("proc/self/net/netstat", "TcpExt:", ("TCPTimeouts", "TCPSynRetrans")),
    ):
        try:
            with open(os.path.join(ROOT, path)) as file:
                rows = [line.split() for line in file if line.startswith(group)]
        except OSError:
            continue
        for head, values in zip(rows[0::2], rows[1::2]):
            told = dict(zip(head, values))
            for name in names:
                if told.get(name, "").isdigit():
                    yield "tcp", "", name, int(told[name])


def nics() -> "Found":
    """Errors and drops of every interface but the loopback."""
    for name in listed(NET):
        if name == "lo":
            continue
        for counter in NIC:
            for value in number(NET, name, "statistics", counter):
                yield "nic", name, counter, value
        for value in number(NET, name, "carrier_down_count"):
            yield "nic", name, "carrier_down", value


def rdma() -> "Found":
    """Of every port of an HCA what shows loss, damage or congestion."""
    for device in listed(RDMA):
        for port in listed(RDMA, device, "ports"):
            for folder in ("counters", "hw_counters"):
                for counter in listed(RDMA, device, "ports", port, folder):
                    if counter in PORT:
                        for value in number(RDMA, device, "ports", port, folder, counter):
                            yield "rdma", "%s/%s" % (device, port), counter, value


def gpus() -> "List[Tuple[str, str, str, int]]":
    """Of every GPU how long its clocks were held down, and the errors of its links. Raises what the binding raises."""
    import pynvml

    found = []
    pynvml.nvmlInit()
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            asked: "List[Tuple[str, Any, Tuple[int, ...]]]"
            asked = [(name, pynvml.nvmlDeviceGetViolationStatus, (policy,)) for policy, name in POLICIES]
            asked.append(("pcie_replay", pynvml.nvmlDeviceGetPcieReplayCounter, ()))
            for link in range(MOST_LINKS):
                for which, name in LINK_ERRORS:
                    asked.append((name, pynvml.nvmlDeviceGetNvLinkErrorCounter, (link, which)))
            sums: "Dict[str, int]" = {}
            for name, function, arguments in asked:
                try:
                    value = function(handle, *arguments)
                except pynvml.NVMLError:
                    continue  # this GPU does not count it
                sums[name] = sums.get(name, 0) + int(getattr(value, "violationTime", value))
            found += [("gpu", str(index), name, value) for name, value in sorted(sums.items())]
    finally:
        pynvml.nvmlShutdown()
    return found


def listed(*parts: str) -> "List[str]":
    try:
        return sorted(os.listdir(os.path.join(ROOT, *[part.lstrip("/") for part in parts])))
    except OSError:
        return []


def number(*parts: str) -> "List[int]":
    """The number in a file; [] where it cannot be read, which some drivers answer with an error."""
    try:
        with open(os.path.join(ROOT, *[part.lstrip("/") for part in parts])) as file:
            return [int(file.read())]
    except (OSError, ValueError):
        return []
