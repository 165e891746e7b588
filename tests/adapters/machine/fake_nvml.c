/* A small libnvidia-ml.so.1 for tests, driven by environment variables that it reads at every call:
 *
 *   FAKE_NVML_NAMES  "NVIDIA H100 80GB HBM3;Tesla T4": one device for each name; empty: no device
 *   FAKE_NVML_FAIL   "nvmlInitWithFlags=9,nvmlDeviceGetName@1=15,*@2=15": function, device, error code
 *   FAKE_NVML_SET    "nvmlDeviceGetPowerUsage=0": function and the number it answers with
 *   FAKE_NVML_SLICES  "2": instances of each GPU in MIG mode, behind an empty place; handles from FIRST_SLICE on
 *   FAKE_NVML_LOG    a file to which the name of every function called is appended
 *
 * Built with -DOLD_DRIVER it lacks what drivers of about 2021 lack, with -DNEW_DRIVER what CUDA 14 takes
 * away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { MAX_DEVICES = 64, FIRST_SLICE = 16, MOST_SLICES = 8, NO_DEVICE = -1 };

typedef unsigned long long u64;
typedef struct { int unused; } device_t;
typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned version, sensor; int celsius; } temperature_t;
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } process_t;

static device_t devices[MAX_DEVICES];

/* The number of this function (and device) in a list of "function@device=number", or otherwise. */
static long long listed(const char *variable, const char *function, int device, long long otherwise) {
    const char *text = getenv(variable);
    while (text && *text) {
        char name[96] = "";
        int only = NO_DEVICE, length = 0;
        long long number = 0;
        if (sscanf(text, "%95[^@=]@%d=%lld%n", name, &only, &number, &length) < 3)
            if (sscanf(text, "%95[^@=]=%lld%n", name, &number, &length) < 2) abort();
        int same_name = !strcmp(name, function) || (!strcmp(name, "*") && device != NO_DEVICE);
        if (same_name && (only == NO_DEVICE || only == device)) return number;
        text += length;
        if (*text == ',') text++;
    }
    return otherwise;
}

static int enter(const char *function, int device) {
    const char *path = getenv("FAKE_NVML_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (log) fprintf(log, "%s\n", function), fclose(log);
    return (int)listed("FAKE_NVML_FAIL", function, device, OK);
}

#define ENTER(device) do { int code = enter(__func__, device); if (code != OK) return code; } while (0)
#define INDEX(handle) ((int)((device_t *)(handle) - devices))
#define PARENT(index) ((index) < FIRST_SLICE ? (index) : ((index) - FIRST_SLICE) / MOST_SLICES)
#define VALUE(device, otherwise) listed("FAKE_NVML_SET", __func__, device, otherwise)

static int count(void) {
    const char *names = getenv("FAKE_NVML_NAMES");
    if (!names) return 1;
    int found = *names != 0;
    for (; *names; names++) found += *names == ';';
    return found;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; ENTER(NO_DEVICE); return OK; }
int nvmlShutdown(void) { ENTER(NO_DEVICE); return OK; }

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    ENTER(NO_DEVICE);
    snprintf(text, size, "570.86.15");
    return OK;
}

#ifndef OLD_DRIVER
int nvmlSystemGetCudaDriverVersion_v2(int *version) { ENTER(NO_DEVICE); *version = 12080; return OK; }
#endif
int nvmlSystemGetCudaDriverVersion(int *version) { ENTER(NO_DEVICE); *version = 11040; return OK; }

int nvmlDeviceGetCount_v2(unsigned *answer) { ENTER(NO_DEVICE); *answer = (unsigned)count(); return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t **handle) {
    ENTER((int)index);
    if ((int)index >= count()) return INVALID_ARGUMENT;
    *handle = &devices[index];
    return OK;
}

int nvmlDeviceGetName(device_t *handle, char *text, unsigned size) {
    ENTER(INDEX(handle));
    const char *names = getenv("FAKE_NVML_NAMES");
    if (!names) names = "NVIDIA H100 80GB HBM3";
    for (int skip = PARENT(INDEX(handle)); skip > 0; skip--) names = strchr(names, ';') + 1;
    int slice = INDEX(handle) >= FIRST_SLICE;
    snprintf(text, size, "%.*s%s", (int)strcspn(names, ";"), names, slice ? " MIG 1g.10gb" : "");
    return OK;
}

int nvmlDeviceGetUUID(device_t *handle, char *text, unsigned size) {
    ENTER(INDEX(handle));
    snprintf(text, size, "%s-00000000-0000-0000-0000-%012d", INDEX(handle) < FIRST_SLICE ? "GPU" : "MIG", INDEX(handle));
    return OK;
}

int nvmlDeviceGetCudaComputeCapability(device_t *handle, int *major, int *minor) {
    ENTER(INDEX(handle));
    *major = 9, *minor = 0;
    return OK;
}

int nvmlDeviceGetMemoryInfo(device_t *handle, memory_t *memory) {
    ENTER(INDEX(handle));
    u64 gib = 1ULL << 30;
    u64 all = INDEX(handle) < FIRST_SLICE ? 80 : 10;
    *memory = (memory_t){all * gib, (all - 1) * gib, 1 * gib};
    return OK;
}

