/* ganvas: the command line. It knows ganvas.h alone: options, help and commands are the library's.
 */
#include "ganvas.h"

#include "progress.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* Set before the handler is installed, never changed while it is. */
static ganvas_cancel *interrupt;

/* The first Ctrl-C ends the work cleanly; SA_RESETHAND makes the second one end the program. */
static void on_signal(int number)
{
    (void)number;
    ganvas_cancel_request(interrupt);
}

static void catch_signals(void)
{
    struct sigaction action = {0};
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Says why, and returns the exit status that belongs to it. */
static int complain(const char *command, const ganvas_error *err)
{
    fprintf(stderr, "ganvas%s%s: %s\n", command != NULL ? " " : "", command != NULL ? command : "",
            err->message);
    switch (err->status) {
    case GANVAS_E_ARG:
        return EXIT_USAGE;
    case GANVAS_E_CANCELLED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

/* Standard output may be a full disk. Frees text. */
static int print(char *text, const char *end)
{
    int status = EXIT_DONE;
    if (text != NULL &&
        (fputs(text, stdout) < 0 || fputs(end, stdout) < 0 || fflush(stdout) != 0)) {
        fprintf(stderr, "ganvas: standard output: %s\n", strerror(errno));
        status = EXIT_FAILED;
    }
    ganvas_free(text);
    return status;
}

typedef struct session {
    progress bar;
    bool quiet;
} session;

static void on_notice(void *user, const char *text)
{
    session *s = user;
    if (s->quiet)
        return;
    progress_clear(&s->bar);
    fprintf(stderr, "note: %s\n", text);
}

static int run(const ganvas_settings *settings, const char *command)
{
    ganvas_error err;
    ganvas_engine *engine = NULL;
    ganvas_result result = {0};
    session s = {.quiet = ganvas_settings_flag(settings, "quiet")};
    const ganvas_engine_options options = {.notice = on_notice, .user = &s};
    int status;

    progress_init(&s.bar);
    if (ganvas_cancel_new(&interrupt, &err) != GANVAS_OK ||
        ganvas_engine_new(&engine, &options, &err) != GANVAS_OK) {
        status = complain(command, &err);
        goto done;
    }
    catch_signals();
    const ganvas_watch watch = {
        .progress = s.quiet ? NULL : progress_show, .user = &s.bar, .cancel = interrupt};
    ganvas_status ran = ganvas_run(&result, engine, settings, &watch, &err);
    progress_clear(&s.bar);
    status = ran == GANVAS_OK ? EXIT_DONE : complain(command, &err);
    bool json = ganvas_settings_flag(settings, "json");
    char **text = json ? &result.json : &result.text;
    int printed = print(*text, json ? "\n" : "");
    *text = NULL;
    status = status == EXIT_DONE ? printed : status;
done:
    ganvas_result_deinit(&result);
    ganvas_engine_free(engine);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    ganvas_cancel_free(interrupt);
    return status;
}

static int help(const char *command)
{
    char *text;
    ganvas_error err;
    if (ganvas_help(command, &text, &err) != GANVAS_OK)
        return complain(NULL, &err);
    return print(text, "");
}

/* Not in the help: docs/ganvas.1 is made with it. */
static int manual(void)
{
    char *text;
    ganvas_error err;
    if (ganvas_manual(&text, &err) != GANVAS_OK)
        return complain(NULL, &err);
    return print(text, "");
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : NULL;
    if (command == NULL) {
        fputs("ganvas: a command is needed; `ganvas help` lists them\n", stderr);
        return EXIT_USAGE;
    }
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0 ||
        strcmp(command, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(command, "--version") == 0) {
        printf("ganvas %s\n", ganvas_version());
        return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    if (strcmp(command, "manual") == 0)
        return manual();

    ganvas_settings *settings;
    ganvas_error err;
    int status;
    if (ganvas_settings_new(&settings, command, &err) != GANVAS_OK)
        return complain(NULL, &err);
    const char *const *words = (const char *const *)(argv + 2);
    if (ganvas_settings_parse(settings, argc - 2, words, &err) != GANVAS_OK)
        status = complain(command, &err);
    else if (ganvas_settings_flag(settings, "help"))
        status = help(command);
    else
        status = run(settings, command);
    ganvas_settings_free(settings);
    return status;
}
