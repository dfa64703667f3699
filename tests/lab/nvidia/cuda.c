/* A libcuda.so.1 for machines that do not exist: it starts, fails or hangs as told, and honours the visible devices. */
#include "machine.h"

typedef int CUresult;

enum { SUCCESS = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101 };
enum { MOST_GPUS = 64, CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76 };

static int started;
static unsigned devices[MOST_GPUS]; /* the GPU of each CUDA device */
static int count;

/* A GPU in MIG mode is a device only through an instance. */
static int usable(unsigned gpu)
{
    char told[96];
    if (gpu_value(gpu, "error", told, sizeof told))
        return 0;
    return gpu_number(gpu, "mig", 0) != 1 || gpu_value(gpu, "mig.0", told, sizeof told) != NULL;
}

/* All GPUs in CUDA's order: the fastest first, unless CUDA_DEVICE_ORDER asks for that of the bus. */
static void enumerate(void)
{
    const char *order = getenv("CUDA_DEVICE_ORDER");
    unsigned gpu, gpus = (unsigned)number("gpus", 0);
    int place;
    count = 0;
    for (gpu = 0; gpu < gpus && count < MOST_GPUS; gpu++) {
        if (!usable(gpu))
            continue;
        for (place = count; place > 0 && !(order && !strcmp(order, "PCI_BUS_ID")); place--) {
            if (gpu_number(devices[place - 1], "speed", 0) >= gpu_number(gpu, "speed", 0))
                break;
            devices[place] = devices[place - 1];
        }
        devices[order && !strcmp(order, "PCI_BUS_ID") ? count : place] = gpu;
        count++;
    }
}

/* CUDA_VISIBLE_DEVICES as CUDA reads it: the list ends at the first thing that is no device. */
static void mask(void)
{
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    unsigned all[MOST_GPUS];
    int known = count;
    char *end;
    if (!list)
        return;
    memcpy(all, devices, sizeof all);
    count = 0;
    while (count < known) {
        long wanted = strtol(list, &end, 10);
        if (end == list || wanted < 0 || wanted >= known)
            break;
        devices[count++] = all[wanted];
        if (*end != ',')
            break;
        list = end + 1;
    }
}

CUresult cuDriverGetVersion(int *into)
{
    *into = (int)number("cuda", 0);
    return SUCCESS;
}

CUresult cuInit(unsigned flags)
{
    char told[32];
    CUresult code = value("cu_init", told, sizeof told) ? (CUresult)behave(told) : SUCCESS;
    if (flags)
        return INVALID_VALUE;
    if (code)
        return code;
    enumerate();
    mask();
    started = count > 0;
    return started ? SUCCESS : NO_DEVICE;
}

CUresult cuDeviceGetCount(int *into)
{
    *into = count;
    return started ? SUCCESS : NOT_INITIALIZED;
}

CUresult cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return ordinal >= 0 && ordinal < count ? SUCCESS : INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *into, int size, int device)
{
    if (device < 0 || device >= count)
        return INVALID_DEVICE;
    return gpu_value(devices[device], "name", into, (size_t)size) ? SUCCESS : INVALID_VALUE;
}

CUresult cuDeviceGetPCIBusId(char *into, int size, int device)
{
    unsigned domain, bus, slot;
    char told[32];
    if (device < 0 || device >= count)
        return INVALID_DEVICE;
    if (!gpu_value(devices[device], "pci", told, sizeof told) || sscanf(told, "%x:%x:%x", &domain, &bus, &slot) != 3)
        return INVALID_VALUE;
    snprintf(into, (size_t)size, "%04X:%02X:%02X.0", domain, bus, slot);
    return SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *into, int device)
{
    if (device < 0 || device >= count)
        return INVALID_DEVICE;
    *into = (size_t)gpu_number(devices[device], "memory", 0);
    return SUCCESS;
}

CUresult cuDeviceGetAttribute(int *into, int attribute, int device)
{
    long capability;
    if (device < 0 || device >= count)
        return INVALID_DEVICE;
    capability = gpu_number(devices[device], "capability", 0);
    if (attribute == CAPABILITY_MAJOR)
        *into = (int)(capability / 10);
    else if (attribute == CAPABILITY_MINOR)
        *into = (int)(capability % 10);
    else
        return INVALID_VALUE;
    return SUCCESS;
}

CUresult cuGetErrorName(CUresult code, const char **into)
{
    *into = code == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_UNKNOWN";
    return SUCCESS;
}

CUresult cuGetErrorString(CUresult code, const char **into)
{
    *into = code == NO_DEVICE ? "no CUDA-capable device is detected" : "unknown error";
    return SUCCESS;
}
