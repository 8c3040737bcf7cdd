/* Every data message: the first byte chooses the parser; what it accepts must be written back. */
#include <assert.h>
#include <stdlib.h>

#include "peer/wire/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static uint8_t written[DATA_BODY_BYTES_MAX];
static struct data_have have;

static void check(enum pn_status status, const struct writer *w, struct pn_bytes in)
{
    if (status == PN_OK) {
        assert(pn_bytes_equal(writer_done(w), in));
    }
}

#define TRY(type, name)                                                                            \
    do {                                                                                           \
        struct type m;                                                                             \
        enum pn_status status = name##_parse(in, &m, &err);                                        \
        if (status == PN_OK) {                                                                     \
            name##_write(&m, &w);                                                                  \
        }                                                                                          \
        check(status, &w, in);                                                                     \
    } while (0)

static void errors_have_words(void)
{
    for (int code = 0; code <= DATA_E_LAST + 1; code++) {
        assert(data_error_text((enum data_error_code)code)[0] != '\0');
    }
}

static void one_message(uint8_t kind, struct pn_bytes in)
{
    struct pn_err err;
    struct writer w = writer_of(written, sizeof written);
    struct pn_bytes digests;
    uint32_t request;
    switch (kind % 8) {
    case 0:
        TRY(data_manifest_ask, data_manifest_ask);
        break;
    case 1:
        TRY(data_manifest, data_manifest);
        break;
    case 2:
        TRY(data_leaves_ask, data_leaves_ask);
        break;
    case 3:
        if (data_leaves_parse(in, &digests, &err) == PN_OK) {
            assert(digests.len <= (size_t)DATA_LEAVES_MAX * DIGEST_BYTES);
            data_leaves_write(digests, &w);
            check(PN_OK, &w, in);
        }
        break;
    case 4:
        TRY(data_block_ask, data_block_ask);
        break;
    case 5:
        TRY(data_block, data_block);
        break;
    case 6:
        if (data_have_parse(in, &have, &err) == PN_OK) {
            struct file_set_key key = file_set_key(&have.set);
            assert(file_set_equal(&have.set, &have.set) && key.b[0] == (uint8_t)have.set.kind);
            data_have_write(&have, &w);
            check(PN_OK, &w, in);
        }
        break;
    default:
        if (data_stop_parse(in, &request, &err) == PN_OK) {
            data_stop_write(request, &w);
            check(PN_OK, &w, in);
            break;
        }
        TRY(data_error, data_error);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        errors_have_words();
        return 0;
    }
    uint8_t *body = malloc(len > 1 ? len - 1 : 1); /* exactly as long as the body */
    if (body != NULL) {
        memcpy(body, bytes + 1, len - 1);
        one_message(bytes[0], (struct pn_bytes){body, len - 1});
        free(body);
    }
    return 0;
}
