/* The description of a machine: lines of key=value in the file that $FAKE_NVIDIA names.
 *
 * Keys of the machine are plain ("driver=580.65.06"), those of a GPU begin with its number ("gpu.3.error=15").
 * What the description does not name, the driver does not support.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 65536

static const char *description(void)
{
    static char text[MOST + 2];
    if (!text[0]) {
        const char *path = getenv("FAKE_NVIDIA");
        FILE *file = path ? fopen(path, "r") : NULL;
        text[0] = '\n';
        if (file) {
            text[1 + fread(text + 1, 1, MOST, file)] = '\0';
            fclose(file);
        }
    }
    return text;
}

/* The value of a key in `into`, which is returned; NULL where the description lacks it. */
static char *value(const char *key, char *into, size_t size)
{
    char wanted[128];
    const char *found;
    size_t length;
    snprintf(wanted, sizeof wanted, "\n%s=", key);
    found = strstr(description(), wanted);
    if (!found)
        return NULL;
    found += strlen(wanted);
    length = strcspn(found, "\n");
    if (length >= size)
        length = size - 1;
    memcpy(into, found, length);
    into[length] = '\0';
    return into;
}

static char *gpu_value(unsigned gpu, const char *key, char *into, size_t size)
{
    char whole[96];
    snprintf(whole, sizeof whole, "gpu.%u.%s", gpu, key);
    return value(whole, into, size);
}

static long number(const char *key, long otherwise)
{
    char text[64];
    return value(key, text, sizeof text) ? strtol(text, NULL, 0) : otherwise;
}

static long gpu_number(unsigned gpu, const char *key, long otherwise)
{
    char text[64];
    return gpu_value(gpu, key, text, sizeof text) ? strtol(text, NULL, 0) : otherwise;
}

/* Whether a list such as "3,5,7" holds a number. */
static int listed(const char *list, long wanted)
{
    char *end;
    while (*list) {
        if (strtol(list, &end, 10) == wanted && end != list)
            return 1;
        list = *end ? end + 1 : end;
    }
    return 0;
}

/* Behave as told: "hang" never returns, "crash" dies, a number is the return code. */
static long behave(const char *told)
{
    if (!strcmp(told, "hang"))
        for (;;)
            pause();
    if (!strcmp(told, "crash"))
        raise(SIGSEGV);
    return strtol(told, NULL, 0);
}

#endif
