#include "peer/control/control_json.h"

#include <stdlib.h>

/*
 * jansson's setters take values away and fail when they are NULL, so a member is added in one
 * expression and the failures are collected by a sticky flag: one check at the end, as with writer.
 */
struct object {
    json_t *json;
    bool failed;
};

static struct object object_new(void)
{
    json_t *json = json_object();
    return (struct object){json, json == NULL};
}

static json_t *object_done(struct object *o)
{
    if (o->failed) {
        json_decref(o->json);
        return NULL;
    }
    return o->json;
}

static void put(struct object *o, const char *key, json_t *value)
{
    if (json_object_set_new(o->json, key, value) != 0) {
        o->failed = true;
    }
}

static void put_number(struct object *o, const char *key, uint64_t n)
{
    /* JSON readers have 53 bits; all numbers here are sizes, counts and milliseconds. */
    put(o, key, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

static void put_bool(struct object *o, const char *key, bool b) { put(o, key, json_boolean(b)); }

/* The length of the valid UTF-8 character at the front, 0 when there is none, or a NUL. */
static size_t character_length(struct pn_bytes in)
{
    for (size_t len = 1; in.ptr[0] != 0 && len <= 4 && len <= in.len; len++) {
        json_t *one = json_stringn((const char *)in.ptr, len);
        json_decref(one);
        if (one != NULL) {
            return len;
        }
    }
    return 0;
}

static json_t *text_of(struct pn_bytes in)
{
    if (in.len == 0) {
        return json_string("");
    }
    if (memchr(in.ptr, 0, in.len) == NULL) {
        json_t *whole = json_stringn((const char *)in.ptr, in.len);
        if (whole != NULL) {
            return whole;
        }
    }
    static const char REPLACEMENT[] = "\xef\xbf\xbd";
    struct buffer out;
    buffer_init(&out, 3 * in.len + 1);
    enum pn_status status = PN_OK;
    while (status == PN_OK && in.len > 0) {
        size_t len = character_length(in);
        status = len > 0 ? buffer_append(&out, (struct pn_bytes){in.ptr, len})
                         : buffer_append(&out, pn_bytes_str(REPLACEMENT));
        len = len > 0 ? len : 1;
        in = (struct pn_bytes){in.ptr + len, in.len - len};
    }
    json_t *text = status == PN_OK ? json_stringn((const char *)out.ptr, out.len) : NULL;
    buffer_fini(&out);
    return text;
}

static void put_text(struct object *o, const char *key, const char *text)
{
    put(o, key, text_of(pn_bytes_str(text)));
}

static void put_digest(struct object *o, const char *key, const struct digest *d)
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(d, hex);
    put(o, key, json_string(hex));
}

static void put_addr(struct object *o, const char *key, const struct addr *a)
{
    char text[ADDR_TEXT_BYTES];
    if (a->family != ADDR_NONE) {
        put(o, key, json_string(addr_text(a, text)));
    }
}

static void append(struct object *o, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        o->failed = true;
    }
}

json_t *control_json_new(void)
{
    struct object o = object_new();
    put_number(&o, "schema", CONTROL_SCHEMA);
    return object_done(&o);
}

/* The start of every answer. */
static struct object answer_new(void)
{
    json_t *json = control_json_new();
    return (struct object){json, json == NULL};
}

static void put_waiting(struct object *o, const struct waiting *w)
{
    if (!w->waits) {
        return;
    }
    struct object waiting = object_new();
    put_text(&waiting, "cause", w->cause);
    put_text(&waiting, "remedy", w->remedy);
    put_number(&waiting, "for_ms", w->for_ms);
    put(o, "waiting", object_done(&waiting));
}

static json_t *tracker_json(const struct tracker_status *t)
{
    struct object o = object_new();
    put_text(&o, "name", t->name);
    put_addr(&o, "address", &t->addr);
    put_bool(&o, "connected", t->connected);
    put_number(&o, "since_ms", t->since_ms);
    put_text(&o, "trouble", t->trouble);
    return object_done(&o);
}

