/*
 * sim_main -- runs seeds: sim [--seeds FROM..TO] [--scenario NAME] [--trace] [--expect-broken]
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/sim.h"

struct options {
    uint64_t from, to;
    const struct sim_scenario *scenario; /* NULL: each seed its own */
    bool trace;
    bool expect_broken; /* of a program with a planted defect */
};

static int usage(const char *program)
{
    (void)fprintf(stderr,
                  "usage: %s [--seeds FROM..TO] [--scenario NAME] [--trace] [--expect-broken]\n"
                  "scenarios:",
                  program);
    for (size_t i = 0; sim_scenario_at(i) != NULL; i++) {
        (void)fprintf(stderr, " %s", sim_scenario_at(i)->name);
    }
    (void)fprintf(stderr, "\n");
    return 2;
}

static bool parse_seeds(const char *text, struct options *o)
{
    char *end;
    errno = 0;
    o->from = o->to = strtoull(text, &end, 10);
    if (end == text) {
        return false;
    }
    if (strncmp(end, "..", 2) == 0) {
        const char *second = end + 2;
        o->to = strtoull(second, &end, 10);
        if (end == second) {
            return false;
        }
    }
    return errno == 0 && *end == '\0' && o->from <= o->to;
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            o->trace = true;
        } else if (strcmp(argv[i], "--expect-broken") == 0) {
            o->expect_broken = true;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            if (!parse_seeds(argv[++i], o)) {
                return false;
            }
        } else if (strcmp(argv[i], "--scenario") == 0 && i + 1 < argc) {
            o->scenario = sim_scenario_named(argv[++i]);
            if (o->scenario == NULL) {
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

static bool run_one(uint64_t seed, const struct options *o, FILE *trace, uint64_t *hash,
                    uint64_t *events, char why[SIM_WHY_BYTES])
{
    static struct sim s;
    const struct sim_scenario *c = o->scenario != NULL ? o->scenario : sim_scenario_of_seed(seed);
    bool good = sim_run(&s, seed, c, trace);
    *hash = s.trace_hash;
    *events += s.events;
    memcpy(why, s.why, SIM_WHY_BYTES);
    sim_fini(&s);
    return good;
}

int main(int argc, char **argv)
{
    struct options o = {.from = 1, .to = 1000};
    if (!parse(argc, argv, &o)) {
        return usage(argv[0]);
    }
    clock_t begin = clock();
    uint64_t events = 0;
    uint64_t count = 0;
    for (uint64_t seed = o.from; seed <= o.to; seed++) {
        char why[SIM_WHY_BYTES];
        uint64_t hash;
        uint64_t again;
        bool good = run_one(seed, &o, o.trace ? stdout : NULL, &hash, &events, why);
        count++;
        if (good && count % 16 == 1) { /* same seed, same run */
            good = run_one(seed, &o, NULL, &again, &events, why);
            if (good && hash != again) {
                good = false;
                (void)snprintf(why, sizeof why, "the same seed ran another way");
            }
        }
        if (good) {
            continue;
        }
        const char *name = (o.scenario != NULL ? o.scenario : sim_scenario_of_seed(seed))->name;
        (void)printf("seed %llu (%s): %s\nrepeat: %s --seeds %llu%s%s --trace\n",
                     (unsigned long long)seed, name, why, argv[0], (unsigned long long)seed,
                     o.scenario != NULL ? " --scenario " : "", o.scenario != NULL ? name : "");
        if (o.expect_broken) {
            (void)printf("the planted defect was found by seed %llu, the %llu. of them\n",
                         (unsigned long long)seed, (unsigned long long)count);
        }
        return o.expect_broken ? 0 : 1;
    }
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    (void)printf("%llu seeds, %llu events, %.1f s, %.0f seeds/s: no invariant broken\n",
                 (unsigned long long)count, (unsigned long long)events, seconds,
                 seconds > 0 ? (double)count / seconds : 0);
    return o.expect_broken ? 1 : 0;
}
