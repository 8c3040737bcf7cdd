#include <stdio.h>

#include "tools/client_sys.h"
#include "tools/commands.h"
#include "tools/human.h"
#include "tools/interrupt_sys.h"
#include "tools/owner_sys.h"
#include "tools/print_sys.h"
#include "tools/progress.h"

static void print_trackers(const json_t *peer)
{
    size_t index = 0;
    const json_t *tracker = NULL;
    char text[HUMAN_BYTES];
    json_array_foreach(json_object_get(peer, "trackers"), index, tracker)
    {
        const char *name = progress_text(tracker, "name");
        const char *since = human_duration(progress_count(tracker, "since_ms"), text);
        if (json_is_true(json_object_get(tracker, "connected"))) {
            (void)printf("  tracker    %s: connected for %s\n", name, since);
        } else {
            (void)printf("  tracker    %s: not connected for %s\n             %s\n", name, since,
                         progress_text(tracker, "trouble"));
        }
    }
}

static void print_peer(const json_t *peer)
{
    const double MEBIBYTE = 1 << 20;
    char line[PROGRESS_BYTES];
    char text[HUMAN_BYTES];
    (void)printf("peer %s\n", progress_text(peer, "id"));
    (void)printf("  up         %s, process %.0f, preon %s\n",
                 human_duration(progress_count(peer, "up_ms"), text), progress_number(peer, "pid"),
                 progress_text(peer, "version"));
    (void)printf("  listening  %s\n", json_object_get(peer, "listening") != NULL
                                          ? progress_text(peer, "listening")
                                          : "nowhere");
    (void)printf("  slots      %.0f of %.0f busy\n", progress_number(peer, "slots_busy"),
                 progress_number(peer, "slots"));
    (void)printf("  sandbox    %s\n", progress_text(peer, "tier"));
    if (progress_text(peer, "tier_reason")[0] != '\0') {
        (void)printf("             %s\n             %s\n", progress_text(peer, "tier_reason"),
                     progress_text(peer, "tier_remedy"));
    }
    (void)printf(
        "  limits     %.0f MiB of memory and %.0f MiB of outputs a slice, %.0f MiB in all\n",
        progress_number(peer, "memory_bytes_max") / MEBIBYTE,
        progress_number(peer, "output_bytes_max") / MEBIBYTE,
        progress_number(peer, "budget_bytes") / MEBIBYTE);
    (void)printf("  jobs       leads %.0f, works on %.0f\n", progress_number(peer, "jobs_mastered"),
                 progress_number(peer, "jobs_worked_on"));
    (void)printf("  links      %.0f to other peers; %s bytes of files sent, ",
                 progress_number(peer, "links"),
                 human_count(progress_number(peer, "bytes_sent"), text));
    (void)printf("%s received\n", human_count(progress_number(peer, "bytes_received"), text));
    print_trackers(peer);
    (void)progress_waiting(peer, line);
    if (line[0] != '\0') {
        (void)printf("  waiting    %s\n", line + sizeof "waiting: " - 1);
    }
}

enum exit_code command_status(struct context *c)
{
    struct client *client = NULL;
    struct pn_err err;
    interrupt_install();
    enum pn_status status = client_open(c->data_dir, &client, &err);
    if (status == PN_E_NOT_FOUND) {
        return complain_text(EXIT_CODE_UNREACHABLE,
                             "no peer runs on data folder %s; start `preon peer`", c->data_dir);
    }
    if (status != PN_OK) {
        (void)complain(&err);
        return EXIT_CODE_UNREACHABLE;
    }
    if (c->json) {
        print_json(client_peer(client));
    } else {
        print_peer(client_peer(client));
    }
    client_close(client);
    return EXIT_CODE_OK;
}

enum exit_code command_key(struct context *c)
{
    char path[PATH_BYTES_MAX];
    char hex[2 * PUBLIC_KEY_BYTES + 1];
    struct key_pair *key = NULL;
    struct public_key public;
    struct pn_err err;
    if (owner_path(c, path, &err) != PN_OK || owner_open(c, &key, &err) != PN_OK) {
        return complain_file(&err);
    }
    key_pair_public(key, &public);
    key_pair_free(key);
    hex_write((struct pn_bytes){public.b, sizeof public.b}, hex);
    if (c->json) {
        json_t *json = json_pack("{s:i, s:s, s:s}", "schema", 1, "owner", hex, "file", path);
        print_json(json);
        json_decref(json);
    } else {
        (void)printf("%s\n", hex);
    }
    return EXIT_CODE_OK;
}

enum exit_code command_version(bool json)
{
    (void)printf(json ? "{\"schema\": 1, \"version\": \"%s\"}\n" : "preon %s\n", PREON_VERSION);
    return EXIT_CODE_OK;
}