json_t *control_json_peer(const struct peer_status *s)
{
    struct object o = answer_new();
    put_digest(&o, "id", &s->id);
    put_text(&o, "version", PREON_VERSION);
    put_number(&o, "pid", s->pid);
    put_bool(&o, "embedded", s->embedded);
    put_addr(&o, "listening", &s->listening);
    if (s->reached_from.family != ADDR_NONE) {
        struct object reached = object_new();
        put_addr(&reached, "address", &s->reached_from);
        put_number(&reached, "ago_ms", s->reached_ago_ms);
        put(&o, "reached", object_done(&reached));
    }
    put_number(&o, "slots", s->slot_count);
    put_number(&o, "slots_busy", s->slots_busy);
    put_number(&o, "links", s->link_count);
    put_number(&o, "bytes_sent", s->bytes_sent);
    put_number(&o, "bytes_received", s->bytes_received);
    put_number(&o, "jobs_mastered", s->jobs_mastered);
    put_number(&o, "jobs_worked_on", s->jobs_worked_on);
    put_text(&o, "tier", s->tier);
    put_text(&o, "tier_reason", s->tier_reason);
    put_text(&o, "tier_remedy", s->tier_remedy);
    put_number(&o, "memory_bytes_max", s->memory_bytes_max);
    put_number(&o, "output_bytes_max", s->output_bytes_max);
    put_number(&o, "budget_bytes", s->budget_bytes);
    put_waiting(&o, &s->waiting);
    json_t *trackers = json_array();
    for (uint32_t i = 0; i < s->tracker_count; i++) {
        append(&o, trackers, tracker_json(&s->trackers[i]));
    }
    put(&o, "trackers", trackers);
    put_number(&o, "up_ms", s->up_ms);
    return object_done(&o);
}

static json_t *worker_json(const struct job_worker *w)
{
    struct object o = object_new();
    put_digest(&o, "id", &w->id);
    put_addr(&o, "address", &w->remote);
    put_bool(&o, "own", w->own);
    put_number(&o, "slots", w->slot_count);
    put_number(&o, "running", w->running);
    put_number(&o, "final", w->final);
    put(&o, "rate_per_s", json_real(w->rate_per_s));
    return object_done(&o);
}

static json_t *answer_json(const struct job_answer *a)
{
    struct object o = object_new();
    put_text(&o, "line", a->line);
    put_number(&o, "slice", a->slice);
    put_digest(&o, "worker", &a->worker);
    put_number(&o, "search_ms", a->search_ms);
    put_number(&o, "received_ms", a->received_ms);
    put(&o, "rate_per_s", json_real(a->rate_per_s));
    struct object fields = object_new();
    for (uint32_t i = 0; i < a->field_count; i++) {
        put_text(&fields, a->fields[i].key, a->fields[i].value);
    }
    put(&o, "fields", object_done(&fields));
    return object_done(&o);
}

static json_t *liar_json(const struct liar *l)
{
    struct object o = object_new();
    put_digest(&o, "worker", &l->worker);
    put_number(&o, "slice", l->slice);
    put_text(&o, "reason", l->reason);
    return object_done(&o);
}

static void put_counts(struct object *o, const struct job_status *s)
{
    struct object slices = object_new();
    put_number(&slices, "total", s->slice_count);
    put_number(&slices, "final", s->slices_final);
    put_number(&slices, "failed", s->slices_failed);
    put_number(&slices, "provisional", s->slices_provisional);
    put_number(&slices, "running", s->slices_running);
    put_number(&slices, "reopened", s->slices_reopened);
    put(o, "slices", object_done(&slices));

    struct object progress = object_new();
    put_text(&progress, "unit", s->unit);
    put(&progress, "done", json_real(s->units_done));
    put(&progress, "total", json_real(s->units_total));
    put(&progress, "rate_per_s", json_real(s->rate_per_s));
    put(&progress, "probability", json_real(s->probability));
    put_number(&progress, "expected_ms", s->expected_ms);
    put_number(&progress, "likely_ms", s->likely_ms);
    put(o, "progress", object_done(&progress));
}

