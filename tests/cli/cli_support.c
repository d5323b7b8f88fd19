#include "cli_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

int cli_make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ganvas-cli-XXXXXX");
    return mkdtemp(folder) == NULL || getenv("GANVAS_BIN") == NULL;
}

int cli_remove_folder(void **state)
{
    (void)state;
    char line[128];
    snprintf(line, sizeof line, "rm -r '%s'", folder);
    return system(line);
}

const char *cli_path(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

bool cli_exists(const char *name)
{
    struct stat info;
    return stat(cli_path(name), &info) == 0;
}

char *cli_read(const char *name, size_t *size)
{
    FILE *f = fopen(cli_path(name), "rb");
    if (f == NULL)
        fail_msg("%s is missing", name);
    fseek(f, 0, SEEK_END);
    long length = ftell(f);
    rewind(f);
    char *bytes = malloc((size_t)length + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)length, f), length);
    bytes[length] = '\0';
    fclose(f);
    if (size != NULL)
        *size = (size_t)length;
    return bytes;
}

void cli_write(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(cli_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static cli_result run(const char *format, va_list args)
{
    char words[4096], line[6144];
    vsnprintf(words, sizeof words, format, args);
    snprintf(line, sizeof line, "cd '%s' && '%s' >.out 2>.err %s", folder, getenv("GANVAS_BIN"),
             words);
    int status = system(line);
    cli_result r = {.out = cli_read(".out", NULL), .err = cli_read(".err", NULL)};
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return r;
}

cli_result cli_run(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cli_result r = run(format, args);
    va_end(args);
    return r;
}

void cli_free(cli_result *r)
{
    free(r->out);
    free(r->err);
    *r = (cli_result){0};
}

void cli_expect(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cli_result r = run(format, args);
    va_end(args);
    if (r.status != status)
        fail_msg("ganvas %s: status %d, expected %d: %s", format, r.status, status, r.err);
    cli_free(&r);
}

void cli_refuse(int status, const char *expected, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cli_result r = run(format, args);
    va_end(args);
    char line[1024];
    snprintf(line, sizeof line, "%s\n", expected);
    assert_string_equal(r.err, line);
    assert_string_equal(r.out, "");
    assert_int_equal(r.status, status);
    cli_free(&r);
}

int cli_start(const char *const *words)
{
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        char *argv[32] = {(char *)"ganvas"};
        for (int i = 0; i < 30 && words[i] != NULL; i++)
            argv[i + 1] = (char *)(uintptr_t)words[i];
        int err = open(cli_path(".err"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (chdir(folder) == 0 && err >= 0 && dup2(err, 2) == 2 && dup2(err, 1) == 1)
            execv(getenv("GANVAS_BIN"), argv);
        _exit(127);
    }
    return process;
}

int cli_wait(int process)
{
    int status = 0;
    assert_int_equal(waitpid(process, &status, 0), process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
