/*
 * share -- how much of a busy processor all slices get together, beside the user's own programs.
 *
 * Where the kernel makes a scheduling group of each session (autogroups, the default on most
 * systems), nice values count only inside a group, and one session weighs as much as any other. So
 * the launcher and all its slices stay in one session, and that session as a whole is made light:
 * weight 110 beside 1024 for each busy session of the user's, spread over the processors that the
 * slices keep busy. Who is light is also slow to die, so while slices are being killed the session
 * weighs as much as others. Without such groups all this does nothing, and the slices' own nice
 * value counts (launcher/rights.c).
 */
#ifndef PREON_PEER_SANDBOX_SHARE_UV_H
#define PREON_PEER_SANDBOX_SHARE_UV_H

#include <uv.h>

#include <stdbool.h>

/* Embedded; its timer is the owner's to close. */
struct share {
    uv_timer_t timer;
    int fd;   /* the session's nice value, to be written; -1: none */
    int nice; /* as last written */
    bool hurried;
};

void share_init(struct share *s, uv_loop_t *loop);

/*
 * Makes the session that `pid` leads light, until share_end. It is opened at once, so that the
 * process may hide itself later.
 */
void share_begin(struct share *s, int pid);
void share_end(struct share *s);

/* True: full weight, now. False: light again, in a second. Neither need be a change. */
void share_hurry(struct share *s, bool hurried);

#endif
