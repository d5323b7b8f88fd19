#include "api/options.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIT(command) (1u << GV_COMMAND_##command)
#define EVERY ((1u << GV_COMMANDS) - 1)
#define INVERSION (BIT(INVERT) | BIT(SCRIBBLE))
#define BETWEEN (BIT(INTERPOLATE) | BIT(MIX)) /* invert pictures that they are given */
#define ANY_NUMBER_OF_INPUTS 1000000

const gv_command gv_commands[GV_COMMANDS] = {
    {GV_COMMAND_SAMPLE, "sample", "", 0, 0, "pictures from random latents",
     "Draws latents from seeds and renders them. A seed gives the picture that NVlabs' generate.py "
     "gives. OUT is a file (one labelled grid), a folder with / at its end (one picture a seed), "
     "or a "
     ".npy file (float32 [N,3,H,W] in [-1,1]).",
     "ganvas sample --seeds 0-15,85 --psi 0.7 -o grid.png"},
    {GV_COMMAND_INVERT, "invert", "IMAGE...", 1, ANY_NUMBER_OF_INPUTS, "the latent of a photograph",
     "Looks for the latent whose picture is nearest to each photograph. IMAGE is a picture, a "
     "folder of pictures or a list of them (.txt, a path a line). Of cat.jpg DIR gets cat.png (the "
     "result), cat.npz (the latent, which NumPy and NVlabs' generate.py read), cat.json (settings, "
     "losses, curve), cat.csv (the curve) and cat-0250.png (snapshots); of a run report.html; of a "
     "batch index.csv and latents.npz. An evaluation is one value of the objective.",
     "ganvas invert photo.jpg --eyes 210,180,300,175 --snapshots 100,250 -o out"},
    {GV_COMMAND_SCRIBBLE, "scribble", "SKETCH...", 1, ANY_NUMBER_OF_INPUTS,
     "a picture for a sketch",
     "Looks for the picture of the model that agrees with what is drawn; elsewhere the model is "
     "free. What is drawn is what is opaque, or what is white in --mask; without either the colour "
     "of the border is background. Inputs and results are those of invert.",
     "ganvas scribble sketch.png --starts 4 -o out"},
    {GV_COMMAND_INTERPOLATE, "interpolate", "A B [C...]", 1, ANY_NUMBER_OF_INPUTS,
     "the way from one picture to the next",
     "Goes from A to B in the latent space. A and B are saved latents (.npz; every latent of a "
     "file "
     "counts) or pictures, which are inverted first. OUT is an animation that repeats for ever "
     "(.gif, .webp, .mp4 by ffmpeg), a strip of 8 (.png), or a folder of frames with / at its end. "
     "The record beside it holds LPIPS from frame to frame.",
     "ganvas interpolate grey.jpg ginger.jpg --loop -o morph.gif"},
    {GV_COMMAND_MIX, "mix", "", 0, 0, "a grid of mixed styles",
     "Gives every row's picture some rows of w+ of every column's: the early ones hold pose and "
     "shape, the late ones colours. Rows and columns are seeds, as in NVlabs' style_mixing.py, "
     "saved latents (.npz) or pictures, which are inverted first. OUT is a labelled grid, or a "
     "folder with / at its end for each picture besides.",
     "ganvas mix --rows 85,100,cat.npz --columns 55,821 --layers 4-9 -o mix.png"},
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
    {"model", 'm', GV_OPTION_TEXT, "M", NULL, "cats64-stylegan2", 0, 0,
     BIT(SAMPLE) | INVERSION | BETWEEN, 0, true, "a checkpoint, or an embedded model by name"},
    {"latent", 0, GV_OPTION_CHOICE, NULL, "z|w|w+", "z", 0, 0, BIT(SAMPLE), 0, true,
     "the space: z and w give the same picture; w+ maps a z of its own for each row"},
    {"latent", 0, GV_OPTION_CHOICE, NULL, "w+|w|z", "w+", 0, 0, INVERSION, 0, true,
     "the space that is searched"},
    {"space", 0, GV_OPTION_CHOICE, NULL, "w+|w|z|pixel", "w+", 0, 0, BIT(INTERPOLATE), 0, true,
     "where the way lies; pixel is a plain cross-fade of the pictures, to compare with"},
    {"frames", 0, GV_OPTION_INTEGER, "N", NULL, "50", 2, 10000, BIT(INTERPOLATE), 0, true,
     "for each pair; a strip has 8"},
    {"fps", 0, GV_OPTION_NUMBER, "X", NULL, "25", 0.1, 1000, BIT(INTERPOLATE), 0, true,
     "frames a second; a GIF has at most 50"},
    {"loop", 0, GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, BIT(INTERPOLATE), 0, true,
     "return to A at the end"},
    {"slerp", 0, GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, BIT(INTERPOLATE), 0, true,
     "on a great circle instead of a straight line, in z"},
    {"rows", 0, GV_OPTION_TEXT, "LIST", NULL, "85,100,75,458,1500", 0, 0, BIT(MIX), 0, true,
     "seeds, saved latents and pictures, with commas between them"},
    {"columns", 0, GV_OPTION_TEXT, "LIST", NULL, "55,821,1789,293", 0, 0, BIT(MIX), 0, true,
     "likewise"},
    {"layers", 0, GV_OPTION_NUMBERS, "LIST", "all", "all", 0, 64, BIT(INTERPOLATE), 0, true,
     "only these rows of w+ move, the others stay A's"},
    {"layers", 0, GV_OPTION_NUMBERS, "LIST", "all", "0-6", 0, 64, BIT(MIX), 0, true,
     "which rows of w+ come from the column"},
    {"init", 0, GV_OPTION_TEXT, "FILE.npz", "mean|random", "mean", 0, 0, INVERSION | BETWEEN, 0,
     true,
     "where the search starts: the mean of w (in z the best of 16 random ones), a random latent, "
     "or a saved one"},
    {"starts", 0, GV_OPTION_INTEGER, "N", NULL, "1", 1, 256, INVERSION | BETWEEN, 0, true,
     "that many starts, random after the first; the worse half is dropped again and again"},
    {"optimizer", 0, GV_OPTION_CHOICE, NULL, "lbfgs|wolfe|adam", "lbfgs", 0, 0, INVERSION | BETWEEN,
     0, true,
     "L-BFGS with strong Wolfe search, the course's L-BFGS, or Adam with NVlabs' schedule"},
    {"evals", 0, GV_OPTION_INTEGER, "N", NULL, "1000", 0, 1e7, INVERSION | BETWEEN, 0, true,
     "evaluations of the objective, over all starts"},
    {"history", 0, GV_OPTION_INTEGER, "N", NULL, "50", 1, 1000, INVERSION | BETWEEN, 0, true,
     "pairs that lbfgs remembers; wolfe has 10"},
    {"lr", 0, GV_OPTION_NUMBER, "X", NULL, NULL, 1e-9, 1e3, INVERSION | BETWEEN, 0, true,
     "first step of wolfe (0.1 if not given), plateau of adam (0.1)"},
    {"snapshots", 0, GV_OPTION_NUMBERS, "LIST", NULL, NULL, 1, 1e7, INVERSION, 0, true,
     "also the best picture after that many evaluations"},
    {"l1", 0, GV_OPTION_NUMBER, "X", NULL, "10", 0, 1e6, INVERSION | BETWEEN, 0, true,
     "weight of the mean absolute difference"},
    {"mse", 0, GV_OPTION_NUMBER, "X", NULL, "0", 0, 1e6, INVERSION | BETWEEN, 0, true,
     "weight of the mean squared difference"},
    {"perc", 0, GV_OPTION_NUMBER, "X", NULL, "0.01", 0, 1e6, INVERSION | BETWEEN, 0, true,
     "weight of the difference of VGG features"},
    {"layer", 0, GV_OPTION_TEXT, "LIST", NULL, "conv_5", 0, 0, INVERSION | BETWEEN, 0, true,
     "which features: conv_5, or conv_4:1,conv_5:0.5 with weights; conv_k counts from 1, before "
     "the ReLU; conv3_1 is understood, too"},
    {"lpips", 0, GV_OPTION_NUMBER, "X", NULL, "0", 0, 1e6, INVERSION | BETWEEN, 0, true,
     "weight of LPIPS"},
    {"reg", 0, GV_OPTION_NUMBER, "X", NULL, "0", 0, 1e6, INVERSION | BETWEEN, 0, true,
     "weight of the distance from the start"},
    {"perceptual", 0, GV_OPTION_TEXT, "FILE", NULL, NULL, 0, 0, INVERSION | BETWEEN, 0, true,
     "torchvision's VGG19 file instead of the embedded VGG16"},
    {"mask", 0, GV_OPTION_TEXT, "FILE", "none", NULL, 0, 0, INVERSION, 0, true,
     "white is constrained, or what is opaque if the file has alpha; none: all of the picture"},
    {"mask-on", 0, GV_OPTION_CHOICE, NULL, "image|features|both", "image", 0, 0, INVERSION, 0, true,
     "where the mask acts on the VGG terms"},
    {"crop", 0, GV_OPTION_TEXT, "x,y,w,h", NULL, NULL, 0, 0, INVERSION, 0, true,
     "the part that is taken, in pixels of the upright picture; else the centred square"},
    {"eyes", 0, GV_OPTION_TEXT, "x1,y1,x2,y2", NULL, NULL, 0, 0, INVERSION, 0, true,
     "where the eyes are: the picture is turned and scaled so that they lie where the model's are"},
    {"seeds", 0, GV_OPTION_NUMBERS, "LIST", NULL, "0-15", 0, 4294967295.0, BIT(SAMPLE), 0, true,
     "one picture for each"},
    {"latents", 0, GV_OPTION_TEXT, "FILE.npz", NULL, NULL, 0, 0, BIT(SAMPLE), 0, true,
     "render the saved latents of the file (w or z) instead of seeds"},
    {"psi", 0, GV_OPTION_NUMBER, "X", NULL, "1", -10, 10, BIT(SAMPLE) | BIT(MIX), 0, true,
     "truncation towards the mean w"},
    {"cutoff", 0, GV_OPTION_INTEGER, "N", "all", "all", 0, 64, BIT(SAMPLE), 0, true,
     "truncate only the first N rows of w"},
    {"class", 0, GV_OPTION_INTEGER, "N", "none", "none", 0, 1e9, BIT(SAMPLE) | INVERSION | BETWEEN,
     0, true, "the class of a conditional model"},
    {"noise", 0, GV_OPTION_CHOICE, NULL, "const|random|none", "const", 0, 0,
     BIT(SAMPLE) | INVERSION | BETWEEN, 0, true,
     "the noise maps of StyleGAN2: those of the file, drawn from --seed, or none"},
    {"seed", 0, GV_OPTION_INTEGER, "N", NULL, "0", 0, 9223372036854774784.0, BIT(SAMPLE), 0, true,
     "of everything random that --seeds does not cover"},
    {"seed", 0, GV_OPTION_INTEGER, "N", NULL, "0", 0, 4294967295.0 - 256, INVERSION | BETWEEN, 0,
     true, "of everything random: the first random start, the others follow"},
    {"compat", 0, GV_OPTION_CHOICE, NULL, "none|hw5", "none", 0, 0, INVERSION | BETWEEN, 0, true,
     "hw5: as the course does it (docs/FROM-HW5.md), with wolfe unless --optimizer adam"},
    {"out", 'o', GV_OPTION_TEXT, "OUT", NULL, NULL, 0, 0, BIT(SAMPLE) | BETWEEN,
     BIT(SAMPLE) | BETWEEN, true, "where the result goes: a file, or a folder with / at its end"},
    {"out", 'o', GV_OPTION_TEXT, "DIR", NULL, NULL, 0, 0, INVERSION, INVERSION, true,
     "the folder of the results"},
    {"resume", 0, GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, INVERSION, 0, false,
     "leave pictures alone whose results are there, made with the same settings"},
    {"raw", 0, GV_OPTION_FLAG, NULL, NULL, "false", 0, 0, BIT(SAMPLE) | INVERSION | BETWEEN, 0,
     true, "each picture also as float32 .npy [1,3,H,W] in [-1,1]"},
    {"force", 'f', GV_OPTION_FLAG, NULL, NULL, "false", 0, 0,
     BIT(SAMPLE) | BIT(CONVERT) | INVERSION | BETWEEN, 0, false,
     "overwrite files that ganvas did not write"},
    {"threads", 't', GV_OPTION_INTEGER, "N", "all", "all", 1, 1024,
     BIT(SAMPLE) | BIT(BENCH) | INVERSION | BETWEEN, 0, false,
     "cores to use; the result does not depend on it"},
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
