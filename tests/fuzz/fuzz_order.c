/* Any bytes: refused, or an order within its limits that writes the same bytes. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "peer/sandbox/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct order_room room;
    static uint8_t again[ORDER_BYTES_MAX];
    struct order o;
    size_t len = 0;
    if (order_parse((struct pn_bytes){data, size}, &room, &o, NULL) != PN_OK) {
        return 0;
    }
    assert(o.arg_count <= ORDER_ARGS_MAX && o.env_count <= ORDER_ENV_MAX);
    assert(order_fd_count(&o) <= ORDER_FDS_MAX);
    if (o.kind == ORDER_RUN) {
        assert(o.arg_count >= 1 && o.args[o.arg_count] == NULL && o.env[o.env_count] == NULL);
    }
    for (uint32_t i = 0; i < o.file_count; i++) {
        assert(strstr(o.files[i].name, "..") == NULL || order_name_valid(o.files[i].name));
    }
    if (size <= ORDER_BYTES_MAX) {
        enum pn_status status = order_write(&o, again, &len, NULL);
        assert(status == PN_OK);
        assert(len == size && memcmp(again, data, size) == 0);
    }
    return 0;
}
