/* Four pictures of a generator in one file, through the public interface alone.
 *
 *     cc sample.c $(pkg-config --cflags --libs ganvas) -o sample
 *     ./sample cats64-stylegan2 cats.png */
#include <ganvas.h>

#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 4 };

/* The library never ends a program; this one ends at the first failure, with its sentence. */
static void must(ganvas_status status, const ganvas_error *err)
{
    if (status == GANVAS_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "cats64-stylegan2";
    const char *path = argc > 2 ? argv[2] : "cats.png";
    const uint64_t seeds[COUNT] = {0, 1, 2, 85};
    ganvas_engine *engine;
    ganvas_model *model;
    ganvas_error err;

    must(ganvas_engine_new(&engine, NULL, &err), &err);
    must(ganvas_model_open(&model, engine, name, &err), &err);

    /* z of the seeds; ganvas_generate_rgb8 runs the mapping network, if there is one. */
    int64_t side = ganvas_model_get_dims(model).resolution;
    size_t size = (size_t)ganvas_latent_size(model, GANVAS_SPACE_Z);
    float *latents = (float *)malloc(COUNT * size * sizeof(float));
    uint8_t *pixels = (uint8_t *)malloc((size_t)(3 * side * side * COUNT));
    if (latents == NULL || pixels == NULL) {
        fputs("no memory\n", stderr);
        return EXIT_FAILURE;
    }
    must(ganvas_latents(model, latents, GANVAS_SPACE_Z, seeds, COUNT, NULL, &err), &err);
    must(ganvas_generate_rgb8(model, pixels, (size_t)(3 * side), latents, GANVAS_SPACE_Z, COUNT,
                              NULL, NULL, &err),
         &err);

    /* The pictures stand one below the other. */
    ganvas_image picture = {side, side * COUNT, 3, pixels};
    must(ganvas_image_save(&picture, path, NULL, false, &err), &err);
    printf("%s\n", path);

    free(pixels);
    free(latents);
    ganvas_model_close(model);
    ganvas_engine_free(engine);
    return EXIT_SUCCESS;
}
