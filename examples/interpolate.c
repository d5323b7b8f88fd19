/* From one picture to another, as an animation that repeats for ever.
 *
 *     cc interpolate.c $(pkg-config --cflags --libs ganvas) -o interpolate
 *     ./interpolate grey.jpg ginger.jpg morph.gif
 *
 * Photographs are inverted first; a saved latent (.npz, from `ganvas invert` or invert.c) is ready
 * at once. */
#include <ganvas.h>

#include <stdio.h>

static void on_progress(void *user, const ganvas_progress *p)
{
    (void)user;
    fprintf(stderr, "\r%s %d of %d, %.1f s ", p->what, (int)p->done, (int)p->total, p->seconds);
    if (p->done == p->total)
        fputc('\n', stderr);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s A B OUT.gif\n", argv[0]);
        return 2;
    }
    ganvas_error err;
    ganvas_engine *engine = NULL;
    ganvas_settings *settings = NULL;
    ganvas_result result = {NULL, NULL};
    const ganvas_watch watch = {on_progress, NULL, NULL};

    const char *ends[] = {"-o", argv[3], argv[1], argv[2]};
    ganvas_status status = ganvas_settings_new(&settings, "interpolate", &err);
    if (status == GANVAS_OK)
        status = ganvas_settings_parse(settings, 4, ends, &err);
    /* One by one works, too. */
    if (status == GANVAS_OK)
        status = ganvas_settings_set(settings, "evals", "300", &err);
    if (status == GANVAS_OK)
        status = ganvas_settings_set(settings, "frames", "30", &err);
    if (status == GANVAS_OK)
        status = ganvas_settings_set(settings, "loop", "true", &err);
    if (status == GANVAS_OK)
        status = ganvas_engine_new(&engine, NULL, &err);
    if (status == GANVAS_OK)
        status = ganvas_run(&result, engine, settings, &watch, &err);

    if (status == GANVAS_OK)
        printf("%s%s\n", result.text, result.json); /* the record: LPIPS from frame to frame */
    else
        fprintf(stderr, "%s\n", err.message);

    ganvas_result_deinit(&result);
    ganvas_settings_free(settings);
    ganvas_engine_free(engine);
    return status == GANVAS_OK ? 0 : 1;
}
