#include "job/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void gv_text_add_png_uri(gv_text *t, const uint8_t *png, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    gv_text_add(t, "data:image/png;base64,");
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t v = (uint32_t)png[i] << 16;
        v |= left > 1 ? (uint32_t)png[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)png[i + 2] : 0;
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '='};
        gv_text_add_bytes(t, four, sizeof four);
    }
}

static void add_escaped(gv_text *t, const char *words)
{
    for (; *words != '\0'; words++) {
        switch (*words) {
        case '&':
            gv_text_add(t, "&amp;");
            break;
        case '<':
            gv_text_add(t, "&lt;");
            break;
        case '>':
            gv_text_add(t, "&gt;");
            break;
        case '"':
            gv_text_add(t, "&quot;");
            break;
        default:
            gv_text_add_bytes(t, words, 1);
        }
    }
}

/* <tag>words</tag> */
static void add_element(gv_text *t, const char *tag, const char *class, const char *words)
{
    gv_text_add(t, "<%s", tag);
    if (class != NULL)
        gv_text_add(t, " class=\"%s\"", class);
    gv_text_add(t, ">");
    add_escaped(t, words);
    gv_text_add(t, "</%s>", tag);
}

static const char style[] =
    ":root{--ink:#1d2327;--soft:#5d6b75;--line:#d9dfe3;--card:#fff;--page:#f3f5f6;--accent:#b3541e;"
    "--other:#9aa7b0}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaed;--soft:#9fadb7;--line:#38424a;"
    "--card:#1f262b;--page:#14191c;--accent:#f0955c;--other:#66747e}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:28px 20px 60px}\n"
    "h1{font-size:24px;margin:0 0 10px}h2{font-size:18px;margin:0 0 12px;overflow-wrap:anywhere}\n"
    "h3{font-size:14px;margin:18px 0 8px;color:var(--soft);font-weight:600}\n"
    "section{background:var(--card);border:1px solid var(--line);border-radius:10px;"
    "padding:20px;margin-top:20px}\n"
    "pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px;"
    "white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.45 ui-monospace,'DejaVu Sans Mono',"
    "monospace}\n"
    ".row{display:flex;flex-wrap:wrap;gap:16px}\n"
    "figure{margin:0}figure img{width:176px;height:176px;image-rendering:pixelated;display:block;"
    "border-radius:6px;border:1px solid var(--line)}\n"
    ".small img{width:88px;height:88px}.best img{outline:3px solid var(--accent)}\n"
    "figcaption{font-size:13px;margin-top:5px;max-width:176px}"
    "figcaption span{display:block;color:var(--soft)}\n"
    ".small figcaption{max-width:88px;font-size:12px}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:0;font-size:14px}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;"
    "font-variant-numeric:tabular-nums}\n"
    ".sentence{border-left:4px solid var(--accent);padding:2px 0 2px 12px;margin:0 0 14px}\n"
    ".columns{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:28px;"
    "margin-top:18px}"
    "@media(max-width:760px){.columns{grid-template-columns:1fr}}\n"
    "svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font-size:12px}\n"
    ".grid{stroke:var(--line);stroke-width:1}.curve{fill:none;stroke:var(--accent);"
    "stroke-width:2}.other{fill:none;stroke:var(--other);stroke-width:1.2}\n";

static void add_facts(gv_text *t, const gv_report_fact *facts, size_t count)
{
    gv_text_add(t, "<dl>");
    for (size_t i = 0; i < count; i++) {
        add_element(t, "dt", NULL, facts[i].name);
        add_element(t, "dd", NULL, facts[i].value);
    }
    gv_text_add(t, "</dl>\n");
}

