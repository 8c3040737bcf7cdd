/* Nonce puzzles: hashes against OpenSSL, known answers, borders, options. */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "common/random.h"
#include "jobs/nonce/nonce_args.h"
#include "jobs/nonce/nonce_search.h"
#include "jobs/nonce/nonce_verify.h"

/* Parses a line of words, split at blanks. */
static enum pn_status parse(const char *line, struct nonce_puzzle *p, struct pn_err *err)
{
    enum { WORDS_MAX = 12 };
    const char *words[WORDS_MAX];
    size_t count = 0;
    char *copy = strdup(line);
    assert_non_null(copy);
    for (char *at = copy; *at != '\0';) {
        assert_true(count < WORDS_MAX);
        words[count++] = at;
        at += strcspn(at, " ");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    enum pn_status status = nonce_args_parse(words, count, p, err);
    free(copy);
    return status;
}

static struct nonce_puzzle puzzle(const char *line)
{
    struct nonce_puzzle p;
    struct pn_err err;
    if (parse(line, &p, &err) != PN_OK) {
        fail_msg("%s: %s", line, err.text);
    }
    return p;
}

static void sha256_is_openssl_s(void **state)
{
    (void)state;
    enum { LEN_MAX = 300 };
    struct random random;
    random_seed(&random, 7);
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint8_t *in = malloc(len + 1);
        assert_non_null(in);
        for (size_t i = 0; i < len; i++) {
            in[i] = (uint8_t)random_u64(&random);
        }
        uint8_t *exact = unit_exact(in, len);
        uint8_t want[SHA256_DIGEST_BYTES];
        uint8_t got[SHA256_DIGEST_BYTES];
        (void)SHA256(in, len, want);
        sha256_of((struct pn_bytes){exact, len}, got);
        assert_memory_equal(got, want, sizeof want);
        /* In two pieces, and from a midstate. */
        size_t cut = (size_t)random_below(&random, len + 1);
        struct sha256 s;
        sha256_init(&s);
        sha256_update(&s, (struct pn_bytes){exact, cut});
        if (cut % SHA256_BLOCK_BYTES == 0) {
            struct sha256 resumed;
            sha256_resume(&resumed, s.h, cut);
            s = resumed;
        }
        sha256_update(&s, (struct pn_bytes){exact + cut, len - cut});
        sha256_final(&s, got);
        assert_memory_equal(got, want, sizeof want);
        free(exact);
        free(in);
    }
}

/* The digest of a puzzle's nonce, made by OpenSSL from the plain message. */
static void openssl_digest(struct pn_bytes block, struct pn_bytes nonce, struct pn_bytes suffix,
                           enum nonce_hash hash, uint8_t out[SHA256_DIGEST_BYTES])
{
    size_t len = block.len + nonce.len + suffix.len;
    uint8_t *message = malloc(len + 1);
    assert_non_null(message);
    memcpy(message, block.ptr, block.len);
    memcpy(message + block.len, nonce.ptr, nonce.len);
    memcpy(message + block.len + nonce.len, suffix.ptr, suffix.len);
    (void)SHA256(message, len, out);
    free(message);
    if (hash == NONCE_SHA256D) {
        (void)SHA256(out, SHA256_DIGEST_BYTES, out);
    } else if (hash == NONCE_SHA256HEX) {
        char hex[2 * SHA256_DIGEST_BYTES + 1];
        hex_write((struct pn_bytes){out, SHA256_DIGEST_BYTES}, hex);
        (void)SHA256((const uint8_t *)hex, 2 * (size_t)SHA256_DIGEST_BYTES, out);
    }
}

static void digests_of_any_block_are_openssl_s(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 8);
    uint8_t block[200];
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = (uint8_t)random_u64(&random);
    }
    for (int i = 0; i < 3000; i++) {
        struct nonce_puzzle p = {.append = (enum nonce_append)random_below(&random, 6),
                                 .hash = (enum nonce_hash)random_below(&random, 3)};
        size_t len = (size_t)random_below(&random, sizeof block + 1);
        nonce_puzzle_set_block(&p, (struct pn_bytes){block, len});
        p.suffix_len = (uint32_t)random_below(&random, 80);
        memcpy(p.suffix, block, p.suffix_len);
        uint64_t nonce = random_u64(&random) >> random_below(&random, 64);
        nonce &= nonce_puzzle_nonce_max(p.append);
        uint8_t text[32];
        size_t text_len;
        uint8_t want[SHA256_DIGEST_BYTES];
        uint8_t got[SHA256_DIGEST_BYTES];
        if (p.append == NONCE_DECIMAL || p.append == NONCE_HEX) {
            text_len = (size_t)snprintf((char *)text, sizeof text,
                                        p.append == NONCE_HEX ? "%" PRIx64 : "%" PRIu64, nonce);
        } else {
            text_len = nonce_puzzle_encode(p.append, nonce, text);
        }
        openssl_digest((struct pn_bytes){block, len}, (struct pn_bytes){text, text_len},
                       (struct pn_bytes){p.suffix, p.suffix_len}, p.hash, want);
        nonce_puzzle_digest(&p, nonce, got);
        assert_memory_equal(got, want, sizeof want);
    }
}

