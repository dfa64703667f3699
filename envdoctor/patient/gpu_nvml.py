"""What NVML tells of one GPU. Every value is read by a call of its own: one that fails leaves its value unknown."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h).
CLOCK_REASONS = (
    (0x1, "idle"),
    (0x2, "app-clocks"),
    (0x4, "sw-power"),
    (0x8, "hw-slowdown"),
    (0x10, "sync-boost"),
    (0x20, "sw-thermal"),
    (0x40, "hw-thermal"),
    (0x80, "power-brake"),
    (0x100, "display"),
)
RECOVERY_FIELD = 230  # NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
RECOVERY = (
    "none",
    "reset",
    "reboot",
    "drain-p2p",
    "drain-and-reset",
    "recover-imex-domain",
    "bus-reset",
    "system-reboot",
)
FABRIC_STATES = ("not-supported", "not-started", "in-progress", "completed")
# Two-bit fields of the fabric's health mask; 1 is "true". The state of the GPU's configuration has four bits, and
# 0 (not told) and 1 (none) are well.
FABRIC_HEALTH = (
    (0, "degraded-bandwidth"),
    (2, "route-recovery"),
    (4, "route-unhealthy"),
    (6, "access-timeout-recovery"),
)
FABRIC_CONFIGURATION = 8
MOST_LINKS = 36  # NVML_NVLINK_MAX_LINKS; 18 on Hopper and Blackwell
LOST = (15, 16)  # GPU is lost, GPU requires reset: nothing more is asked of it
SUCCESS, UNCORRECTED, CORRECTED, VOLATILE = 0, 1, 0, 0


class Lost(Exception):
    """The GPU stopped answering; `code` is NVML's return code."""

    def __init__(self, code: int) -> None:
        Exception.__init__(self, str(code))
        self.code = code


def words(pynvml: "Any", code: int) -> str:
    """NVML's own words for a return code."""
    try:
        return str(pynvml.nvmlErrorString(code))
    except Exception:
        return str(pynvml.NVMLError(code))


