#include "peer/sandbox/channel_sys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer/sandbox/order.h"

/* Writable is a socket with three quarters of this free: then any order fits. */
enum { SEND_BUFFER_BYTES = 4 * ORDER_BYTES_MAX };

enum pn_status channel_open(int *ours, int *launchers, struct pn_err *err)
{
    int pair[2];
    int bytes = SEND_BUFFER_BYTES; /* the kernel gives what it allows */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "socket pair: %s", strerror(errno));
    }
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return pn_fail(err, PN_E_SYSTEM, "socket pair: %s", strerror(errno));
    }
    *ours = pair[0];
    *launchers = pair[1];
    return PN_OK;
}

enum pn_status channel_send(int fd, struct pn_bytes packet, const int *fds, uint32_t count,
                            struct pn_err *err)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * ORDER_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)packet.ptr, .iov_len = packet.len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    assert(count <= ORDER_FDS_MAX);
    if (count > 0) {
        size_t bytes = count * sizeof(int);
        memset(&control, 0, CMSG_SPACE(bytes));
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), fds, bytes);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(bytes);
    }
    if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
        return PN_OK;
    }
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) {
        return pn_fail(err, PN_E_BUSY, "the launcher is behind with its orders");
    }
    return pn_fail(err, PN_E_SYSTEM, "order to the launcher: %s", strerror(errno));
}

enum pn_status channel_receive(int fd, uint8_t *room, size_t room_bytes, struct pn_bytes *packet,
                               int *passed, struct pn_err *err)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = room, .iov_len = room_bytes};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    *passed = -1;
    ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return PN_E_BUSY;
    }
    if (n <= 0) {
        return pn_fail(err, PN_E_CLOSED, "the launcher closed its socket");
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        memcpy(passed, CMSG_DATA(c), sizeof *passed);
    }
    *packet = (struct pn_bytes){room, (size_t)n};
    return PN_OK;
}

void channel_shut(int fd) { (void)shutdown(fd, SHUT_RDWR); }