static void binary_nonces_have_their_bytes(void **state)
{
    (void)state;
    static const struct {
        enum nonce_append append;
        size_t len;
        uint8_t bytes[8];
    } cases[] = {
        {NONCE_BE32, 4, {0x01, 0x02, 0x03, 0x04}},
        {NONCE_LE32, 4, {0x04, 0x03, 0x02, 0x01}},
        {NONCE_BE64, 8, {0, 0, 0, 0, 0x01, 0x02, 0x03, 0x04}},
        {NONCE_LE64, 8, {0x04, 0x03, 0x02, 0x01, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t got[NONCE_TEXT_BYTES_MAX];
        assert_int_equal(nonce_puzzle_encode(cases[i].append, 0x01020304, got), cases[i].len);
        assert_memory_equal(got, cases[i].bytes, cases[i].len);
    }
}

/* Smallest nonces from 0, computed with Python's hashlib, and what an ancestor's log published. */
static void known_answers_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint64_t nonce;
        const char *digest;
    } cases[] = {
        {"--difficulty 13 --hash sha256", 106,
         "00025a55f59d170e6880e1c2983e64198e2b39ab12660bb7f36c45c2d5da6951"},
        {"--difficulty 13 --hash sha256 --bit-order lsb", 3276,
         "0080026a8d24e545061e3a14416676dd82dc57dc141d436106c9eccbdb6dc67f"},
        {"--difficulty 13", 294,
         "0004d1186f3ee857ebb35f726b2358b3a58e82090ceaf36759be1459c30575b9"},
        {"--difficulty 13 --bit-order lsb", 9248,
         "00005ae06e5bef512aff1c22c4f3269f0c181298137c85c07f93cf001b4f447e"},
        {"--difficulty 13 --hash sha256hex", 1534,
         "000192d92b9aa9fcb08050e2f4f32625019845c60ce986ddd1c70acfcdc47e73"},
        {"--difficulty 13 --hash sha256hex --bit-order lsb", 4223,
         "00604bfaa358803f401259a82038961ce915edfc3f36decb42050a8c9639b953"},
        {"--difficulty 13 --append hex", 660,
         "0004d1186f3ee857ebb35f726b2358b3a58e82090ceaf36759be1459c30575b9"},
        {"--difficulty 13 --append hex --bit-order lsb", 17650,
         "00002b1ef1acfab81a691a2b839b491fb0284105c036177abf0cee4f5db0009a"},
        {"--difficulty 13 --append le32", 900,
         "0002d2f0e932d67cd470cd4100b3d73fd4b763dadb1660ae406547002ed47a86"},
        {"--difficulty 13 --append le32 --bit-order lsb", 6132,
         "0040f8cca264e99156dbb094d28a86e610cf9fbf8e8cb3a73534e0ec14ecd56e"},
        {"--difficulty 20 --bit-order lsb --start 1074430000 --end 1074440000", 1074435534,
         "0000608a103c8c0966b6e7cefaea4efba26ed42c9b4cadcf030e3cc3b8c44a7d"},
        {"--header 0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd"
         "7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c "
         "--nbits 1d00ffff --start 2083230000 --count 10000",
         2083236893, "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000"},
        {"--header 010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d61900000000009820"
         "51fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299 "
         "--nbits 1d00ffff --start 2573390000 --count 10000",
         2573394689, "4860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000"},
        {"--header 010000004860eb18bf1b1620e37e9490fc8a427514416fd75159ab86688e9a8300000000d5fd"
         "cc541e25de1c7a5addedf24858b8bb665c9f36ef744ee42c316022c90f9bb0bc6649ffff001d08d2bd61 "
         "--nbits 1d00ffff --start 1639830000 --count 10000",
         1639830024, "bddd99ccfda39da1b108ce1a5d70038d0a967bacb68b6b63065f626a00000000"},
        {"--header 01000000bddd99ccfda39da1b108ce1a5d70038d0a967bacb68b6b63065f626a0000000044f6"
         "72226090d85db9a9f2fbfe5f0f9609b387af7be5b7fbb7a1767c831c9e995dbe6649ffff001d05e0ed6d "
         "--nbits 1d00ffff --start 1844300000 --count 10000",
         1844305925, "4944469562ae1c2c74d9a535e00b6f3e40ffbad4f2fda3895501b58200000000"},
        {"--header 0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2"
         "fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695 "
         "--nbits 1a44b9f2 --start 2504430000 --count 10000",
         2504433986, "1dbd981fe6985776b644b173a4d0385ddc1aa2a829688d1e0000000000000000"},
    };
    struct nonce_report *report = malloc(sizeof *report);
    assert_non_null(report);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nonce_puzzle p = puzzle(cases[i].line);
        uint8_t digest[SHA256_DIGEST_BYTES];
        char hex[2 * SHA256_DIGEST_BYTES + 1];
        struct nonce_range range = p.range;
        if (range.last - range.first > 20000) { /* the default range is long past the answer */
            range.last = range.first + 20000;
        }
        assert_int_equal(nonce_search(&p, range, NULL, NULL, report), PN_OK);
        assert_int_equal(report->hit_count, 1);
        assert_true(report->hits[0] == cases[i].nonce);
        const struct nonce_kernel *k;
        for (size_t n = 0; (k = nonce_kernel_at(n)) != NULL; n++) {
            if (k->words != NULL && k->usable()) {
                assert_int_equal(nonce_search(&p, range, k, NULL, report), PN_OK);
                assert_int_equal(report->hit_count, 1);
                assert_true(report->hits[0] == cases[i].nonce);
            }
        }
        nonce_puzzle_digest(&p, cases[i].nonce, digest);
        hex_write((struct pn_bytes){digest, sizeof digest}, hex);
        assert_string_equal(hex, cases[i].digest);
    }
    free(report);
}

