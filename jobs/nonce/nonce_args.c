#include "jobs/nonce/nonce_args.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const struct args_option options[] = {
    {"block", 'b', ARGS_TEXT, 0, 0, "TEXT", "what stands before the nonce", "COMSM0010cloud"},
    {"block-hex", '\0', ARGS_TEXT, 0, 0, "HEX", "the same, as hexadecimal bytes", NULL},
    {"block-file", '\0', ARGS_TEXT, 0, 0, "FILE", "the same, from a file of up to 1 MiB", NULL},
    {"midstate", '\0', ARGS_TEXT, 0, 0, "HEX", "SHA-256 state of bytes before --block-hex", NULL},
    {"midstate-bytes", '\0', ARGS_U64, 64, (uint64_t)1 << 40, "N", "how many bytes those are",
     NULL},
    {"header", '\0', ARGS_TEXT, 0, 0, "HEX",
     "an 80-byte block header: nonce at offset 76, digest compared reversed", NULL},
    {"append", '\0', ARGS_TEXT, 0, 0, "FORM", "decimal, hex, be32, le32, be64 or le64", "decimal"},
    {"suffix", '\0', ARGS_TEXT, 0, 0, "TEXT", "what stands behind the nonce", ""},
    {"hash", '\0', ARGS_TEXT, 0, 0, "HASH",
     "sha256d (twice), sha256 or sha256hex (again over the hex text)", "sha256d"},
    {"difficulty", 'd', ARGS_U64, 1, 256, "BITS", "leading zero bits that make a hit", "26"},
    {"zeros", '\0', ARGS_U64, 1, 256, "N", "leading zeros that make a hit, see --unit", NULL},
    {"unit", '\0', ARGS_TEXT, 0, 0, "UNIT", "what --zeros counts: bit or hex", "bit"},
    {"target", '\0', ARGS_TEXT, 0, 0, "HEX", "the greatest digest that is a hit, 64 digits", NULL},
    {"nbits", '\0', ARGS_TEXT, 0, 0, "HEX", "the same in a block header's short form: 1d00ffff",
     NULL},
    {"bit-order", '\0', ARGS_TEXT, 0, 0, "ORDER",
     "zero bits of a byte counted from its high end (msb) or low end (lsb)", "msb"},
    {"start", '\0', ARGS_U64, 0, 0, "N", "first nonce", "0"},
    {"count", '\0', ARGS_TEXT, 0, 0, "N",
     "how many nonces, up to 2^64 (default: so many that a miss is below one in a million)", NULL},
    {"end", '\0', ARGS_U64, 0, 0, "N", "last nonce, instead of --count", NULL},
    {"lowest", '\0', ARGS_FLAG, 0, 0, NULL, "want the lowest hit, not just any", NULL},
    {"all", '\0', ARGS_FLAG, 0, 0, NULL, "want every hit of the range", NULL},
};

const struct args_group nonce_args_group = {"Puzzle", options, sizeof options / sizeof options[0]};

/* --- Small parts ----------------------------------------------------------------------------- */

/* The index of an option's text among names; -1 and a sentence when it is none of them. */
static int choose(const struct args *a, const char *option, const char *const *names,
                  const char *list, struct pn_err *err)
{
    const char *text = args_text(a, option);
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            return i;
        }
    }
    (void)pn_fail(err, PN_E_RANGE, "--%s: \"%.40s\" is unknown; allowed are %s", option, text,
                  list);
    return -1;
}

/* Exactly len bytes of hex text. */
static enum pn_status hex_option(const struct args *a, const char *option, uint8_t *out, size_t len,
                                 struct pn_err *err)
{
    const char *text = args_text(a, option);
    if (!hex_parse(text, strlen(text), out, len)) {
        return pn_fail(err, PN_E_MALFORMED,
                       "--%s: %zu characters; it takes exactly %zu lower-case hexadecimal digits",
                       option, strlen(text), 2 * len);
    }
    return PN_OK;
}

