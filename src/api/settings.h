/* A command with a value for each of its options. */
#ifndef GV_API_SETTINGS_H
#define GV_API_SETTINGS_H

#include "api/options.h"

#include <jansson.h>

struct ganvas_settings {
    const gv_command *command;
    char *value[GV_OPTIONS_MAX]; /* by index in gv_options; owned; NULL: none */
    char **inputs;               /* owned */
    int inputs_count;
};

/* Typed values of checked options; contracts: the command has the option, and it has a value that
 * is no word (integer, number). */
const char *gv_settings_text(const ganvas_settings *s, const char *name); /* NULL: none */
double gv_settings_number(const ganvas_settings *s, const char *name);
int64_t gv_settings_integer(const ganvas_settings *s, const char *name);
/* The same, or `word_value` where a word such as "all" stands. */
int64_t gv_settings_integer_or(const ganvas_settings *s, const char *name, int64_t word_value);
bool gv_settings_flag(const ganvas_settings *s, const char *name);

/* {"command", "options", "inputs"}: what shapes the result. Returned owned (json_decref), or NULL
 * without memory. */
json_t *gv_settings_to_json(const ganvas_settings *s);

#endif
