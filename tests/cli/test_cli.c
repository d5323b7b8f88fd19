/* Usage, exit statuses and the small commands. */
#include "cli_support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIP_MODEL gv_test_source("tests/nets/data/sg2_skip.safetensors")

static void wrong_usage_ends_with_2_and_a_hint(void **state)
{
    (void)state;
    cli_refuse(2, "ganvas: a command is needed; `ganvas help` lists them", "%s", "");
    cli_refuse(2, "ganvas: unknown command 'smaple', did you mean 'sample'?", "smaple");
    cli_refuse(2, "ganvas sample: sample needs -o OUT", "sample");
    cli_refuse(2, "ganvas sample: sample has no option 'seds', did you mean '--seeds'?",
               "sample --seds 1 -o a.png");
    cli_refuse(2, "ganvas: unknown command 'sampel', did you mean 'sample'?", "help sampel");
}

static void help_and_version_go_to_standard_output(void **state)
{
    (void)state;
    const char *lines[] = {"help",     "--help", "help sample", "sample --help",
                           "bench -h", "manual", "--version"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        cli_result r = cli_run("%s", lines[i]);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.err, "");
        assert_true(strlen(r.out) > 10);
        cli_free(&r);
    }
    cli_expect(1, "help >/dev/full");
    cli_expect(1, "models >/dev/full");
}

static void the_manual_page_is_the_present_one(void **state)
{
    (void)state;
    cli_result r = cli_run("manual");
    char command[1024];
    cli_write("now.1", r.out, strlen(r.out));
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", cli_path("now.1"),
             gv_test_source("docs/ganvas.1"));
    if (system(command) != 0)
        fail_msg("docs/ganvas.1 is old: ganvas manual >docs/ganvas.1");
    cli_free(&r);
}

static void models_lists_the_embedded_ones(void **state)
{
    (void)state;
    cli_result r = cli_run("models --json");
    json_t *models = json_loads(r.out, 0, NULL);
    assert_int_equal(r.status, 0);
    assert_true(json_is_array(models));
    bool found = false;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        const char *name = json_string_value(json_object_get(m, "name"));
        assert_non_null(name);
        assert_true(strlen(json_string_value(json_object_get(m, "licence"))) > 3);
        assert_true(json_integer_value(json_object_get(m, "bytes")) > 1000);
        if (strcmp(name, "cats64-stylegan2") == 0)
            found = json_is_true(json_object_get(m, "generator"));
        if (strcmp(name, "vgg16-lpips") == 0)
            assert_true(json_is_false(json_object_get(m, "generator")));
    }
    assert_true(found);
    json_decref(models);
    cli_free(&r);
}

static void inspect_tells_what_it_is(void **state)
{
    (void)state;
    cli_result r = cli_run("inspect '%s'", SKIP_MODEL);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "kind      safetensors"));
    assert_non_null(strstr(r.out, "loads as  StyleGAN2 generator"));
    assert_non_null(strstr(r.out, "synthesis.b8.conv0.weight"));
    cli_free(&r);

    r = cli_run("inspect --json '%s'", SKIP_MODEL);
    json_t *root = json_loads(r.out, 0, NULL);
    assert_non_null(root);
    assert_true(json_is_true(json_object_get(root, "recognised")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "config"), "type")),
                        "stylegan2");
    assert_true(json_array_size(json_object_get(root, "tensors")) > 20);
    json_decref(root);
    cli_free(&r);
}

/* The program must end with 1 and one line that names the file. */
static void refuse_file(const char *command, const char *name)
{
    cli_result r = cli_run(command, name);
    if (r.status != 1)
        fail_msg("%s %s: status %d, %s", command, name, r.status, r.err);
    assert_non_null(strstr(r.err, name));
    assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1);
    assert_string_equal(r.out, "");
    cli_free(&r);
}

