/*
 * registry_fixture -- a registry and a trace of the lines that it says: "2: HIRE …".
 */
#ifndef PREON_TESTS_REGISTRY_FIXTURE_H
#define PREON_TESTS_REGISTRY_FIXTURE_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include "tracker/registry.h"

/* Job IDs are long: in these tests #1 stands for 64 digits 1. */
enum { FIXTURE_TRACE_BYTES = 65536 };

struct fixture {
    struct registry *registry;
    struct registry_actions actions;
    uint64_t now_ms;
    char trace[FIXTURE_TRACE_BYTES];
    size_t trace_len;
};

static inline void fixture_open(struct fixture *f, const struct registry_config *config)
{
    memset(f, 0, sizeof *f);
    f->now_ms = 1000000;
    f->registry = registry_new(config, f->now_ms);
    assert_non_null(f->registry);
}

static inline void fixture_close(struct fixture *f) { registry_free(f->registry); }

/* Replaces each run of 64 equal hex digits by # and the digit. */
static inline void fixture_shorten(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        size_t run = 0;
        while (run < 64 && at[run] == *at) {
            run++;
        }
        if (run == 64) {
            at[1] = *at;
            at[0] = '#';
            memmove(at + 2, at + 64, strlen(at + 64) + 1);
        }
    }
}

static inline void fixture_lengthen(const char *text, char out[512])
{
    size_t len = 0;
    for (; *text != '\0'; text++) {
        if (*text == '#') {
            memset(out + len, *++text, 64);
            len += 64;
        } else {
            out[len++] = *text;
        }
    }
    out[len] = '\0';
}

static inline void fixture_step(struct fixture *f, struct registry_event ev)
{
    ev.now_ms = f->now_ms;
    registry_step(f->registry, &ev, &f->actions);
    for (size_t i = 0; i < f->actions.says.count; i++) {
        const struct say *say = &f->actions.says.say[i];
        char text[TRACKLINE_TEXT_BYTES + 1];
        text[trackline_write(say->manner, &say->line, text)] = '\0';
        fixture_shorten(text);
        int len = snprintf(f->trace + f->trace_len, sizeof f->trace - f->trace_len, "%u: %s",
                           say->conn, text);
        assert_true(len > 0 && (size_t)len < sizeof f->trace - f->trace_len);
        f->trace_len += (size_t)len;
    }
}

/* The new connection's number, POOL_NONE when refused. */
static inline uint32_t fixture_connect(struct fixture *f, const char *ip)
{
    struct registry_event ev = {.kind = REGISTRY_CONNECT};
    assert_true(addr_parse_ip(pn_bytes_str(ip), &ev.addr));
    fixture_step(f, ev);
    return f->actions.refused ? POOL_NONE : f->actions.conn;
}

static inline void fixture_disconnect(struct fixture *f, uint32_t conn)
{
    fixture_step(f, (struct registry_event){.kind = REGISTRY_DISCONNECT, .conn = conn});
}

static inline void fixture_line(struct fixture *f, uint32_t conn, enum trackline_manner manner,
                                const char *text)
{
    char whole[512];
    struct trackline line;
    struct pn_err err;
    fixture_lengthen(text, whole);
    if (trackline_parse(manner, pn_bytes_str(whole), &line, &err) != PN_OK) {
        fail_msg("%s: %s", text, err.text);
    }
    fixture_step(f, (struct registry_event){
                        .kind = REGISTRY_LINE, .conn = conn, .manner = manner, .line = &line});
}

static inline void fixture_say(struct fixture *f, uint32_t conn, const char *text)
{
    fixture_line(f, conn, TRACKLINE_REQUEST, text);
}

/* Lets the time pass, and every tick happen when it is due. */
static inline void fixture_wait(struct fixture *f, uint64_t ms)
{
    uint64_t until = f->now_ms + ms;
    while (registry_deadline_ms(f->registry) <= until) {
        uint64_t due = registry_deadline_ms(f->registry);
        f->now_ms = due > f->now_ms ? due : f->now_ms;
        fixture_step(f, (struct registry_event){.kind = REGISTRY_TICK});
    }
    f->now_ms = until;
}

/* The trace since the last look, which must be this text. */
static inline void fixture_traced(struct fixture *f, const char *wanted)
{
    assert_string_equal(f->trace, wanted);
    f->trace_len = 0;
    f->trace[0] = '\0';
}

static inline void fixture_forget(struct fixture *f)
{
    f->trace_len = 0;
    f->trace[0] = '\0';
}

/* The token of the last HIRE in the trace. */
static inline uint32_t fixture_token(const struct fixture *f)
{
    const char *hire = NULL;
    for (const char *at = f->trace; (at = strstr(at, "HIRE ")) != NULL; at++) {
        hire = at;
    }
    assert_non_null(hire);
    return hire != NULL ? (uint32_t)strtoul(hire + 5, NULL, 10) : 0;
}

/* How often a text stands in the trace. */
static inline int fixture_count(const struct fixture *f, const char *text)
{
    int count = 0;
    for (const char *at = f->trace; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

#endif
