#include "peer/sandbox/parcel_sys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer/sandbox/channel_sys.h"

void parcel_add_take(struct parcel *p, int fd)
{
    assert(p->count < ORDER_FDS_MAX);
    p->fds[p->count++] = fd;
}

enum pn_status parcel_add(struct parcel *p, int fd, struct pn_err *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return pn_fail(err, PN_E_SYSTEM, "order to the launcher: %s", strerror(errno));
    }
    parcel_add_take(p, copy);
    return PN_OK;
}

void parcel_fini(struct parcel *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        (void)close(p->fds[i]);
    }
    p->count = 0;
}

enum pn_status parcel_send(const struct parcel *p, int socket, struct pn_err *err)
{
    return channel_send(socket, p->packet, p->fds, p->count, err);
}

struct parcel *parcel_keep_take(struct parcel *p)
{
    struct parcel *kept = malloc(sizeof *kept + p->packet.len);
    if (kept == NULL) {
        return NULL;
    }
    uint8_t *bytes = (uint8_t *)(kept + 1);
    memcpy(bytes, p->packet.ptr, p->packet.len);
    *kept = *p;
    kept->packet.ptr = bytes;
    p->count = 0;
    return kept;
}

void parcel_free(struct parcel *kept)
{
    if (kept != NULL) {
        parcel_fini(kept);
        free(kept);
    }
}
