/*
 * channel_sys -- the daemon's end of the socket to its launcher: packets with descriptors.
 */
#ifndef PREON_PEER_SANDBOX_CHANNEL_SYS_H
#define PREON_PEER_SANDBOX_CHANNEL_SYS_H

#include "common/bytes.h"
#include "common/status.h"

/* Makes the pair: ours non-blocking, both closed on exec. */
enum pn_status channel_open(int *ours, int *launchers, struct pn_err *err);

/*
 * Sends one packet with fds[0..count). PN_E_BUSY: the launcher is behind, nothing was sent. Nobody
 * waits here for room: the launcher may be waiting for us to read.
 */
enum pn_status channel_send(int fd, struct pn_bytes packet, const int *fds, uint32_t count,
                            struct pn_err *err);

/*
 * Receives one packet into room; *passed is the descriptor that came along (the caller's now) or
 * -1. PN_E_BUSY: there is none. PN_E_CLOSED: the launcher is gone.
 */
enum pn_status channel_receive(int fd, uint8_t *room, size_t room_bytes, struct pn_bytes *packet,
                               int *passed, struct pn_err *err);

/* Lets the other end see that nothing more will come; the descriptor stays open. */
void channel_shut(int fd);

#endif
