/*
 * The messages between masters and workers: round trips, every strict prefix and one byte too many
 * in blocks of exactly that size, random changes, and the bounds of each field.
 */
#include "tests/unit/unit.h"

#include "common/random.h"
#include "tests/unit/work_again.h"

static const struct work_attempt what = {
    .job = {{1, 2, 3}}, .run = {{4, 5}}, .slice = 77, .attempt = 1ULL << 40};

static struct buffer frame;

static int set_up(void **state)
{
    (void)state;
    buffer_init(&frame, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_fini(&frame);
    return 0;
}

static struct work_vote a_vote(void)
{
    struct work_vote v = {.what = what,
                          .wall_ms = 100,
                          .cpu_ms = 90,
                          .output_count = 2,
                          .has_bytes = true,
                          .bytes = pn_bytes_str("abcde"),
                          .stdout_tail = pn_bytes_str("hello\n"),
                          .stderr_tail = pn_bytes_str("")};
    v.outputs[0] = (struct work_output){.index = 1, .size = 3};
    v.outputs[1] = (struct work_output){.index = 9, .size = 2};
    return v;
}

static enum pn_status write_kind(enum work_kind kind)
{
    static struct work_enlist enlist;
    enlist = (struct work_enlist){.job = what.job, .run = what.run, .slots = 4, .held_count = 2};
    enlist.held[1] = (struct work_held){3, 9};
    const struct work_join_answer join_answer = {.run = what.run, .grant = pn_bytes_str("grant")};
    const struct work_progress progress = {what, 3, 10};
    const struct work_give_up give_up = {what, WORK_NO_FILES, "no file crunch.sh"};
    const struct work_ended ended = {what.job, what.run, 2};
    const struct hire_leave leave = {what.job, HIRE_NOT_WELCOME};
    const struct work_vote vote = a_vote();
    frame.len = 0;
    switch (kind) {
    case KIND_JOIN:
        return work_write_join(7, &what.job, &frame);
    case KIND_JOIN_ANSWER:
        return work_write_join_answer(7, &join_answer, &frame);
    case KIND_ENLIST:
        return work_write_enlist(7, &enlist, &frame);
    case KIND_ASSIGN:
        return work_write_attempt(FRAME_ASSIGN, &what, &frame);
    case KIND_STARTED:
        return work_write_attempt(FRAME_STARTED, &what, &frame);
    case KIND_PROGRESS:
        return work_write_progress(&progress, &frame);
    case KIND_VOTE:
        return work_write_vote(7, &vote, &frame);
    case KIND_VOTE_ANSWER:
        return work_write_vote_answer(7, WORK_DROP, &frame);
    case KIND_GIVE_UP:
        return work_write_give_up(&give_up, &frame);
    case KIND_ENDED:
        return work_write_ended(&ended, &frame);
    case KIND_IDLE:
        return hire_write_idle(WORK_SLOTS_MAX, &frame);
    case KIND_OFFER:
        return hire_write_offer(7, &what.job, &frame);
    case KIND_OFFER_ANSWER:
        return hire_write_reply(7, HIRE_NOT_NOW, &frame);
    case KIND_LEAVE:
        return hire_write_leave(&leave, &frame);
    case KIND_COUNT:
        break;
    }
    return PN_E_RANGE;
}

/* The status of parsing len bytes of body in a block of exactly that size. */
static enum pn_status parse_exact(enum work_kind kind, const uint8_t *body, size_t len,
                                  struct buffer *out)
{
    uint8_t *copy = unit_exact(body, len);
    enum pn_status status = work_again(kind, (struct pn_bytes){copy, len}, out);
    free(copy);
    return status;
}

static void round_trip_and_every_other_length(void **state)
{
    (void)state;
    struct buffer again;
    buffer_init(&again, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        assert_int_equal(write_kind(kind), PN_OK);
        struct pn_bytes body = work_body(&frame);
        again.len = 0;
        assert_int_equal(parse_exact(kind, body.ptr, body.len, &again), PN_OK);
        assert_true(pn_bytes_equal(buffer_bytes(&again), buffer_bytes(&frame)));

        for (size_t len = 0; len < body.len; len++) {
            again.len = 0;
            assert_int_not_equal(parse_exact(kind, body.ptr, len, &again), PN_OK);
        }
        uint8_t longer[4096] = {0};
        memcpy(longer, body.ptr, body.len);
        again.len = 0;
        assert_int_not_equal(parse_exact(kind, longer, body.len + 1, &again), PN_OK);
    }
    buffer_fini(&again);
}

/* Whatever is accepted after a change is written back as it came. */
static void random_changes(void **state)
{
    (void)state;
    struct random random;
    struct buffer again;
    random_seed(&random, 5);
    buffer_init(&again, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    for (int i = 0; i < 20000; i++) {
        enum work_kind kind = (enum work_kind)(i % KIND_COUNT);
        assert_int_equal(write_kind(kind), PN_OK);
        uint8_t *body = frame.ptr + FRAME_HEADER_BYTES;
        size_t len = frame.len - FRAME_HEADER_BYTES;
        for (uint64_t k = random_below(&random, 3) + 1; k > 0; k--) {
            body[random_below(&random, len)] = (uint8_t)random_u64(&random);
        }
        again.len = 0;
        if (parse_exact(kind, body, len, &again) == PN_OK && work_kind_exact(kind)) {
            assert_true(pn_bytes_equal(work_body(&again), work_body(&frame)));
        }
    }
    buffer_fini(&again);
}

static enum pn_status vote_status(const struct work_vote *v)
{
    struct work_vote out;
    frame.len = 0;
    enum pn_status status = work_write_vote(7, v, &frame);
    return status != PN_OK ? status : work_parse_vote(work_body(&frame), &out, NULL);
}

static void bounds_of_a_vote(void **state)
{
    (void)state;
    struct work_vote v = a_vote();
    assert_int_equal(vote_status(&v), PN_OK);
    v.outputs[1].index = 1; /* not ascending */
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
    v = a_vote();
    v.outputs[1].index = JOB_OUTPUTS_MAX;
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
    v = a_vote();
    v.class = (enum outcome_class)OUTCOME_CLASS_COUNT;
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
    v = a_vote();
    v.code = 256;
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
    v = a_vote();
    v.code = -1;
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
    v = a_vote();
    v.outputs[1].size = WORK_INLINE_BYTES_MAX; /* with bytes: too many for a vote */
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
    v.has_bytes = false;
    v.outputs[1].size = FILE_BYTES_MAX;
    assert_int_equal(vote_status(&v), PN_OK);
    v.outputs[1].size = FILE_BYTES_MAX + 1;
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
}

/* The largest vote there is fits a frame. */
static void largest_vote(void **state)
{
    (void)state;
    static uint8_t bytes[WORK_INLINE_BYTES_MAX];
    struct work_vote v = {.what = what,
                          .output_count = JOB_OUTPUTS_MAX,
                          .has_bytes = true,
                          .bytes = {bytes, sizeof bytes},
                          .stdout_tail = {bytes, WORK_TAIL_BYTES_MAX},
                          .stderr_tail = {bytes, WORK_TAIL_BYTES_MAX}};
    for (uint16_t i = 0; i < JOB_OUTPUTS_MAX; i++) {
        v.outputs[i].index = i;
        v.outputs[i].size = sizeof bytes / JOB_OUTPUTS_MAX;
    }
    assert_int_equal(vote_status(&v), PN_OK);
    v.stderr_tail.len = WORK_TAIL_BYTES_MAX + 1;
    assert_int_equal(vote_status(&v), PN_E_MALFORMED);
}

static void bounds_of_enlist(void **state)
{
    (void)state;
    static struct work_enlist e;
    static struct work_enlist out;
    e = (struct work_enlist){.slots = WORK_SLOTS_MAX, .held_count = WORK_HELD_MAX};
    frame.len = 0;
    assert_int_equal(work_write_enlist(1, &e, &frame), PN_OK);
    assert_int_equal(work_parse_enlist(work_body(&frame), &out, NULL), PN_OK);
    e.slots = WORK_SLOTS_MAX + 1;
    frame.len = 0;
    assert_int_equal(work_write_enlist(1, &e, &frame), PN_OK);
    assert_int_equal(work_parse_enlist(work_body(&frame), &out, NULL), PN_E_TOO_BIG);
}

static void bounds_of_hiring(void **state)
{
    (void)state;
    uint16_t slots;
    enum hire_reply reply;
    struct hire_leave leave = {what.job, (enum hire_leave_reason)3};
    assert_int_equal(hire_write_idle(WORK_SLOTS_MAX + 1, &frame), PN_OK);
    assert_int_equal(hire_parse_idle(work_body(&frame), &slots, NULL), PN_E_TOO_BIG);
    for (uint8_t bad = 0; bad <= 4; bad += 4) {
        frame.len = 0;
        assert_int_equal(hire_write_reply(1, (enum hire_reply)bad, &frame), PN_OK);
        assert_int_equal(hire_parse_reply(work_body(&frame), &reply, NULL), PN_E_MALFORMED);
    }
    frame.len = 0;
    assert_int_equal(hire_write_leave(&leave, &frame), PN_OK);
    assert_int_equal(hire_parse_leave(work_body(&frame), &leave, NULL), PN_E_MALFORMED);
}

static void texts_for_people_are_tidied(void **state)
{
    (void)state;
    struct work_give_up g = {what, WORK_CANNOT_RUN, "\x1b[2Jno\nroom\xc2\x9b"};
    assert_int_equal(work_write_give_up(&g, &frame), PN_OK);
    assert_int_equal(work_parse_give_up(work_body(&frame), &g, NULL), PN_OK);
    assert_string_equal(g.text, "?[2Jno?room??");
}

static void progress_over_its_total(void **state)
{
    (void)state;
    struct work_progress p = {what, 11, 10};
    assert_int_equal(work_write_progress(&p, &frame), PN_OK);
    assert_int_equal(work_parse_progress(work_body(&frame), &p, NULL), PN_E_MALFORMED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(round_trip_and_every_other_length),
        TEST(random_changes),
        TEST(bounds_of_a_vote),
        TEST(largest_vote),
        TEST(bounds_of_enlist),
        TEST(bounds_of_hiring),
        TEST(texts_for_people_are_tidied),
        TEST(progress_over_its_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
