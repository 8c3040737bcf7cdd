/*
 * work_again -- every message of work.h and hire.h by number: parse a body, write it again. Shared
 * by the unit test and the fuzz target.
 */
#ifndef PREON_TESTS_WORK_AGAIN_H
#define PREON_TESTS_WORK_AGAIN_H

#include "common/frame.h"
#include "peer/wire/hire.h"
#include "peer/wire/work.h"

enum work_kind {
    KIND_JOIN,
    KIND_JOIN_ANSWER,
    KIND_ENLIST,
    KIND_ASSIGN,
    KIND_STARTED, /* CANCEL and RELEASE are like it */
    KIND_PROGRESS,
    KIND_VOTE,
    KIND_VOTE_ANSWER,
    KIND_GIVE_UP,
    KIND_ENDED,
    KIND_IDLE,
    KIND_OFFER,
    KIND_OFFER_ANSWER,
    KIND_LEAVE,
    KIND_COUNT,
};

/* PN_OK: a whole frame with request 7 (0 where the message is one-way) was appended to out. */
static inline enum pn_status work_again(enum work_kind kind, struct pn_bytes in, struct buffer *out)
{
    static struct work_enlist enlist; /* 16 KiB */
    static struct work_vote vote;
    struct digest job;
    struct work_join_answer join_answer;
    struct work_attempt attempt;
    struct work_progress progress;
    enum work_disposition disposition;
    struct work_give_up give_up;
    struct work_ended ended;
    uint16_t slots;
    enum hire_reply reply;
    struct hire_leave leave;
    struct pn_err err;
    enum pn_status status = PN_E_MALFORMED;
    uint8_t type = kind == KIND_ASSIGN ? FRAME_ASSIGN : FRAME_STARTED;
    switch (kind) {
    case KIND_JOIN:
        status = work_parse_join(in, &job, &err);
        return status != PN_OK ? status : work_write_join(7, &job, out);
    case KIND_JOIN_ANSWER:
        status = work_parse_join_answer(in, &join_answer, &err);
        return status != PN_OK ? status : work_write_join_answer(7, &join_answer, out);
    case KIND_ENLIST:
        status = work_parse_enlist(in, &enlist, &err);
        return status != PN_OK ? status : work_write_enlist(7, &enlist, out);
    case KIND_ASSIGN:
    case KIND_STARTED:
        status = work_parse_attempt(type, in, &attempt, &err);
        return status != PN_OK ? status : work_write_attempt(type, &attempt, out);
    case KIND_PROGRESS:
        status = work_parse_progress(in, &progress, &err);
        return status != PN_OK ? status : work_write_progress(&progress, out);
    case KIND_VOTE:
        status = work_parse_vote(in, &vote, &err);
        return status != PN_OK ? status : work_write_vote(7, &vote, out);
    case KIND_VOTE_ANSWER:
        status = work_parse_vote_answer(in, &disposition, &err);
        return status != PN_OK ? status : work_write_vote_answer(7, disposition, out);
    case KIND_GIVE_UP:
        status = work_parse_give_up(in, &give_up, &err);
        return status != PN_OK ? status : work_write_give_up(&give_up, out);
    case KIND_ENDED:
        status = work_parse_ended(in, &ended, &err);
        return status != PN_OK ? status : work_write_ended(&ended, out);
    case KIND_IDLE:
        status = hire_parse_idle(in, &slots, &err);
        return status != PN_OK ? status : hire_write_idle(slots, out);
    case KIND_OFFER:
        status = hire_parse_offer(in, &job, &err);
        return status != PN_OK ? status : hire_write_offer(7, &job, out);
    case KIND_OFFER_ANSWER:
        status = hire_parse_reply(in, &reply, &err);
        return status != PN_OK ? status : hire_write_reply(7, reply, out);
    case KIND_LEAVE:
        status = hire_parse_leave(in, &leave, &err);
        return status != PN_OK ? status : hire_write_leave(&leave, out);
    case KIND_COUNT:
        break;
    }
    return status;
}

/* The body of the one frame in b. */
static inline struct pn_bytes work_body(const struct buffer *b)
{
    return (struct pn_bytes){b->ptr + FRAME_HEADER_BYTES, b->len - FRAME_HEADER_BYTES};
}

/* Bytes that are text for people are tidied when parsed: the same only from the second time on. */
static inline bool work_kind_exact(enum work_kind kind) { return kind != KIND_GIVE_UP; }

#endif
