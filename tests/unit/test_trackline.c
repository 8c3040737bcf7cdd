/* Lines between trackers and clients: there and back, every strict prefix, every wrong word. */
#include "tests/unit/unit.h"

#include "common/random.h"
#include "common/trackline.h"

#define JOB "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct sample {
    enum trackline_manner manner;
    const char *text;
};

/* Every row of the grammar, with its values at a border where there is one. */
static const struct sample SAMPLES[] = {
    {TRACKLINE_ONE_SHOT, "INFORM 42069 idle"},
    {TRACKLINE_ONE_SHOT, "INFORM 1 " JOB},
    {TRACKLINE_ONE_SHOT, "DELETE 65535 idle"},
    {TRACKLINE_ONE_SHOT, "DELETE 65535 " JOB},
    {TRACKLINE_ONE_SHOT, "QUERY idle"},
    {TRACKLINE_ONE_SHOT, "QUERY " JOB},
    {TRACKLINE_ONE_SHOT, "HELLO preon/1"},
    {TRACKLINE_ONE_SHOT, "HELLO preon/1 new=1 other"},
    {TRACKLINE_ONE_SHOT_ANSWER, "OK"},
    {TRACKLINE_ONE_SHOT_ANSWER, "ERROR QUERY: expected a job ID"},
    {TRACKLINE_ONE_SHOT_ANSWER, "127.0.0.1 42069"},
    {TRACKLINE_ONE_SHOT_ANSWER, "2001:db8::1 42069"},
    {TRACKLINE_REQUEST, "INFORM 42069 " JOB " 86400"},
    {TRACKLINE_REQUEST, "DELETE 42069 " JOB},
    {TRACKLINE_REQUEST, "QUERY " JOB " 1000000000"},
    {TRACKLINE_REQUEST, "QUERY idle 0"},
    {TRACKLINE_REQUEST, "QUERY hiring 50"},
    {TRACKLINE_REQUEST, "IDLE 16"},
    {TRACKLINE_REQUEST, "IDLE 65535 tier=full nonce@1 mandelbrot@1 a b c d e"},
    {TRACKLINE_REQUEST, "IDLE 0"},
    {TRACKLINE_REQUEST, "DEMAND 42069 " JOB " 256"},
    {TRACKLINE_REQUEST, "DEMAND 42069 " JOB " 0 nonce@1 a23456789012345678901234567890z"},
    {TRACKLINE_REQUEST, "TAKE 4294967295"},
    {TRACKLINE_REQUEST, "PASS 0"},
    {TRACKLINE_REQUEST, "PING"},
    {TRACKLINE_ANSWER, "HELLO preon/1 192.0.2.1 300 45"},
    {TRACKLINE_ANSWER, "OK 7"},
    {TRACKLINE_ANSWER, "PEER 192.0.2.1 42069"},
    {TRACKLINE_ANSWER, "PEER 2001:db8::1 42069"},
    {TRACKLINE_ANSWER, "WANT 192.0.2.1 42069 " JOB " 4"},
    {TRACKLINE_ANSWER, "END 50 1000000"},
    {TRACKLINE_ANSWER, "HIRE 4294967295 192.0.2.1 42069 " JOB},
    {TRACKLINE_ANSWER, "PONG"},
    {TRACKLINE_ANSWER, "BUSY 30 too many jobs from your network"},
    {TRACKLINE_ANSWER, "ERROR unknown word"},
};

enum { SAMPLE_COUNT = sizeof SAMPLES / sizeof SAMPLES[0] };

static void lines_go_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        size_t len = strlen(SAMPLES[i].text);
        uint8_t *exact = unit_exact(SAMPLES[i].text, len);
        struct trackline line;
        struct pn_err err = {0};
        if (trackline_parse(SAMPLES[i].manner, (struct pn_bytes){exact, len}, &line, &err)) {
            fail_msg("\"%s\": %s", SAMPLES[i].text, err.text);
        }
        char out[TRACKLINE_TEXT_BYTES];
        assert_int_equal(trackline_write(SAMPLES[i].manner, &line, out), len + 1);
        assert_memory_equal(out, SAMPLES[i].text, len);
        assert_int_equal(out[len], '\n');
        free(exact);
    }
}

