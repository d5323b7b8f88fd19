/* The one table of commands and options. Command line, --help, manual page, JSON, replay (and later
 * the web API) are made of it. */
#ifndef GV_API_OPTIONS_H
#define GV_API_OPTIONS_H

#include "base/error.h"

typedef enum gv_command_id {
    GV_COMMAND_SAMPLE,
    GV_COMMAND_INVERT,
    GV_COMMAND_SCRIBBLE,
    GV_COMMAND_INTERPOLATE,
    GV_COMMAND_MIX,
    GV_COMMAND_MODELS,
    GV_COMMAND_INSPECT,
    GV_COMMAND_CONVERT,
    GV_COMMAND_REPLAY,
    GV_COMMAND_BENCH,
    GV_COMMANDS
} gv_command_id;

typedef struct gv_command {
    gv_command_id id;
    const char *name;
    const char *inputs; /* "FILE", as in the usage line; "" for none */
    int min_inputs, max_inputs;
    const char *summary; /* one line */
    const char *about;   /* a paragraph */
    const char *example;
} gv_command;

typedef enum gv_option_kind {
    GV_OPTION_FLAG,
    GV_OPTION_INTEGER,
    GV_OPTION_NUMBER,
    GV_OPTION_NUMBERS, /* a list of integers, "0-15,20" */
    GV_OPTION_CHOICE,  /* one of the words */
    GV_OPTION_TEXT     /* names and paths */
} gv_option_kind;

typedef struct gv_option {
    const char *name; /* without dashes */
    char letter;      /* -o; 0: none */
    gv_option_kind kind;
    const char *value;  /* "FILE", as in help; for choices the words stand there */
    const char *words;  /* accepted besides numbers, "all" or "z|w|w+"; NULL: none */
    const char *preset; /* the default; NULL: no value. Of a choice, the first word */
    double min, max;    /* of numbers */
    unsigned commands;  /* bits 1 << gv_command_id */
    unsigned needed;    /* commands that refuse to run without it */
    bool shapes_result; /* kept in records and replayed */
    const char *help;
} gv_option;

extern const gv_command gv_commands[GV_COMMANDS];
extern const gv_option gv_options[];
extern const int gv_options_count;
#define GV_OPTIONS_MAX 128

/* NULL if there is none. */
const gv_command *gv_command_find(const char *name);
/* Index in gv_options of an option of the command, by name (length bytes) or by letter; -1. */
int gv_option_find(const gv_command *command, const char *name, size_t length);
int gv_option_find_letter(const gv_command *command, char letter);
bool gv_option_belongs(const gv_option *option, const gv_command *command);

/* GV_E_ARG "unknown command 'smaple', did you mean 'sample'?" */
gv_status gv_command_unknown(const char *name, gv_error *err);
gv_status gv_option_unknown(const gv_command *command, const char *name, size_t length,
                            gv_error *err);

/* Is value fit for the option? Errors GV_E_ARG "--psi: 'x' is not a number". */
gv_status gv_option_check(const gv_option *option, const char *value, gv_error *err);

/* One integer at *text, which is advanced; false without digits or beyond 2^63 - 1. */
bool gv_parse_integer(const char **text, int64_t *value);

/* Numbers of "0-15,20", which gv_option_check has accepted; *numbers returned owned (gv_mem_free).
 */
gv_status gv_parse_numbers(int64_t **numbers, int64_t *count, const char *text, gv_error *err);

#endif
