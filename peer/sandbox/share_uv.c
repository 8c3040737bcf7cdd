#include "peer/sandbox/share_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
    NICE_LIGHT = 10,
    NICE_FULL = 0,
    CALM_MS = 1000, /* kills come in bursts */
    AGAIN_MS = 100, /* the kernel takes ten changes a second, of all users together */
};

void share_init(struct share *s, uv_loop_t *loop)
{
    *s = (struct share){.fd = -1};
    (void)uv_timer_init(loop, &s->timer);
    s->timer.data = s;
}

static void on_timer(uv_timer_t *timer);

static void set(struct share *s)
{
    char text[8];
    int nice = s->hurried ? NICE_FULL : NICE_LIGHT;
    int len = snprintf(text, sizeof text, "%d", nice);
    if (s->fd < 0 || s->nice == nice) {
        return;
    }
    if (write(s->fd, text, (size_t)len) < 0 && errno == EAGAIN) {
        (void)uv_timer_start(&s->timer, on_timer, AGAIN_MS, 0);
    } else {
        s->nice = nice; /* or it cannot be had, now as later */
    }
}

static void on_timer(uv_timer_t *timer) { set(timer->data); }

void share_begin(struct share *s, int pid)
{
    char path[48];
    (void)snprintf(path, sizeof path, "/proc/%d/autogroup", pid);
    s->fd = open(path, O_WRONLY | O_CLOEXEC);
    s->nice = NICE_FULL;
    s->hurried = false;
    set(s);
}

void share_end(struct share *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->fd = -1;
    (void)uv_timer_stop(&s->timer);
}

void share_hurry(struct share *s, bool hurried)
{
    if (s->fd < 0 || s->hurried == hurried) {
        return;
    }
    s->hurried = hurried;
    if (hurried) {
        set(s);
    } else {
        (void)uv_timer_start(&s->timer, on_timer, CALM_MS, 0);
    }
}
