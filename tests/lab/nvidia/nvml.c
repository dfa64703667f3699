/* A libnvidia-ml.so.1 for machines that do not exist. The structures are those of nvml.h, as far as they are used. */
#include "machine.h"

typedef int nvmlReturn_t;
typedef struct gpu *nvmlDevice_t; /* the GPU's number + 1; MIG instances count on from MIG */

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { MIG = 1000, MIG_MOST = 16 };

static int started;

static unsigned of(nvmlDevice_t device)
{
    return (unsigned)(size_t)device - 1;
}

/* What any call about a GPU returns first: its error, or SUCCESS. */
static nvmlReturn_t answer(nvmlDevice_t device)
{
    char told[32];
    if (!started)
        return UNINITIALIZED;
    if (of(device) >= MIG)
        return SUCCESS;
    return gpu_value(of(device), "error_later", told, sizeof told) ? (nvmlReturn_t)behave(told) : SUCCESS;
}

/* Put the number of a key into `into`; NOT_SUPPORTED where the machine has none. */
static nvmlReturn_t tell(nvmlDevice_t device, const char *key, unsigned *into)
{
    nvmlReturn_t code = answer(device);
    long told = gpu_number(of(device), key, -1);
    if (code)
        return code;
    if (told < 0)
        return NOT_SUPPORTED;
    *into = (unsigned)told;
    return SUCCESS;
}

static nvmlReturn_t tell_text(nvmlDevice_t device, const char *key, char *into, unsigned size)
{
    nvmlReturn_t code = answer(device);
    if (code)
        return code;
    return gpu_value(of(device), key, into, size) ? SUCCESS : NOT_SUPPORTED;
}

const char *nvmlErrorString(nvmlReturn_t code)
{
    switch (code) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case 4: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case 9: return "Driver Not Loaded";
    case 12: return "NVML Shared Library Not Found";
    case 15: return "GPU is lost";
    case 16: return "GPU requires reset";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

nvmlReturn_t nvmlInitWithFlags(unsigned flags)
{
    char told[32];
    nvmlReturn_t code = value("nvml_init", told, sizeof told) ? (nvmlReturn_t)behave(told) : SUCCESS;
    (void)flags;
    started = code == SUCCESS;
    return code;
}

nvmlReturn_t nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlShutdown(void)
{
    started = 0;
    return SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *into, unsigned size)
{
    return value("driver", into, size) ? SUCCESS : NOT_SUPPORTED;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *into)
{
    *into = (int)number("cuda", 0);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *into)
{
    *into = (unsigned)number("gpus", 0);
    return started ? SUCCESS : UNINITIALIZED;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *into)
{
    char told[32];
    nvmlReturn_t code;
    if (index >= (unsigned)number("gpus", 0))
        return INVALID_ARGUMENT;
    *into = (nvmlDevice_t)(size_t)(index + 1);
    code = gpu_value(index, "error", told, sizeof told) ? (nvmlReturn_t)behave(told) : SUCCESS;
    return started ? code : UNINITIALIZED;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *into, unsigned size)
{
    return tell_text(device, "name", into, size);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *into, unsigned size)
{
    char key[32];
    if (of(device) < MIG)
        return tell_text(device, "uuid", into, size);
    snprintf(key, sizeof key, "mig.%u", (of(device) - MIG) % MIG_MOST);
    return gpu_value((of(device) - MIG) / MIG_MOST, key, into, size) ? SUCCESS : NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, void *into)
{
    struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char address[32]; } *info = into;
    nvmlReturn_t code = tell_text(device, "pci", info->address, sizeof info->address);
    if (code == SUCCESS)
        sscanf(info->address, "%x:%x:%x", &info->domain, &info->bus, &info->device);
    return code;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    unsigned both = 0;
    nvmlReturn_t code = tell(device, "capability", &both);
    *major = (int)(both / 10);
    *minor = (int)(both % 10);
    return code;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, void *into)
{
    struct { unsigned version; unsigned long long total, reserved, free, used; } *memory = into;
    nvmlReturn_t code = answer(device);
    memory->total = (unsigned long long)gpu_number(of(device), "memory", 0);
    memory->used = (unsigned long long)gpu_number(of(device), "memory_used", 0);
    memory->reserved = 0;
    memory->free = memory->total - memory->used;
    return code;
}

