/* ganvas_run: from settings to the function that does the work. */
#include "api/api.h"

#include "api/record.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

/* Text and JSON of the commands that only describe something. */
static gv_status describe(ganvas_result *result, ganvas_engine *engine, const ganvas_settings *s,
                          gv_error *err)
{
    ganvas_text_kind kinds[2] = {GANVAS_TEXT, GANVAS_JSON};
    char **texts[2] = {&result->text, &result->json};
    for (int i = 0; i < 2; i++) {
        gv_status status = s->command->id == GV_COMMAND_MODELS
                               ? ganvas_models(engine, kinds[i], texts[i], err)
                               : ganvas_inspect(s->inputs[0], kinds[i], texts[i], err);
        if (status != GV_OK)
            return status;
    }
    return GV_OK;
}

static gv_status convert(const ganvas_settings *s, gv_text *text, json_t *record, gv_error *err)
{
    const char *in = s->inputs[0], *out = s->inputs[1];
    gv_status status = ganvas_convert(in, out, gv_settings_flag(s, "force"), err);
    if (status != GV_OK)
        return status;
    gv_text_add(text, "%s\n", out);
    return json_object_set_new(record, "outputs", json_pack("[{s:s}]", "file", out)) == 0
               ? GV_OK
               : gv_fail_memory(err, 0);
}

static gv_status replay(const ganvas_settings *s, gv_text *text, json_t *record, gv_error *err)
{
    char *json = NULL, *line = NULL;
    ganvas_settings *made_by = NULL;
    gv_status status;
    GV_TRY(ganvas_image_read_record(s->inputs[0], &json, err));
    if (strcmp(json, "{}") == 0) {
        status = gv_fail(err, GV_E_FORMAT, "%s: was written without a command", s->inputs[0]);
        goto done;
    }
    GV_TRY(ganvas_settings_read_json(&made_by, json, err));
    GV_TRY(ganvas_settings_write_line(made_by, &line, err));
    gv_text_add(text, "%s\n", line);
    if (json_object_set_new(record, "line", json_string(line)) != 0 ||
        json_object_set_new(record, "made_by", gv_settings_to_json(made_by)) != 0)
        status = gv_fail_memory(err, 0);
done:
    ganvas_settings_free(made_by);
    gv_mem_free(line);
    gv_mem_free(json);
    return status;
}

static gv_status dispatch(ganvas_engine *engine, const ganvas_settings *s,
                          const ganvas_watch *watch, gv_text *text, json_t *record, gv_error *err)
{
    switch (s->command->id) {
    case GV_COMMAND_SAMPLE:
        return gv_run_sample(engine, s, watch, text, record, err);
    case GV_COMMAND_INTERPOLATE:
        return gv_run_interpolate(engine, s, watch, text, record, err);
    case GV_COMMAND_MIX:
        return gv_run_mix(engine, s, watch, text, record, err);
    case GV_COMMAND_INVERT:
    case GV_COMMAND_SCRIBBLE:
        return gv_run_invert(engine, s, watch, text, record, err);
    case GV_COMMAND_BENCH:
        return gv_run_bench(engine, s, watch, text, record, err);
    case GV_COMMAND_CONVERT:
        return convert(s, text, record, err);
    case GV_COMMAND_REPLAY:
        return replay(s, text, record, err);
    default:
        return gv_fail(err, GV_E_ARG, "%s: is no command to run", s->command->name);
    }
}

ganvas_status ganvas_run(ganvas_result *result, ganvas_engine *engine,
                         const ganvas_settings *settings, const ganvas_watch *watch,
                         ganvas_error *err)
{
    gv_error_clear(err);
    *result = (ganvas_result){0};
    gv_text text = {0};
    json_t *record = NULL;
    gv_status status;
    bool batch_told = false;
    if (settings->command->id == GV_COMMAND_MODELS || settings->command->id == GV_COMMAND_INSPECT) {
        status = describe(result, engine, settings, err);
        goto done;
    }
    double start = gv_now();
    record = gv_settings_to_json(settings);
    if (record == NULL || json_object_set_new(record, "ganvas", json_string(GANVAS_VERSION)) != 0) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    status = dispatch(engine, settings, watch, &text, record, err);
    /* A batch tells what it did although some of it failed. */
    batch_told = json_object_get(record, "failures") != NULL;
    if (status != GV_OK && status != GV_E_CANCELLED && !batch_told)
        goto done;
    /* Kept apart, so that what cancelled left behind is still told. */
    gv_status told = GV_OK;
    if (json_object_set_new(record, "seconds", json_real(gv_now() - start)) != 0)
        told = gv_fail_memory(err, 0);
    if (told == GV_OK)
        told = gv_text_take(&text, &result->text, err);
    if (told == GV_OK) {
        told = gv_json_text(&result->json, record, GV_JSON_READABLE, err);
        record = NULL;
    }
    status = told == GV_OK ? status : told;
done:
    gv_text_deinit(&text);
    json_decref(record);
    if (status != GV_OK && status != GV_E_CANCELLED && !batch_told)
        ganvas_result_deinit(result);
    return status;
}

void ganvas_result_deinit(ganvas_result *result)
{
    if (result == NULL)
        return;
    gv_mem_free(result->text);
    gv_mem_free(result->json);
    *result = (ganvas_result){0};
}
