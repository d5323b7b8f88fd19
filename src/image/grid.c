#include "image/grid.h"

#include "image/font.h"

#include <inttypes.h>
#include <string.h>

enum {
    MARGIN = 12, /* around everything */
    GAP = 8,     /* between cells */
    CAPTION = 1, /* size of the letters: pixels a dot */
    TITLE = 2,
    LEADING = 4, /* above and below a line of text */
    INK = 0x22,
    SMALLEST_CELL = 128
};

static int64_t text_width(int64_t length, int64_t size)
{
    return length > 0 ? (length * (GV_FONT_WIDTH + 1) - 1) * size : 0;
}

/* Bytes of UTF-8 continuation are not characters of their own. */
static int64_t text_length(const char *text)
{
    int64_t length = 0;
    for (; *text != '\0'; text++)
        length += ((unsigned char)*text & 0xc0) != 0x80;
    return length;
}

static void draw_char(gv_image *image, int64_t x, int64_t y, char c, int64_t size)
{
    for (int64_t v = 0; v < GV_FONT_HEIGHT * size; v++)
        for (int64_t u = 0; u < GV_FONT_WIDTH * size; u++)
            if (gv_font_pixel(c, (int)(u / size), (int)(v / size)))
                memset(image->pixels + ((y + v) * image->width + x + u) * 3, INK, 3);
}

/* Centred in [x, x + width), cut where it does not fit. */
static void draw_text(gv_image *image, int64_t x, int64_t y, int64_t width, const char *text,
                      int64_t size)
{
    int64_t length = text_length(text);
    int64_t room = (width / size + 1) / (GV_FONT_WIDTH + 1);
    int64_t shown = length <= room ? length : room;
    x += (width - text_width(shown, size)) / 2;
    for (int64_t i = 0; i < shown; i++, x += (GV_FONT_WIDTH + 1) * size) {
        bool cut = length > room && i + 2 >= shown;
        draw_char(image, x, y, cut ? '.' : *text, size);
        do
            text++;
        while (((unsigned char)*text & 0xc0) == 0x80);
    }
}

static void draw_cell(gv_image *image, int64_t left, int64_t top, const gv_image *cell,
                      int64_t scale)
{
    for (int64_t y = 0; y < cell->height * scale; y++) {
        uint8_t *to = image->pixels + ((top + y) * image->width + left) * 3;
        const uint8_t *row = cell->pixels + y / scale * cell->width * cell->channels;
        for (int64_t x = 0; x < cell->width * scale; x++, to += 3) {
            const uint8_t *p = row + x / scale * cell->channels;
            int alpha = cell->channels == 4 ? p[3] : 255;
            for (int c = 0; c < 3; c++)
                to[c] = (uint8_t)((p[c] * alpha + 255 * (255 - alpha) + 127) / 255);
        }
    }
}

/* About as many as rows; one more where that leaves fewer places empty. */
static int64_t best_columns(int64_t count)
{
    int64_t root = 1;
    while (root * root < count)
        root++;
    int64_t empty = (root - count % root) % root;
    int64_t empty_with_more = (root + 1 - count % (root + 1)) % (root + 1);
    return empty_with_more < empty ? root + 1 : root;
}

gv_status gv_image_grid(gv_image *image, const gv_image *cells, int64_t count, const gv_grid *grid,
                        gv_error *err)
{
    *image = (gv_image){0};
    if (count < 1 || grid->columns < 0 || grid->scale < 0 || grid->scale > 64)
        return gv_fail(err, GV_E_ARG,
                       "a grid of %" PRId64 " pictures, %" PRId64 " columns, scale %" PRId64, count,
                       grid->columns, grid->scale);
    int64_t width = cells[0].width, height = cells[0].height;
    for (int64_t i = 1; i < count; i++)
        if (cells[i].width != width || cells[i].height != height)
            return gv_fail(err, GV_E_ARG, "a grid needs pictures of one size");

    int64_t columns = grid->columns;
    columns = columns == 0 ? best_columns(count) : columns;
    columns = columns < count ? columns : count;
    int64_t rows = (count + columns - 1) / columns;
    int64_t scale = grid->scale;
    int64_t side = width < height ? width : height;
    if (scale == 0)
        scale = side >= SMALLEST_CELL ? 1 : (SMALLEST_CELL + side - 1) / side;
    int64_t caption = grid->captions != NULL ? GV_FONT_HEIGHT * CAPTION + 2 * LEADING : 0;
    int64_t title = grid->title != NULL ? GV_FONT_HEIGHT * TITLE + 2 * LEADING : 0;
    int64_t step_x = width * scale + GAP, step_y = height * scale + caption + GAP;

    int64_t total_width = columns * step_x - GAP + 2 * MARGIN;
    int64_t total_height = title + rows * step_y - GAP + 2 * MARGIN;
    gv_status status = gv_image_init(image, total_width, total_height, 3, err);
    if (status != GV_OK)
        return status;
    memset(image->pixels, 0xff, (size_t)(total_width * total_height * 3));
    if (grid->title != NULL)
        draw_text(image, MARGIN, MARGIN, total_width - 2 * MARGIN, grid->title,
                  text_width(text_length(grid->title), TITLE) <= total_width - 2 * MARGIN
                      ? TITLE
                      : CAPTION);
    for (int64_t i = 0; i < count; i++) {
        int64_t x = MARGIN + i % columns * step_x;
        int64_t y = MARGIN + title + i / columns * step_y;
        draw_cell(image, x, y, &cells[i], scale);
        if (grid->captions != NULL)
            draw_text(image, x, y + height * scale + LEADING, width * scale, grid->captions[i],
                      CAPTION);
    }
    return GV_OK;
}
