/* Fetching a manifest: piece by piece from one port, believed when its hash is the job ID. */
#include <stdlib.h>

#include "common/clock_sys.h"
#include "peer/swarm/transfer_inside.h"

static void unlink_manifest(struct transfer_fetch *m)
{
    for (struct transfer_fetch **at = &m->t->manifests; *at != NULL; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            return;
        }
    }
}

static void end(struct transfer_fetch *m, enum pn_status status, const struct pn_err *err)
{
    unlink_manifest(m);
    m->on_manifest(m->arg, status, buffer_bytes(&m->text), err);
    buffer_fini(&m->text);
    free(m);
}

void manifest_fail(struct transfer_fetch *m, enum pn_status status, const char *why)
{
    struct pn_err err;
    char job[DIGEST_SHORT_BYTES];
    digest_short(&m->job, job);
    (void)pn_fail(&err, status, "manifest of job %s: %s", job, why);
    buffer_fini(&m->text);
    end(m, status, &err);
}

static enum pn_status ask_on(struct transfer_fetch *m)
{
    uint8_t body[DIGEST_BYTES + 4];
    struct writer w = writer_of(body, sizeof body);
    struct ask *a = ask_new(m->partner, FRAME_MANIFEST);
    if (a == NULL) {
        return PN_E_NO_MEMORY;
    }
    a->manifest = m;
    m->deadline_ms = clock_now_ms() + ANSWER_MS;
    data_manifest_ask_write(&(struct data_manifest_ask){m->job, (uint32_t)m->text.len}, &w);
    enum pn_status status = partner_send(m->partner, SESSION_CONTROL, FRAME_MANIFEST,
                                         FRAME_CRITICAL, a->number, writer_done(&w));
    if (status != PN_OK) {
        ask_free(m->partner, a);
    }
    return status;
}

void manifest_answer(struct transfer_fetch *m, const struct data_manifest *piece)
{
    if (piece->chunk.len >
        piece->total - (m->text.len < piece->total ? m->text.len : piece->total)) {
        manifest_fail(m, PN_E_MALFORMED, "a piece past its end");
        return;
    }
    enum pn_status status = buffer_append(&m->text, piece->chunk);
    if (status == PN_OK && m->text.len < piece->total) {
        status = ask_on(m);
        if (status == PN_OK) {
            return;
        }
    }
    struct digest id;
    manifest_id(buffer_bytes(&m->text), &id);
    if (status != PN_OK) {
        manifest_fail(m, status, pn_status_text(status));
    } else if (!digest_equal(&id, &m->job)) {
        manifest_fail(m, PN_E_MISMATCH, "other bytes than its ID says");
    } else {
        end(m, PN_OK, NULL);
    }
}

enum pn_status transfer_fetch_manifest(struct transfer *t, struct port *port,
                                       const struct digest *job, transfer_on_manifest *on_done,
                                       void *arg, struct transfer_fetch **out, struct pn_err *err)
{
    struct partner *p = transfer_partner(t, port, true);
    struct transfer_fetch *m = calloc(1, sizeof *m);
    if (p == NULL || m == NULL) {
        free(m);
        return pn_fail(err, PN_E_NO_MEMORY, "manifest: out of memory");
    }
    *m = (struct transfer_fetch){.t = t,
                                 .next = t->manifests,
                                 .partner = p,
                                 .job = *job,
                                 .on_manifest = on_done,
                                 .arg = arg};
    buffer_init(&m->text, MANIFEST_BYTES_MAX);
    t->manifests = m;
    *out = m;
    enum pn_status status = ask_on(m);
    if (status != PN_OK) {
        unlink_manifest(m);
        free(m);
        return pn_fail(err, status, "manifest: %s", pn_status_text(status));
    }
    transfer_arm(t);
    return PN_OK;
}
