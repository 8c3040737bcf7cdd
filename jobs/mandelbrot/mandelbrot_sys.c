#include "jobs/mandelbrot/mandelbrot_sys.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>

struct mandelbrot_png {
    struct mandelbrot_view view;
    png_structp png;
    png_infop info;
    char error[96];    /* what libpng said before it jumped */
    uint32_t row;      /* rows written */
    size_t row_used;   /* bytes of counts in the row begun */
    uint8_t low;       /* the first byte of a count cut in two */
    uint8_t row_rgb[]; /* 3 * width */
};

/* libpng reports errors by a jump; the two below are all that may be between setjmp and it. */
static void on_error(png_structp png, png_const_charp text)
{
    struct mandelbrot_png *p = png_get_error_ptr(png);
    (void)snprintf(p->error, sizeof p->error, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static enum pn_status png_failed(const struct mandelbrot_png *p, struct pn_err *err)
{
    return pn_fail(err, PN_E_SYSTEM, "png: %s", p->error);
}

enum pn_status mandelbrot_png_new(const struct mandelbrot_view *v, FILE *file,
                                  struct mandelbrot_png **out, struct pn_err *err)
{
    struct mandelbrot_png *p = calloc(1, sizeof *p + 3 * (size_t)v->width);
    if (p == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "png: out of memory");
    }
    p->view = *v;
    p->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, p, on_error, on_warning);
    p->info = p->png != NULL ? png_create_info_struct(p->png) : NULL;
    if (p->info == NULL) {
        mandelbrot_png_free(p);
        return pn_fail(err, PN_E_NO_MEMORY, "png: out of memory");
    }
    if (setjmp(png_jmpbuf(p->png)) != 0) {
        enum pn_status status = png_failed(p, err);
        mandelbrot_png_free(p);
        return status;
    }
    png_init_io(p->png, file);
    png_set_IHDR(p->png, p->info, v->width, v->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(p->png, p->info);
    *out = p;
    return PN_OK;
}

/* A triangle wave of the count: up to 255 and down again within `period` steps. */
static uint8_t wave(uint32_t count, uint32_t period)
{
    uint32_t at = count % period;
    uint32_t up = at < period / 2 ? at : period - at;
    return (uint8_t)(up * 255 / (period / 2));
}

static void colour(const struct mandelbrot_view *v, uint32_t count, uint8_t rgb[3])
{
    bool inside = count >= v->iterations;
    rgb[0] = inside ? 0 : wave(count, 256);
    rgb[1] = inside ? 0 : wave(count, 96);
    rgb[2] = inside ? 0 : wave(count + 24, 64);
}

static enum pn_status write_row(struct mandelbrot_png *p, struct pn_err *err)
{
    if (setjmp(png_jmpbuf(p->png)) != 0) {
        return png_failed(p, err);
    }
    png_write_row(p->png, p->row_rgb);
    p->row++;
    p->row_used = 0;
    return PN_OK;
}

enum pn_status mandelbrot_png_add(struct mandelbrot_png *p, struct pn_bytes counts,
                                  struct pn_err *err)
{
    size_t row_bytes = (size_t)p->view.width * MANDELBROT_PIXEL_BYTES;
    for (size_t i = 0; i < counts.len; i++) {
        if (p->row == p->view.height) {
            return pn_fail(err, PN_E_TOO_BIG, "png: more counts than %u rows", p->view.height);
        }
        size_t at = p->row_used++;
        if (at % MANDELBROT_PIXEL_BYTES == 0) {
            p->low = counts.ptr[i];
            continue;
        }
        uint32_t count = (uint32_t)counts.ptr[i] << 8 | p->low;
        colour(&p->view, count, p->row_rgb + 3 * (at / MANDELBROT_PIXEL_BYTES));
        enum pn_status status = p->row_used == row_bytes ? write_row(p, err) : PN_OK;
        if (status != PN_OK) {
            return status;
        }
    }
    return PN_OK;
}

enum pn_status mandelbrot_png_end(struct mandelbrot_png *p, struct pn_err *err)
{
    if (p->row < p->view.height) {
        return pn_fail(err, PN_E_MALFORMED, "png: %u of %u rows", p->row, p->view.height);
    }
    if (setjmp(png_jmpbuf(p->png)) != 0) {
        return png_failed(p, err);
    }
    png_write_end(p->png, p->info);
    return PN_OK;
}

void mandelbrot_png_free(struct mandelbrot_png *p)
{
    if (p != NULL) {
        png_destroy_write_struct(&p->png, &p->info);
        free(p);
    }
}