/* The lowest nonces of COMSM0010cloud from 0 for D = 4 .. 31 (Python to 22, then all kernels). */
static void golden_nonces_have_their_bits(void **state)
{
    (void)state;
    static const struct {
        uint32_t bits;
        uint64_t nonce;
    } golden[] = {{4, 2},          {5, 2},          {6, 2},           {7, 2},
                  {8, 68},         {9, 68},         {10, 294},        {11, 294},
                  {12, 294},       {13, 294},       {14, 9248},       {15, 9248},
                  {16, 9248},      {17, 9248},      {18, 30870},      {19, 30870},
                  {20, 505928},    {21, 505928},    {22, 5155123},    {23, 26429595},
                  {24, 26429595},  {25, 67729880},  {26, 82108753},   {27, 221714837},
                  {28, 485264384}, {29, 485264384}, {30, 1560979793}, {31, 1560979793}};
    struct nonce_report *report = malloc(sizeof *report);
    assert_non_null(report);
    struct nonce_puzzle p = puzzle("--difficulty 1");
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        uint8_t digest[SHA256_DIGEST_BYTES];
        uint8_t key[NONCE_KEY_BYTES];
        nonce_puzzle_digest(&p, golden[i].nonce, digest);
        nonce_puzzle_key(&p, digest, key);
        assert_true(nonce_puzzle_zero_bits(key) >= golden[i].bits);
        /* Found again by every kernel, from up to 20,000 nonces before it on. */
        const struct nonce_range range = {golden[i].nonce < 20000 ? 0 : golden[i].nonce - 20000,
                                          golden[i].nonce + 1000};
        nonce_puzzle_set_zeros(&p, golden[i].bits);
        const struct nonce_kernel *k;
        for (size_t n = 0; (k = nonce_kernel_at(n)) != NULL; n++) {
            if (k->words != NULL && k->usable()) {
                assert_int_equal(nonce_search(&p, range, k, NULL, report), PN_OK);
                assert_int_equal(report->hit_count, 1);
                assert_true(report->hits[0] == golden[i].nonce);
            }
        }
    }
    free(report);
}

