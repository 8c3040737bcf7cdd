/* A manifest's words for nonce@1, one a line: what is accepted can be searched. */
#include <assert.h>
#include <string.h>

#include "jobs/nonce/nonce_args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LINE_MAX_BYTES = 4096, WORDS_MAX = 32 };
    static char text[LINE_MAX_BYTES + 1];
    const char *words[WORDS_MAX];
    size_t count = 0;
    struct nonce_puzzle p;
    if (size > LINE_MAX_BYTES) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; *at != '\0' && count < WORDS_MAX;) {
        words[count++] = at;
        at += strcspn(at, "\n");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    struct pn_err err = {0};
    if (nonce_args_parse(words, count, &p, &err) != PN_OK) {
        assert(err.text[0] != '\0');
        return 0;
    }
    assert(p.range.first <= p.range.last);
    assert(p.range.last <= nonce_puzzle_nonce_max(p.append));
    assert(p.tail_len < SHA256_BLOCK_BYTES && p.midstate_bytes % SHA256_BLOCK_BYTES == 0);
    double chance = nonce_puzzle_chance(&p);
    assert(chance > 0 && chance <= 1);
    (void)nonce_puzzle_word(&p, p.range.last, NULL);
    return 0;
}
