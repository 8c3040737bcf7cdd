#include "tests/sim/truth.h"

#include "common/table.h"
#include "common/writer.h"

enum { BIG_BYTES = 100000 };

const char *const truth_output_names[1] = {"out"};

static uint64_t draw(const struct truth_job *j, uint64_t slice, uint64_t what)
{
    uint8_t text[RUN_BYTES + 16];
    struct writer w = writer_of(text, sizeof text);
    writer_copy(&w, j->run.b, RUN_BYTES);
    writer_u64(&w, slice);
    writer_u64(&w, what);
    return table_hash(0x7275746874u, text, sizeof text);
}

static bool one_in(const struct truth_job *j, uint64_t slice, uint64_t what, uint32_t every)
{
    return every > 0 && draw(j, slice, what) % every == 0;
}

void truth_of(const struct truth_job *j, uint64_t slice, uint64_t lie, struct truth *out)
{
    *out = (struct truth){.class = OUTCOME_EXITED, .big = one_in(j, slice, 1, j->big_every)};
    if (lie == 0 && one_in(j, slice, 2, j->fail_every)) {
        out->code = 1;
        hash_outputs(out->class, out->code, NULL, 0, &out->outputs);
        return;
    }
    out->answer = lie == 0 && one_in(j, slice, 3, j->answer_every);
    uint64_t value = draw(j, slice, 4 + lie);
    memcpy(out->bytes, &value, sizeof out->bytes);
    struct digest leaf;
    hash_leaf((struct pn_bytes){out->bytes, sizeof out->bytes}, &leaf);
    out->size = out->big ? BIG_BYTES : sizeof out->bytes; /* nobody reads the big one's bytes */
    hash_root(out->size, &leaf, &out->root);
    const struct output file = {truth_output_names[0], out->size, out->root};
    hash_outputs(out->class, out->code, &file, 1, &out->outputs);
}

void truth_sign(const struct public_key *key, const struct vote_claim *claim, struct signature *out)
{
    uint8_t text[DIGEST_BYTES + RUN_BYTES + 16 + DIGEST_BYTES + PUBLIC_KEY_BYTES];
    struct writer w = writer_of(text, sizeof text);
    writer_copy(&w, claim->job.b, DIGEST_BYTES);
    writer_copy(&w, claim->run.b, RUN_BYTES);
    writer_u64(&w, claim->slice);
    writer_u64(&w, claim->attempt);
    writer_copy(&w, claim->outputs.b, DIGEST_BYTES);
    writer_copy(&w, key->b, PUBLIC_KEY_BYTES);
    struct writer to = writer_of(out->b, sizeof out->b);
    for (uint64_t i = 0; i < SIGNATURE_BYTES / 8; i++) {
        writer_u64(&to, table_hash(i, text, sizeof text));
    }
}

bool truth_check(const struct public_key *key, const struct vote_claim *claim,
                 const struct signature *signature)
{
    struct signature right;
    truth_sign(key, claim, &right);
    return memcmp(right.b, signature->b, SIGNATURE_BYTES) == 0;
}