static void hostile_files_end_with_1_and_one_sentence(void **state)
{
    (void)state;
    size_t size;
    char command[1024];
    snprintf(command, sizeof command, "cp '%s' '%s'", SKIP_MODEL, cli_path("whole"));
    assert_int_equal(system(command), 0);
    char *bytes = cli_read("whole", &size);
    const size_t cuts[] = {0, 7, 9, 500, size / 2, size - 1};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        cli_write("cut.pkl", bytes, cuts[i]);
        refuse_file("inspect %s", "cut.pkl");
        refuse_file("sample --model %s -o never.png", "cut.pkl");
        refuse_file("convert %s never.safetensors", "cut.pkl");
    }
    /* NaN in a weight: the structure is fine, loading is not. */
    memset(bytes + size - 4, 0xff, 4);
    cli_write("nan.bin", bytes, size);
    refuse_file("sample --model ./%s -o never.png", "nan.bin");
    cli_expect(0, "inspect nan.bin");
    free(bytes);

    cli_write("text.pkl", "not a model at all, only words\n", 31);
    refuse_file("inspect %s", "text.pkl");
    refuse_file("sample --model ./%s -o never.png", "missing.pkl");
    assert_false(cli_exists("never.png"));
    assert_false(cli_exists("never.safetensors"));
}

static void convert_loads_to_the_same_bits(void **state)
{
    (void)state;
    const char *models[] = {"tests/nets/data/sg2_skip.safetensors",
                            "tests/nets/data/sg2_resnet.safetensors",
                            "tests/nets/data/dcgan_batch.pth"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        const char *source = gv_test_source(models[i]);
        cli_expect(0, "convert '%s' new.safetensors", source);
        cli_expect(0, "sample --seeds 3,4 --model '%s' -o a.npy --force", source);
        cli_expect(0, "sample --seeds 3,4 --model new.safetensors -o b.npy --force");
        size_t size_a, size_b;
        char *a = cli_read("a.npy", &size_a), *b = cli_read("b.npy", &size_b);
        assert_int_equal(size_a, size_b);
        assert_memory_equal(a, b, size_a);
        free(a);
        free(b);
    }
    cli_write("foreign.safetensors", "{}", 2);
    cli_refuse(1,
               "ganvas convert: foreign.safetensors: is there already and ganvas did not write it; "
               "--force overwrites it",
               "convert '%s' foreign.safetensors", SKIP_MODEL);
    cli_expect(0, "convert '%s' foreign.safetensors --force", SKIP_MODEL);
    cli_expect(2, "convert '%s' foreign.pkl", SKIP_MODEL);
}

static void bench_prints_the_promised_numbers(void **state)
{
    (void)state;
    cli_result r = cli_run("bench dcgan --threads 1 --json");
    assert_int_equal(r.status, 0);
    json_t *root = json_loads(r.out, 0, NULL);
    json_t *ms = json_object_get(root, "ms");
    double min = json_number_value(json_object_get(ms, "min"));
    double median = json_number_value(json_object_get(ms, "median"));
    double max = json_number_value(json_object_get(ms, "max"));
    assert_true(min > 0 && min <= median && median <= max);
    assert_string_equal(json_string_value(json_object_get(root, "name")), "dcgan");
    assert_int_equal(json_integer_value(json_object_get(root, "threads")), 1);
    /* Five transposed convolutions, 2 c k 16 a pixel of the input, but the first, which has stride
     * 1 and is counted by pixels of the output; the rest is small. */
    double flops =
        2.0 * 16 *
        (100 * 256 * 16 + 256 * 128 * 16 + 128 * 64 * 64 + 64 * 32 * 256 + 32 * 3 * 1024);
    double gflop = json_number_value(json_object_get(root, "gflop"));
    assert_true(gflop >= flops * 1e-9 && gflop < flops * 1.05e-9);
    assert_true(json_number_value(json_object_get(root, "peak_share")) >= 0);
    assert_true(json_number_value(json_object_get(root, "rss_mb")) > 1);
    json_decref(root);
    cli_free(&r);
    cli_refuse(2, "ganvas bench: no bench is named 'gan'; `ganvas bench --help` lists them",
               "bench gan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_ends_with_2_and_a_hint),
        cmocka_unit_test(help_and_version_go_to_standard_output),
        cmocka_unit_test(the_manual_page_is_the_present_one),
        cmocka_unit_test(models_lists_the_embedded_ones),
        cmocka_unit_test(inspect_tells_what_it_is),
        cmocka_unit_test(hostile_files_end_with_1_and_one_sentence),
        cmocka_unit_test(convert_loads_to_the_same_bits),
        cmocka_unit_test(bench_prints_the_promised_numbers),
    };
    return cmocka_run_group_tests(tests, cli_make_folder, cli_remove_folder);
}