/* "pid:bytes" is the one process a GPU may have. */
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count, void *into)
{
    struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } *process = into;
    char told[64];
    nvmlReturn_t code = answer(device);
    unsigned room = *count;
    *count = gpu_value(of(device), "process", told, sizeof told) ? 1 : 0;
    if (code || !*count)
        return code;
    if (!room || !process)
        return INSUFFICIENT_SIZE;
    sscanf(told, "%u:%llu", &process->pid, &process->used);
    process->gpu_instance = process->compute_instance = ~0u;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned *now, unsigned *pending)
{
    nvmlReturn_t code = tell(device, "ecc", now);
    *pending = *now;
    return code;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned kind, unsigned counter, unsigned long long *into)
{
    unsigned told = 0;
    nvmlReturn_t code = counter ? NOT_SUPPORTED : tell(device, kind ? "ecc_uncorrected" : "ecc_corrected", &told);
    *into = told;
    return code;
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *corrected, unsigned *uncorrected,
                                       unsigned *pending, unsigned *failed)
{
    *corrected = 0;
    *pending = (unsigned)gpu_number(of(device), "remap_pending", 0);
    *failed = (unsigned)gpu_number(of(device), "remap_failed", 0);
    return tell(device, "remap_uncorrectable", uncorrected);
}

nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, unsigned cause, unsigned *count, unsigned long long *into)
{
    unsigned room = *count, page, told = 0;
    nvmlReturn_t code = tell(device, cause ? "retired_double" : "retired_single", &told);
    *count = told;
    if (code || !told)
        return code;
    if (room < told || !into)
        return INSUFFICIENT_SIZE;
    for (page = 0; page < told; page++)
        into[page] = page;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetRetiredPagesPendingStatus(nvmlDevice_t device, unsigned *into)
{
    return tell(device, "retirement_pending", into);
}

nvmlReturn_t nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t device, void *into)
{
    struct { unsigned version; unsigned long long counters[11]; unsigned exceeded; } *status = into;
    return tell(device, "sram_exceeded", &status->exceeded);
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, void *into)
{
    struct field { unsigned id, scope; long long timestamp, latency; unsigned type; nvmlReturn_t code;
                   union { double d; unsigned u; unsigned long long ull; } value; } *fields = into;
    int index;
    for (index = 0; index < count; index++)
        fields[index].code = fields[index].id == 230 ? tell(device, "recovery", &fields[index].value.u) : NOT_SUPPORTED;
    return answer(device);
}

nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device, unsigned long long *into)
{
    unsigned told = 0;
    nvmlReturn_t code = tell(device, "clock_reasons", &told);
    *into = told;
    return code;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, unsigned *into)
{
    into[1] = 0;
    return tell(device, "utilisation", into);
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor, unsigned *into)
{
    return sensor ? INVALID_ARGUMENT : tell(device, "temperature", into);
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned kind, unsigned *into)
{
    return kind == 1 ? tell(device, "slowdown", into) : NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, unsigned *into)
{
    return tell(device, "persistence", into);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, unsigned *into)
{
    return tell(device, "pcie_width", into);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, unsigned *into)
{
    return tell(device, "pcie_width_max", into);
}

nvmlReturn_t nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, unsigned *into)
{
    return tell(device, "pcie_generation", into);
}

nvmlReturn_t nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, unsigned *into)
{
    return tell(device, "pcie_generation_max", into);
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link, unsigned *into)
{
    char down[128] = "";
    unsigned links = 0;
    nvmlReturn_t code = tell(device, "nvlinks", &links);
    if (code)
        return code;
    if (link >= links)
        return INVALID_ARGUMENT;
    gpu_value(of(device), "nvlinks_down", down, sizeof down);
    *into = !listed(down, link);
    return SUCCESS;
}

/* Version 3, 2 or (with the call of that name) 1: they differ in what stands before and after. */
nvmlReturn_t nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, void *into)
{
    struct { unsigned version; unsigned char cluster[16]; unsigned status, clique, state, health;
             unsigned char summary; } *info = into;
    nvmlReturn_t code = tell(device, "fabric_state", &info->state);
    info->status = (unsigned)gpu_number(of(device), "fabric_status", 0);
    info->health = (unsigned)gpu_number(of(device), "fabric_health", 0);
    return code;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *now, unsigned *pending)
{
    nvmlReturn_t code = tell(device, "mig", now);
    *pending = *now;
    return code;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *into)
{
    nvmlReturn_t code = tell(device, "mig", into);
    *into = 7;
    return code;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index, nvmlDevice_t *into)
{
    char key[32], told[96];
    snprintf(key, sizeof key, "mig.%u", index);
    if (!gpu_value(of(device), key, told, sizeof told))
        return NOT_FOUND;
    *into = (nvmlDevice_t)(size_t)(MIG + of(device) * MIG_MOST + index + 1);
    return SUCCESS;
}
