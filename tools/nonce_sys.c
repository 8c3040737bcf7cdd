#include <inttypes.h>
#include <stdio.h>

#include "jobs/nonce/nonce_bench_sys.h"
#include "jobs/nonce/nonce_verify.h"
#include "tools/commands.h"
#include "tools/human.h"
#include "tools/print_sys.h"
#include "tools/puzzle_sys.h"

enum { SHELL_LINE_BYTES_MAX = 4 * NONCE_BLOCK_BYTES_MAX };

static void print_proof(const struct context *c, uint64_t nonce, const struct nonce_proof *proof,
                        const struct buffer *line)
{
    if (c->json) {
        char text[NONCE_COUNT_TEXT_BYTES]; /* JSON's numbers end before ours */
        nonce_args_count_text(nonce, text);
        json_t *json = json_pack("{s:i, s:s, s:s, s:I, s:b, s:s%}", "schema", 1, "nonce", text,
                                 "hash", proof->digest, "zero_bits", (json_int_t)proof->zero_bits,
                                 "hit", (int)proof->hit, "check",
                                 line->len > 0 ? (const char *)line->ptr : "", line->len);
        print_json(json);
        json_decref(json);
        return;
    }
    (void)printf("%-10s %" PRIu64 "\n%-10s %s\n%-10s %" PRIu32 "\n%-10s %s\n", "nonce", nonce,
                 "hash", proof->digest, "zero_bits", proof->zero_bits, "hit",
                 proof->hit ? "yes" : "no");
    if (line->len > 0) {
        (void)printf("%-10s %.*s\n", "check", (int)line->len, (const char *)line->ptr);
    }
}

enum exit_code command_nonce_verify(struct context *c)
{
    struct nonce_puzzle puzzle;
    struct nonce_proof proof;
    struct buffer line;
    struct pn_err err;
    const uint64_t nonce = args_u64(&c->args, "nonce");
    if (!args_given(&c->args, "nonce")) {
        return complain_text(EXIT_CODE_USAGE, "--nonce: missing; which one is to be checked?");
    }
    if (puzzle_read(&c->args, &puzzle, &err) != PN_OK ||
        nonce_verify(&puzzle, nonce, &proof, &err) != PN_OK) {
        return complain_usage(&err);
    }
    buffer_init(&line, SHELL_LINE_BYTES_MAX);
    if (nonce_verify_line(&c->args, &puzzle, nonce, &line, &err) != PN_OK) {
        line.len = 0; /* memory is short: the rest is true without it */
    }
    print_proof(c, nonce, &proof, &line);
    buffer_fini(&line);
    return proof.hit ? EXIT_CODE_OK : EXIT_CODE_VERIFICATION;
}

static void print_bench_line(const struct nonce_bench *bench, size_t index)
{
    char one[HUMAN_BYTES];
    char all[HUMAN_BYTES];
    const struct nonce_kernel *kernel = bench->lines[index].kernel;
    if (!bench->lines[index].usable) {
        (void)printf("%-10s needs %s\n", kernel->name, kernel->needs);
    } else if (!bench->lines[index].right) {
        (void)printf("%-10s WRONG on this processor: never used\n", kernel->name);
    } else {
        (void)printf("%-10s %-22s %s%s\n", kernel->name,
                     human_rate(bench->lines[index].one_thread, "hashes", one),
                     human_rate(bench->lines[index].all_threads, "hashes", all),
                     kernel == bench->chosen ? "  chosen" : "");
    }
}

static void print_bench_json(const struct nonce_bench *bench)
{
    json_t *kernels = json_array();
    for (size_t i = 0; i < bench->count; i++) {
        (void)json_array_append_new(
            kernels,
            json_pack("{s:s, s:b, s:b, s:f, s:f}", "name", bench->lines[i].kernel->name, "usable",
                      (int)bench->lines[i].usable, "right", (int)bench->lines[i].right,
                      "one_thread_per_s", bench->lines[i].one_thread, "all_threads_per_s",
                      bench->lines[i].all_threads));
    }
    json_t *json = json_pack("{s:i, s:i, s:s, s:o}", "schema", 1, "threads", (int)bench->threads,
                             "chosen", bench->chosen->name, "kernels", kernels);
    print_json(json);
    json_decref(json);
}

enum exit_code command_bench_nonce(struct context *c)
{
    struct nonce_bench bench;
    struct pn_err err;
    if (nonce_bench_run(0, (double)args_u64(&c->args, "seconds"), &bench, &err) != PN_OK) {
        return complain(&err);
    }
    if (c->json) {
        print_bench_json(&bench);
        return EXIT_CODE_OK;
    }
    (void)printf("%-10s %-22s %" PRIu32 " threads\n", "kernel", "1 thread", bench.threads);
    for (size_t i = 0; i < bench.count; i++) {
        print_bench_line(&bench, i);
    }
    return EXIT_CODE_OK;
}
