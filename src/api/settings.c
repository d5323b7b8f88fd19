#include "api/settings.h"

#include "api/record.h"
#include "base/memory.h"
#include "base/text.h"
#include "checkpoint/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gv_status copy_text(char **copy, const char *text, gv_error *err)
{
    size_t size = strlen(text) + 1;
    *copy = gv_mem_alloc(size);
    if (*copy == NULL)
        return gv_fail_memory(err, size);
    memcpy(*copy, text, size);
    return GV_OK;
}

/* value is checked; NULL takes the value away. */
static gv_status put(ganvas_settings *s, int option, const char *value, gv_error *err)
{
    char *copy = NULL;
    if (value != NULL) {
        gv_status status = gv_option_check(&gv_options[option], value, err);
        if (status == GV_OK)
            status = copy_text(&copy, value, err);
        if (status != GV_OK)
            return status;
    }
    gv_mem_free(s->value[option]);
    s->value[option] = copy;
    return GV_OK;
}

static gv_status add_input(ganvas_settings *s, const char *word, gv_error *err)
{
    size_t old = (size_t)s->inputs_count * sizeof(char *);
    char **inputs = gv_mem_resize(s->inputs, old, old + sizeof(char *));
    if (inputs == NULL)
        return gv_fail_memory(err, old + sizeof(char *));
    s->inputs = inputs;
    gv_status status = copy_text(&inputs[s->inputs_count], word, err);
    if (status == GV_OK)
        s->inputs_count++;
    return status;
}

ganvas_status ganvas_settings_new(ganvas_settings **settings, const char *command,
                                  ganvas_error *err)
{
    gv_error_clear(err);
    *settings = NULL;
    const gv_command *found = gv_command_find(command);
    if (found == NULL)
        return gv_command_unknown(command, err);
    ganvas_settings *s = gv_mem_alloc(sizeof *s);
    if (s == NULL)
        return gv_fail_memory(err, sizeof *s);
    gv_status status = GV_OK;
    s->command = found;
    s->inputs = gv_mem_alloc(0);
    if (s->inputs == NULL) {
        status = gv_fail_memory(err, 0);
        goto done;
    }
    for (int i = 0; i < gv_options_count; i++)
        if (gv_option_belongs(&gv_options[i], found) && gv_options[i].preset != NULL)
            GV_TRY(put(s, i, gv_options[i].preset, err));
    *settings = s;
    s = NULL;
done:
    ganvas_settings_free(s);
    return status;
}

void ganvas_settings_free(ganvas_settings *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < GV_OPTIONS_MAX; i++)
        gv_mem_free(s->value[i]);
    for (int i = 0; i < s->inputs_count; i++)
        gv_mem_free(s->inputs[i]);
    gv_mem_free(s->inputs);
    gv_mem_free(s);
}

/* ---- the command line ---- */

/* `words[*at]` begins with a dash; takes its value from the same or the next word. */
static gv_status parse_option(ganvas_settings *s, int count, const char *const *words, int *at,
                              gv_error *err)
{
    const char *word = words[*at];
    const char *value = NULL;
    int option;
    if (word[1] == '-') {
        size_t length = strcspn(word + 2, "=");
        option = gv_option_find(s->command, word + 2, length);
        if (option < 0)
            return gv_option_unknown(s->command, word + 2, length, err);
        if (word[2 + length] == '=')
            value = word + 2 + length + 1;
    } else {
        option = gv_option_find_letter(s->command, word[1]);
        if (option < 0)
            return gv_option_unknown(s->command, word + 1, strlen(word + 1), err);
        if (word[2] != '\0')
            value = word + 2;
    }
    const gv_option *o = &gv_options[option];
    if (o->kind == GV_OPTION_FLAG) {
        if (value != NULL && word[1] != '-')
            return gv_fail(err, GV_E_ARG, "-%c takes no value, found '%s'", o->letter, word);
        return put(s, option, value == NULL ? "true" : value, err);
    }
    if (value == NULL) {
        if (*at + 1 >= count)
            return gv_fail(err, GV_E_ARG, "--%s needs a value", o->name);
        value = words[++*at];
    }
    return put(s, option, value, err);
}

