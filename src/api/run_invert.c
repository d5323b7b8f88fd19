/* `ganvas invert` and `ganvas scribble`: one picture, or a batch of them. */
#include "api/invert_files.h"
#include "api/invert_summary.h"
#include "api/output.h"
#include "base/text.h"
#include "job/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct invert_run {
    ganvas_engine *engine;
    const ganvas_settings *settings;
    const ganvas_watch *watch;
    gv_text *text;

    ganvas_model *model;
    gv_invert_setup setup;
    gv_batch batch;
    const char **errors; /* of each item, in the batch's arena; NULL: none */
    const char *out;
    bool resume;
    char *line;
    json_t *run;     /* what every record begins with */
    json_t *outputs; /* borrowed from the run's record */
    int64_t done, skipped, failed;
    gv_status first_status; /* of the first item that failed */

    double began;
    int64_t evaluations, total; /* for progress: of all pictures that are to be done */
} invert_run;

/* ---- what is asked for ---- */

/* {"ganvas", "command", "options", "model"} */
static gv_status make_run_record(invert_run *r, gv_error *err)
{
    json_t *settings = gv_settings_to_json(r->settings);
    json_t *options = json_object_get(settings, "options");
    r->run = json_pack("{s:s, s:s, s:O, s:o}", "ganvas", GANVAS_VERSION, "command",
                       r->settings->command->name, "options", options, "model",
                       gv_model_to_json(r->model));
    json_decref(settings);
    return r->run != NULL ? GV_OK : gv_fail_memory(err, 0);
}

static gv_invert_summary summary_of(const invert_run *r, bool stopped)
{
    return (gv_invert_summary){.out = r->out,
                               .batch = &r->batch,
                               .errors = r->errors,
                               .model = r->model,
                               .line = r->line,
                               .command = r->settings->command->name,
                               .z = r->model->gen->type == GV_NET_DCGAN ||
                                    r->setup.objective.space == GV_SPACE_Z,
                               .force = gv_settings_flag(r->settings, "force"),
                               .stopped = stopped};
}

static gv_status prepare(invert_run *r, gv_error *err)
{
    const ganvas_settings *s = r->settings;
    gv_status status;
    r->out = gv_settings_text(s, "out");
    r->resume = gv_settings_flag(s, "resume");
    GV_TRY(ganvas_settings_write_line(s, &r->line, err));
    GV_TRY(ganvas_model_open(&r->model, r->engine, gv_settings_text(s, "model"), err));
    r->model->threads = (int)gv_settings_integer_or(s, "threads", r->engine->threads);
    GV_TRY(gv_invert_setup_init(&r->setup, r->engine, r->model, s, gv_watch_cancel(r->watch), err));
    GV_TRY(gv_output_make_folder(r->out, err));
    GV_TRY(gv_batch_init(&r->batch, s->inputs, s->inputs_count, r->out, r->setup.snapshots,
                         r->setup.invert.snapshot_count, err));
    r->errors = gv_arena_alloc_array(&r->batch.arena, (size_t)r->batch.count, sizeof *r->errors);
    if (r->errors == NULL) {
        status = gv_fail_memory(err, (size_t)r->batch.count * sizeof *r->errors);
        goto done;
    }
    GV_TRY(make_run_record(r, err));
    const gv_invert_summary summary = summary_of(r, false);
    GV_TRY(gv_invert_summary_check(&summary, err));
    r->total = r->batch.count * r->setup.invert.evals;
done:
    return status;
}

/* ---- one picture ---- */

static void show_progress(void *ctx, const gv_invert_progress *p)
{
    invert_run *r = ctx;
    gv_watch_tell(r->watch, "evaluations", r->evaluations + p->evaluations, r->total,
                  gv_now() - r->began);
}

/* "out/cat.png  loss 4.65 -> 0.63, LPIPS 0.12 (mean picture 0.51), PSNR 24.1 dB, ..." */
static void tell_item(invert_run *r, const gv_invert_item *item, const json_t *record)
{
    const gv_inversion *v = &item->result;
    char sentence[256];
    gv_text_add(r->text,
                "%s.png  loss %.4g -> %.4g, LPIPS %.3f (mean picture %.3f), PSNR %.1f dB, %" PRId64
                " evaluations in %.1f s%s\n",
                item->stem, v->first_loss, v->terms.total, item->quality.lpips,
                item->quality.mean_lpips, item->quality.psnr, v->evaluations, v->seconds,
                item->interrupted ? ", interrupted" : "");
    if (item->target.note[0] != '\0')
        gv_text_add(r->text, "  %s\n", item->target.note);
    if (gv_invert_sentence(sentence, sizeof sentence, record) != NULL)
        gv_text_add(r->text, "  %s\n", sentence);
}

