#include "tools/puzzle_sys.h"

#include "tools/paths_sys.h"

enum pn_status puzzle_read(const struct args *a, struct nonce_puzzle *out, struct pn_err *err)
{
    struct buffer block;
    const char *path = args_text(a, "block-file");
    if (path == NULL) {
        return nonce_args_puzzle(a, NULL, out, err);
    }
    enum pn_status status = paths_read(path, NONCE_BLOCK_BYTES_MAX, &block, err);
    if (status == PN_OK) {
        const struct pn_bytes bytes = buffer_bytes(&block);
        status = nonce_args_puzzle(a, &bytes, out, err);
    } else {
        pn_err_wrap(err, "--block-file");
    }
    buffer_fini(&block);
    return status;
}
