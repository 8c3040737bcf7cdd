#include "jobs/nonce/nonce_kernel.h"

#include "jobs/nonce/nonce_cpu.h"

#ifdef PREON_TEST_WRONG_KERNEL
/* For a test only: faster than all others, and wrong. */
static void wrong_words(const struct nonce_run *run, const uint32_t *values, size_t count,
                        uint32_t *out)
{
    (void)run;
    memcpy(out, values, count * sizeof *out);
}

static bool wrong_usable(void) { return true; }

static const struct nonce_kernel wrong = {"wrong", "", wrong_usable, wrong_words, NULL};
#endif

static const struct nonce_kernel *const kernels[] = {
#ifdef PREON_TEST_WRONG_KERNEL
    &wrong,
#endif
    &nonce_kernel_avx512,
    &nonce_kernel_sha_ni,
    &nonce_kernel_armv8,
    &nonce_kernel_avx2,
    &nonce_kernel_portable};

const struct nonce_kernel *nonce_kernel_at(size_t index)
{
    return index < sizeof kernels / sizeof kernels[0] ? kernels[index] : NULL;
}

static bool usable(const struct nonce_kernel *k) { return k->words != NULL && k->usable(); }

const struct nonce_kernel *nonce_kernel_first(void)
{
    size_t i = 0;
    while (!usable(kernels[i])) {
        i++; /* the last one is */
    }
    return kernels[i];
}

enum pn_status nonce_kernel_find(const char *name, const struct nonce_kernel **out,
                                 struct pn_err *err)
{
    const struct nonce_kernel *k;
    for (size_t i = 0; (k = nonce_kernel_at(i)) != NULL; i++) {
        if (strcmp(k->name, name) != 0) {
            continue;
        }
        if (!usable(k)) {
            char found[NONCE_CPU_TEXT_BYTES];
            nonce_cpu_text(found);
            return pn_fail(err, PN_E_UNSUPPORTED, "kernel %s needs %s; this processor has: %s",
                           name, k->needs, found);
        }
        *out = k;
        return PN_OK;
    }
    return pn_fail(err, PN_E_NOT_FOUND,
                   "kernel \"%.20s\" is unknown; there are avx512, sha_ni, armv8, avx2, portable",
                   name);
}

void nonce_kernel_second(struct nonce_block *out)
{
    static const uint32_t words[16] = {[8] = 0x80000000, [15] = 8 * SHA256_DIGEST_BYTES};
    nonce_block_init(out, sha256_initial, words, 0xff);
}