/* The part of a record that is worth a place in the run's: no curve, no pictures. */
static gv_status note_output(invert_run *r, const gv_invert_item *item, const json_t *record,
                             bool skipped, gv_error *err)
{
    static const char *const ends[] = {".png", ".npz", ".json", ".csv"};
    json_t *files = json_array();
    bool fine = files != NULL;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && fine; i++) {
        char *path = gv_invert_path(item->stem, ends[i]);
        fine = path != NULL && json_array_append_new(files, json_string(path)) == 0;
        gv_mem_free(path);
    }
    json_t *o = json_pack("{s:s, s:o, s:O?, s:b}", "source", item->source, "files", files, "result",
                          json_object_get(record, "result"), "skipped", skipped);
    fine = json_array_append_new(r->outputs, o) == 0 && fine;
    return fine ? GV_OK : gv_fail_memory(err, 0);
}

/* An interruption may leave a result; *kept says whether. *bad_input: the failure is this
 * picture's, and the others may go well. */
static gv_status invert_one(invert_run *r, gv_invert_item *item, bool *kept, bool *bad_input,
                            gv_error *err)
{
    gv_inverter *inv = r->setup.inverter;
    gv_status status;
    gv_error reason = {0};
    *kept = false;
    *bad_input = true;
    GV_TRY(gv_target_load(&item->target, item->source, r->model->gen->resolution, &r->setup.picture,
                          err));
    status = gv_inverter_run(inv, &item->result, &item->target, &r->setup.invert, &reason);
    item->interrupted = status == GV_E_CANCELLED;
    *bad_input = status == GV_E_ARG || status == GV_E_NUMERIC;
    if (status != GV_OK && !(item->interrupted && item->result.x != NULL)) {
        if (err != NULL)
            *err = reason;
        goto done;
    }
    gv_status ended = status;
    GV_TRY(gv_inverter_measure(inv, &item->quality, &item->target, item->result.image, err));
    json_t *record;
    GV_TRY(gv_invert_write(item, &record, err));
    *kept = true;
    tell_item(r, item, record);
    status = note_output(r, item, record, false, err);
    json_decref(record);
    if (status == GV_OK && ended != GV_OK) {
        status = ended;
        if (err != NULL)
            *err = reason;
    }
done:
    return status;
}

/* Keeps an error as the item's; the run goes on. */
static gv_status note_failure(invert_run *r, int64_t i, gv_status status, const char *sentence,
                              gv_error *err)
{
    if (r->failed++ == 0)
        r->first_status = status;
    r->errors[i] = gv_arena_copy_text(&r->batch.arena, sentence);
    return r->errors[i] != NULL ? GV_OK : gv_fail_memory(err, 0);
}

static gv_status do_item(invert_run *r, int64_t i, gv_error *err)
{
    gv_status status;
    gv_error reason = {0};
    bool kept = false, bad_input = true;
    size_t length = strlen(r->out);
    char *stem = gv_invert_format("%s%s%s", r->out, r->out[length - 1] == '/' ? "" : "/",
                                  r->batch.items[i].name);
    gv_invert_item item = {.source = r->batch.items[i].path,
                           .stem = stem,
                           .setup = &r->setup,
                           .model = r->model,
                           .run = r->run,
                           .raw = gv_settings_flag(r->settings, "raw"),
                           .force = gv_settings_flag(r->settings, "force")};
    gv_arena_init(&item.result.arena, 0);
    if (stem == NULL)
        return gv_fail_memory(err, 0);
    json_t *old = r->resume ? gv_invert_read(stem) : NULL;
    if (old != NULL && gv_invert_is_finished(&item, old)) {
        r->skipped++;
        r->total -= r->setup.invert.evals;
        status = note_output(r, &item, old, true, err);
        goto done;
    }
    GV_TRY(gv_invert_check(&item, err));
    status = invert_one(r, &item, &kept, &bad_input, &reason);
    if (item.target.note[0] != '\0')
        gv_engine_notice(r->engine, "%s: %s", item.source, item.target.note);
    r->evaluations += r->setup.invert.evals;
    r->done += kept;
    if (status != GV_OK && status != GV_E_CANCELLED && status != GV_E_MEMORY && bad_input &&
        r->batch.many) {
        status = note_failure(r, i, status, reason.message, err);
        goto done;
    }
    if (status != GV_OK && err != NULL)
        *err = reason;
done:
    json_decref(old);
    gv_target_deinit(&item.target);
    gv_inversion_deinit(&item.result);
    gv_mem_free(stem);
    return status;
}

