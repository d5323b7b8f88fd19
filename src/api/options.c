#include "api/options.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIT(command) (1u << GV_COMMAND_##command)
#define EVERY ((1u << GV_COMMANDS) - 1)

const gv_command gv_commands[GV_COMMANDS] = {
    {GV_COMMAND_SAMPLE, "sample", "", 0, 0, "pictures from random latents",
     "Draws latents from seeds and renders them. A seed gives the picture that NVlabs' generate.py "
     "gives. OUT is a file (one labelled grid), a folder with / at its end (one picture a seed), "
     "or a "
     ".npy file (float32 [N,3,H,W] in [-1,1]).",
     "ganvas sample --seeds 0-15,85 --psi 0.7 -o grid.png"},
    {GV_COMMAND_MODELS, "models", "", 0, 0, "the embedded models",
     "Lists the models that --model knows by name, with size and licence. They are looked for in "
     "$GANVAS_MODELS, in share/ganvas/models of the installation and in ./models.",
     "ganvas models"},
    {GV_COMMAND_INSPECT, "inspect", "FILE", 1, 1, "what a checkpoint holds",
     "Shows the kind, the tree, the tensors and the parameters of a checkpoint, and what ganvas "
     "would "
     "load it as. Nothing in the file is executed.",
     "ganvas inspect network-snapshot.pkl"},
    {GV_COMMAND_CONVERT, "convert", "IN OUT.safetensors", 2, 2,
     "rewrite a checkpoint as safetensors",
     "Writes the tensors of a checkpoint, and its architecture as JSON, to a safetensors file that "
     "loads to the same bits.",
     "ganvas convert network-snapshot.pkl cats.safetensors"},
    {GV_COMMAND_REPLAY, "replay", "FILE.png", 1, 1, "the command that made a picture",
     "Prints the command line kept in a PNG file that ganvas wrote.", "ganvas replay grid.png"},
    {GV_COMMAND_BENCH, "bench", "[NAME]", 0, 1, "speed, with flops and share of peak",
     "Times one forward pass of a generator with random weights: stylegan2-64, "
     "stylegan2-64-low-shot, stylegan2-256, dcgan; without NAME all of them.",
     "ganvas bench stylegan2-64 --threads 2 --json"},
};

const gv_option gv_options[] = {
    {"model", 'm', GV_OPTION_TEXT, "M", NULL, "cats64-stylegan2", 0, 0, BIT(SAMPLE), 0, true,
     "a checkpoint, or an embedded model by name"},
    {"latent", 0, GV_OPTION_CHOICE, NULL, "z|w|w+", "z", 0, 0, BIT(SAMPLE), 0, true,
     "the space: z and w give the same picture; w+ maps a z of its own for each row"},
    {"seeds", 0, GV_OPTION_NUMBERS, "LIST", NULL, "0-15", 0, 4294967295.0, BIT(SAMPLE), 0, true,
     "one picture for each"},
    {"latents", 0, GV_OPTION_TEXT, "FILE.npz", NULL, NULL, 0, 0, BIT(SAMPLE), 0, true,
     "render the saved latents of the file (w or z) instead of seeds"},
    {"psi", 0, GV_OPTION_NUMBER, "X", NULL, "1", -10, 10, BIT(SAMPLE), 0, true,
     "truncation towards the mean w"},
    {"cutoff", 0, GV_OPTION_INTEGER, "N", "all", "all", 0, 64, BIT(SAMPLE), 0, true,
     "truncate only the first N rows of w"},
    {"class", 0, GV_OPTION_INTEGER, "N", "none", "none", 0, 1e9, BIT(SAMPLE), 0, true,
     "the class of a conditional model"},
    {"noise", 0, GV_OPTION_CHOICE, NULL, "const|random|none", "const", 0, 0, BIT(SAMPLE), 0, true,
     "the noise maps of StyleGAN2: those of the file, drawn from --seed, or none"},
    {"seed", 0, GV_OPTION_INTEGER, "N", NULL, "0", 0, 9223372036854774784.0, BIT(SAMPLE), 0, true,
     "of everything random that --seeds does not cover"},
    {"out", 'o', GV_OPTION_TEXT, "OUT", NULL, NULL, 0, 0, BIT(SAMPLE), BIT(SAMPLE), true,
     "where the result goes: a file, or a folder with / at its end"},
    {"raw", 0, GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, BIT(SAMPLE), 0, true,
     "each picture also as float32 .npy [1,3,H,W] in [-1,1]"},
    {"force", 'f', GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, BIT(SAMPLE) | BIT(CONVERT), 0, false,
     "overwrite files that ganvas did not write"},
    {"threads", 't', GV_OPTION_INTEGER, "N", "all", "all", 1, 1024, BIT(SAMPLE) | BIT(BENCH), 0,
     false, "cores to use; the result does not depend on it"},
    {"json", 'j', GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, EVERY, 0, false,
     "the result record as JSON on standard output"},
    {"quiet", 'q', GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, EVERY, 0, false,
     "no progress and no notices"},
    {"help", 'h', GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, EVERY, 0, false, "this text"},
};
const int gv_options_count = (int)(sizeof gv_options / sizeof gv_options[0]);

