/*
 * tracker_sys -- requests per second of a tracker process, and of opentracker in the same run where
 * it is installed (apt-get install opentracker). One core serves, another one asks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tracker/server_uv.h"

#define JOB "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

enum { CLIENTS = 64, SECONDS = 3, BATCH = 64, ENTRIES = 1000, OPENTRACKER_PORT = 47601 };

struct load {
    const char *name;
    const char *request;    /* of one connection, or of one batch element */
    bool persistent;        /* HELLO first, BATCH requests at a time */
    const char *answer_end; /* persistent: what every answer ends with */
};

struct client {
    int fd;
    size_t ends_left; /* answers that are missing in this batch */
    char last[8];     /* of the bytes so far, to find an end that is split */
    bool greeted;
};

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void pin(size_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* The tracker as a child on a free port; *port is read from what it prints. */
static pid_t start_tracker(uint16_t *port)
{
    int out[2];
    if (pipe(out) != 0) {
        die("pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct pn_err err;
        struct tracker_config config = tracker_config_default();
        config.listen = addr_v4(127, 0, 0, 1, 0);
        config.registry.list_unverified = true;
        pin(0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(out[1], 1);
        _exit(tracker_run(&config, &err) == PN_OK ? 0 : 1);
    }
    char line[128] = "";
    (void)close(out[1]);
    if (read(out[0], line, sizeof line - 1) <= 0) {
        die("tracker");
    }
    (void)close(out[0]);
    *port = (uint16_t)strtoul(strrchr(line, ':') + 1, NULL, 10);
    return pid;
}

/* -1 when it is not installed. */
static pid_t start_opentracker(void)
{
    if (access("/usr/bin/opentracker", X_OK) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        char port[8];
        (void)snprintf(port, sizeof port, "%d", OPENTRACKER_PORT);
        pin(0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execl("/usr/bin/opentracker", "opentracker", "-i", "127.0.0.1", "-p", port, "-d",
                    "/tmp", (char *)NULL);
        _exit(1);
    }
    (void)usleep(300000);
    return pid;
}

static int dial(uint16_t port)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        die("connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            die("send");
        }
        text += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
    }
}

static void open_client(int epoll, struct client *c, uint16_t port, const struct load *load)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    *c = (struct client){.fd = dial(port)};
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev);
    if (load->persistent) {
        send_all(c->fd, "HELLO preon/1\n", 14);
        c->ends_left = 1;
    } else {
        send_all(c->fd, load->request, strlen(load->request));
    }
}

/* How many answers have ended in these bytes: lines that begin with answer_end. */
static size_t count_ends(struct client *c, const char *bytes, size_t len, const char *answer_end)
{
    size_t ends = 0;
    size_t end_len = strlen(answer_end);
    for (size_t i = 0; i < len; i++) {
        memmove(c->last, c->last + 1, sizeof c->last - 1);
        c->last[sizeof c->last - 1] = bytes[i];
        ends += memcmp(c->last + sizeof c->last - end_len, answer_end, end_len) == 0;
    }
    return ends;
}

/* Answers that came; the next batch or connection follows them. */
static size_t serve(int epoll, struct client *c, uint16_t port, const struct load *load,
                    const char *batch, size_t batch_len)
{
    static char bytes[1 << 18];
    ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
    if (!load->persistent) {
        if (got > 0) {
            return 0; /* until it closes */
        }
        (void)close(c->fd);
        open_client(epoll, c, port, load);
        return 1;
    }
    if (got <= 0) {
        die("closed");
    }
    size_t ends = count_ends(c, bytes, (size_t)got, c->greeted ? load->answer_end : "\n");
    if (ends > c->ends_left) {
        (void)fprintf(stderr, "%zu answers, %zu expected\n", ends, c->ends_left);
        exit(1);
    }
    c->ends_left -= ends;
    if (c->ends_left == 0) {
        ends = c->greeted ? ends : 0;
        c->greeted = true;
        c->ends_left = BATCH;
        memset(c->last, 0, sizeof c->last);
        send_all(c->fd, batch, batch_len);
    }
    return ends;
}

static double run(uint16_t port, const struct load *load)
{
    static struct client clients[CLIENTS];
    static char batch[BATCH * 256];
    size_t batch_len = 0;
    for (int i = 0; i < BATCH; i++) {
        size_t len = strlen(load->request);
        memcpy(batch + batch_len, load->request, len);
        batch_len += len;
    }
    int epoll = epoll_create1(0);
    for (int i = 0; i < CLIENTS; i++) {
        open_client(epoll, &clients[i], port, load);
    }
    size_t answers = 0;
    double start = now_s();
    while (now_s() - start < SECONDS) {
        struct epoll_event events[CLIENTS];
        int count = epoll_wait(epoll, events, CLIENTS, 1000);
        for (int i = 0; i < count; i++) {
            answers += serve(epoll, events[i].data.ptr, port, load, batch, batch_len);
        }
    }
    double rate = (double)answers / (now_s() - start);
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(clients[i].fd);
    }
    (void)close(epoll);
    printf("%-44s %9.0f requests/s\n", load->name, rate);
    (void)fflush(stdout);
    return rate;
}

/* Entries to be listed: one job, many ports of another address. */
static void fill(uint16_t port)
{
    char answers[65536];
    int fd = dial(port);
    size_t lines = 0;
    send_all(fd, "HELLO preon/1\n", 14);
    for (int i = 0; i < ENTRIES; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "INFORM %d " JOB " 1800\n", 2000 + i);
        send_all(fd, line, (size_t)len);
    }
    while (lines < ENTRIES + 1) {
        ssize_t got = recv(fd, answers, sizeof answers, 0);
        if (got <= 0) {
            die("fill");
        }
        for (ssize_t i = 0; i < got; i++) {
            lines += answers[i] == '\n';
        }
    }
    (void)close(fd);
}

int main(void)
{
    static const struct load LOADS[] = {
        {"one-shot INFORM, new connection each", "INFORM 4000 " JOB "\n", false, NULL},
        {"persistent PING, 64 at a time", "PING\n", true, "PONG\n"},
        {"persistent INFORM, 64 at a time", "INFORM 4000 " JOB " 600\n", true, "OK 600\n"},
        {"persistent QUERY, 10 listed", "QUERY " JOB " 10\n", true, "END 10 "},
        {"persistent QUERY, 50 listed", "QUERY " JOB " 50\n", true, "END 50 "},
    };
    static const struct load ANNOUNCE = {
        "opentracker, HTTP announce, new connection each",
        "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=4000"
        "&uploaded=0&downloaded=0&left=0&compact=1&numwant=0 HTTP/1.0\r\n\r\n",
        false, NULL};
    (void)signal(SIGPIPE, SIG_IGN);
    uint16_t port;
    pid_t tracker = start_tracker(&port);
    pid_t other = start_opentracker();
    pin(1);
    fill(port);
    double ours = 0;
    for (size_t i = 0; i < sizeof LOADS / sizeof LOADS[0]; i++) {
        double rate = run(port, &LOADS[i]);
        ours = i == 0 ? rate : ours;
    }
    if (other > 0) {
        double theirs = run(OPENTRACKER_PORT, &ANNOUNCE);
        printf("one-shot, ours / opentracker: %.2f\n", ours / theirs);
        (void)kill(other, SIGKILL);
        (void)waitpid(other, NULL, 0);
    }
    (void)kill(tracker, SIGTERM);
    (void)waitpid(tracker, NULL, 0);
    return 0;
}