class Reader(object):
    """Reads one GPU through pynvml."""

    def __init__(self, pynvml: "Any", handle: "Any") -> None:
        self.pynvml = pynvml
        self.handle = handle

    def get(self, name: str, *arguments: "Any") -> "Any":
        """The answer of an NVML call, None where it has none. Raises Lost."""
        function = getattr(self.pynvml, name, None)
        if function is None:
            return None
        try:
            return function(self.handle, *arguments)
        except self.pynvml.NVMLError as error:
            if error.value in LOST:
                raise Lost(error.value)
            return None
        except Exception:
            # An old pynvml, or one newer than the driver, may stumble over what the driver answers.
            return None

    def flag(self, name: str) -> "Optional[bool]":
        told = self.get(name)
        return None if told is None else bool(told)

    def pair(self, name: str) -> "Tuple[Optional[bool], Optional[bool]]":
        """The current and the pending state of a mode."""
        told = self.get(name)
        return (bool(told[0]), bool(told[1])) if told else (None, None)

    def identity(self) -> "Dict[str, Any]":
        found: "Dict[str, Any]" = {}
        for key, name in (("uuid", "nvmlDeviceGetUUID"), ("name", "nvmlDeviceGetName")):
            found[key] = text(self.get(name))
        info = self.get("nvmlDeviceGetPciInfo")
        if info is not None:
            found["pci"] = "%04x:%02x:%02x.0" % (info.domain, info.bus, info.device)
        capability = self.get("nvmlDeviceGetCudaComputeCapability")
        found["compute_capability"] = "%d.%d" % tuple(capability) if capability else ""
        return found

    def memory(self) -> "Dict[str, Any]":
        # The second version leaves what the driver keeps for itself out of `used`.
        told = self.get("nvmlDeviceGetMemoryInfo", getattr(self.pynvml, "nvmlMemory_v2", None))
        if told is None:
            told = self.get("nvmlDeviceGetMemoryInfo")
        return {"memory_bytes": told.total, "memory_used_bytes": told.used} if told is not None else {}

    def processes(self) -> "List[Dict[str, Any]]":
        found = self.get("nvmlDeviceGetComputeRunningProcesses") or []
        return [{"pid": one.pid, "memory_bytes": one.usedGpuMemory} for one in found]

    def errors(self) -> "Dict[str, Any]":
        """ECC, row remapping, retired pages, recovery action."""
        remapped = self.get("nvmlDeviceGetRemappedRows")
        pages = [self.get("nvmlDeviceGetRetiredPages", cause) for cause in (0, 1)]
        return {
            "ecc": self.pair("nvmlDeviceGetEccMode")[0],
            "ecc_uncorrected": self.get("nvmlDeviceGetTotalEccErrors", UNCORRECTED, VOLATILE),
            "ecc_corrected": self.get("nvmlDeviceGetTotalEccErrors", CORRECTED, VOLATILE),
            "remap_uncorrectable": remapped[1] if remapped else None,
            "remap_pending": bool(remapped[2]) if remapped else None,
            "remap_failed": bool(remapped[3]) if remapped else None,
            "retired_pages": None if None in pages else sum(len(page) for page in pages),
            "retirement_pending": self.flag("nvmlDeviceGetRetiredPagesPendingStatus"),
            "sram_threshold_exceeded": self.sram(),
            "recovery_action": self.recovery(),
        }

    def sram(self) -> "Optional[bool]":
        status = getattr(self.pynvml, "c_nvmlEccSramErrorStatus_v1_t", None)
        if status is None:
            return None
        told = status()
        # The binding passes on what it is given, and NVML wants a pointer.
        answer = self.get("nvmlDeviceGetSramEccErrorStatus", self.pynvml.byref(told))
        return None if answer is None else bool(told.bThresholdExceeded)

    def recovery(self) -> str:
        told = self.get("nvmlDeviceGetFieldValues", [RECOVERY_FIELD])
        if not told or told[0].nvmlReturn != SUCCESS:
            return ""
        number = int(told[0].value.uiVal)
        return RECOVERY[number] if number < len(RECOVERY) else str(number)

    def load(self) -> "Dict[str, Any]":
        """Clocks, temperature, utilisation."""
        bits = self.get("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:
            bits = self.get("nvmlDeviceGetCurrentClocksThrottleReasons")
        use = self.get("nvmlDeviceGetUtilizationRates")
        return {
            "clock_reasons": [name for bit, name in CLOCK_REASONS if (bits or 0) & bit],
            "utilisation_percent": None if use is None else use.gpu,
            "temperature_c": self.get("nvmlDeviceGetTemperature", 0),
            "slowdown_c": self.get("nvmlDeviceGetTemperatureThreshold", 1),
            "persistence": self.flag("nvmlDeviceGetPersistenceMode"),
        }

    def links(self) -> "Dict[str, Any]":
        """The PCIe link, the NVLinks and the fabric."""
        found = {
            "pcie_width": self.get("nvmlDeviceGetCurrPcieLinkWidth"),
            "pcie_width_max": self.get("nvmlDeviceGetMaxPcieLinkWidth"),
            "pcie_generation": self.get("nvmlDeviceGetCurrPcieLinkGeneration"),
            "pcie_generation_max": self.get("nvmlDeviceGetMaxPcieLinkGeneration"),
            "nvlinks": self.nvlinks(),
        }
        found.update(self.fabric())
        return found

    def nvlinks(self) -> "List[Dict[str, Any]]":
        found: "List[Dict[str, Any]]" = []
        for link in range(MOST_LINKS):
            try:
                active = self.pynvml.nvmlDeviceGetNvLinkState(self.handle, link)
            except self.pynvml.NVMLError as error:
                if error.value in LOST:
                    raise Lost(error.value)
                if error.value in (2, 3, 13):  # beyond the last link, or no NVLink at all
                    break
                active = None
            found.append({"index": link, "active": None if active is None else bool(active)})
        return found

    def fabric(self) -> "Dict[str, Any]":
        for kind, call in (
            ("c_nvmlGpuFabricInfo_v3_t", "nvmlDeviceGetGpuFabricInfoV"),
            ("c_nvmlGpuFabricInfo_v2_t", "nvmlDeviceGetGpuFabricInfoV"),
            ("c_nvmlGpuFabricInfo_t", "nvmlDeviceGetGpuFabricInfo"),
        ):
            struct = getattr(self.pynvml, kind, None)
            if struct is None:
                continue
            told = struct()
            if self.get(call, self.pynvml.byref(told)) is None:
                continue
            state = FABRIC_STATES[told.state] if told.state < len(FABRIC_STATES) else str(told.state)
            status = "success" if told.status == SUCCESS else words(self.pynvml, told.status)
            return {
                "fabric_state": state,
                "fabric_status": status if state == "completed" else "",
                "fabric_health": fabric_health(getattr(told, "healthMask", 0)),
            }
        return {}

    def mig(self) -> "Dict[str, Any]":
        now, pending = self.pair("nvmlDeviceGetMigMode")
        instances = []
        for index in range(self.get("nvmlDeviceGetMaxMigDeviceCount") or 0 if now else 0):
            instance = self.get("nvmlDeviceGetMigDeviceHandleByIndex", index)
            if instance is not None:
                instances.append(text(Reader(self.pynvml, instance).get("nvmlDeviceGetUUID")))
        return {"mig": now, "mig_pending": pending, "mig_instances": instances}

    def read(self, facts: "Dict[str, Any]") -> None:
        """Put what the GPU tells into `facts`, as far as it comes before the GPU stops answering."""
        parts: "Tuple[Callable[[], Dict[str, Any]], ...]"
        parts = (self.identity, self.memory, self.errors, self.load, self.links, self.mig)
        try:
            for part in parts:
                facts.update(part())
            facts["processes"] = self.processes()
        except Lost as lost:
            facts.update(error=words(self.pynvml, lost.code), error_code=lost.code)


def fabric_health(mask: int) -> "List[str]":
    """What the fabric finds wrong, from the health mask of nvmlGpuFabricInfo."""
    found = [name for shift, name in FABRIC_HEALTH if mask >> shift & 0x3 == 1]
    if mask >> FABRIC_CONFIGURATION & 0xF > 1:
        found.append("incorrect-configuration")
    return found


def text(told: "Any") -> str:
    """Old versions of pynvml answer in bytes."""
    if isinstance(told, bytes):
        return told.decode("utf-8", "replace")
    return "" if told is None else str(told)


def gpu(pynvml: "Any", index: int) -> "Dict[str, Any]":
    """The facts of the GPU with NVML's index; its `error` says why it does not answer."""
    facts: "Dict[str, Any]" = {"index": index}
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    except pynvml.NVMLError as error:
        facts.update(error=words(pynvml, error.value), error_code=error.value)
        return facts
    Reader(pynvml, handle).read(facts)
    return facts