_Static_assert(sizeof gv_options / sizeof gv_options[0] <= GV_OPTIONS_MAX, "raise GV_OPTIONS_MAX");

/* ---- finding ---- */

const gv_command *gv_command_find(const char *name)
{
    for (int i = 0; i < GV_COMMANDS; i++)
        if (strcmp(gv_commands[i].name, name) == 0)
            return &gv_commands[i];
    return NULL;
}

bool gv_option_belongs(const gv_option *option, const gv_command *command)
{
    return (option->commands >> command->id & 1u) != 0;
}

int gv_option_find(const gv_command *command, const char *name, size_t length)
{
    for (int i = 0; i < gv_options_count; i++)
        if (gv_option_belongs(&gv_options[i], command) && strlen(gv_options[i].name) == length &&
            memcmp(gv_options[i].name, name, length) == 0)
            return i;
    return -1;
}

int gv_option_find_letter(const gv_command *command, char letter)
{
    for (int i = 0; i < gv_options_count; i++)
        if (gv_option_belongs(&gv_options[i], command) && letter != 0 &&
            gv_options[i].letter == letter)
            return i;
    return -1;
}

/* ---- did you mean ---- */

/* Edits (insert, delete, replace, swap of neighbours) from a to b, both cut at 31 letters. */
static int edit_distance(const char *a, size_t m, const char *b, size_t n)
{
    enum { LIMIT = 31 };
    int d[LIMIT + 1][LIMIT + 1];
    m = m < LIMIT ? m : LIMIT;
    n = n < LIMIT ? n : LIMIT;
    for (size_t i = 0; i <= m; i++)
        for (size_t j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[m][n];
}

/* Keeps the candidate in *nearest if it is closer to the word than the best so far. */
static void consider(const char **nearest, int *best, const char *candidate, const char *word,
                     size_t length)
{
    int distance = edit_distance(word, length, candidate, strlen(candidate));
    bool starts = length >= 2 && strncmp(candidate, word, length) == 0;
    if (starts)
        distance = 1;
    if (distance < *best && (starts || (size_t)distance * 2 <= length + 1)) {
        *best = distance;
        *nearest = candidate;
    }
}

gv_status gv_command_unknown(const char *name, gv_error *err)
{
    const char *nearest = NULL;
    int best = 4;
    for (int i = 0; i < GV_COMMANDS; i++)
        consider(&nearest, &best, gv_commands[i].name, name, strlen(name));
    return nearest == NULL
               ? gv_fail(err, GV_E_ARG, "unknown command '%s'; `ganvas help` lists them", name)
               : gv_fail(err, GV_E_ARG, "unknown command '%s', did you mean '%s'?", name, nearest);
}

gv_status gv_option_unknown(const gv_command *command, const char *name, size_t length,
                            gv_error *err)
{
    const char *nearest = NULL;
    int best = 4, shown = length < 60 ? (int)length : 60;
    for (int i = 0; i < gv_options_count; i++)
        if (gv_option_belongs(&gv_options[i], command))
            consider(&nearest, &best, gv_options[i].name, name, length);
    return nearest == NULL
               ? gv_fail(err, GV_E_ARG, "%s has no option '%.*s'; `ganvas %s --help` lists them",
                         command->name, shown, name, command->name)
               : gv_fail(err, GV_E_ARG, "%s has no option '%.*s', did you mean '--%s'?",
                         command->name, shown, name, nearest);
}

/* ---- values ---- */

bool gv_parse_integer(const char **text, int64_t *value)
{
    const char *p = *text;
    int64_t v = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v > (INT64_MAX - (*p - '0')) / 10)
            return false;
        v = v * 10 + (*p - '0');
    }
    *text = p;
    *value = v;
    return true;
}

