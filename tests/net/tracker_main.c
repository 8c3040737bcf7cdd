/*
 * tracker_main -- a tracker alone, with limits as a test wants them:
 *     tracker_main 127.0.0.1:0 connections=100 entries=1000 ttl=5 host-connections=10 lan-too=1
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/server_uv.h"

static int wrong(const char *what)
{
    (void)fprintf(stderr, "tracker_main: %s\n", what);
    return 2;
}

static void set_all(struct registry_config *r, const char *name, size_t len, uint32_t value)
{
    const struct {
        const char *name;
        uint32_t *to;
    } numbers[] = {
        {"connections", &r->connection_count_max},
        {"entries", &r->entry_count_max},
        {"legacy", &r->legacy_count_max},
        {"demands", &r->demand_count_max},
        {"ttl", &r->ttl_s_max},
        {"legacy-ttl", &r->legacy_ttl_s},
        {"net-connections", &r->limits.net_max[HOSTS_CONNECTION]},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strlen(numbers[i].name) == len && memcmp(numbers[i].name, name, len) == 0) {
            *numbers[i].to = value;
            return;
        }
    }
    const struct pn_bytes key = {(const uint8_t *)name, len};
    if (pn_bytes_equal(key, pn_bytes_str("host-connections"))) {
        r->limits.host_max[HOSTS_CONNECTION] = (uint16_t)value;
    } else if (pn_bytes_equal(key, pn_bytes_str("host-entries"))) {
        r->limits.host_max[HOSTS_ENTRY] = (uint16_t)value;
    } else if (pn_bytes_equal(key, pn_bytes_str("list-unverified"))) {
        r->list_unverified = value != 0;
    } else if (pn_bytes_equal(key, pn_bytes_str("lan-too"))) {
        r->limits.lan_too = value != 0;
    } else {
        exit(wrong("unknown limit"));
    }
}

int main(int argc, char **argv)
{
    struct tracker_config config = tracker_config_default();
    struct pn_err err;
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        if (equals != NULL) {
            set_all(&config.registry, argv[i], (size_t)(equals - argv[i]),
                    (uint32_t)strtoul(equals + 1, NULL, 10));
            continue;
        }
        const char *colon = strrchr(argv[i], ':');
        bool any_port = colon != NULL && strcmp(colon, ":0") == 0;
        struct pn_bytes text = pn_bytes_str(argv[i]);
        text.len -= any_port ? 2 : 0;
        if (addr_parse(text, any_port ? 1 : 0, &config.listen, &err) != PN_OK) {
            return wrong(err.text);
        }
        config.listen.port = any_port ? 0 : config.listen.port;
    }
    if (tracker_run(&config, &err) != PN_OK) {
        return wrong(err.text);
    }
    return 0;
}
