/*
 * Lines of every manner: what parses is written back byte for byte; and a whole tracker fed with
 * arbitrary bytes in arbitrary pieces answers within its bounds. The first byte chooses.
 */
#include "tests/fuzz/fuzz.h"
#include "tracker/caller.h"
#include "tracker/switchboard.h"

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void one_line(enum trackline_manner manner, struct pn_bytes in)
{
    struct trackline line;
    struct pn_err err;
    if (trackline_parse(manner, in, &line, &err) != PN_OK) {
        check(memchr(err.text, '\0', sizeof err.text) != NULL && err.text[0] != '\0');
        return;
    }
    char out[TRACKLINE_TEXT_BYTES];
    check(in.len <= TRACKLINE_BYTES_MAX);
    check(trackline_write(manner, &line, out) == in.len + 1);
    check(memcmp(out, in.ptr, in.len) == 0 && out[in.len] == '\n');
    (void)trackline_is_whole(in);
    (void)trackline_proof(line.words);
    check(trackline_job_equal(&line.job, &line.job));
}

struct wire {
    size_t lines;
    bool finished;
};

static bool on_send(void *arg, uint32_t link, struct pn_bytes bytes)
{
    struct wire *wire = arg;
    (void)link;
    check(!wire->finished);
    check(bytes.len >= 2 && bytes.len <= TRACKLINE_BYTES_MAX + 1);
    check(memchr(bytes.ptr, '\n', bytes.len) == bytes.ptr + bytes.len - 1);
    wire->lines++;
    return true;
}

static void on_finish(void *arg, uint32_t link, bool quiet)
{
    (void)quiet;
    (void)link;
    ((struct wire *)arg)->finished = true;
}

static void on_drop(void *arg, uint32_t link)
{
    (void)arg;
    (void)link;
}

/* Bytes of a caller alone: lines come out of them whatever the pieces, and within their length. */
static void a_caller(struct pn_bytes in)
{
    struct caller c;
    struct trackline line;
    enum trackline_manner manner;
    struct pn_err err;
    caller_init(&c);
    for (enum caller_result r = CALLER_MORE; in.len > 0 && r != CALLER_WRONG;) {
        size_t len = 1 + in.ptr[0] % 32u;
        len = len < in.len ? len : in.len;
        struct pn_bytes piece = fuzz_exact(in.ptr, len);
        struct pn_bytes left = piece;
        while ((r = caller_take(&c, &left, &line, &manner, &err)) == CALLER_LINE) {
            check(caller_patience_ms(c.state) > 0);
            check(manner == TRACKLINE_REQUEST || manner == TRACKLINE_ONE_SHOT);
            if (c.state == CALLER_FIRST) {
                c.state = CALLER_LINGERING; /* as the tracker does when it has answered */
                break;
            }
        }
        fuzz_free(piece);
        if (c.state == CALLER_LINGERING) {
            check(caller_patience_ms(c.state) > 0);
            break;
        }
        in = (struct pn_bytes){in.ptr + len, in.len - len};
    }
    check(caller_patience_ms(c.state) > 0);
    caller_fini(&c);
}

static void a_tracker(struct pn_bytes in)
{
    static const struct switchboard_ops OPS = {
        .send = on_send, .finish = on_finish, .drop = on_drop};
    struct registry_config config = registry_config_default();
    struct wire wire = {0};
    struct switchboard *s = switchboard_new(&config, &OPS, &wire, 0);
    const struct addr addr = addr_v4(192, 0, 2, 1, 5000);
    uint32_t link;
    check(s != NULL && switchboard_connected(s, &addr, 0, &link, NULL) == PN_OK);
    size_t ends = 0;
    for (size_t i = 0; i < in.len; i++) {
        ends += in.ptr[i] == '\n';
    }
    /* Pieces of as many bytes as their first one says, each in a block of its own size. */
    for (uint64_t now_ms = 1; in.len > 0; now_ms += 100) {
        size_t len = 1 + in.ptr[0] % 64u;
        len = len < in.len ? len : in.len;
        uint8_t *piece = malloc(len);
        check(piece != NULL);
        memcpy(piece, in.ptr, len);
        check(switchboard_received(s, link, (struct pn_bytes){piece, len}, now_ms) == len);
        free(piece);
        in = (struct pn_bytes){in.ptr + len, in.len - len};
    }
    /* An answer a line: a list here has at most one peer and its end, a wrong line ends all. */
    check(wire.lines <= 2 * (ends + 2));
    switchboard_closed(s, link, 1000000);
    switchboard_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct pn_bytes in = {data + 1, size - 1};
    switch (data[0] % 6) {
    case 0:
        one_line(TRACKLINE_ONE_SHOT, in);
        break;
    case 1:
        one_line(TRACKLINE_ONE_SHOT_ANSWER, in);
        break;
    case 2:
        one_line(TRACKLINE_REQUEST, in);
        break;
    case 3:
        one_line(TRACKLINE_ANSWER, in);
        break;
    case 4:
        a_tracker(in);
        break;
    default:
        a_caller(in);
    }
    return 0;
}