/* What --help does not excuse. */
static gv_status check_complete(const ganvas_settings *s, gv_error *err)
{
    const gv_command *c = s->command;
    for (int i = 0; i < gv_options_count; i++) {
        const gv_option *o = &gv_options[i];
        if ((o->needed >> c->id & 1u) != 0 && s->value[i] == NULL)
            return o->letter != 0
                       ? gv_fail(err, GV_E_ARG, "%s needs -%c %s", c->name, o->letter, o->value)
                       : gv_fail(err, GV_E_ARG, "%s needs --%s %s", c->name, o->name, o->value);
    }
    if (s->inputs_count < c->min_inputs)
        return gv_fail(err, GV_E_ARG, "%s needs %s", c->name, c->inputs);
    if (s->inputs_count > c->max_inputs)
        return c->max_inputs == 0 ? gv_fail(err, GV_E_ARG, "%s takes options only, found '%s'",
                                            c->name, s->inputs[0])
                                  : gv_fail(err, GV_E_ARG, "%s takes %s, found '%s' too many",
                                            c->name, c->inputs, s->inputs[c->max_inputs]);
    return GV_OK;
}

ganvas_status ganvas_settings_parse(ganvas_settings *s, int count, const char *const *words,
                                    ganvas_error *err)
{
    gv_error_clear(err);
    bool options = true;
    for (int i = 0; i < count; i++) {
        gv_status status;
        if (options && strcmp(words[i], "--") == 0) {
            options = false;
            continue;
        }
        if (options && words[i][0] == '-' && words[i][1] != '\0')
            status = parse_option(s, count, words, &i, err);
        else
            status = add_input(s, words[i], err);
        if (status != GV_OK)
            return status;
        if (ganvas_settings_flag(s, "help"))
            return GV_OK;
    }
    return check_complete(s, err);
}

ganvas_status ganvas_settings_set(ganvas_settings *s, const char *name, const char *value,
                                  ganvas_error *err)
{
    gv_error_clear(err);
    int option = gv_option_find(s->command, name, strlen(name));
    if (option < 0)
        return gv_option_unknown(s->command, name, strlen(name), err);
    return put(s, option, value, err);
}

/* ---- values ---- */

const char *gv_settings_text(const ganvas_settings *s, const char *name)
{
    int option = gv_option_find(s->command, name, strlen(name));
    return option < 0 ? NULL : s->value[option];
}

const char *ganvas_settings_get(const ganvas_settings *s, const char *name)
{
    return gv_settings_text(s, name);
}

double gv_settings_number(const ganvas_settings *s, const char *name)
{
    return strtod(gv_settings_text(s, name), NULL);
}

int64_t gv_settings_integer_or(const ganvas_settings *s, const char *name, int64_t word_value)
{
    const char *text = gv_settings_text(s, name);
    int64_t value;
    return gv_parse_integer(&text, &value) ? value : word_value;
}

int64_t gv_settings_integer(const ganvas_settings *s, const char *name)
{
    return gv_settings_integer_or(s, name, 0);
}

bool gv_settings_flag(const ganvas_settings *s, const char *name)
{
    const char *text = gv_settings_text(s, name);
    return text != NULL && strcmp(text, "true") == 0;
}

bool ganvas_settings_flag(const ganvas_settings *s, const char *name)
{
    return gv_settings_flag(s, name);
}

/* ---- JSON ---- */

static json_t *value_to_json(const gv_option *o, const char *value)
{
    const char *p = value;
    int64_t integer;
    switch (o->kind) {
    case GV_OPTION_FLAG:
        return json_boolean(strcmp(value, "true") == 0);
    case GV_OPTION_INTEGER:
        return gv_parse_integer(&p, &integer) ? json_integer(integer) : json_string(value);
    case GV_OPTION_NUMBER:
        return json_real(strtod(value, NULL));
    default:
        return json_string(value);
    }
}

