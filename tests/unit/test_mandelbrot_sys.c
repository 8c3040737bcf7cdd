/* The picture from the slices' outputs: whole, in pieces of any length, and too little or much. */
#include "tests/unit/unit.h"

#include <png.h>
#include <stdio.h>

#include "jobs/mandelbrot/mandelbrot_sys.h"

enum { WIDTH = 7, HEIGHT = 3, BYTES = WIDTH * HEIGHT * 2 };

static const struct mandelbrot_view view = {
    .width = WIDTH, .height = HEIGHT, .iterations = 100, .zoom = 1};

/* Writes counts in pieces of `step` bytes; the file's bytes go to out. */
static size_t write_png(size_t step, uint8_t *out, size_t cap)
{
    struct mandelbrot_png *png;
    uint8_t counts[BYTES];
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        counts[2 * i] = (uint8_t)(i == 4 ? 100 : i);
        counts[2 * i + 1] = 0;
    }
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(mandelbrot_png_new(&view, file, &png, NULL), PN_OK);
    for (size_t at = 0; at < BYTES; at += step) {
        size_t n = BYTES - at < step ? BYTES - at : step;
        assert_int_equal(mandelbrot_png_end(png, NULL), PN_E_MALFORMED);
        assert_int_equal(mandelbrot_png_add(png, (struct pn_bytes){counts + at, n}, NULL), PN_OK);
    }
    assert_int_equal(mandelbrot_png_add(png, (struct pn_bytes){counts, 1}, NULL), PN_E_TOO_BIG);
    assert_int_equal(mandelbrot_png_end(png, NULL), PN_OK);
    mandelbrot_png_free(png);
    rewind(file);
    size_t len = fread(out, 1, cap, file);
    (void)fclose(file);
    return len;
}

static void pieces_do_not_matter(void **state)
{
    (void)state;
    uint8_t whole[4096];
    uint8_t pieces[4096];
    size_t len = write_png(BYTES, whole, sizeof whole);
    for (size_t step = 1; step < BYTES; step++) {
        assert_int_equal(write_png(step, pieces, sizeof pieces), len);
        assert_memory_equal(pieces, whole, len);
    }
}

static void the_picture_can_be_read(void **state)
{
    (void)state;
    uint8_t file[4096];
    png_image image = {.version = PNG_IMAGE_VERSION};
    uint8_t rgb[WIDTH * HEIGHT * 3];
    size_t len = write_png(BYTES, file, sizeof file);
    assert_true(png_image_begin_read_from_memory(&image, file, len));
    image.format = PNG_FORMAT_RGB;
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    assert_true(png_image_finish_read(&image, NULL, rgb, 0, NULL));
    static const uint8_t black[3] = {0, 0, 0};
    assert_memory_equal(rgb + 3 * 4, black, 3); /* the one that never left */
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        assert_true(i == 4 || rgb[3 * i + 2] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(the_picture_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
