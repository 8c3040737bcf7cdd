/* A manifest's words for nonce@1, one a line: what is accepted can be searched. */
#include "jobs/nonce/nonce_args.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct nonce_puzzle *p)
{
    assert(p->range.first <= p->range.last);
    assert(p->range.last <= nonce_puzzle_nonce_max(p->append));
    assert(p->tail_len < SHA256_BLOCK_BYTES && p->midstate_bytes % SHA256_BLOCK_BYTES == 0);
    double chance = nonce_puzzle_chance(p);
    assert(chance > 0 && chance <= 1);
    (void)nonce_puzzle_word(p, p->range.last, NULL);
    for (uint64_t slices = 0; slices < 1000; slices = slices * 10 + 1) {
        struct pn_err err = {0};
        enum pn_status status = nonce_args_check_slices(p, slices, &err);
        assert(status == PN_OK || err.text[0] != '\0');
        assert(status != PN_OK || (slices > 0 && slices <= nonce_range_count(p->range)));
    }
}

/* On a command line --block-file may be given too: the words' first line is its content then. */
static void on_a_command_line(const struct fuzz_words *w, const struct pn_bytes *file)
{
    static const struct args_spec SPEC = {.usage = "fuzz",
                                          .summary = "",
                                          .groups = &nonce_args_group,
                                          .group_count = 1,
                                          .positional = "a word"};
    struct args a;
    struct nonce_puzzle p;
    if (args_parse(&SPEC, (const char *const *)w->words, w->count, &a, NULL) == PN_OK) {
        if (!a.help && nonce_args_puzzle(&a, file, &p, NULL) == PN_OK) {
            check(&p);
        }
        args_fini(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t LARGE[NONCE_BLOCK_BYTES_MAX + 1];
    struct fuzz_words w;
    struct nonce_puzzle p;
    struct pn_err err = {0};
    const struct pn_bytes file = fuzz_exact(data, size);
    fuzz_words_init(&w, file);
    if (nonce_args_parse((const char *const *)w.words, w.count, &p, &err) == PN_OK) {
        check(&p);
    } else {
        assert(err.text[0] != '\0');
    }
    on_a_command_line(&w, &file);
    on_a_command_line(&w, &(struct pn_bytes){LARGE, sizeof LARGE});
    fuzz_words_fini(&w);
    fuzz_free(file);
    return 0;
}
