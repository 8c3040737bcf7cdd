#include "tools/client_sys.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "tools/interrupt_sys.h"
#include "tools/sse.h"

enum {
    ANSWER_BYTES_MAX = 64 * 1024 * 1024,
    ANSWER_WITHIN_MS = 60 * 1000,  /* of a plain question */
    DONE_WITHIN_MS = 3600 * 1000,  /* of an order, which may wait for a slow disk */
    PUT_UNASKED_BYTES = 64 * 1024, /* a smaller body is sent without asking */
    HELLO_WITHIN_MS = 5 * 1000,    /* of the first one: who is there */
    TURN_MS = 200,                 /* between two looks at deadline and Ctrl-C */
    SILENT_TURNS_MAX = 100,        /* 20 s of a follower; an event comes every second */
    URL_BYTES = 256,
};

struct client {
    int dir_fd;
    char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    char shown[160]; /* the socket's name, for sentences */
    CURL *easy;
    CURLM *multi;
    json_t *peer;
    struct digest peer_id;
    pid_t pid; /* of who listens at the socket */
    bool patient;
};

/* One exchange as its callbacks see it. */
struct exchange {
    struct client *client;
    uint64_t deadline_ms;
    struct buffer answer; /* of errors, and of everything that is not streamed */
    enum pn_status status;

    enum pn_status (*on_bytes)(void *arg, struct pn_bytes bytes); /* or NULL */
    void *arg;

    /* Turns, not time: a machine that has slept for hours comes back with its peer. */
    unsigned silent_turns_max; /* 0: it may be silent for as long as its deadline */
    unsigned silent_turns;     /* since the last bytes */

    int put_fd;
    uint64_t put_offset;
    uint64_t put_size;
};

/* --- who is at the socket --- */

/*
 * Connects once, to tell the errors apart that libcurl does not, and to see who answers. Without
 * waiting: where nobody accepts, the queue is full one day, and then a connect would hang.
 */
static enum pn_status probe(struct client *c, struct pn_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred who;
    socklen_t who_len = sizeof who;
    memcpy(address.sun_path, c->socket_path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum pn_status status = PN_OK;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        bool none = errno == ENOENT || errno == ECONNREFUSED;
        status = pn_fail(err, none ? PN_E_NOT_FOUND : PN_E_DENIED, "control socket %s: %s",
                         c->shown, errno == EAGAIN ? "nobody accepts there" : strerror(errno));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_len) != 0) {
        status = pn_fail(err, PN_E_SYSTEM, "control socket %s: %s", c->shown, strerror(errno));
    } else if (who.uid != geteuid() && who.uid != 0 && geteuid() != 0) {
        status = pn_fail(err, PN_E_DENIED, "control socket %s: is not ours (user %u's)", c->shown,
                         (unsigned)who.uid);
    } else {
        c->pid = who.pid;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

static enum pn_status find_socket(struct client *c, const char *data_dir, struct pn_err *err)
{
    (void)snprintf(c->shown, sizeof c->shown, "%s/control.sock", data_dir);
    c->dir_fd = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0) {
        return pn_fail(err, errno == ENOENT ? PN_E_NOT_FOUND : PN_E_DENIED, "%s: %s", data_dir,
                       strerror(errno));
    }
    int len = snprintf(c->socket_path, sizeof c->socket_path, "%s/control.sock", data_dir);
    if (len < 0 || (size_t)len >= sizeof c->socket_path) {
        /* too long for an address: through the folder's descriptor */
        (void)snprintf(c->socket_path, sizeof c->socket_path, "/proc/self/fd/%d/control.sock",
                       c->dir_fd);
    }
    return probe(c, err);
}

/* --- exchanges --- */