/*
 * A strict prefix is refused, or is another good line (a shorter number, fewer words) which then is
 * written as it was read. A byte too many likewise.
 */
static void check_fragment(enum trackline_manner manner, const char *text, size_t len)
{
    uint8_t *exact = unit_exact(text, len);
    struct trackline line;
    if (trackline_parse(manner, (struct pn_bytes){exact, len}, &line, NULL) == PN_OK) {
        char out[TRACKLINE_TEXT_BYTES];
        assert_int_equal(trackline_write(manner, &line, out), len + 1);
        assert_memory_equal(out, text, len);
    }
    free(exact);
}

static void fragments_are_refused_or_mean_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        size_t len = strlen(SAMPLES[i].text);
        for (size_t cut = 0; cut < len; cut++) {
            check_fragment(SAMPLES[i].manner, SAMPLES[i].text, cut);
        }
        char longer[TRACKLINE_TEXT_BYTES];
        memcpy(longer, SAMPLES[i].text, len);
        for (int c = 0; c < 256; c++) {
            longer[len] = (char)c;
            check_fragment(SAMPLES[i].manner, longer, len + 1);
        }
    }
}

static void random_changes_never_write_differently(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 5);
    for (int round = 0; round < 20000; round++) {
        const struct sample *sample = &SAMPLES[random_below(&random, SAMPLE_COUNT)];
        char text[TRACKLINE_TEXT_BYTES];
        size_t len = strlen(sample->text);
        memcpy(text, sample->text, len);
        for (uint64_t changes = random_below(&random, 3) + 1; changes > 0; changes--) {
            text[random_below(&random, len)] = (char)random_below(&random, 256);
        }
        check_fragment(sample->manner, text, len);
    }
}

static void refused(enum trackline_manner manner, const char *text, const char *words)
{
    struct trackline line;
    struct pn_err err = {0};
    size_t len = strlen(text);
    uint8_t *exact = unit_exact(text, len);
    assert_int_not_equal(trackline_parse(manner, (struct pn_bytes){exact, len}, &line, &err),
                         PN_OK);
    if (strstr(err.text, words) == NULL) {
        fail_msg("\"%s\": %s, without \"%s\"", text, err.text, words);
    }
    free(exact);
}

