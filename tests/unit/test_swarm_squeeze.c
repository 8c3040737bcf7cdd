/* Blocks through zlib: what shrinks comes back exactly, what does not is left alone. */
#include "tests/unit/unit.h"

#include "common/random.h"
#include "peer/swarm/squeeze.h"

enum { LEN = 256 * 1024 };

static uint8_t plain[LEN];
static uint8_t packed[LEN];
static uint8_t back[LEN + 1];

static size_t pack_text(void)
{
    for (size_t i = 0; i < LEN; i++) {
        plain[i] = (uint8_t)((size_t) "one slice after another\n"[i % 24] + i / 5000 % 3);
    }
    return squeeze_block((struct pn_bytes){plain, LEN}, packed);
}

static void text_shrinks_and_comes_back(void **state)
{
    (void)state;
    size_t len = pack_text();
    assert_true(len > 0 && len < LEN / 4);
    uint8_t *exact = unit_exact(packed, len);
    assert_true(squeeze_undo((struct pn_bytes){exact, len}, back, LEN));
    assert_memory_equal(back, plain, LEN);
    free(exact);
}

static void random_bytes_are_left_alone(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 3);
    for (size_t i = 0; i < LEN; i++) {
        plain[i] = (uint8_t)random_u64(&random);
    }
    assert_int_equal(squeeze_block((struct pn_bytes){plain, LEN}, packed), 0);
    memset(plain, 0, 8 * 1024); /* a sample that promises more than the block holds */
    assert_int_equal(squeeze_block((struct pn_bytes){plain, LEN}, packed), 0);
    assert_int_equal(squeeze_block((struct pn_bytes){plain, 10}, packed), 0);
}

static void anything_but_the_exact_length_is_refused(void **state)
{
    (void)state;
    size_t len = pack_text();
    assert_false(squeeze_undo((struct pn_bytes){packed, len}, back, LEN - 1));
    assert_false(squeeze_undo((struct pn_bytes){packed, len}, back, LEN + 1));
    assert_false(squeeze_undo((struct pn_bytes){packed, len + 1}, back, LEN)); /* bytes behind it */
    for (size_t cut = 0; cut < len; cut += 1 + cut / 8) {
        uint8_t *exact = unit_exact(packed, cut);
        assert_false(squeeze_undo((struct pn_bytes){exact, cut}, back, LEN));
        free(exact);
    }
    packed[len / 2] ^= 0x10;
    assert_false(squeeze_undo((struct pn_bytes){packed, len}, back, LEN) &&
                 memcmp(back, plain, LEN) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_shrinks_and_comes_back),
        cmocka_unit_test(random_bytes_are_left_alone),
        cmocka_unit_test(anything_but_the_exact_length_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