static size_t on_answer(char *bytes, size_t one, size_t len, void *arg)
{
    struct exchange *x = arg;
    long code = 0;
    const struct pn_bytes piece = {(const uint8_t *)bytes, one * len};
    (void)curl_easy_getinfo(x->client->easy, CURLINFO_RESPONSE_CODE, &code);
    x->silent_turns = 0;
    if (x->on_bytes != NULL && code == 200) {
        x->status = x->on_bytes(x->arg, piece);
    } else {
        x->status = buffer_append(&x->answer, piece);
    }
    return x->status == PN_OK ? piece.len : CURL_WRITEFUNC_ERROR;
}

static size_t on_put(char *out, size_t one, size_t len, void *arg)
{
    struct exchange *x = arg;
    ssize_t n = pread(x->put_fd, out, one * len, (off_t)x->put_offset);
    if (n < 0 || (n == 0 && x->put_offset < x->put_size)) {
        return CURL_READFUNC_ABORT; /* or it has become shorter since it was hashed */
    }
    x->put_offset += (uint64_t)n;
    return (size_t)n;
}

/* What is common to all questions. The handle's connection is used again. */
static void prepare(struct exchange *x, const char *method, const char *path)
{
    CURL *easy = x->client->easy;
    char url[URL_BYTES];
    (void)snprintf(url, sizeof url, "http://preon%s", path);
    curl_easy_reset(easy);
    (void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, x->client->socket_path);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* never one of the environment's */
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url); /* copied */
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    buffer_init(&x->answer, ANSWER_BYTES_MAX);
}

static enum pn_status lost(const struct exchange *x, CURLcode code, struct pn_err *err)
{
    if (x->status != PN_OK) {
        return pn_fail(err, x->status, "control socket %s: answer: %s", x->client->shown,
                       pn_status_text(x->status));
    }
    return pn_fail(err, PN_E_CLOSED, "control socket %s: %s", x->client->shown,
                   curl_easy_strerror(code));
}

/* Runs the prepared exchange to its end. */
static enum pn_status transfer(struct exchange *x, struct pn_err *err)
{
    CURLM *multi = x->client->multi;
    CURL *easy = x->client->easy;
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    enum pn_status status = PN_OK;
    for (int running = 1; status == PN_OK && running > 0;) {
        int ready = 0;
        CURLMcode code = curl_multi_perform(multi, &running);
        if (code == CURLM_OK && running > 0) {
            code = curl_multi_poll(multi, NULL, 0, TURN_MS, &ready);
            x->silent_turns += ready == 0;
        }
        if (code != CURLM_OK) {
            status = pn_fail(err, PN_E_SYSTEM, "libcurl: %s", curl_multi_strerror(code));
        } else if (running > 0 && interrupt_came() && !x->client->patient) {
            status = pn_fail(err, PN_E_CLOSED, "interrupted");
        } else if (running > 0 && clock_now_ms() >= x->deadline_ms) {
            status = pn_fail(err, PN_E_TIMEOUT, "no answer at %s in time", x->client->shown);
        } else if (running > 0 && x->silent_turns_max > 0 &&
                   x->silent_turns > x->silent_turns_max) {
            status = pn_fail(
                err, PN_E_DENIED, "control socket %s: process %ld has said nothing for %d s",
                x->client->shown, (long)x->client->pid, SILENT_TURNS_MAX * TURN_MS / 1000);
        }
    }
    int left = 0;
    const CURLMsg *done = curl_multi_info_read(multi, &left);
    if (status == PN_OK && done != NULL && done->data.result != CURLE_OK) {
        status = lost(x, done->data.result, err);
    }
    (void)curl_multi_remove_handle(multi, easy);
    return status;
}

static enum pn_status status_of_http(long code, const char *word)
{
    switch (code) {
    case 400:
    case 405:
    case 413:
        return PN_E_RANGE;
    case 403:
        return PN_E_DENIED;
    case 404:
        return PN_E_NOT_FOUND;
    case 409:
        return strcmp(word, pn_status_text(PN_E_BUSY)) == 0 ? PN_E_BUSY : PN_E_EXISTS;
    case 503:
        return PN_E_CLOSED;
    case 504:
        return PN_E_TIMEOUT;
    case 507:
        return PN_E_FULL;
    default:
        return PN_E_SYSTEM;
    }
}