static bool is_word(const char *words, const char *value)
{
    size_t length = strlen(value);
    for (const char *w = words; w != NULL && *w != '\0';) {
        size_t n = strcspn(w, "|");
        if (n == length && memcmp(w, value, n) == 0)
            return true;
        w += n + (w[n] == '|');
    }
    return false;
}

#define NUMBERS_MAX 1000000

static gv_status check_numbers(const gv_option *o, const char *value, gv_error *err)
{
    const char *p = value;
    int64_t total = 0;
    for (;;) {
        int64_t first, last;
        if (!gv_parse_integer(&p, &first))
            break;
        last = first;
        if (*p == '-') {
            p++;
            if (!gv_parse_integer(&p, &last))
                break;
        }
        if (last < first)
            return gv_fail(err, GV_E_ARG, "--%s: %" PRId64 "-%" PRId64 " runs backwards", o->name,
                           first, last);
        if ((double)first < o->min || (double)last > o->max)
            return gv_fail(err, GV_E_ARG, "--%s: %" PRId64 " is not in %.0f to %.0f", o->name,
                           (double)first < o->min ? first : last, o->min, o->max);
        total += last - first + 1;
        if (total > NUMBERS_MAX)
            return gv_fail(err, GV_E_ARG, "--%s: more than %d numbers", o->name, NUMBERS_MAX);
        if (*p == '\0')
            return GV_OK;
        if (*p++ != ',')
            break;
    }
    return gv_fail(err, GV_E_ARG, "--%s: '%s' is not a list of numbers such as 0-15,20", o->name,
                   value);
}

static gv_status check_number(const gv_option *o, const char *value, gv_error *err)
{
    bool whole = o->kind == GV_OPTION_INTEGER;
    char *end;
    double v = strtod(value, &end);
    const char *p = value;
    int64_t integer;
    bool fits = whole
                    ? gv_parse_integer(&p, &integer) && *p == '\0'
                    : end != value && *end == '\0' && isfinite(v) && strpbrk(value, "xX ") == NULL;
    const char *also = o->words != NULL ? o->words : "";
    const char *joint = o->words != NULL ? " or " : "";
    if (!fits)
        return gv_fail(err, GV_E_ARG, "--%s: '%s' is not %s%s%s", o->name, value,
                       whole ? "a whole number" : "a number", joint, also);
    if (v < o->min || v > o->max)
        return gv_fail(err, GV_E_ARG, "--%s: %s is not in %g to %g%s%s", o->name, value, o->min,
                       o->max, joint, also);
    return GV_OK;
}

gv_status gv_option_check(const gv_option *o, const char *value, gv_error *err)
{
    if (is_word(o->words, value))
        return GV_OK;
    switch (o->kind) {
    case GV_OPTION_FLAG:
        return is_word("true|false", value)
                   ? GV_OK
                   : gv_fail(err, GV_E_ARG, "--%s: takes no value", o->name);
    case GV_OPTION_INTEGER:
    case GV_OPTION_NUMBER:
        return check_number(o, value, err);
    case GV_OPTION_NUMBERS:
        return check_numbers(o, value, err);
    case GV_OPTION_CHOICE:
        return gv_fail(err, GV_E_ARG, "--%s: '%s' is none of %s", o->name, value, o->words);
    case GV_OPTION_TEXT:
        break;
    }
    return *value != '\0' ? GV_OK : gv_fail(err, GV_E_ARG, "--%s: is empty", o->name);
}

gv_status gv_parse_numbers(int64_t **numbers, int64_t *count, const char *text, gv_error *err)
{
    *numbers = NULL;
    *count = 0;
    int64_t total = 0;
    for (int pass = 0; pass < 2; pass++) {
        const char *p = text;
        int64_t first, last, at = 0;
        while (gv_parse_integer(&p, &first)) {
            last = first;
            if (*p == '-') {
                p++;
                gv_parse_integer(&p, &last);
            }
            if (pass == 0)
                total += last - first + 1;
            else
                for (int64_t v = first; v <= last; v++)
                    (*numbers)[at++] = v;
            p += *p == ',';
        }
        if (pass == 0) {
            *numbers = gv_mem_alloc_array((size_t)total, sizeof(int64_t));
            if (*numbers == NULL)
                return gv_fail_memory(err, (size_t)total * sizeof(int64_t));
        }
    }
    *count = total;
    return GV_OK;
}