/* Two options that exclude each other. */
static enum pn_status not_both(const struct args *a, const char *one, const char *other,
                               struct pn_err *err)
{
    if (args_given(a, one) && args_given(a, other)) {
        return pn_fail(err, PN_E_RANGE, "--%s and --%s exclude each other", one, other);
    }
    return PN_OK;
}

static enum pn_status none_of(const struct args *a, const char *one, const char *const *others,
                              struct pn_err *err)
{
    enum pn_status status = PN_OK;
    for (; *others != NULL && status == PN_OK; others++) {
        status = not_both(a, one, *others, err);
    }
    return status;
}

/* --- The message ----------------------------------------------------------------------------- */

static enum pn_status block_from_hex(const struct args *a, struct nonce_puzzle *p,
                                     struct pn_err *err)
{
    const char *text = args_text(a, "block-hex");
    size_t digits = strlen(text);
    struct sha256 s;
    sha256_init(&s);
    if (digits % 2 != 0) {
        return pn_fail(err, PN_E_MALFORMED, "--block-hex: %zu digits; bytes have two digits each",
                       digits);
    }
    for (size_t i = 0; i < digits; i += 2) {
        uint8_t byte;
        if (!hex_parse(text + i, 2, &byte, 1)) {
            return pn_fail(err, PN_E_MALFORMED,
                           "--block-hex: digits %zu and %zu are not lower-case hexadecimal", i + 1,
                           i + 2);
        }
        sha256_update(&s, (struct pn_bytes){&byte, 1});
    }
    memcpy(p->midstate, s.h, sizeof p->midstate);
    p->tail_len = (uint32_t)(s.bytes % SHA256_BLOCK_BYTES);
    p->midstate_bytes = s.bytes - p->tail_len;
    memcpy(p->tail, s.block, p->tail_len);
    return PN_OK;
}