/* The answer's JSON, or the error that it is. */
static enum pn_status read_answer(const struct exchange *x, json_t **answer, struct pn_err *err)
{
    long code = 0;
    (void)curl_easy_getinfo(x->client->easy, CURLINFO_RESPONSE_CODE, &code);
    json_t *json =
        x->answer.len == 0 ? NULL : json_loadb((const char *)x->answer.ptr, x->answer.len, 0, NULL);
    if (json_integer_value(json_object_get(json, "schema")) != 1) {
        json_decref(json);
        return pn_fail(err, PN_E_DENIED, "control socket %s: what answers is no preon peer",
                       x->client->shown);
    }
    if (code != 200) {
        const char *sentence = json_string_value(json_object_get(json, "error"));
        const char *word = json_string_value(json_object_get(json, "status"));
        enum pn_status status = pn_fail(err, status_of_http(code, word != NULL ? word : ""), "%s",
                                        sentence != NULL ? sentence : "the peer gives no reason");
        json_decref(json);
        return status;
    }
    if (answer != NULL) {
        *answer = json;
    } else {
        json_decref(json);
    }
    return PN_OK;
}

static enum pn_status ask(struct client *c, const char *method, const char *path,
                          const json_t *body, uint64_t within_ms, json_t **answer,
                          struct pn_err *err)
{
    struct exchange x = {.client = c, .deadline_ms = clock_now_ms() + within_ms};
    char *text = NULL;
    struct curl_slist *headers = NULL;
    if (answer != NULL) {
        *answer = NULL;
    }
    prepare(&x, method, path);
    if (body != NULL) {
        text = json_dumps(body, JSON_COMPACT);
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        if (text == NULL || headers == NULL) {
            free(text);
            curl_slist_free_all(headers);
            return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
        }
        (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
        (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, text);
    } else if (strcmp(method, "POST") == 0) {
        (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, "");
    }
    enum pn_status status = transfer(&x, err);
    if (status == PN_OK) {
        status = read_answer(&x, answer, err);
    }
    buffer_fini(&x.answer);
    curl_slist_free_all(headers);
    free(text);
    return status;
}

enum pn_status client_ask(struct client *c, const char *method, const char *path,
                          const json_t *body, json_t **answer, struct pn_err *err)
{
    return ask(c, method, path, body, ANSWER_WITHIN_MS, answer, err);
}

enum pn_status client_order(struct client *c, const char *method, const char *path,
                            const json_t *body, struct pn_err *err)
{
    return ask(c, method, path, body, DONE_WITHIN_MS, NULL, err);
}

enum pn_status client_put(struct client *c, const char *path, int fd, uint64_t size, bool *had,
                          struct pn_err *err)
{
    struct exchange x = {.client = c, .deadline_ms = UINT64_MAX, .put_fd = fd, .put_size = size};
    json_t *answer = NULL;
    /* The peer says "have" before a body that costs more than to ask. */
    struct curl_slist *headers =
        curl_slist_append(NULL, size > PUT_UNASKED_BYTES ? "Expect: 100-continue" : "Expect:");
    prepare(&x, "PUT", path);
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
    (void)curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_put);
    (void)curl_easy_setopt(c->easy, CURLOPT_READDATA, &x);
    enum pn_status status = transfer(&x, err);
    if (status == PN_OK) {
        status = read_answer(&x, &answer, err);
    }
    *had = json_is_true(json_object_get(answer, "have"));
    json_decref(answer);
    buffer_fini(&x.answer);
    curl_slist_free_all(headers);
    return status;
}

enum pn_status client_fetch(struct client *c, const char *path,
                            enum pn_status (*on_bytes)(void *arg, struct pn_bytes bytes), void *arg,
                            struct pn_err *err)
{
    struct exchange x = {.client = c, .deadline_ms = UINT64_MAX, .on_bytes = on_bytes, .arg = arg};
    long code = 0;
    prepare(&x, "GET", path);
    enum pn_status status = transfer(&x, err);
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &code);
    if (status == PN_OK && code != 200) {
        status = read_answer(&x, NULL, err);
    }
    buffer_fini(&x.answer);
    return status;
}

