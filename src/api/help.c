/* --help and the manual page, from the table of options. */
#include "api/options.h"
#include "base/text.h"

#include <string.h>

enum { WIDTH = 80, COLUMN = 24 };

/* "z|w|w+", "N|all" or "FILE"; "" for flags. */
static void add_value(gv_text *t, const gv_option *o)
{
    if (o->kind == GV_OPTION_CHOICE)
        gv_text_add(t, "%s", o->words);
    else if (o->value != NULL)
        gv_text_add(t, "%s%s%s", o->value, o->words != NULL ? "|" : "",
                    o->words != NULL ? o->words : "");
}

static bool is_needed(const gv_option *o, const gv_command *c)
{
    return (o->needed >> c->id & 1u) != 0;
}

static void add_usage(gv_text *t, const gv_command *c)
{
    gv_text_add(t, "ganvas %s", c->name);
    for (int i = 0; i < gv_options_count; i++)
        if (is_needed(&gv_options[i], c))
            gv_text_add(t, " -%c %s", gv_options[i].letter, gv_options[i].value);
    gv_text_add(t, " [options]%s%s", c->inputs[0] != '\0' ? " " : "", c->inputs);
}

static gv_status add_option(gv_text *t, const gv_option *o, const gv_command *c, gv_error *err)
{
    gv_text left = {0}, right = {0};
    if (o->letter != 0)
        gv_text_add(&left, "  -%c, --%s ", o->letter, o->name);
    else
        gv_text_add(&left, "      --%s ", o->name);
    add_value(&left, o);
    gv_text_add(&right, "%s", o->help);
    if (is_needed(o, c))
        gv_text_add(&right, "; required");
    else if (o->kind != GV_OPTION_FLAG)
        gv_text_add(&right, "; default %s", o->preset != NULL ? o->preset : "none");
    char *a = NULL, *b = NULL;
    gv_status status;
    GV_TRY(gv_text_take(&left, &a, err));
    GV_TRY(gv_text_take(&right, &b, err));
    if (strlen(a) + 1 > COLUMN)
        gv_text_add(t, "%s\n%*s", a, COLUMN, "");
    else
        gv_text_add(t, "%-*s", COLUMN, a);
    gv_text_wrap(t, b, COLUMN, COLUMN, WIDTH);
done:
    gv_text_deinit(&left);
    gv_text_deinit(&right);
    ganvas_free(a);
    ganvas_free(b);
    return status;
}

static gv_status command_help(gv_text *t, const gv_command *c, gv_error *err)
{
    gv_text_add(t, "Usage: ");
    add_usage(t, c);
    gv_text_add(t, "\n\n");
    gv_text_wrap(t, c->about, 0, 0, WIDTH);
    gv_text_add(t, "\nOptions:\n");
    for (int i = 0; i < gv_options_count; i++) {
        if (!gv_option_belongs(&gv_options[i], c))
            continue;
        gv_status status = add_option(t, &gv_options[i], c, err);
        if (status != GV_OK)
            return status;
    }
    gv_text_add(t, "\nExample:\n  %s\n", c->example);
    return GV_OK;
}

static void program_help(gv_text *t)
{
    gv_text_add(t, "ganvas " GANVAS_VERSION ": pictures on the manifold of a generator\n\n"
                   "Usage: ganvas COMMAND [options] [inputs]\n\nCommands:\n");
    for (int i = 0; i < GV_COMMANDS; i++)
        gv_text_add(t, "  %-10s%s\n", gv_commands[i].name, gv_commands[i].summary);
    gv_text_add(t, "  %-10s%s\n", "help", "this text, or `ganvas help COMMAND`");
    gv_text_add(t, "\n`ganvas COMMAND --help` lists every option with its default.\n"
                   "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted (what was\n"
                   "finished is kept).\n");
}

ganvas_status ganvas_help(const char *command, char **text, ganvas_error *err)
{
    gv_error_clear(err);
    *text = NULL;
    gv_text t = {0};
    gv_status status = GV_OK;
    if (command == NULL) {
        program_help(&t);
    } else {
        const gv_command *c = gv_command_find(command);
        status = c == NULL ? gv_command_unknown(command, err) : command_help(&t, c, err);
    }
    if (status == GV_OK)
        status = gv_text_take(&t, text, err);
    gv_text_deinit(&t);
    return status;
}

/* ---- the manual page ---- */

/* Text in roff: dashes as typed, and no line that looks like a request. */
static void add_roff(gv_text *t, const char *words)
{
    for (; *words != '\0'; words++) {
        if (*words == '-')
            gv_text_add(t, "\\-");
        else if (*words == '\\')
            gv_text_add(t, "\\e");
        else if (*words == '\'')
            gv_text_add(t, "\\(aq");
        else if (*words == '.' && (t->length == 0 || t->data[t->length - 1] == '\n'))
            gv_text_add(t, "\\&.");
        else
            gv_text_add_bytes(t, words, 1);
    }
}

static void manual_option(gv_text *t, const gv_option *o, const gv_command *c)
{
    gv_text value = {0};
    add_value(&value, o);
    gv_text_add(t, ".TP\n");
    if (o->letter != 0)
        gv_text_add(t, "\\fB\\-%c\\fR, ", o->letter);
    gv_text_add(t, "\\fB\\-\\-%s\\fR", o->name);
    if (value.length > 0) {
        gv_text_add(t, " \\fI");
        add_roff(t, value.data);
        gv_text_add(t, "\\fR");
    }
    gv_text_add(t, "\n");
    add_roff(t, o->help);
    if (is_needed(o, c)) {
        gv_text_add(t, "; required");
    } else if (o->kind != GV_OPTION_FLAG) {
        gv_text_add(t, "; default ");
        add_roff(t, o->preset != NULL ? o->preset : "none");
    }
    gv_text_add(t, "\n");
    t->failed |= value.failed;
    gv_text_deinit(&value);
}

ganvas_status ganvas_manual(char **text, ganvas_error *err)
{
    gv_error_clear(err);
    gv_text t = {0};
    gv_text_add(&t, ".TH GANVAS 1 \"\" \"ganvas " GANVAS_VERSION "\" \"User Commands\"\n"
                    ".SH NAME\nganvas \\- pictures on the manifold of a generator\n"
                    ".SH SYNOPSIS\n.B ganvas\n.I COMMAND\n[options] [inputs]\n"
                    ".SH COMMANDS\n");
    for (int i = 0; i < GV_COMMANDS; i++) {
        const gv_command *c = &gv_commands[i];
        gv_text usage = {0};
        add_usage(&usage, c);
        t.failed |= usage.failed;
        gv_text_add(&t, ".SS ");
        add_roff(&t, usage.length > 0 ? usage.data : "");
        gv_text_add(&t, "\n");
        gv_text_deinit(&usage);
        add_roff(&t, c->about);
        gv_text_add(&t, "\n");
        for (int k = 0; k < gv_options_count; k++)
            if (gv_option_belongs(&gv_options[k], c))
                manual_option(&t, &gv_options[k], c);
        gv_text_add(&t, ".PP\nExample:\n.PP\n.EX\n    ");
        add_roff(&t, c->example);
        gv_text_add(&t, "\n.EE\n");
    }
    gv_text_add(&t, ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted (what was "
                    "finished is kept).\n"
                    ".SH ENVIRONMENT\n.TP\n.B GANVAS_MODELS\na folder that is looked through first "
                    "for embedded models\n"
                    ".TP\n.B GANVAS_KERNELS\na list of kernel variants to prefer, for tests\n");
    return gv_text_take(&t, text, err);
}
