/* Which files may be overwritten. */
#include "ganvas.h"

#include "api/output.h"
#include "base/memory.h"
#include "checkpoint/npy.h"
#include "checkpoint/safetensors.h"
#include "image/image.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ganvas-output-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char paths[4][160];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* A literal and its length. */
#define BYTES(literal) literal, sizeof literal - 1

static void foreign_files_are_protected(void **state)
{
    (void)state;
    const struct {
        const char *name, *bytes;
        size_t size;
    } files[] = {
        {"foreign.png", BYTES("\x89PNG\r\n\x1a\n and the word ganvas in it")},
        {"text.png", BYTES("ganvas")},
        {"empty.png", BYTES("")},
        {"foreign.npz", BYTES("PK\x03\x04 nothing of ours")},
        {"foreign.npy", BYTES("\x93NUMPY")},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        gv_error err = {0};
        write_bytes(files[i].name, files[i].bytes, files[i].size);
        assert_int_equal(gv_output_check(in_folder(files[i].name), false, &err), GV_E_IO);
        assert_non_null(strstr(err.message, "--force"));
        assert_int_equal(gv_output_check(in_folder(files[i].name), true, NULL), GV_OK);
    }
    assert_int_equal(gv_output_check(in_folder("missing.png"), false, NULL), GV_OK);
    assert_int_equal(gv_output_check(folder, true, NULL), GV_E_IO);
    assert_int_equal(gv_output_check(in_folder("text.png/below.png"), false, NULL), GV_E_IO);
}

#ifdef GV_HAVE_VIPS
static void our_pictures_are_known(void **state)
{
    (void)state;
    gv_image image;
    assert_int_equal(gv_image_init(&image, 300, 300, 3, NULL), GV_OK);
    srand(1);
    for (int i = 0; i < 300 * 300 * 3; i++) /* noise, so that the file is longer than a window */
        image.pixels[i] = (uint8_t)rand();
    const char *names[] = {"a.png", "a.jpg", "a.webp"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ganvas_image_save(&image, in_folder(names[i]), NULL, false, NULL),
                         GANVAS_OK);
        assert_int_equal(ganvas_image_save(&image, in_folder(names[i]), "{}", false, NULL),
                         GANVAS_OK);
    }
    /* A raw picture is ours if the picture beside it is. */
    write_bytes("a.npy", BYTES("\x93NUMPY"));
    assert_int_equal(gv_output_check(in_folder("a.npy"), false, NULL), GV_OK);

    ganvas_error err;
    write_bytes("b.jpg", BYTES("\xff\xd8\xff\xe0 somebody's photo"));
    assert_int_equal(ganvas_image_save(&image, in_folder("b.jpg"), NULL, false, &err), GANVAS_E_IO);
    assert_int_equal(ganvas_image_save(&image, in_folder("b.jpg"), NULL, true, NULL), GANVAS_OK);
    assert_int_equal(ganvas_image_save(&image, in_folder("b.bmp"), NULL, true, &err), GANVAS_E_ARG);
    gv_image_deinit(&image);
}
#endif

static void our_tensors_are_known(void **state)
{
    (void)state;
    const int64_t shape[1] = {3};
    const float data[3] = {1, 2, 3};
    gv_view v = gv_view_of("w", GV_F32, 1, shape, data);
    json_t *ours = json_pack("{s:s}", GV_OUTPUT_WRITER_KEY, "ganvas 0.1.0");
    assert_int_equal(gv_safetensors_write(in_folder("a.safetensors"), &v, 1, ours, NULL), GV_OK);
    assert_int_equal(gv_output_check(in_folder("a.safetensors"), false, NULL), GV_OK);
    assert_int_equal(gv_safetensors_write(in_folder("b.safetensors"), &v, 1, NULL, NULL), GV_OK);
    assert_int_equal(gv_output_check(in_folder("b.safetensors"), false, NULL), GV_E_IO);
    json_decref(ours);

    gv_view both[2] = {v, v};
    both[1].name = "ganvas";
    assert_int_equal(gv_npz_write(in_folder("a.npz"), both, 2, NULL), GV_OK);
    assert_int_equal(gv_output_check(in_folder("a.npz"), false, NULL), GV_OK);
    assert_int_equal(gv_npz_write(in_folder("b.npz"), &v, 1, NULL), GV_OK);
    assert_int_equal(gv_output_check(in_folder("b.npz"), false, NULL), GV_E_IO);
}

static void folders_are_made_with_those_above(void **state)
{
    (void)state;
    assert_int_equal(gv_output_make_folder(in_folder("x/y/z/"), NULL), GV_OK);
    assert_int_equal(gv_output_make_folder(in_folder("x/y/z"), NULL), GV_OK);
    assert_int_equal(access(in_folder("x/y/z"), X_OK), 0);
    gv_error err;
    write_bytes("file", "", 0);
    assert_int_equal(gv_output_make_folder(in_folder("file/y"), &err), GV_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_files_are_protected),
#ifdef GV_HAVE_VIPS
        cmocka_unit_test(our_pictures_are_known),
#endif
        cmocka_unit_test(our_tensors_are_known),
        cmocka_unit_test(folders_are_made_with_those_above),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
