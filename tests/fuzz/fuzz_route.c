/* Method and path, one a line: no question of ours, or one whose numbers are within their limits.
 */
#include "common/manifest.h"
#include "peer/control/control_route.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_bytes in = {data, size};
    struct pn_bytes line = {NULL, 0};
    struct route route;
    struct pn_err err = {0};
    uint64_t n;
    (void)fuzz_line(&in, &line);
    char *method = fuzz_string(line);
    char *path = fuzz_string(in);
    enum pn_status status = route_find(method, path, &route, &err);
    if (status == PN_OK) {
        assert(route.slice < JOB_SLICES_MAX && route.index < JOB_FILES_MAX);
    } else {
        assert(err.text[0] != '\0');
    }
    struct pn_bytes number = fuzz_exact(in.ptr, in.len); /* of a query: not terminated */
    assert(!route_number((const char *)number.ptr, number.len, JOB_SLICES_MAX, &n) ||
           n <= JOB_SLICES_MAX);
    fuzz_free(number);
    free(method);
    free(path);
    return 0;
}
