/* Any text as HOST[:PORT]: refused, or a host that a resolver may be given, and a port. */
#include "tests/fuzz/fuzz.h"
#include "tools/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_string((struct pn_bytes){data, size});
    struct endpoint e;
    struct pn_err err;
    if (endpoint_parse(text, 7600, &e, &err) == PN_OK) {
        size_t len = strlen(e.host);
        assert(len > 0 && len < ENDPOINT_HOST_BYTES && e.port != 0);
        assert(strpbrk(e.host, "[]/ %@\n") == NULL && e.host[0] != '-');
    }
    free(text);
    return 0;
}