struct follow {
    struct sse sse;
    struct buffer data;
    bool (*on_event)(void *arg, const char *name, const json_t *data);
    void *arg;
    bool enough;
};

static enum pn_status follow_bytes(void *arg, struct pn_bytes bytes)
{
    struct follow *f = arg;
    char name[SSE_NAME_BYTES];
    enum pn_status status = sse_add(&f->sse, bytes);
    while (status == PN_OK && sse_next(&f->sse, name, &f->data)) {
        json_t *json = json_loadb((const char *)f->data.ptr, f->data.len, 0, NULL);
        f->enough = json == NULL || !f->on_event(f->arg, name, json);
        json_decref(json);
        if (f->enough) {
            return PN_E_CLOSED; /* ends the transfer; client_follow knows why */
        }
    }
    return status;
}

enum pn_status client_follow(struct client *c, const char *path, uint64_t deadline_ms,
                             bool (*on_event)(void *arg, const char *name, const json_t *data),
                             void *arg, struct pn_err *err)
{
    struct follow f = {.on_event = on_event, .arg = arg};
    struct exchange x = {.client = c,
                         .deadline_ms = deadline_ms,
                         .on_bytes = follow_bytes,
                         .arg = &f,
                         .silent_turns_max = SILENT_TURNS_MAX};
    long code = 0;
    sse_init(&f.sse);
    buffer_init(&f.data, SSE_EVENT_BYTES_MAX);
    prepare(&x, "GET", path);
    enum pn_status status = transfer(&x, err);
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &code);
    if (f.enough) {
        status = PN_OK;
    } else if (status == PN_OK && code != 200) {
        status = read_answer(&x, NULL, err);
    }
    buffer_fini(&f.data);
    sse_fini(&f.sse);
    buffer_fini(&x.answer);
    return status;
}

/* --- open and close --- */

static enum pn_status ask_who(struct client *c, struct pn_err *err)
{
    enum pn_status status = ask(c, "GET", "/v1/peer", NULL, HELLO_WITHIN_MS, &c->peer, err);
    if (status == PN_E_TIMEOUT) {
        return pn_fail(err, PN_E_DENIED,
                       "control socket %s: process %ld listens there and does not answer", c->shown,
                       (long)c->pid);
    }
    if (status != PN_OK) {
        return status;
    }
    const char *id = json_string_value(json_object_get(c->peer, "id"));
    return id != NULL && digest_parse(id, strlen(id), &c->peer_id)
               ? PN_OK
               : pn_fail(err, PN_E_DENIED, "control socket %s: what answers is no preon peer",
                         c->shown);
}

enum pn_status client_open(const char *data_dir, struct client **out, struct pn_err *err)
{
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    enum pn_status status = find_socket(c, data_dir, err);
    if (status == PN_OK) {
        (void)curl_global_init(CURL_GLOBAL_NOTHING); /* not TLS, whose start costs milliseconds */
        c->easy = curl_easy_init();
        c->multi = curl_multi_init();
        status = c->easy == NULL || c->multi == NULL ? pn_fail(err, PN_E_NO_MEMORY, "out of memory")
                                                     : ask_who(c, err);
        /* "Not found" is for the socket alone: who answers so is there. */
        status = status == PN_E_NOT_FOUND ? PN_E_DENIED : status;
    }
    if (status != PN_OK) {
        client_close(c);
        return status;
    }
    *out = c;
    return PN_OK;
}

void client_close(struct client *c)
{
    if (c == NULL) {
        return;
    }
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    json_decref(c->peer);
    if (c->dir_fd >= 0) {
        (void)close(c->dir_fd);
    }
    free(c);
}

void client_be_patient(struct client *c) { c->patient = true; }

const json_t *client_peer(const struct client *c) { return c->peer; }

const struct digest *client_peer_id(const struct client *c) { return &c->peer_id; }
