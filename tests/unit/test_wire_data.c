/* The data messages: round trips, every strict prefix, one byte too many, random changes, bounds.
 */
#include "tests/unit/unit.h"

#include "common/random.h"
#include "peer/wire/data.h"

enum { KINDS = 9 };

static const struct file_set attempt_set = {.kind = SET_OF_ATTEMPT,
                                            .job = {{1, 2, 3}},
                                            .run = {{4, 5}},
                                            .slice = 77,
                                            .attempt = 1ULL << 40};

/* Parses one body and writes it again; PN_OK means out holds what was written. */
static enum pn_status again(int kind, struct pn_bytes in, struct writer *w)
{
    static struct data_have have; /* 8 KiB */
    struct data_manifest_ask manifest_ask;
    struct data_manifest manifest;
    struct data_leaves_ask leaves_ask;
    struct pn_bytes digests;
    struct data_block_ask block_ask;
    struct data_block block;
    struct data_error error;
    uint32_t request;
    enum pn_status status = PN_OK;
    switch (kind) {
    case 0:
        status = data_manifest_ask_parse(in, &manifest_ask, NULL);
        if (status == PN_OK) {
            data_manifest_ask_write(&manifest_ask, w);
        }
        break;
    case 1:
        status = data_manifest_parse(in, &manifest, NULL);
        if (status == PN_OK) {
            data_manifest_write(&manifest, w);
        }
        break;
    case 2:
        status = data_leaves_ask_parse(in, &leaves_ask, NULL);
        if (status == PN_OK) {
            data_leaves_ask_write(&leaves_ask, w);
        }
        break;
    case 3:
        status = data_leaves_parse(in, &digests, NULL);
        if (status == PN_OK) {
            data_leaves_write(digests, w);
        }
        break;
    case 4:
    case 5:
        status = data_block_ask_parse(in, &block_ask, NULL);
        if (status == PN_OK) {
            data_block_ask_write(&block_ask, w);
        }
        break;
    case 6:
        status = data_block_parse(in, &block, NULL);
        if (status == PN_OK) {
            data_block_write(&block, w);
        }
        break;
    case 7:
        status = data_have_parse(in, &have, NULL);
        if (status == PN_OK) {
            data_have_write(&have, w);
        }
        break;
    case 8:
        status = data_error_parse(in, &error, NULL);
        if (status == PN_OK) {
            data_error_write(&error, w);
        }
        break;
    default:
        status = data_stop_parse(in, &request, NULL);
        if (status == PN_OK) {
            data_stop_write(request, w);
        }
        break;
    }
    return status;
}

static void sample(int kind, struct writer *w)
{
    static const uint8_t bytes[100] = {9, 8, 7};
    static const uint8_t held[2] = {0x05, 0xfc}; /* 10 blocks, the spare bits set */
    struct digest job = {{0xaa}};
    static struct data_have have = {.range_count = 2, .ranges = {{0, 3}, {4, 9}}};
    struct data_error error = {
        .code = DATA_E_BUSY, .retry_ms = 1500, .addr_count = 2, .text = pn_bytes_str("later")};
    switch (kind) {
    case 0:
        data_manifest_ask_write(&(struct data_manifest_ask){job, 65536}, w);
        break;
    case 1:
        data_manifest_write(&(struct data_manifest){200, {bytes, 100}}, w);
        break;
    case 2:
        data_leaves_ask_write(&(struct data_leaves_ask){attempt_set, 3, 2048, 2048}, w);
        break;
    case 3:
        data_leaves_write((struct pn_bytes){bytes, 96}, w);
        break;
    case 4:
        data_block_ask_write(&(struct data_block_ask){.set = file_set_of_job(&job), .block = 9}, w);
        break;
    case 5:
        data_block_ask_write(
            &(struct data_block_ask){
                .set = attempt_set, .any = true, .first = 8, .count = 10, .held = {held, 2}},
            w);
        break;
    case 6:
        data_block_write(&(struct data_block){5, 100, DATA_ZLIB, 200, {bytes, 100}}, w);
        break;
    case 7:
        have.set = attempt_set;
        have.flags = HAVE_TELL_ME;
        data_have_write(&have, w);
        break;
    case 8:
        error.addrs[0] = addr_v4(192, 0, 2, 1, 4000);
        error.addrs[1] = addr_v6((const uint8_t[16]){0x20, 0x01, 0x0d, 0xb8}, 4001);
        data_error_write(&error, w);
        break;
    default:
        data_stop_write(7, w);
        break;
    }
}

static void every_message_comes_back_the_same(void **state)
{
    (void)state;
    for (int kind = 0; kind <= KINDS; kind++) {
        uint8_t a[1024];
        uint8_t b[1024];
        struct writer in = writer_of(a, sizeof a);
        struct writer out = writer_of(b, sizeof b);
        sample(kind, &in);
        assert_int_equal(again(kind, writer_done(&in), &out), PN_OK);
        assert_true(pn_bytes_equal(writer_done(&in), writer_done(&out)));
    }
}