static void ranges_are_cut_without_gap(void **state)
{
    (void)state;
    static const struct nonce_range ranges[] = {{0, UINT64_MAX},
                                                {0, UINT32_MAX},
                                                {5, 5 + 1023},
                                                {UINT64_MAX - 4999, UINT64_MAX},
                                                {9, 9 + 1000006}};
    static const uint64_t parts[] = {1, 2, 3, 7, 256, 1000, 1024};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        for (size_t j = 0; j < sizeof parts / sizeof parts[0]; j++) {
            uint64_t next = ranges[i].first;
            for (uint64_t k = 0; k < parts[j]; k++) {
                struct nonce_range part = nonce_range_part(ranges[i], k, parts[j]);
                assert_true(part.first == next && part.last >= part.first);
                assert_true(nonce_range_part_of(ranges[i], parts[j], part.first) == k);
                assert_true(nonce_range_part_of(ranges[i], parts[j], part.last) == k);
                next = part.last + 1;
            }
            assert_true(next == ranges[i].last + 1);
        }
    }
}

static void defaults_miss_once_in_a_million(void **state)
{
    (void)state;
    /* ceil(ln(1e-6) / ln(1 - 2^-D)), Python */
    struct nonce_puzzle p = puzzle("--difficulty 20");
    assert_true(p.range.first == 0 && p.range.last == 14486606 - 1);
    p = puzzle("--difficulty 1");
    assert_true(p.range.last == 20 - 1);
    p = puzzle("--difficulty 64");
    assert_true(p.range.last == UINT64_MAX);
    p = puzzle("--difficulty 256 --start 7");
    assert_true(p.range.first == 7 && p.range.last == UINT64_MAX);
    /* Every hash hits, or all but 2^-255 of them: the chance is 1 as a double. */
    p = puzzle("--start 5 --target ffffffffffffffffffffffffffffffff"
               "ffffffffffffffffffffffffffffffff");
    assert_true(p.range.first == 5 && p.range.last == 5);
    p = puzzle("--append be32 --target fffffffffffffffffffffffffffffff0"
               "00000000000000000000000000000000");
    assert_true(p.range.first == 0 && p.range.last == 0);
    p = puzzle("--count 18446744073709551616");
    assert_true(p.range.first == 0 && p.range.last == UINT64_MAX);
    p = puzzle("--difficulty 40 --append be32");
    assert_true(p.range.last == UINT32_MAX);
}

static void targets_are_what_their_options_say(void **state)
{
    (void)state;
    uint8_t key[NONCE_KEY_BYTES] = {0};
    struct nonce_puzzle p = puzzle("--difficulty 256");
    assert_memory_equal(p.target, key, sizeof key);
    p = puzzle("--zeros 3 --unit hex");
    assert_int_equal(p.target[0], 0);
    assert_int_equal(p.target[1], 0x0f);
    assert_int_equal(p.target[31], 0xff);
    assert_true(nonce_puzzle_chance(&p) == 1.0 / 4096);
    p = puzzle("--nbits 1d00ffff");
    memset(key, 0, sizeof key);
    key[4] = key[5] = 0xff;
    assert_memory_equal(p.target, key, sizeof key);
    p = puzzle("--nbits 0200ff00");
    memset(key, 0, sizeof key);
    key[31] = 0xff;
    assert_memory_equal(p.target, key, sizeof key);
    p = puzzle("--target 00000000000000000000000000000000000000000000000000000000000000ff");
    assert_memory_equal(p.target, key, sizeof key);
}

