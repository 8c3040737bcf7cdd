/*
 * work -- what masters and workers say to each other about slices.
 *
 *     worker                              master
 *     JOIN job                      ->
 *                                   <-    JOIN answer: run, owner's signature, grant
 *     (fetches the manifest, judges it)
 *     ENLIST slots, attempts held   ->
 *                                   <-    ENLIST answer
 *                                   <-    ASSIGN slice, attempt, lease      (any number)
 *     STARTED, PROGRESS             ->
 *     VOTE outcome, small outputs   ->
 *                                   <-    VOTE answer: keep the outputs, or drop them
 *                                   <-    RELEASE: a kept attempt's outputs may go
 *     GIVE_UP                       ->
 *                                   <-    CANCEL an attempt, or ENDED: the whole run
 *
 * JOIN, ENLIST and VOTE are requests with one answer each; the rest is one-way. Every body begins
 * with the job and, but for JOIN, the run. Sizes are checked before use; parsing yields borrowed
 * pointers into the frame's body.
 */
#ifndef PREON_PEER_WIRE_WORK_H
#define PREON_PEER_WIRE_WORK_H

#include "common/buffer.h"
#include "common/claim.h"
#include "common/hash.h"
#include "common/manifest.h"

enum {
    WORK_HELD_MAX = 1024,  /* attempts listed in one ENLIST */
    WORK_SLOTS_MAX = 4096, /* of one worker */
    /*
     * Outputs that ride in a vote, all together. With both tails (16 KiB) and the list of up to
     * JOB_OUTPUTS_MAX outputs it must fit into a frame of FRAME_BODY_MAX; more is pulled.
     */
    WORK_INLINE_BYTES_MAX = 40 * 1024,
    WORK_TAIL_BYTES_MAX = 8 * 1024, /* of stdout and of stderr, each */
    WORK_TEXT_BYTES_MAX = 160,
};

struct work_join_answer {
    struct run run;
    struct signature owner_signature;
    struct pn_bytes grant; /* claim.h, grant_parse */
};

/* An attempt that a worker still holds from before a link or a master broke. */
struct work_held {
    uint64_t slice;
    uint64_t attempt;
};

struct work_enlist {
    struct digest job;
    struct run run;
    struct public_key key; /* its hash is the link's proven peer ID */
    uint16_t slots;        /* how many slices at a time; 0 takes nothing new */
    uint16_t held_count;
    struct work_held held[WORK_HELD_MAX];
};

/* ASSIGN, STARTED, CANCEL and RELEASE. */
struct work_attempt {
    struct digest job;
    struct run run;
    uint64_t slice;
    uint64_t attempt;
    uint32_t lease_s; /* ASSIGN only */
};

struct work_progress {
    struct work_attempt what;
    uint64_t done; /* of total, in the program's own unit */
    uint64_t total;
};

struct work_output {
    uint16_t index; /* of the manifest's sorted output names, ascending */
    uint64_t size;
    struct digest root;
};

struct work_vote {
    struct work_attempt what;
    enum outcome_class class;
    int32_t code;
    uint32_t wall_ms;
    uint32_t cpu_ms;
    struct digest outputs_hash;
    struct signature signature;
    uint8_t output_count;
    struct work_output outputs[JOB_OUTPUTS_MAX];
    bool has_bytes;        /* all outputs' bytes follow: their sizes add up to at most … */
    struct pn_bytes bytes; /* … WORK_INLINE_BYTES_MAX, in the order of outputs */
    struct pn_bytes stdout_tail;
    struct pn_bytes stderr_tail;
};

enum work_disposition { WORK_KEEP = 1, WORK_DROP = 2 };

enum work_reason {
    WORK_LEAVING = 1, /* the peer is shutting down */
    WORK_NO_FILES,    /* the job's files could not be had */
    WORK_CANNOT_RUN,  /* the sandbox could not be built, or limits exceed the volunteer's */
    WORK_REFUSED,     /* against the volunteer's wishes */
};

struct work_give_up {
    struct work_attempt what;
    enum work_reason reason;
    char text[WORK_TEXT_BYTES_MAX];
};

struct work_ended {
    struct digest job;
    struct run run;
    uint8_t state; /* enum job_state of record.h, for the worker's log */
};

/*
 * Parsers: PN_OK or PN_E_MALFORMED / PN_E_TOO_BIG with a sentence; out is written only on PN_OK.
 * Writers append one whole frame (request: its number, 0 for one-way) to out; PN_E_FULL or
 * PN_E_NO_MEMORY leave out as it was.
 */
enum pn_status work_parse_join(struct pn_bytes in, struct digest *job, struct pn_err *err);
enum pn_status work_write_join(uint32_t request, const struct digest *job, struct buffer *out);

enum pn_status work_parse_join_answer(struct pn_bytes in, struct work_join_answer *out,
                                      struct pn_err *err);
enum pn_status work_write_join_answer(uint32_t request, const struct work_join_answer *a,
                                      struct buffer *out);

enum pn_status work_parse_enlist(struct pn_bytes in, struct work_enlist *out, struct pn_err *err);
enum pn_status work_write_enlist(uint32_t request, const struct work_enlist *e, struct buffer *out);
enum pn_status work_write_enlist_answer(uint32_t request, struct buffer *out);

/* type: FRAME_ASSIGN (with its lease), FRAME_STARTED, FRAME_CANCEL or FRAME_RELEASE. */
enum pn_status work_parse_attempt(uint8_t type, struct pn_bytes in, struct work_attempt *out,
                                  struct pn_err *err);
enum pn_status work_write_attempt(uint8_t type, const struct work_attempt *a, struct buffer *out);

enum pn_status work_parse_progress(struct pn_bytes in, struct work_progress *out,
                                   struct pn_err *err);
enum pn_status work_write_progress(const struct work_progress *p, struct buffer *out);

enum pn_status work_parse_vote(struct pn_bytes in, struct work_vote *out, struct pn_err *err);
enum pn_status work_write_vote(uint32_t request, const struct work_vote *v, struct buffer *out);
enum pn_status work_parse_vote_answer(struct pn_bytes in, enum work_disposition *out,
                                      struct pn_err *err);
enum pn_status work_write_vote_answer(uint32_t request, enum work_disposition d,
                                      struct buffer *out);

enum pn_status work_parse_give_up(struct pn_bytes in, struct work_give_up *out, struct pn_err *err);
enum pn_status work_write_give_up(const struct work_give_up *g, struct buffer *out);

enum pn_status work_parse_ended(struct pn_bytes in, struct work_ended *out, struct pn_err *err);
enum pn_status work_write_ended(const struct work_ended *e, struct buffer *out);

#endif
