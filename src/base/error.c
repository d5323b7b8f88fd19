#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

gv_status gv_fail(gv_error *err, gv_status status, const char *format, ...)
{
    if (!err)
        return status;

    err->status = status;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);

    if (length < 0)
        strcpy(err->message, "unprintable error");
    else if ((size_t)length >= sizeof err->message)
        strcpy(err->message + sizeof err->message - sizeof "...", "...");

    /* Names come from files and end up on terminals. */
    for (unsigned char *c = (unsigned char *)err->message; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    return status;
}

gv_status gv_fail_memory(gv_error *err, size_t bytes)
{
    return gv_fail(err, GV_E_MEMORY, "out of memory: %zu bytes could not be had", bytes);
}

void gv_error_clear(gv_error *err)
{
    if (!err)
        return;
    err->status = GV_OK;
    err->message[0] = '\0';
}