/* ---- all ---- */

static gv_status note_failures(const invert_run *r, json_t *record, gv_error *err)
{
    json_t *list = json_array();
    bool fine = json_object_set_new(record, "failures", list) == 0;
    for (int64_t i = 0; i < r->batch.count && fine; i++)
        if (r->errors[i] != NULL)
            fine =
                json_array_append_new(list, json_pack("{s:s, s:s}", "file", r->batch.items[i].path,
                                                      "error", r->errors[i])) == 0;
    return fine ? GV_OK : gv_fail_memory(err, 0);
}

static gv_status finish(invert_run *r, json_t *record, bool stopped, gv_error *err)
{
    const gv_invert_summary summary = summary_of(r, stopped);
    size_t length = strlen(r->out);
    const char *joint = r->out[length - 1] == '/' ? "" : "/";
    gv_status status;
    if (r->done + r->skipped > 0 || r->batch.many)
        GV_TRY(gv_invert_summary_write(&summary, err));
    if (r->skipped > 0)
        gv_text_add(r->text, "%" PRId64 " of %" PRId64 " were finished before\n", r->skipped,
                    r->batch.count);
    if (r->done + r->skipped > 0)
        gv_text_add(r->text, "%s%sreport.html%s\n", r->out, joint,
                    r->batch.many ? ", index.csv, latents.npz" : "");
    status = r->failed > 0 ? note_failures(r, record, err) : GV_OK;
done:
    return status;
}

/* What the whole run fails with when pictures did. */
static gv_status tell_failures(const invert_run *r, gv_error *err)
{
    gv_text t = {0};
    int64_t told = 0;
    enum { TOLD = 3 };
    if (r->failed == 0)
        return GV_OK;
    for (int64_t i = 0; i < r->batch.count && told < TOLD; i++)
        if (r->errors[i] != NULL)
            gv_text_add(&t, "%s%s", told++ > 0 ? "; " : "", r->errors[i]);
    gv_status status = r->first_status == GV_E_ARG ? GV_E_FORMAT : r->first_status;
    status = gv_fail(err, status, "%" PRId64 " of %" PRId64 " pictures failed: %s%s", r->failed,
                     r->batch.count, t.failed ? "" : t.data, r->failed > told ? "; ..." : "");
    gv_text_deinit(&t);
    return status;
}

static void run_deinit(invert_run *r)
{
    json_decref(r->run);
    gv_mem_free(r->line);
    gv_batch_deinit(&r->batch);
    gv_invert_setup_deinit(&r->setup);
    ganvas_model_close(r->model);
}

gv_status gv_run_invert(ganvas_engine *engine, const ganvas_settings *settings,
                        const ganvas_watch *watch, gv_text *text, json_t *record, gv_error *err)
{
    invert_run r = {.engine = engine,
                    .settings = settings,
                    .watch = watch,
                    .text = text,
                    .outputs = json_array(),
                    .began = gv_now()};
    gv_error reason = {0};
    gv_status status;
    gv_arena_init(&r.batch.arena, 0);
    gv_arena_init(&r.setup.arena, 0);
    if (json_object_set_new(record, "outputs", r.outputs) != 0) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    GV_TRY(prepare(&r, err));
    r.setup.invert.progress = show_progress;
    r.setup.invert.ctx = &r;
    for (int64_t i = 0; i < r.batch.count && status == GV_OK; i++) {
        if (gv_cancel_requested(gv_watch_cancel(watch)))
            status = gv_fail(&reason, GV_E_CANCELLED, "interrupted");
        else
            status = do_item(&r, i, &reason);
    }
    if (status == GV_OK || status == GV_E_CANCELLED) {
        gv_status kept = finish(&r, record, status == GV_E_CANCELLED, err);
        if (kept != GV_OK) {
            status = kept;
            goto done;
        }
    }
    if (status == GV_OK)
        status = tell_failures(&r, err);
    else if (err != NULL)
        *err = reason;
done:
    run_deinit(&r);
    return status;
}
