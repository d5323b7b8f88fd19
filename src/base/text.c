#include "base/text.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for `more` bytes and the NUL. */
static bool grow(gv_text *t, size_t more)
{
    if (t->failed)
        return false;
    size_t need;
    if (!gv_add_size(&need, t->length, more) || !gv_add_size(&need, need, 1)) {
        t->failed = true;
        return false;
    }
    if (need <= t->room)
        return true;
    size_t room = need < 256 ? 256 : need * 2;
    char *data = gv_mem_resize(t->data, t->room, room);
    if (data == NULL) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->room = room;
    return true;
}

void gv_text_add_bytes(gv_text *t, const char *bytes, size_t length)
{
    if (!grow(t, length))
        return;
    memcpy(t->data + t->length, bytes, length);
    t->length += length;
    t->data[t->length] = '\0';
}

void gv_text_add(gv_text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    if (length < 0)
        t->failed = true;
    else if (grow(t, (size_t)length)) {
        vsnprintf(t->data + t->length, (size_t)length + 1, format, again);
        t->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

void gv_text_wrap(gv_text *t, const char *words, size_t column, size_t indent, size_t width)
{
    bool first = true;
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        if (!first && column + 1 + length > width) {
            gv_text_add(t, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            gv_text_add(t, " ");
            column++;
        }
        gv_text_add_bytes(t, words, length);
        column += length;
        first = false;
        words += length;
        words += strspn(words, " ");
    }
    gv_text_add(t, "\n");
}

void gv_text_add_quoted(gv_text *t, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%^";
    if (*word != '\0' && word[strspn(word, plain)] == '\0') {
        gv_text_add(t, "%s", word);
        return;
    }
    gv_text_add(t, "'");
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            gv_text_add(t, "'\\''");
        else
            gv_text_add_bytes(t, word, 1);
    }
    gv_text_add(t, "'");
}

gv_status gv_text_take(gv_text *t, char **text, gv_error *err)
{
    *text = NULL;
    gv_text_add_bytes(t, "", 0);
    if (t->failed) {
        size_t bytes = t->room;
        gv_text_deinit(t);
        return gv_fail_memory(err, bytes);
    }
    *text = t->data;
    *t = (gv_text){0};
    return GV_OK;
}

void gv_text_deinit(gv_text *t)
{
    gv_mem_free(t->data);
    *t = (gv_text){0};
}