json_t *control_json_job(const struct job_status *s)
{
    struct object o = answer_new();
    put_digest(&o, "id", &s->id);
    put_text(&o, "name", s->name);
    put_text(&o, "program", s->program);
    put_digest(&o, "owner", &s->owner);
    put_text(&o, "state", job_state_name(s));
    put_bool(&o, "ended", job_state_ended(s));
    put_text(&o, "reason", s->reason);
    put_bool(&o, "mastered", s->mastered);
    put_waiting(&o, &s->waiting);
    put_counts(&o, s);
    put_number(&o, "workers", s->worker_count);
    put_number(&o, "slots", s->slot_count);
    json_t *workers = json_array();
    for (uint32_t i = 0; i < s->workers_shown; i++) {
        append(&o, workers, worker_json(&s->workers[i]));
    }
    put(&o, "workers_shown", workers);
    put_number(&o, "created_wall_ms", s->created_wall_ms);
    put_number(&o, "started_wall_ms", s->started_wall_ms);
    put_number(&o, "ended_wall_ms", s->ended_wall_ms);
    put_number(&o, "elapsed_ms", s->elapsed_ms);
    put_number(&o, "timeout_in_ms", s->timeout_in_ms);
    if (s->answer.found) {
        put(&o, "answer", answer_json(&s->answer));
    }
    put_text(&o, "assumption", s->assumption);
    put_number(&o, "liars", s->liar_count);
    json_t *liars = json_array();
    for (uint32_t i = 0; i < s->liars_shown; i++) {
        append(&o, liars, liar_json(&s->liars[i]));
    }
    put(&o, "liars_shown", liars);
    return object_done(&o);
}

json_t *control_json_slices(const struct slice_status *slices, uint32_t count, uint64_t next)
{
    struct object o = answer_new();
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        struct object slice = object_new();
        put_number(&slice, "slice", slices[i].slice);
        put_text(&slice, "state", slice_state_name(slices[i].state));
        put_number(&slice, "attempts", slices[i].attempt_count);
        put_number(&slice, "votes", slices[i].vote_count);
        append(&o, list, object_done(&slice));
    }
    put(&o, "slices", list);
    if (count > 0) {
        put_number(&o, "next", next);
    }
    return object_done(&o);
}

static void put_outcome(struct object *o, enum outcome_class class, int32_t code)
{
    static const char *const CLASSES[OUTCOME_CLASS_COUNT] = {"exited", "signalled", "time",
                                                             "memory", "output",    "no-start"};
    char text[96];
    put_text(o, "class", (unsigned)class < OUTCOME_CLASS_COUNT ? CLASSES[class] : "unknown");
    put(o, "code", json_integer(code));
    put_text(o, "outcome",
             outcome_text((struct outcome){(uint8_t) class, code}, text, sizeof text));
}

static const char *basis_name(enum record_basis basis)
{
    switch (basis) {
    case BASIS_QUORUM:
        return "quorum";
    case BASIS_PROOF:
        return "proof";
    case BASIS_OWN_RUN:
        return "own run";
    case BASIS_GIVEN_UP:
        return "given up";
    }
    return "unknown";
}

static json_t *result_json(const struct slice_result *r)
{
    struct object o = object_new();
    put_number(&o, "slice", r->slice);
    put_number(&o, "attempt", r->attempt);
    put_outcome(&o, r->class, r->code);
    put_text(&o, "basis", basis_name(r->basis));
    put_bool(&o, "answer", r->answer);
    put_digest(&o, "worker", &r->worker);
    json_t *outputs = json_array();
    for (uint32_t i = 0; i < r->output_count; i++) {
        struct object output = object_new();
        put_number(&output, "index", r->outputs[i].index);
        put_number(&output, "size", r->outputs[i].size);
        put_digest(&output, "root", &r->outputs[i].root);
        append(&o, outputs, object_done(&output));
    }
    put(&o, "outputs", outputs);
    return object_done(&o);
}

json_t *control_json_results(const struct slice_result *results, uint32_t count, bool more)
{
    struct object o = answer_new();
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        append(&o, list, result_json(&results[i]));
    }
    put(&o, "results", list);
    if (more && count > 0) {
        put_number(&o, "next", results[count - 1].slice + 1);
    }
    return object_done(&o);
}

json_t *control_json_logs(const struct slice_log *logs, uint32_t count)
{
    struct object o = answer_new();
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        struct object log = object_new();
        put_number(&log, "attempt", logs[i].attempt);
        put_digest(&log, "worker", &logs[i].worker);
        put_outcome(&log, logs[i].class, logs[i].code);
        put_number(&log, "wall_ms", logs[i].wall_ms);
        put(&log, "stdout", text_of(logs[i].stdout_tail));
        put(&log, "stderr", text_of(logs[i].stderr_tail));
        append(&o, list, object_done(&log));
    }
    put(&o, "attempts", list);
    return object_done(&o);
}

json_t *control_json_error(const struct pn_err *err, const char *field)
{
    struct object o = answer_new();
    put_text(&o, "error", err->text);
    put_text(&o, "status", pn_status_text(err->status));
    if (field != NULL) {
        put_text(&o, "field", field);
    }
    return object_done(&o);
}