/* Chunks and lists of digests have no length of their own: a prefix of them is another message. */
static bool prefix_may_parse(int kind, size_t len)
{
    return (kind == 1 && len >= 4 + 1) || (kind == 3 && len > 0 && len % 32 == 0) ||
           (kind == 6 && len >= 13 + 1);
}

static void strict_prefixes_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind <= KINDS; kind++) {
        uint8_t a[1024];
        struct writer in = writer_of(a, sizeof a);
        sample(kind, &in);
        for (size_t len = 0; len < in.len; len++) {
            uint8_t *exact = unit_exact(a, len);
            uint8_t b[1024];
            struct writer out = writer_of(b, sizeof b);
            enum pn_status status = again(kind, (struct pn_bytes){exact, len}, &out);
            assert_int_equal(status == PN_OK, prefix_may_parse(kind, len));
            free(exact);
        }
        a[in.len] = 0;
        struct writer out = writer_of(a + 512, 512);
        enum pn_status more = again(kind, (struct pn_bytes){a, in.len + 1}, &out);
        assert_int_equal(more == PN_OK, kind == 1); /* a longer chunk, still below the total */
    }
}

/* Whatever random changes leave acceptable is written back byte for byte. */
static void random_changes_are_refused_or_come_back_the_same(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 11);
    size_t accepted = 0;
    for (int round = 0; round < 20000; round++) {
        int kind = (int)random_below(&random, KINDS + 1);
        uint8_t a[1024];
        struct writer in = writer_of(a, sizeof a);
        sample(kind, &in);
        for (uint64_t changes = 1 + random_below(&random, 3); changes > 0; changes--) {
            a[random_below(&random, in.len)] = (uint8_t)random_u64(&random);
        }
        uint8_t *exact = unit_exact(a, in.len);
        uint8_t b[1024];
        struct writer out = writer_of(b, sizeof b);
        if (again(kind, (struct pn_bytes){exact, in.len}, &out) == PN_OK) {
            assert_true(pn_bytes_equal((struct pn_bytes){exact, in.len}, writer_done(&out)));
            accepted++;
        }
        free(exact);
    }
    assert_true(accepted > 1000);
}

static void expect(int kind, const struct writer *w, enum pn_status status)
{
    assert_false(w->full);
    uint8_t *exact = unit_exact(w->ptr, w->len);
    static uint8_t b[DATA_BODY_BYTES_MAX];
    struct writer out = writer_of(b, sizeof b);
    assert_int_equal(again(kind, (struct pn_bytes){exact, w->len}, &out), status);
    free(exact);
}

static void bounds_are_kept(void **state)
{
    (void)state;
    static uint8_t a[2 * DATA_BODY_BYTES_MAX];
    static const uint8_t many[DATA_CHUNK_BYTES_MAX + 64];
    static struct data_have have;
    struct writer w = writer_of(a, sizeof a);
    data_block_write(&(struct data_block){0, 0, DATA_RAW, 1 << 20, {many, 65537}}, &w);
    expect(6, &w, PN_E_MALFORMED); /* a chunk over 64 KiB */
    w.len = 0;
    data_block_write(&(struct data_block){0, 150, DATA_RAW, 200, {many, 51}}, &w);
    expect(6, &w, PN_E_RANGE); /* past the total */
    w.len = 0;
    data_block_write(&(struct data_block){0, 0, DATA_RAW, (4 << 20) + 1, {many, 51}}, &w);
    expect(6, &w, PN_E_TOO_BIG);
    w.len = 0;
    data_leaves_write((struct pn_bytes){many, 65536}, &w);
    expect(3, &w, PN_OK);
    data_leaves_write((struct pn_bytes){many, 32}, &w);
    expect(3, &w, PN_E_TOO_BIG);
    w.len = 0;
    data_leaves_ask_write(&(struct data_leaves_ask){attempt_set, 0, UINT32_MAX - 3, 4}, &w);
    expect(2, &w, PN_E_RANGE);
    w.len = 0;
    data_block_ask_write(
        &(struct data_block_ask){
            .set = attempt_set, .any = true, .count = 4097, .held = {many, 513}},
        &w);
    expect(5, &w, PN_E_RANGE);
    w.len = 0;
    have = (struct data_have){.set = attempt_set, .range_count = 2, .ranges = {{0, 4}, {4, 1}}};
    data_have_write(&have, &w);
    expect(7, &w, PN_E_MALFORMED); /* two ranges that touch are one */
    w.len = 0;
    have = (struct data_have){.set = attempt_set, .flags = HAVE_ALL, .range_count = 1};
    have.ranges[0] = (struct data_range){0, 1};
    data_have_write(&have, &w);
    expect(7, &w, PN_E_MALFORMED);
    w.len = 0;
    data_manifest_write(&(struct data_manifest){(1 << 20) + 1, {many, 5}}, &w);
    expect(1, &w, PN_E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_the_same),
        cmocka_unit_test(strict_prefixes_are_refused),
        cmocka_unit_test(random_changes_are_refused_or_come_back_the_same),
        cmocka_unit_test(bounds_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