/* A midstate stands for a long block's beginning; --block-hex then holds its last bytes. */
static enum pn_status block_from_midstate(const struct args *a, struct nonce_puzzle *p,
                                          struct pn_err *err)
{
    uint8_t state[SHA256_DIGEST_BYTES];
    uint64_t bytes = args_u64(a, "midstate-bytes");
    if (!args_given(a, "block-hex") || !args_given(a, "midstate") ||
        !args_given(a, "midstate-bytes") || bytes % SHA256_BLOCK_BYTES != 0) {
        return pn_fail(err, PN_E_RANGE,
                       "--midstate-bytes: %" PRIu64
                       "; it takes a multiple of 64, with --midstate and --block-hex beside it",
                       bytes);
    }
    enum pn_status status = not_both(a, "midstate", "block", err);
    if (status == PN_OK) {
        status = hex_option(a, "midstate", state, sizeof state, err);
    }
    if (status == PN_OK) {
        status = block_from_hex(a, p, err);
    }
    if (status == PN_OK && p->midstate_bytes != 0) {
        status = pn_fail(err, PN_E_RANGE, "--block-hex: behind a midstate at most 63 bytes");
    }
    if (status == PN_OK) {
        for (int i = 0; i < SHA256_WORDS; i++) {
            const uint8_t *b = state + (size_t)i * 4;
            p->midstate[i] =
                (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
        }
        p->midstate_bytes = bytes;
    }
    return status;
}

enum { HEADER_BYTES = 80, HEADER_NONCE_AT = 76 };

static enum pn_status block_from_header(const struct args *a, struct nonce_puzzle *p,
                                        struct pn_err *err)
{
    static const char *const others[] = {"block",  "block-hex", "block-file", "midstate",
                                         "append", "suffix",    "bit-order",  NULL};
    uint8_t header[HEADER_BYTES];
    enum pn_status status = none_of(a, "header", others, err);
    if (status == PN_OK) {
        status = hex_option(a, "header", header, sizeof header, err);
    }
    if (status == PN_OK) {
        nonce_puzzle_set_block(p, (struct pn_bytes){header, HEADER_NONCE_AT});
        p->append = NONCE_LE32;
        p->order = NONCE_REVERSED;
    }
    return status;
}

static enum pn_status read_block(const struct args *a, const struct pn_bytes *file,
                                 struct nonce_puzzle *p, struct pn_err *err)
{
    static const char *const not_with_file[] = {"block", "block-hex", "midstate", NULL};
    static const char *const not_with_hex[] = {"block", NULL};
    if (args_given(a, "header")) {
        return block_from_header(a, p, err);
    }
    if (args_given(a, "block-file")) {
        enum pn_status status = none_of(a, "block-file", not_with_file, err);
        if (status == PN_OK && file == NULL) {
            status = pn_fail(err, PN_E_RANGE, "--block-file: has no place in a manifest");
        }
        if (status == PN_OK && file->len > NONCE_BLOCK_BYTES_MAX) {
            status = pn_fail(err, PN_E_TOO_BIG, "--block-file: %zu bytes, at most %d", file->len,
                             NONCE_BLOCK_BYTES_MAX);
        }
        if (status == PN_OK) {
            nonce_puzzle_set_block(p, *file);
        }
        return status;
    }
    if (args_given(a, "midstate") || args_given(a, "midstate-bytes")) {
        return block_from_midstate(a, p, err);
    }
    if (args_given(a, "block-hex")) {
        enum pn_status status = none_of(a, "block-hex", not_with_hex, err);
        return status == PN_OK ? block_from_hex(a, p, err) : status;
    }
    nonce_puzzle_set_block(p, pn_bytes_str(args_text(a, "block")));
    return PN_OK;
}

static enum pn_status read_forms(const struct args *a, struct nonce_puzzle *p, struct pn_err *err)
{
    static const char *const appends[] = {"decimal", "hex", "be32", "le32", "be64", "le64", NULL};
    static const char *const hashes[] = {"sha256d", "sha256", "sha256hex", NULL};
    static const char *const orders[] = {"msb", "lsb", NULL};
    int append = choose(a, "append", appends, "decimal, hex, be32, le32, be64, le64", err);
    int hash = choose(a, "hash", hashes, "sha256d, sha256, sha256hex", err);
    int order = choose(a, "bit-order", orders, "msb, lsb", err);
    if (append < 0 || hash < 0 || order < 0) {
        return PN_E_RANGE;
    }
    struct pn_bytes suffix = pn_bytes_str(args_text(a, "suffix"));
    if (suffix.len > NONCE_SUFFIX_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "--suffix: %zu bytes, at most %d", suffix.len,
                       NONCE_SUFFIX_BYTES_MAX);
    }
    p->append = (enum nonce_append)append;
    p->hash = (enum nonce_hash)hash;
    p->order = (enum nonce_order)order;
    p->suffix_len = (uint32_t)suffix.len;
    memcpy(p->suffix, suffix.ptr, suffix.len);
    return PN_OK;
}

/* --- The target ------------------------------------------------------------------------------ */

/* A block header's short form: a byte's exponent (in bytes) and a 23-bit mantissa. */
static enum pn_status target_from_nbits(const struct args *a, struct nonce_puzzle *p,
                                        struct pn_err *err)
{
    uint8_t nbits[4];
    enum pn_status status = hex_option(a, "nbits", nbits, sizeof nbits, err);
    if (status != PN_OK) {
        return status;
    }
    int exponent = nbits[0];
    memset(p->target, 0, sizeof p->target);
    bool fits = nbits[1] < 0x80;
    bool zero = true;
    for (int i = 0; i < 3; i++) {
        int at = NONCE_KEY_BYTES - exponent + i;
        fits &= at >= 0 || nbits[i + 1] == 0;
        if (at >= 0 && at < NONCE_KEY_BYTES) {
            p->target[at] = nbits[i + 1];
            zero &= nbits[i + 1] == 0;
        }
    }
    if (!fits || zero) {
        return pn_fail(err, PN_E_RANGE,
                       "--nbits: %s is a target of 0, below 0 or over 256 bits; 1d00ffff would do",
                       args_text(a, "nbits"));
    }
    return PN_OK;
}

