#include "jobs/nonce/nonce_layout.h"

#include <assert.h>

enum {
    RUN_VALUES_MIN = 1000
}; /* shorter runs leave lanes empty and pay too often for their set-up */

static uint32_t base_of(enum nonce_append append)
{
    return append == NONCE_DECIMAL ? 10 : append == NONCE_HEX ? 16 : 256;
}

static uint32_t byte_of_digit(uint32_t base, uint32_t digit)
{
    return base == 256 ? digit : (uint8_t) "0123456789abcdef"[digit];
}

/* A byte of the message into its word. */
static void put(struct nonce_layout *l, uint32_t place, uint32_t byte)
{
    uint32_t shift = 24 - 8 * (place % 4);
    uint32_t *word = &l->words[place / SHA256_BLOCK_BYTES][place % SHA256_BLOCK_BYTES / 4];
    *word = (*word & ~(UINT32_C(0xff) << shift)) | byte << shift;
}

static void put_all(struct nonce_layout *l, uint32_t place, struct pn_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        put(l, place + (uint32_t)i, bytes.ptr[i]);
    }
}

/* Digits low .. high - 1: those from `from` on in the same word, as many as one run can take. */
static uint32_t choose_digits(struct nonce_layout *l, uint32_t from)
{
    uint32_t size = 1;
    l->low = from;
    l->high = from;
    while (l->high < l->digit_count && l->place[l->high] / 4 == l->place[from] / 4 &&
           size * l->base <= NONCE_VALUES_MAX) {
        size *= l->base;
        l->high++;
    }
    return size;
}

static void choose_run(struct nonce_layout *l)
{
    uint32_t size = choose_digits(l, 0);
    if (size < RUN_VALUES_MIN) { /* better the word before, if it has more digits */
        uint32_t next = l->high;
        if (next == l->digit_count || choose_digits(l, next) <= size) {
            (void)choose_digits(l, 0);
        }
    }
    l->size = 1;
    l->stride = 1;
    for (uint32_t i = 0; i < l->high; i++) {
        l->stride *= i < l->low ? l->base : 1;
        l->size *= i < l->low ? 1 : l->base;
    }
    l->first_block = l->place[l->low] / SHA256_BLOCK_BYTES;
    l->varying_word = l->place[l->low] % SHA256_BLOCK_BYTES / 4;
    l->digits_behind = false;
    for (uint32_t i = 0; i < l->digit_count; i++) {
        l->digits_behind |= l->place[i] / SHA256_BLOCK_BYTES > l->first_block;
    }
}

void nonce_layout_init(struct nonce_layout *l, const struct nonce_puzzle *p, uint64_t nonce)
{
    uint8_t text[NONCE_TEXT_BYTES_MAX];
    uint32_t n = (uint32_t)nonce_puzzle_encode(p->append, nonce, text);
    uint32_t len = p->tail_len + n + p->suffix_len;
    uint64_t bits = 8 * (p->midstate_bytes + len);
    bool backwards = p->append == NONCE_LE32 || p->append == NONCE_LE64;
    memset(l, 0, sizeof *l);
    l->puzzle = p;
    l->base = base_of(p->append);
    l->digit_count = n;
    for (uint32_t i = 0; i < n; i++) {
        l->place[i] = p->tail_len + (backwards ? i : n - 1 - i);
    }
    l->block_count = (len + 1 + 8 + SHA256_BLOCK_BYTES - 1) / SHA256_BLOCK_BYTES;
    assert(l->block_count <= NONCE_BLOCKS_MAX);
    put_all(l, 0, (struct pn_bytes){p->tail, p->tail_len});
    put_all(l, p->tail_len + n, (struct pn_bytes){p->suffix, p->suffix_len});
    put(l, len, 0x80);
    l->words[l->block_count - 1][14] = (uint32_t)(bits >> 32);
    l->words[l->block_count - 1][15] = (uint32_t)bits;
    choose_run(l);
    for (uint32_t i = l->first_block + 1; i < l->block_count; i++) {
        nonce_block_init_fixed(&l->more[i], l->words[i]);
    }
}

uint64_t nonce_layout_last(const struct nonce_puzzle *p, uint64_t nonce)
{
    uint32_t base = base_of(p->append);
    if (base == 256) {
        return nonce_puzzle_nonce_max(p->append);
    }
    uint64_t power = base; /* the first nonce with one digit more */
    while (power <= nonce && power <= UINT64_MAX / base) {
        power *= base;
    }
    return power > nonce ? power - 1 : UINT64_MAX;
}

void nonce_layout_values(const struct nonce_layout *l, uint32_t first, uint32_t count,
                         uint32_t *values)
{
    uint32_t digits[NONCE_DIGITS_MAX];
    uint32_t shift[NONCE_DIGITS_MAX];
    uint32_t value = 0;
    for (uint32_t i = l->low; i < l->high; i++) {
        digits[i] = first % l->base;
        first /= l->base;
        shift[i] = 24 - 8 * (l->place[i] % 4);
        value |= byte_of_digit(l->base, digits[i]) << shift[i];
    }
    for (uint32_t v = 0; v < count; v++) { /* counts as an odometer does: to divide takes longer */
        values[v] = value;
        bool carry = true;
        for (uint32_t i = l->low; i < l->high && carry; i++) {
            value -= byte_of_digit(l->base, digits[i]) << shift[i];
            carry = ++digits[i] == l->base;
            digits[i] = carry ? 0 : digits[i];
            value += byte_of_digit(l->base, digits[i]) << shift[i];
        }
    }
}

/* By constants, which the compiler turns into multiplications: a run has a dozen of these. */
static uint64_t without_lowest_digit(uint64_t nonce, uint32_t base)
{
    return base == 10 ? nonce / 10 : base == 16 ? nonce / 16 : nonce / 256;
}

void nonce_layout_set(struct nonce_layout *l, uint64_t nonce, struct nonce_run *run)
{
    for (uint32_t i = 0; i < l->digit_count; i++) {
        uint64_t upper = without_lowest_digit(nonce, l->base);
        uint32_t digit = (uint32_t)(nonce - upper * l->base);
        nonce = upper;
        put(l, l->place[i], i >= l->low && i < l->high ? 0 : byte_of_digit(l->base, digit));
    }
    uint32_t mid[SHA256_WORDS];
    memcpy(mid, l->puzzle->midstate, sizeof mid);
    for (uint32_t i = 0; i < l->first_block; i++) {
        sha256_compress(mid, l->words[i]);
    }
    nonce_block_init(&run->first, mid, l->words[l->first_block], 1u << l->varying_word);
    for (uint32_t i = l->first_block + 1; l->digits_behind && i < l->block_count; i++) {
        nonce_block_init_fixed(&l->more[i], l->words[i]);
    }
    run->more = &l->more[l->first_block + 1];
    run->more_count = l->block_count - l->first_block - 1;
}
