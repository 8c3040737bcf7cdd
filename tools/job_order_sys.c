#include <stdio.h>

#include "tools/commands.h"
#include "tools/job_results_sys.h"
#include "tools/job_watch_sys.h"
#include "tools/launch_sys.h"

enum { REQUEST_BYTES = 160 };

/* An order about one job. */
static enum pn_status order(struct home *h, const char *method, const char *id, const char *verb,
                            struct pn_err *err)
{
    char request[REQUEST_BYTES];
    (void)snprintf(request, sizeof request, "/v1/jobs/%s%s", id, verb);
    return client_order(h->client, method, request, NULL, err);
}

static enum exit_code plain_order(struct context *c, const char *method, const char *verb,
                                  const char *done)
{
    struct home h;
    struct pn_err err;
    char id[DIGEST_HEX_BYTES];
    enum exit_code code = home_open_job(c, HOME_TO_LOOK, &h, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = order(&h, method, id, verb, &err) == PN_OK ? EXIT_CODE_OK : complain(&err);
    if (code == EXIT_CODE_OK && c->json) {
        (void)printf("{\"schema\": 1, \"id\": \"%s\", \"done\": \"%s\"}\n", id, done);
    } else if (code == EXIT_CODE_OK) {
        (void)fprintf(stderr, "preon: job %.12s is %s\n", id, done);
    }
    home_close(&h);
    return code;
}

enum exit_code command_cancel(struct context *c)
{
    return plain_order(c, "POST", "/cancel", "cancelled");
}

enum exit_code command_rm(struct context *c) { return plain_order(c, "DELETE", "", "removed"); }

enum exit_code command_resume(struct context *c)
{
    struct home h;
    struct pn_err err;
    char id[DIGEST_HEX_BYTES];
    const bool detach = args_given(&c->args, "detach");
    if (results_check_into(c, &err) != PN_OK) {
        return complain_usage(&err);
    }
    enum exit_code code = home_open_job(c, detach ? HOME_TO_LEAVE : HOME_TO_LAUNCH, &h, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = order(&h, "POST", id, "/resume", &err) == PN_OK ? EXIT_CODE_OK : complain(&err);
    if (code == EXIT_CODE_OK && detach) {
        launch_print_id(c, id);
    } else if (code == EXIT_CODE_OK) {
        const struct watch w = {.job_id = id,
                                .into = args_text(&c->args, "into"),
                                .timeout_ms = args_u64(&c->args, "timeout")};
        code = watch_job(c, &h, &w);
    }
    home_close(&h);
    return code;
}