static enum pn_status read_target(const struct args *a, struct nonce_puzzle *p, struct pn_err *err)
{
    static const char *const ways[] = {"difficulty", "zeros", "target", "nbits"};
    static const char *const units[] = {"bit", "hex", NULL};
    enum pn_status status = PN_OK;
    for (int i = 0; i < 4 && status == PN_OK; i++) {
        for (int j = i + 1; j < 4 && status == PN_OK; j++) {
            status = not_both(a, ways[i], ways[j], err);
        }
    }
    int unit = status == PN_OK ? choose(a, "unit", units, "bit, hex", err) : -1;
    if (unit < 0) {
        return status == PN_OK ? PN_E_RANGE : status;
    }
    if (args_given(a, "unit") && !args_given(a, "zeros")) {
        return pn_fail(err, PN_E_RANGE, "--unit: says what --zeros counts, which is missing");
    }
    if (args_given(a, "zeros")) {
        uint64_t bits = args_u64(a, "zeros") * (unit == 0 ? 1 : 4);
        if (bits > 256) {
            return pn_fail(err, PN_E_RANGE,
                           "--zeros: %" PRIu64 " is out of range; allowed are 1 to 64 hex digits",
                           args_u64(a, "zeros"));
        }
        nonce_puzzle_set_zeros(p, (uint32_t)bits);
        return PN_OK;
    }
    if (args_given(a, "nbits")) {
        return target_from_nbits(a, p, err);
    }
    if (args_given(a, "target")) {
        static const uint8_t zero[NONCE_KEY_BYTES];
        status = hex_option(a, "target", p->target, sizeof p->target, err);
        if (status == PN_OK && memcmp(p->target, zero, sizeof zero) == 0) {
            status =
                pn_fail(err, PN_E_RANGE, "--target: 0 is out of range; allowed are 1 and more");
        }
        return status;
    }
    nonce_puzzle_set_zeros(p, (uint32_t)args_u64(a, "difficulty"));
    return PN_OK;
}

/* --- The range ------------------------------------------------------------------------------- */

nonce_count nonce_args_default_count(double chance)
{
    const double most = 18446744073709551616.0; /* 2^64 */
    double count = chance < 1 ? ceil(log(1e-6) / log1p(-chance)) : 1;
    count = count > 1 ? count : 1; /* a target of almost all ones */
    return count < most ? (nonce_count)count : (nonce_count)1 << 64;
}

void nonce_args_count_text(nonce_count count, char text[NONCE_COUNT_TEXT_BYTES])
{
    const uint64_t ten19 = 10000000000000000000u;
    if (count >= ten19) {
        (void)snprintf(text, NONCE_COUNT_TEXT_BYTES, "%" PRIu64 "%019" PRIu64,
                       (uint64_t)(count / ten19), (uint64_t)(count % ten19));
    } else {
        (void)snprintf(text, NONCE_COUNT_TEXT_BYTES, "%" PRIu64, (uint64_t)count);
    }
}

static enum pn_status read_count(const char *text, nonce_count *out, struct pn_err *err)
{
    uint64_t low;
    if (strcmp(text, "18446744073709551616") == 0) {
        *out = (nonce_count)1 << 64;
        return PN_OK;
    }
    enum pn_status status = args_number(ARGS_U64, text, &low, NULL);
    if (status != PN_OK || low == 0) {
        return pn_fail(err, PN_E_RANGE, "--count: \"%.40s\"; allowed are 1 to 18446744073709551616",
                       text);
    }
    *out = low;
    return PN_OK;
}

