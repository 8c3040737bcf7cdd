/* What the rooms of a peer ask of each other, and where frames and ports go. */
#include "common/clock_sys.h"
#include "jobs/program.h"
#include "peer/peer_inside.h"

/* --- what the rooms ask of each other --------------------------------------------------------- */

bool peer_has_program(const char *name) { return job_program_find(name) != NULL; }

bool peer_own_can_run(void *arg, const struct manifest *m)
{
    const struct peer *p = arg;
    const struct sandbox_state *s = sandbox_state(p->sandbox);
    return s->tier == SANDBOX_FULL ||
           (s->tier == SANDBOX_REDUCED && m->program_kind == PROGRAM_OWN);
}

bool peer_may_read(void *arg, const struct port *port, const struct file_set *set)
{
    const struct peer *p = arg;
    if (set->kind == SET_OF_JOB) {
        return leads_knows_job(p->leads, &set->job) || labour_works_on(p->labour, &set->job);
    }
    return labour_may_read(p->labour, port, set) || leads_output_final(p->leads, set);
}

void peer_on_pressure(void *arg, bool stop_reading)
{
    struct peer *p = arg;
    p->disk_pressed = stop_reading;
    ports_pause(p->ports, p->disk_pressed || p->ledger_pressed);
}

void peer_on_ledger_pressure(void *arg, bool stop_reading)
{
    struct peer *p = arg;
    p->ledger_pressed = stop_reading;
    ports_pause(p->ports, p->disk_pressed || p->ledger_pressed);
}

bool peer_on_own_wanted(void *arg, const struct digest *job)
{
    struct peer *p = arg;
    struct pn_err err;
    return labour_engage(p->labour, p->worker_end, job, &err) != PN_E_FULL;
}

void peer_on_job_change(void *arg, const struct digest *job)
{
    struct peer *p = arg;
    if (p->control != NULL) {
        control_job_changed(p->control, job);
    }
    peer_refresh_soon(p);
}

void peer_on_labour_change(void *arg) { peer_refresh_soon(arg); }

bool peer_leads_job(void *arg, const struct digest *job)
{
    const struct peer *p = arg;
    return leads_knows_job(p->leads, job);
}

/* --- frames and ports ------------------------------------------------------------------------- */

void peer_on_up(void *arg, struct port *port, const struct hello *hello, uint64_t tag)
{
    struct peer *p = arg;
    (void)hello;
    if (tag == 0) { /* a tracker that dials back counts as well; who came from afar, longest */
        const bool afar = p->reached_from.family != ADDR_NONE && !addr_is_lan(&p->reached_from);
        if (!afar || !addr_is_lan(&port->remote)) {
            p->reached_from = port->remote;
            p->reached_ms = clock_now_ms();
        }
    } else if ((tag & MATES_TAG_BIT) != 0) {
        mates_up(p->mates, port, tag);
    } else {
        labour_up(p->labour, port, tag);
    }
}

void peer_on_down(void *arg, struct port *port, bool was_up, uint64_t tag, const char *reason)
{
    struct peer *p = arg;
    char text[ADDR_TEXT_BYTES];
    log_write(LOG_DEBUG, "peer", "link %s %s: %s", addr_text(&port->remote, text),
              was_up ? "closed" : "failed", reason);
    transfer_port_closed(p->transfer, port);
    if ((tag & MATES_TAG_BIT) != 0) {
        mates_down(p->mates, tag);
    } else {
        labour_down(p->labour, port, was_up, tag);
    }
    leads_port_down(p->leads, port);
}

/* `--lan`, implied by a tracker on such an address. */
bool peer_on_lan(void *arg)
{
    const struct peer *p = arg;
    return p->config->lan || (p->trackers != NULL && trackers_on_lan(p->trackers));
}

void peer_on_drain(void *arg, struct port *port)
{
    const struct peer *p = arg;
    transfer_port_drained(p->transfer, port);
}

enum pn_status peer_on_frame(void *arg, struct port *port, const struct frame *f,
                             struct pn_err *err)
{
    const struct peer *p = arg;
    bool answer = (f->flags & FRAME_ANSWER) != 0;
    if (f->type >= FRAME_MANIFEST ||
        (f->type == FRAME_ERROR && (f->request & TRANSFER_REQUEST_BIT) != 0)) {
        return transfer_frame(p->transfer, port, f, err);
    }
    switch (f->type) {
    case FRAME_JOIN:
    case FRAME_ENLIST:
    case FRAME_VOTE:
        return answer ? labour_frame(p->labour, port, f, err) : leads_frame(p->leads, port, f, err);
    case FRAME_OFFER:
        return answer ? leads_hire_frame(p->leads, port, f, err)
                      : labour_frame(p->labour, port, f, err);
    case FRAME_IDLE:
    case FRAME_LEAVE:
        return leads_hire_frame(p->leads, port, f, err);
    case FRAME_STARTED:
    case FRAME_PROGRESS:
    case FRAME_GIVE_UP:
        return leads_frame(p->leads, port, f, err);
    case FRAME_ASSIGN:
    case FRAME_CANCEL:
    case FRAME_RELEASE:
    case FRAME_ENDED:
    case FRAME_ERROR:
        return labour_frame(p->labour, port, f, err);
    default:
        return PN_OK; /* of a later version, and not critical: the session lets no others through */
    }
}

/* --- trackers --------------------------------------------------------------------------------- */

bool peer_on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    struct peer *p = arg;
    char text[ADDR_TEXT_BYTES];
    struct pn_err err;
    if (p->leaving || leads_knows_job(p->leads, job)) {
        return false;
    }
    if (ports_may_dial(p->ports, master, DIALLING_WORK) == DIALLING_NEVER) {
        log_write(LOG_WARN, "peer", "hired to %s: not an address to dial", addr_text(master, text));
        return false;
    }
    if (labour_hire(p->labour, job, master, &err) != PN_OK) {
        return false;
    }
    hiring_taken(p->hiring);
    peer_refresh_soon(p);
    return true;
}

/* Who serves a job: sources of its blocks, and perhaps a master that was lost. */
void peer_on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count)
{
    const struct peer *p = arg;
    mates_found(p->mates, job, peers, count);
    for (size_t i = 0; i < count && !p->leaving; i++) {
        labour_found(p->labour, job, &peers[i]);
    }
}

/* A busy source names others. */
void peer_on_named(void *arg, const struct file_set *set, const struct addr *addrs, uint32_t count)
{
    const struct peer *p = arg;
    if (set->kind == SET_OF_JOB) {
        mates_found(p->mates, &set->job, addrs, count);
    }
}

/* Whom we name when we are busy: those whose links for this job we have proven. */
uint32_t peer_others(void *arg, const struct port *port, const struct file_set *set,
                     struct addr addrs[DATA_ERROR_ADDRS_MAX])
{
    const struct peer *p = arg;
    return set->kind == SET_OF_JOB
               ? mates_others(p->mates, &set->job, port, addrs, DATA_ERROR_ADDRS_MAX)
               : 0;
}

void peer_on_lost(void *arg, const struct digest *job)
{
    const struct peer *p = arg;
    (void)trackers_query(p->trackers, job); /* full: the next dial in vain asks again */
}

void peer_on_files(void *arg, const struct digest *job, bool wanted)
{
    const struct peer *p = arg;
    if (!p->leaving) {
        mates_want(p->mates, job, wanted);
    }
}