json_t *gv_settings_to_json(const ganvas_settings *s)
{
    json_t *options = json_object(), *inputs = json_array();
    bool fine = options != NULL && inputs != NULL;
    for (int i = 0; fine && i < gv_options_count; i++)
        if (s->value[i] != NULL && gv_options[i].shapes_result)
            fine = json_object_set_new(options, gv_options[i].name,
                                       value_to_json(&gv_options[i], s->value[i])) == 0;
    for (int i = 0; fine && i < s->inputs_count; i++)
        fine = json_array_append_new(inputs, json_string(s->inputs[i])) == 0;
    if (!fine) {
        json_decref(options);
        json_decref(inputs);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:o}", "command", s->command->name, "options", options, "inputs",
                     inputs);
}

ganvas_status ganvas_settings_write_json(const ganvas_settings *s, char **json, ganvas_error *err)
{
    gv_error_clear(err);
    return gv_json_text(json, gv_settings_to_json(s), GV_JSON_READABLE, err);
}

static gv_status read_option(ganvas_settings *s, const char *name, const json_t *value,
                             gv_error *err)
{
    char text[64];
    if (json_is_string(value))
        return ganvas_settings_set(s, name, json_string_value(value), err);
    if (json_is_boolean(value))
        return ganvas_settings_set(s, name, json_is_true(value) ? "true" : "false", err);
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value)) {
        /* The shortest of the two that is the same number: 0.7, not 0.69999999999999996. */
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
        if (strtod(text, NULL) != json_real_value(value))
            snprintf(text, sizeof text, "%.17g", json_real_value(value));
    } else
        return gv_fail(err, GV_E_ARG, "option '%s' is neither text, number nor flag", name);
    return ganvas_settings_set(s, name, text, err);
}

ganvas_status ganvas_settings_read_json(ganvas_settings **settings, const char *json,
                                        ganvas_error *err)
{
    gv_error_clear(err);
    *settings = NULL;
    json_t *root = NULL;
    ganvas_settings *s = NULL;
    gv_status status;
    GV_TRY(gv_json_parse(&root, json, strlen(json), "settings", err));
    const char *command = json_string_value(json_object_get(root, "command"));
    json_t *options = json_object_get(root, "options"), *inputs = json_object_get(root, "inputs");
    if (command == NULL || (options != NULL && !json_is_object(options)) ||
        (inputs != NULL && !json_is_array(inputs))) {
        status = gv_fail(err, GV_E_ARG,
                         "settings: expected {\"command\": text, \"options\": {}, "
                         "\"inputs\": []}");
        goto done;
    }
    GV_TRY(ganvas_settings_new(&s, command, err));
    const char *name;
    json_t *value;
    json_object_foreach(options, name, value)
        GV_TRY(read_option(s, name, value, err));
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const char *word = json_string_value(json_array_get(inputs, i));
        if (word == NULL) {
            status = gv_fail(err, GV_E_ARG, "settings: input %zu is no text", i);
            goto done;
        }
        GV_TRY(add_input(s, word, err));
    }
    GV_TRY(check_complete(s, err));
    *settings = s;
    s = NULL;
done:
    ganvas_settings_free(s);
    json_decref(root);
    return status;
}

ganvas_status ganvas_settings_write_line(const ganvas_settings *s, char **line, ganvas_error *err)
{
    gv_error_clear(err);
    gv_text t = {0};
    gv_text_add(&t, "ganvas %s", s->command->name);
    for (int i = 0; i < gv_options_count; i++) {
        const gv_option *o = &gv_options[i];
        const char *value = s->value[i];
        if (value == NULL || !o->shapes_result ||
            (o->preset != NULL && strcmp(value, o->preset) == 0))
            continue;
        gv_text_add(&t, o->letter == 'o' ? " -%.1s" : " --%s", o->name);
        if (o->kind != GV_OPTION_FLAG) {
            gv_text_add(&t, " ");
            gv_text_add_quoted(&t, value);
        }
    }
    for (int i = 0; i < s->inputs_count; i++) {
        gv_text_add(&t, i == 0 && s->inputs[0][0] == '-' ? " -- " : " ");
        gv_text_add_quoted(&t, s->inputs[i]);
    }
    return gv_text_take(&t, line, err);
}
