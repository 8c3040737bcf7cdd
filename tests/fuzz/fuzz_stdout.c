/*
 * What a job's program prints, in pieces whose lengths the first byte decides: the pieces do not
 * matter, neither for its lines and their progress nor for the tail that travels.
 */
#include "jobs/program.h"
#include "peer/sandbox/lines.h"
#include "peer/sandbox/tail.h"
#include "tests/fuzz/fuzz.h"

struct heard {
    struct lines lines;
    struct tail tail;
    uint64_t sum; /* of all lines, in their order */
    size_t line_count;
};

static void on_line(void *arg, struct pn_bytes line)
{
    struct heard *h = arg;
    uint64_t done = 0;
    uint64_t total = 0;
    assert(line.len <= LINES_BYTES_MAX && memchr(line.ptr, '\n', line.len) == NULL);
    for (size_t i = 0; i < line.len; i++) {
        h->sum = h->sum * 31 + line.ptr[i];
    }
    h->sum = h->sum * 31 + line.len;
    h->line_count++;
    struct pn_bytes exact = fuzz_exact(line.ptr, line.len);
    if (job_progress_parse(exact, &done, &total)) {
        assert(done <= total && line.len >= strlen("progress 0 0"));
    }
    fuzz_free(exact);
}

static void hear(struct heard *h, struct pn_bytes in, size_t step)
{
    memset(h, 0, sizeof *h);
    tail_add(&h->tail, (struct pn_bytes){NULL, 0}); /* a read of nothing */
    while (in.len > 0) {
        size_t len = in.len < step ? in.len : step;
        struct pn_bytes piece = fuzz_exact(in.ptr, len);
        lines_add(&h->lines, piece, on_line, h);
        tail_add(&h->tail, piece);
        fuzz_free(piece);
        in = (struct pn_bytes){in.ptr + len, in.len - len};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard whole;
    static struct heard pieces;
    static uint8_t one[TAIL_TEXT_BYTES];
    static uint8_t two[TAIL_TEXT_BYTES];
    if (size < 2) {
        return 0;
    }
    /* Repeated, so that short inputs overflow the tail too. */
    size_t times = data[0] % 4 == 0 ? 16 * 1024 / (size - 1) + 1 : 1;
    struct buffer stream;
    buffer_init(&stream, 1 << 21);
    for (size_t i = 0; i < times; i++) {
        (void)buffer_append(&stream, (struct pn_bytes){data + 1, size - 1});
    }
    hear(&whole, buffer_bytes(&stream), stream.len);
    hear(&pieces, buffer_bytes(&stream), (size_t)data[0] * 3 + 1);
    assert(whole.sum == pieces.sum && whole.line_count == pieces.line_count);
    size_t len = tail_text(&whole.tail, one);
    assert(len <= TAIL_TEXT_BYTES && len == tail_text(&pieces.tail, two));
    assert(memcmp(one, two, len) == 0);
    assert(whole.tail.total == stream.len && (stream.len > len || len == stream.len));
    buffer_fini(&stream);
    return 0;
}
