/* Running the program, and what it leaves. */
#ifndef GV_TESTS_CLI_SUPPORT_H
#define GV_TESTS_CLI_SUPPORT_H

#include "support.h"

typedef struct cli_result {
    int status; /* exit status; 128 + n if signal n ended it */
    char *out, *err;
} cli_result;

/* Group setup and teardown: an empty folder in /tmp, the working folder of all runs. */
int cli_make_folder(void **state);
int cli_remove_folder(void **state);

/* Runs `ganvas LINE` (a shell line: quotes and redirections work) in the folder. Freed by
 * cli_free. */
cli_result cli_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_free(cli_result *r);

/* Runs it and fails the test unless it ends with the status; returns nothing to free. */
void cli_expect(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, and standard error is exactly one line, this one; standard output is empty. */
void cli_refuse(int status, const char *line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Starts it without waiting; returns the process. */
int cli_start(const char *const *words);
/* Waits for it; the status as above. */
int cli_wait(int process);

/* Path in the folder; valid until the next eight calls. */
const char *cli_path(const char *name);
bool cli_exists(const char *name);
/* Bytes of a file, NUL-terminated; the caller frees. */
char *cli_read(const char *name, size_t *size);
void cli_write(const char *name, const void *bytes, size_t size);

#endif