static void a_midstate_stands_for_a_long_block(void **state)
{
    (void)state;
    struct nonce_puzzle long_block;
    struct pn_err err;
    char hex[2 * SHA256_DIGEST_BYTES + 1];
    char line[400];
    uint8_t block[64 * 3 + 5];
    memset(block, 'x', sizeof block);
    memset(&long_block, 0, sizeof long_block);
    nonce_puzzle_set_block(&long_block, (struct pn_bytes){block, sizeof block});
    uint8_t midstate[SHA256_DIGEST_BYTES];
    for (int i = 0; i < SHA256_DIGEST_BYTES; i++) {
        midstate[i] = (uint8_t)(long_block.midstate[i / 4] >> (24 - 8 * (i % 4)));
    }
    hex_write((struct pn_bytes){midstate, sizeof midstate}, hex);
    (void)snprintf(line, sizeof line, "--midstate %s --midstate-bytes 192 --block-hex 7878787878",
                   hex);
    struct nonce_puzzle p = puzzle(line);
    uint8_t want[SHA256_DIGEST_BYTES];
    uint8_t got[SHA256_DIGEST_BYTES];
    openssl_digest((struct pn_bytes){block, sizeof block}, pn_bytes_str("42"),
                   (struct pn_bytes){block, 0}, NONCE_SHA256D, want);
    nonce_puzzle_digest(&p, 42, got);
    assert_memory_equal(got, want, sizeof want);
    nonce_puzzle_digest(&long_block, 42, got);
    assert_memory_equal(got, want, sizeof want);

    (void)snprintf(line, sizeof line, "--midstate %s --midstate-bytes 190 --block-hex 78", hex);
    assert_int_equal(parse(line, &p, &err), PN_E_RANGE);
    (void)snprintf(line, sizeof line, "--midstate %s --block-hex 78", hex);
    assert_int_equal(parse(line, &p, &err), PN_E_RANGE);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *text;
    } cases[] = {
        {"--difficulty 0", "--difficulty: 0 is out of range; allowed are 1 to 256"},
        {"--difficulty 257", "--difficulty: 257 is out of range; allowed are 1 to 256"},
        {"--append dec",
         "--append: \"dec\" is unknown; allowed are decimal, hex, be32, le32, be64, le64"},
        {"--hash md5", "--hash: \"md5\" is unknown; allowed are sha256d, sha256, sha256hex"},
        {"--bit-order xsb", "--bit-order: \"xsb\" is unknown; allowed are msb, lsb"},
        {"--block-hex abc", "--block-hex: 3 digits; bytes have two digits each"},
        {"--block-hex aB", "--block-hex: digits 1 and 2 are not lower-case hexadecimal"},
        {"--header 00",
         "--header: 2 characters; it takes exactly 160 lower-case hexadecimal digits"},
        {"--header 00 --suffix x", "--header and --suffix exclude each other"},
        {"--target 0000000000000000000000000000000000000000000000000000000000000000",
         "--target: 0 is out of range; allowed are 1 and more"},
        {"--target 01",
         "--target: 2 characters; it takes exactly 64 lower-case hexadecimal digits"},
        {"--difficulty 3 --nbits 1d00ffff", "--difficulty and --nbits exclude each other"},
        {"--nbits ff00ffff",
         "--nbits: ff00ffff is a target of 0, below 0 or over 256 bits; 1d00ffff would do"},
        {"--nbits 1d80ffff",
         "--nbits: 1d80ffff is a target of 0, below 0 or over 256 bits; 1d00ffff would do"},
        {"--count 0", "--count: \"0\"; allowed are 1 to 18446744073709551616"},
        {"--start 1 --count 18446744073709551616",
         "--count: 18446744073709551616 nonces from 1 go past 18446744073709551615; allowed are 1 "
         "to 18446744073709551615"},
        {"--start 5 --end 4", "--end: 4 is out of range; allowed are 5 to 18446744073709551615"},
        {"--append le32 --start 4294967296",
         "--start: 4294967296 is over the last nonce, 4294967295"},
        {"--count 3 --end 4", "--count and --end exclude each other"},
        {"--lowest --all", "--lowest and --all exclude each other"},
        {"--block-file x", "--block-file: has no place in a manifest"},
        {"--zeros 65 --unit hex", "--zeros: 65 is out of range; allowed are 1 to 64 hex digits"},
        {"extra", "unexpected \"extra\"; usage: program:nonce@1 [options]"},
        {"--help", "--help has no place in a manifest"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nonce_puzzle p;
        struct pn_err err = {0};
        assert_int_not_equal(parse(cases[i].line, &p, &err), PN_OK);
        assert_string_equal(err.text, cases[i].text);
    }
    struct nonce_puzzle p = puzzle("--count 10");
    assert_int_equal(nonce_args_check_slices(&p, 10, NULL), PN_OK);
    assert_int_equal(nonce_args_check_slices(&p, 11, NULL), PN_E_RANGE);
    assert_int_equal(nonce_args_check_slices(&p, 0, NULL), PN_E_RANGE);
    p = puzzle("--count 18446744073709551616");
    assert_int_equal(nonce_args_check_slices(&p, 4294967296, NULL), PN_OK);
    assert_int_equal(nonce_args_check_slices(&p, 4294967297, NULL), PN_E_RANGE);
    p = puzzle("--difficulty 1 --count 10000 --all");
    assert_int_equal(nonce_args_check_slices(&p, 2, NULL), PN_E_RANGE);
    assert_int_equal(nonce_args_check_slices(&p, 3, NULL), PN_OK);
}