void gv_report_begin(gv_text *t, const char *title, const char *line, const gv_report_fact *facts,
                     size_t fact_count)
{
    gv_text_add(t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                   "<meta name=\"generator\" content=\"ganvas " GANVAS_VERSION "\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    add_element(t, "title", NULL, title);
    gv_text_add(t, "<style>\n%s</style></head>\n<body><main>\n", style);
    add_element(t, "h1", NULL, title);
    add_element(t, "pre", NULL, line);
    gv_text_add(t, "\n");
    add_facts(t, facts, fact_count);
}

void gv_report_say(gv_text *t, const char *words)
{
    add_element(t, "p", NULL, words);
    gv_text_add(t, "\n");
}

void gv_report_end(gv_text *t)
{
    gv_text_add(t, "</main></body></html>\n");
}

/* ---- the curve ---- */

enum { SVG_WIDTH = 620, SVG_HEIGHT = 300, LEFT = 56, RIGHT = 14, TOP = 12, BOTTOM = 44 };

/* Axes: evaluations linear from 0, losses logarithmic. */
typedef struct axes {
    double last;      /* of evaluations */
    double low, high; /* log10 of losses */
} axes;

static double place_x(const axes *a, double evaluations)
{
    return LEFT + (SVG_WIDTH - LEFT - RIGHT) * evaluations / a->last;
}

static double place_y(const axes *a, double loss)
{
    double share = (log10(loss) - a->low) / (a->high - a->low);
    return SVG_HEIGHT - BOTTOM - (SVG_HEIGHT - TOP - BOTTOM) * share;
}

static axes axes_of(const gv_report_item *item)
{
    double low = INFINITY, high = 0.0, last = 1.0;
    for (size_t i = 0; i < item->curve_count; i++) {
        const gv_report_point *p = &item->curve[i];
        last = fmax(last, p->evaluations);
        if (p->loss > 0.0) {
            low = fmin(low, p->loss);
            high = fmax(high, p->loss);
        }
    }
    if (!(low <= high))
        low = high = 1.0;
    axes a = {last, log10(low), log10(high)};
    double room = fmax((a.high - a.low) * 0.06, 0.02);
    a.low -= room;
    a.high += room;
    return a;
}

/* A round number of 1, 2 or 5 times a power of ten, at most `limit`. */
static double round_step(double limit)
{
    double power = pow(10.0, floor(log10(limit)));
    double digit = limit / power;
    return power * (digit >= 5.0 ? 5.0 : digit >= 2.0 ? 2.0 : 1.0);
}

static void add_axis_x(gv_text *t, const axes *a)
{
    double step = fmax(round_step(a->last / 3.0), 1.0);
    for (double v = 0.0; v <= a->last * 1.0001; v += step) {
        double x = place_x(a, v);
        gv_text_add(t,
                    "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                    "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>",
                    x, x, TOP, SVG_HEIGHT - BOTTOM, x, SVG_HEIGHT - BOTTOM + 16, v);
    }
    gv_text_add(t, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">evaluations</text>\n",
                (LEFT + SVG_WIDTH - RIGHT) / 2, SVG_HEIGHT - 8);
}

static void add_axis_y(gv_text *t, const axes *a)
{
    /* 1, 2, 5 in each decade; within less than a decade, even steps. */
    double low = pow(10.0, a->low), high = pow(10.0, a->high);
    bool narrow = a->high - a->low < 0.8;
    double step = narrow ? round_step((high - low) / 2.5) : 0.0;
    double v = narrow ? ceil(low / step) * step : pow(10.0, floor(a->low));
    for (int k = 0; v <= high && k < 60; k++) {
        if (v >= low) {
            double y = place_y(a, v);
            gv_text_add(t,
                        "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                        "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>",
                        LEFT, SVG_WIDTH - RIGHT, y, y, LEFT - 7, y + 4.0,
                        narrow ? round(v / step) * step : v);
        }
        v = narrow ? v + step : v * (k % 3 == 1 ? 2.5 : 2.0);
    }
}

/* One line for each start, the best on top; only falling values, as the best so far. */
static void add_line(gv_text *t, const gv_report_item *item, const axes *a, int64_t start,
                     bool best)
{
    double lowest = INFINITY;
    gv_text_add(t, "<polyline class=\"%s\" points=\"", best ? "curve" : "other");
    for (size_t i = 0; i < item->curve_count; i++) {
        const gv_report_point *p = &item->curve[i];
        if (p->start != start || !(p->loss > 0.0) || !(p->loss < lowest))
            continue;
        lowest = p->loss;
        gv_text_add(t, "%.1f,%.1f ", place_x(a, p->evaluations), place_y(a, p->loss));
    }
    gv_text_add(t, "\"/>\n");
}

static void add_curve(gv_text *t, const gv_report_item *item)
{
    axes a = axes_of(item);
    int64_t starts = 0;
    gv_text_add(t, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"loss by evaluations\">",
                SVG_WIDTH, SVG_HEIGHT);
    add_axis_x(t, &a);
    add_axis_y(t, &a);
    for (size_t i = 0; i < item->curve_count; i++)
        starts = item->curve[i].start + 1 > starts ? item->curve[i].start + 1 : starts;
    for (int64_t i = 0; i < starts; i++)
        if (i != (int64_t)item->best_start)
            add_line(t, item, &a, i, false);
    add_line(t, item, &a, (int64_t)item->best_start, true);
    gv_text_add(t, "</svg>\n");
}

/* ---- pictures ---- */

static void add_picture(gv_text *t, const gv_report_picture *p, const char *class)
{
    gv_text_add(t, "<figure%s%s%s><img alt=\"", class != NULL ? " class=\"" : "",
                class != NULL ? class : "", class != NULL ? "\"" : "");
    add_escaped(t, p->caption);
    gv_text_add(t, "\" src=\"%s\"><figcaption>", p->uri);
    add_escaped(t, p->caption);
    if (p->detail != NULL)
        add_element(t, "span", NULL, p->detail);
    gv_text_add(t, "</figcaption></figure>\n");
}

void gv_report_add(gv_text *t, const gv_report_item *item)
{
    gv_text_add(t, "<section>");
    add_element(t, "h2", NULL, item->title);
    if (item->sentence != NULL)
        add_element(t, "p", "sentence", item->sentence);
    gv_text_add(t, "<div class=\"row\">\n");
    for (size_t i = 0; i < item->picture_count; i++)
        add_picture(t, &item->pictures[i], NULL);
    gv_text_add(t, "</div>\n<div class=\"columns\"><div>");
    if (item->curve_count > 1) {
        gv_text_add(t, "<h3>Loss, the lowest so far</h3>");
        add_curve(t, item);
    }
    gv_text_add(t, "</div><div><h3>Numbers</h3>");
    add_facts(t, item->facts, item->fact_count);
    gv_text_add(t, "</div></div>\n");
    if (item->start_count > 1) {
        gv_text_add(t, "<h3>Starts</h3><div class=\"row small\">\n");
        for (size_t i = 0; i < item->start_count; i++)
            add_picture(t, &item->starts[i], i == item->best_start ? "best" : NULL);
        gv_text_add(t, "</div>\n");
    }
    gv_text_add(t, "</section>\n");
}
