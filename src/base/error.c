#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void gv_fail_text(gv_error *err, gv_status status, const char *format, ...)
{
    if (!err)
        return;

    /* An argument may be the sentence that err holds now. */
    char text[sizeof err->message];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);

    if (length < 0)
        strcpy(text, "unprintable error");
    else if ((size_t)length >= sizeof text)
        strcpy(text + sizeof text - sizeof "...", "...");

    /* Names come from files and end up on terminals. */
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    err->status = status;
    strcpy(err->message, text);
}

void gv_error_clear(gv_error *err)
{
    if (!err)
        return;
    err->status = GV_OK;
    err->message[0] = '\0';
}
