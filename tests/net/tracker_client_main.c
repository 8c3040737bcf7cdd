/*
 * tracker_client_main -- a peer's side of trackers alone, telling what it hears:
 *     tracker_client_main HOST:PORT[,HOST:PORT] [serve=JOB:PORT] [idle=SLOTS:WORDS]
 *                         [demand=JOB:PORT:SLOTS:WORDS] [query=JOB] [pass]
 * prints "ready 1", "hire 127.0.0.1:5000 JOB", "peers JOB 127.0.0.1:4000 …", "why …" and ends with
 * its standard input.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/rendezvous/tracker_client_uv.h"

static uv_loop_t loop;
static struct trackers *trackers;
static uv_timer_t timer;
static uv_pipe_t input;
static bool passes;
static struct digest demanded;
static bool has_demand;
static struct digest queried;
static bool has_query;
static char last_why[TRACKER_CLIENT_WHY_BYTES];
static uint32_t last_ready;

static void wrong(const char *what)
{
    (void)fprintf(stderr, "tracker_client_main: %s\n", what);
    exit(2);
}

static bool on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    (void)arg;
    char addr[ADDR_TEXT_BYTES];
    char hex[DIGEST_HEX_BYTES];
    digest_hex(job, hex);
    (void)printf("hire %s %s\n", addr_text(master, addr), hex);
    return !passes;
}

static void on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count)
{
    (void)arg;
    char hex[DIGEST_HEX_BYTES];
    digest_hex(job, hex);
    (void)printf("peers %s", hex);
    for (size_t i = 0; i < count; i++) {
        char addr[ADDR_TEXT_BYTES];
        (void)printf(" %s", addr_text(&peers[i], addr));
    }
    (void)printf("\n");
}

/* Ten times a second: what has changed; once a second the query. */
static void on_timer(uv_timer_t *handle)
{
    static unsigned turn;
    (void)handle;
    struct tracker_why why;
    if (trackers_ready_count(trackers) != last_ready) {
        last_ready = trackers_ready_count(trackers);
        (void)printf("ready %u\n", last_ready);
    }
    trackers_why(trackers, 0, has_demand ? &demanded : NULL, &why);
    if (strcmp(why.cause, last_why) != 0) {
        memcpy(last_why, why.cause, sizeof last_why);
        (void)printf("why %s; %s\n", why.cause, why.remedy);
    }
    if (has_query && turn++ % 10 == 0) {
        (void)trackers_query(trackers, &queried);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[256];
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_input(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    (void)buf;
    if (count < 0) {
        trackers_close(trackers);
        uv_close((uv_handle_t *)&timer, NULL);
        uv_close((uv_handle_t *)stream, NULL);
    }
}

/* The next part of "a:b:c". */
static const char *part(char **rest)
{
    char *at = strsep(rest, ":");
    return at == NULL ? "" : at;
}

static struct digest job_of(const char *text)
{
    struct digest job;
    if (!digest_parse(text, strlen(text), &job)) {
        wrong("bad job");
    }
    return job;
}

static void state(char *word)
{
    char *rest = word;
    const char *name = strsep(&rest, "=");
    enum pn_status status = PN_OK;
    if (strcmp(name, "serve") == 0) {
        struct digest job = job_of(part(&rest));
        status = trackers_serve(trackers, &job, (uint16_t)strtoul(part(&rest), NULL, 10));
    } else if (strcmp(name, "idle") == 0) {
        uint16_t slots = (uint16_t)strtoul(part(&rest), NULL, 10);
        status = trackers_idle(trackers, slots, pn_bytes_str(part(&rest)));
    } else if (strcmp(name, "demand") == 0) {
        demanded = job_of(part(&rest));
        has_demand = true;
        uint16_t port = (uint16_t)strtoul(part(&rest), NULL, 10);
        uint16_t slots = (uint16_t)strtoul(part(&rest), NULL, 10);
        status = trackers_demand(trackers, &demanded, port, slots, pn_bytes_str(part(&rest)));
    } else if (strcmp(name, "query") == 0) {
        queried = job_of(part(&rest));
        has_query = true;
    } else if (strcmp(name, "pass") == 0) {
        passes = true;
    } else {
        wrong("unknown word");
    }
    if (status != PN_OK) {
        wrong(pn_status_text(status));
    }
}

int main(int argc, char **argv)
{
    static const struct trackers_callbacks CALLBACKS = {.on_hire = on_hire, .on_peers = on_peers};
    struct peer_tracker list[PEER_TRACKERS_MAX];
    uint32_t count = 0;
    struct pn_err err;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2) {
        wrong("no tracker");
    }
    char *rest = argv[1];
    for (char *name; count < PEER_TRACKERS_MAX && (name = strsep(&rest, ",")) != NULL; count++) {
        char *host = strdup(name);
        char *colon = host == NULL ? NULL : strrchr(host, ':');
        if (colon == NULL) {
            wrong("no port");
        }
        *colon = '\0';
        list[count] = (struct peer_tracker){
            .name = name, .host = host, .port = (uint16_t)strtoul(colon + 1, NULL, 10)};
    }
    (void)uv_loop_init(&loop);
    if (trackers_open(&loop, list, count, 0, &CALLBACKS, NULL, &trackers, &err) != PN_OK) {
        wrong(err.text);
    }
    for (int i = 2; i < argc; i++) {
        state(argv[i]);
    }
    (void)uv_timer_init(&loop, &timer);
    (void)uv_timer_start(&timer, on_timer, 0, 100);
    (void)uv_pipe_init(&loop, &input, 0);
    (void)uv_pipe_open(&input, 0);
    (void)uv_read_start((uv_stream_t *)&input, on_alloc, on_input);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    int busy = uv_loop_close(&loop);
    for (uint32_t i = 0; i < count; i++) {
        free((void *)list[i].host);
    }
    return busy == 0 ? 0 : 3;
}