static enum pn_status read_range(const struct args *a, struct nonce_puzzle *p, struct pn_err *err)
{
    uint64_t start = args_u64(a, "start");
    uint64_t max = nonce_puzzle_nonce_max(p->append);
    enum pn_status status = not_both(a, "count", "end", err);
    if (status != PN_OK) {
        return status;
    }
    if (start > max) {
        return pn_fail(err, PN_E_RANGE, "--start: %" PRIu64 " is over the last nonce, %" PRIu64,
                       start, max);
    }
    nonce_count room = (nonce_count)(max - start) + 1;
    nonce_count count = nonce_args_default_count(nonce_puzzle_chance(p));
    count = count < room ? count : room;
    if (args_given(a, "end")) {
        uint64_t end = args_u64(a, "end");
        if (end < start || end > max) {
            return pn_fail(err, PN_E_RANGE,
                           "--end: %" PRIu64 " is out of range; allowed are %" PRIu64
                           " to %" PRIu64,
                           end, start, max);
        }
        count = (nonce_count)(end - start) + 1;
    } else if (args_given(a, "count")) {
        status = read_count(args_text(a, "count"), &count, err);
        if (status == PN_OK && count > room) {
            char most[NONCE_COUNT_TEXT_BYTES];
            nonce_args_count_text(room, most);
            status = pn_fail(err, PN_E_RANGE,
                             "--count: %s nonces from %" PRIu64 " go past %" PRIu64
                             "; allowed are 1 to %s",
                             args_text(a, "count"), start, max, most);
        }
    }
    p->range = (struct nonce_range){start, start + (uint64_t)(count - 1)};
    return status;
}

/* --- All of it ------------------------------------------------------------------------------- */

enum pn_status nonce_args_puzzle(const struct args *a, const struct pn_bytes *file,
                                 struct nonce_puzzle *out, struct pn_err *err)
{
    struct nonce_puzzle p = {0};
    enum pn_status status = read_forms(a, &p, err);
    if (status == PN_OK) {
        status = read_block(a, file, &p, err);
    }
    if (status == PN_OK) {
        status = read_target(a, &p, err);
    }
    if (status == PN_OK) {
        status = read_range(a, &p, err);
    }
    if (status == PN_OK) {
        status = not_both(a, "lowest", "all", err);
    }
    if (status == PN_OK) {
        p.goal = args_given(a, "all")      ? NONCE_ALL
                 : args_given(a, "lowest") ? NONCE_LOWEST
                                           : NONCE_FIRST;
        *out = p;
    }
    return status;
}

const struct args_spec nonce_args_words = {
    .usage = "program:nonce@1 [options]",
    .summary = "Searches one slice of a nonce puzzle.",
    .groups = &nonce_args_group,
    .group_count = 1,
    .positional = "a word",
};

enum pn_status nonce_args_parse(const char *const *argv, size_t argc, struct nonce_puzzle *out,
                                struct pn_err *err)
{
    struct args a;
    enum pn_status status = args_parse(&nonce_args_words, argv, argc, &a, err);
    if (status != PN_OK) {
        return status;
    }
    status = a.help ? pn_fail(err, PN_E_MALFORMED, "--help has no place in a manifest")
                    : nonce_args_puzzle(&a, NULL, out, err);
    args_fini(&a);
    return status;
}

enum { HITS_EXPECTED_MAX = 2048 }; /* half of what a report lists */

enum pn_status nonce_args_check_slices(const struct nonce_puzzle *p, uint64_t slices,
                                       struct pn_err *err)
{
    const nonce_count count = nonce_range_count(p->range);
    const nonce_count allowed = count < NONCE_PARTS_MAX ? count : NONCE_PARTS_MAX;
    if (slices == 0 || slices > allowed) {
        char all[NONCE_COUNT_TEXT_BYTES];
        char most[NONCE_COUNT_TEXT_BYTES];
        nonce_args_count_text(count, all);
        nonce_args_count_text(allowed, most);
        return pn_fail(err, PN_E_RANGE, "%" PRIu64 " slices of %s nonces; allowed are 1 to %s",
                       slices, all, most);
    }
    double hits = nonce_puzzle_chance(p) * (double)count / (double)slices;
    if (p->goal == NONCE_ALL && hits > HITS_EXPECTED_MAX) {
        return pn_fail(err, PN_E_RANGE,
                       "--all: about %.0f hits a slice, at most %d; take more slices, fewer nonces "
                       "or a higher difficulty",
                       hits, HITS_EXPECTED_MAX);
    }
    return PN_OK;
}