static void the_wrong_word_is_named(void **state)
{
    (void)state;
    refused(TRACKLINE_ONE_SHOT, "", "unknown word");
    refused(TRACKLINE_ONE_SHOT, "GET / HTTP/1.1", "unknown word");
    refused(TRACKLINE_ONE_SHOT, "inform 4000 idle", "unknown word");
    refused(TRACKLINE_ONE_SHOT, "INFORM 0 idle", "a port");
    refused(TRACKLINE_ONE_SHOT, "INFORM 65536 idle", "a port");
    refused(TRACKLINE_ONE_SHOT, "INFORM  4000 idle", "a port");
    refused(TRACKLINE_ONE_SHOT, "INFORM 4000 hiring", "idle or 64");
    refused(TRACKLINE_ONE_SHOT, "INFORM 4000 idle 60", "the end of the line");
    refused(TRACKLINE_ONE_SHOT, "INFORM 4000 idle ", "a space at the end");
    refused(TRACKLINE_ONE_SHOT, "QUERY 00112233445566778899AABBCCDDEEFF", "64 lower-case");
    refused(TRACKLINE_ONE_SHOT, "QUERY " JOB "0", "64 lower-case");
    refused(TRACKLINE_ONE_SHOT, "HELLO preon/2", "the version preon/1");
    refused(TRACKLINE_REQUEST, "INFORM 4000 idle 60", "64 lower-case");
    refused(TRACKLINE_REQUEST, "INFORM 4000 " JOB, "a time to live");
    refused(TRACKLINE_REQUEST, "INFORM 4000 " JOB " 86401", "a time to live");
    refused(TRACKLINE_REQUEST, "INFORM 4000 " JOB " 0", "a time to live");
    refused(TRACKLINE_REQUEST, "QUERY idle", "a count");
    refused(TRACKLINE_REQUEST, "QUERY idle 007", "a count");
    refused(TRACKLINE_REQUEST, "IDLE 65536", "a number of slots");
    refused(TRACKLINE_REQUEST, "IDLE -1", "a number of slots");
    refused(TRACKLINE_REQUEST, "IDLE 1 a b c d e f g h i", "at most 8 words");
    refused(TRACKLINE_REQUEST, "IDLE 1 a23456789012345678901234567890zz", "at most 31");
    refused(TRACKLINE_REQUEST, "IDLE 1 Full", "a-z");
    refused(TRACKLINE_REQUEST, "IDLE 1 a  b", "at most 8 words");
    refused(TRACKLINE_REQUEST, "TAKE 4294967296", "a token");
    refused(TRACKLINE_REQUEST, "PING now", "the end of the line");
    refused(TRACKLINE_REQUEST, "HELLO preon/1", "unknown word");
    refused(TRACKLINE_ANSWER, "PEER 192.0.2.1:4000", "an IP address");
    refused(TRACKLINE_ANSWER, "WANT 192.0.2.1 4000 " JOB " 0", "a number of slots");

    char longest[TRACKLINE_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    refused(TRACKLINE_REQUEST, longest, "more than 255 bytes");
    longest[TRACKLINE_ONE_SHOT_BYTES_MAX + 1] = '\0';
    refused(TRACKLINE_ONE_SHOT, longest, "more than 127 bytes");
}

/* The original's clients: complete without LF when the last word is, and never a byte earlier. */
static void a_request_without_its_end_is_whole_with_its_last_word(void **state)
{
    (void)state;
    static const char *const WHOLE[] = {"QUERY idle", "INFORM 42069 idle", "DELETE 1 " JOB,
                                        "QUERY " JOB};
    for (size_t i = 0; i < sizeof WHOLE / sizeof WHOLE[0]; i++) {
        size_t whole = strlen(WHOLE[i]);
        for (size_t len = 0; len <= whole; len++) {
            uint8_t *exact = unit_exact(WHOLE[i], len);
            assert_int_equal(trackline_is_whole((struct pn_bytes){exact, len}), len == whole);
            free(exact);
        }
    }
    assert_false(trackline_is_whole(pn_bytes_str("HELLO preon/1")));
}

static void texts_are_cut_and_made_harmless(void **state)
{
    (void)state;
    char long_text[400];
    memset(long_text, ' ', sizeof long_text);
    memcpy(long_text, "first\nsecond\xff", 13);
    struct trackline line = {.kind = TRACKLINE_ERROR,
                             .text = {(const uint8_t *)long_text, sizeof long_text}};
    char out[TRACKLINE_TEXT_BYTES];
    size_t len = trackline_write(TRACKLINE_ANSWER, &line, out);
    assert_int_equal(len, TRACKLINE_BYTES_MAX + 1);
    assert_memory_equal(out, "ERROR first?second?", 19);
    struct trackline back;
    assert_int_equal(
        trackline_parse(TRACKLINE_ANSWER, (struct pn_bytes){(uint8_t *)out, len - 1}, &back, NULL),
        PN_OK);
    line.text.len = 0;
    len = trackline_write(TRACKLINE_ANSWER, &line, out);
    assert_int_equal(
        trackline_parse(TRACKLINE_ANSWER, (struct pn_bytes){(uint8_t *)out, len - 1}, &back, NULL),
        PN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_there_and_back),
        cmocka_unit_test(fragments_are_refused_or_mean_what_they_say),
        cmocka_unit_test(random_changes_never_write_differently),
        cmocka_unit_test(the_wrong_word_is_named),
        cmocka_unit_test(a_request_without_its_end_is_whole_with_its_last_word),
        cmocka_unit_test(texts_are_cut_and_made_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