/* What the shell says about the digest is what the line for people promises. */
static void the_line_to_check_by_hand(void **state)
{
    (void)state;
    struct buffer line;
    buffer_init(&line, 4096);
    struct nonce_puzzle p = puzzle("--suffix %'z");
    assert_int_equal(nonce_puzzle_shell_line(&p, pn_bytes_str("a\\b\n"), NULL, 42, &line), PN_OK);
    assert_int_equal(nonce_puzzle_shell_line(&p, pn_bytes_str(""), "f", 42, &line), PN_OK);
    p = puzzle("--append le32 --hash sha256");
    assert_int_equal(nonce_puzzle_shell_line(&p, pn_bytes_str("a b"), NULL, 1, &line), PN_OK);
    p = puzzle("--append hex --hash sha256hex");
    assert_int_equal(nonce_puzzle_shell_line(&p, pn_bytes_str("a"), NULL, 255, &line), PN_OK);
    assert_int_equal(buffer_append(&line, (struct pn_bytes){(const uint8_t *)"", 1}), PN_OK);
    assert_string_equal(
        (const char *)line.ptr,
        "printf 'a\\134b\\01242\\045\\047z' | openssl dgst -sha256 -binary | sha256sum"
        "(cat -- 'f'; printf '42\\045\\047z') | openssl dgst -sha256 -binary | sha256sum"
        "printf 'a b\\001\\000\\000\\000' | sha256sum"
        "printf 'aff' | sha256sum | cut -c1-64 | tr -d '\\n' | sha256sum");
    buffer_fini(&line);
}

/* One nonce and its line, from options as typed. */
static void a_nonce_is_verified(void **state)
{
    (void)state;
    static const struct args_spec spec = {
        .usage = "verify", .groups = &nonce_args_group, .group_count = 1};
    static const char *const plain[] = {"--difficulty=13"};
    static const char *const header[] = {
        "--header="
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a"
        "7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
        "--nbits=1d00ffff"};
    struct args a;
    struct nonce_puzzle p;
    struct nonce_proof proof;
    struct pn_err err;
    struct buffer line;
    buffer_init(&line, 2048);
    assert_int_equal(args_parse(&spec, plain, 1, &a, NULL), PN_OK);
    assert_int_equal(nonce_args_puzzle(&a, NULL, &p, NULL), PN_OK);
    assert_int_equal(nonce_verify(&p, 294, &proof, NULL), PN_OK);
    assert_string_equal(proof.digest,
                        "0004d1186f3ee857ebb35f726b2358b3a58e82090ceaf36759be1459c30575b9");
    assert_true(proof.hit && proof.zero_bits == 13);
    assert_int_equal(nonce_verify(&p, 295, &proof, NULL), PN_OK);
    assert_false(proof.hit);
    assert_int_equal(nonce_verify_line(&a, &p, 294, &line, NULL), PN_OK);
    args_fini(&a);

    assert_int_equal(args_parse(&spec, header, 2, &a, NULL), PN_OK);
    assert_int_equal(nonce_args_puzzle(&a, NULL, &p, NULL), PN_OK);
    assert_int_equal(nonce_verify(&p, 2083236893, &proof, NULL), PN_OK);
    assert_true(proof.hit && proof.zero_bits == 43);
    assert_int_equal(nonce_verify(&p, UINT64_C(1) << 32, &proof, &err), PN_E_RANGE);
    assert_string_equal(err.text, "--nonce: 4294967296 is over the last nonce, 4294967295");
    assert_int_equal(nonce_verify_line(&a, &p, 2083236893, &line, NULL), PN_OK);
    args_fini(&a);

    assert_int_equal(buffer_append(&line, (struct pn_bytes){(const uint8_t *)"", 1}), PN_OK);
    const char *text = (const char *)line.ptr;
    assert_ptr_equal(strstr(text, "printf 'COMSM0010cloud294' | openssl dgst"), text);
    /* 0x7c2bac1d, its low byte first */
    assert_non_null(strstr(text, "\\035\\254+|' | openssl dgst"));
    buffer_fini(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_openssl_s),
        cmocka_unit_test(digests_of_any_block_are_openssl_s),
        cmocka_unit_test(binary_nonces_have_their_bytes),
        cmocka_unit_test(known_answers_are_found),
        cmocka_unit_test(golden_nonces_have_their_bits),
        cmocka_unit_test(ranges_are_cut_without_gap),
        cmocka_unit_test(defaults_miss_once_in_a_million),
        cmocka_unit_test(targets_are_what_their_options_say),
        cmocka_unit_test(a_midstate_stands_for_a_long_block),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(the_line_to_check_by_hand),
        cmocka_unit_test(a_nonce_is_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