int nvmlDeviceGetUtilizationRates(device_t *handle, utilization_t *rates) {
    ENTER(INDEX(handle));
    *rates = (utilization_t){(unsigned)VALUE(INDEX(handle), 50), 25};
    return OK;
}

static int clock_of(unsigned kind, unsigned sm, unsigned memory, unsigned *mhz) {
    if (kind != 1 && kind != 2) return INVALID_ARGUMENT;
    *mhz = kind == 1 ? sm : memory;
    return OK;
}
int nvmlDeviceGetClockInfo(device_t *handle, unsigned kind, unsigned *mhz) {
    ENTER(INDEX(handle));
    return clock_of(kind, 345, 1593, mhz);
}
int nvmlDeviceGetMaxClockInfo(device_t *handle, unsigned kind, unsigned *mhz) {
    ENTER(INDEX(handle));
    return clock_of(kind, 1980, 2619, mhz);
}

#define NUMBER(function, type, otherwise)                 \
    int function(device_t *handle, type *answer) {        \
        ENTER(INDEX(handle));                             \
        *answer = (type)VALUE(INDEX(handle), otherwise);  \
        return OK;                                        \
    }
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, 700000)
NUMBER(nvmlDeviceGetPowerUsage, unsigned, 70500)
NUMBER(nvmlDeviceGetTotalEnergyConsumption, u64, 5000000000000)
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, 4)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned, 5)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned, 8)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, unsigned, 16)

#define SWITCH(function, otherwise)                                    \
    int function(device_t *handle, unsigned *now, unsigned *later) {   \
        ENTER(INDEX(handle));                                          \
        *now = (unsigned)VALUE(INDEX(handle), otherwise);              \
        *later = !*now;                                                \
        return OK;                                                     \
    }
SWITCH(nvmlDeviceGetMigMode, 0)
SWITCH(nvmlDeviceGetEccMode, 1)

#ifndef OLD_DRIVER
int nvmlDeviceGetTemperatureV(device_t *handle, temperature_t *answer) {
    ENTER(INDEX(handle));
    answer->celsius = 31;
    return OK;
}
#endif
#ifndef NEW_DRIVER
int nvmlDeviceGetTemperature(device_t *handle, unsigned sensor, unsigned *celsius) {
    ENTER(INDEX(handle));
    if (sensor != 0) return INVALID_ARGUMENT;
    *celsius = 32;
    return OK;
}
#endif

/* Four links, the last of them down. Where there are none, link 0 is "not supported" already. */
int nvmlDeviceGetNvLinkState(device_t *handle, unsigned link, unsigned *active) {
    ENTER(INDEX(handle));
    unsigned links = (unsigned)VALUE(INDEX(handle), 4);
    if (link >= links) return links ? INVALID_ARGUMENT : NOT_SUPPORTED;
    *active = link + 1 < links;
    return OK;
}
int nvmlDeviceGetNvLinkVersion(device_t *handle, unsigned link, unsigned *version) {
    (void)link;
    ENTER(INDEX(handle));
    *version = (unsigned)VALUE(INDEX(handle), 6);
    return OK;
}

/* Two processes; of the second one the memory is not available, as in some containers. */
static int processes(unsigned first_pid, unsigned *room, process_t *rows) {
    if (!rows || *room < 2) { *room = 2; return INSUFFICIENT_SIZE; }
    *room = 2;
    rows[0] = (process_t){first_pid, 1000000000ULL, ~0u, ~0u};
    rows[1] = (process_t){first_pid + 1, ~0ULL, ~0u, ~0u};
    return OK;
}
#ifdef OLD_DRIVER
#define PROCESSES(kind) nvmlDeviceGet##kind##RunningProcesses_v2
#else
#define PROCESSES(kind) nvmlDeviceGet##kind##RunningProcesses_v3
#endif
int PROCESSES(Compute)(device_t *handle, unsigned *room, process_t *rows) {
    ENTER(INDEX(handle));
    return processes(100, room, rows);
}
int PROCESSES(Graphics)(device_t *handle, unsigned *room, process_t *rows) {
    ENTER(INDEX(handle));
    return processes(200, room, rows);
}

/* The places of instances: the first is empty. */
static unsigned slices(void) {
    const char *text = getenv("FAKE_NVML_SLICES");
    return text ? (unsigned)atoi(text) : 0;
}
int nvmlDeviceGetMaxMigDeviceCount(device_t *handle, unsigned *answer) {
    ENTER(INDEX(handle));
    *answer = slices() + 1;
    return OK;
}
int nvmlDeviceGetMigDeviceHandleByIndex(device_t *handle, unsigned place, device_t **answer) {
    ENTER(INDEX(handle));
    if (place == 0 || place > slices()) return NOT_FOUND;
    *answer = &devices[FIRST_SLICE + INDEX(handle) * MOST_SLICES + (int)place - 1];
    return OK;
}
