/* Looks for the latent of a photograph, with a progress line and Ctrl-C.
 *
 *     cc invert.c $(pkg-config --cflags --libs ganvas) -o invert
 *     ./invert photo.jpg out
 *
 * out/ then holds the picture, the latent (photo.npz), the curve and a report. After Ctrl-C they
 * are those of the best latent until then. */
#include <ganvas.h>

#include <signal.h>
#include <stdio.h>

static ganvas_cancel *cancel;

/* ganvas_cancel_request may be called from a signal handler. */
static void on_interrupt(int number)
{
    (void)number;
    ganvas_cancel_request(cancel);
}

static void on_progress(void *user, const ganvas_progress *p)
{
    (void)user;
    fprintf(stderr, "\r%s %d of %d, %.1f s ", p->what, (int)p->done, (int)p->total, p->seconds);
    if (p->done == p->total)
        fputc('\n', stderr);
}

static void on_notice(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "note: %s\n", text);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s PHOTO FOLDER\n", argv[0]);
        return 2;
    }
    ganvas_error err;
    ganvas_engine *engine = NULL;
    ganvas_settings *settings = NULL;
    ganvas_result result = {NULL, NULL};
    /* All cores, models where they usually are, notices told. */
    const ganvas_engine_options options = {0, NULL, NULL, on_notice, NULL};

    /* The same words as on the command line. */
    const char *words[] = {"--evals", "500", "-o", argv[2], argv[1]};
    ganvas_status status = ganvas_settings_new(&settings, "invert", &err);
    if (status == GANVAS_OK)
        status = ganvas_settings_parse(settings, 5, words, &err);
    if (status == GANVAS_OK)
        status = ganvas_engine_new(&engine, &options, &err);
    if (status == GANVAS_OK)
        status = ganvas_cancel_new(&cancel, &err);
    if (status == GANVAS_OK) {
        signal(SIGINT, on_interrupt);
        const ganvas_watch watch = {on_progress, NULL, cancel};
        status = ganvas_run(&result, engine, settings, &watch, &err);
        signal(SIGINT, SIG_DFL);
    }
    if (result.text != NULL) /* also after Ctrl-C: what was finished */
        fputs(result.text, stdout);
    if (status != GANVAS_OK)
        fprintf(stderr, "%s\n", err.message);

    ganvas_result_deinit(&result);
    ganvas_cancel_free(cancel);
    ganvas_settings_free(settings);
    ganvas_engine_free(engine);
    return status == GANVAS_OK ? 0 : status == GANVAS_E_CANCELLED ? 130 : 1;
}
