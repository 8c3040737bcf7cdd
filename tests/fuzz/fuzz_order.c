/* Any bytes: refused, or an order within its limits that writes the same bytes. */
#include "peer/sandbox/order.h"
#include "tests/fuzz/fuzz.h"

/* The first run writes what no bytes can ask for: too much of everything. */
static void orders_are_refused(void)
{
    static bool done;
    static uint8_t out[ORDER_BYTES_MAX];
    static char text[ORDER_BYTES_MAX];
    size_t len;
    if (done) {
        return;
    }
    done = true;
    memset(text, 'a', sizeof text - 1);
    const char *args[] = {text, text};
    struct order o = {.kind = ORDER_RUN,
                      .args = args,
                      .arg_count = ORDER_ARGS_MAX + 1,
                      .limits = {1, 1, 1, 1, 1, 1, 1, 8}};
    enum pn_status many = order_write(&o, out, &len, NULL);
    o.arg_count = 0;
    enum pn_status none = order_write(&o, out, &len, NULL);
    o.arg_count = 2;
    enum pn_status long_one = order_write(&o, out, &len, NULL);
    assert(many == PN_E_TOO_BIG && none == PN_E_RANGE && long_one == PN_E_TOO_BIG);
}

static void one_order(struct pn_bytes in)
{
    static struct order_room room;
    static uint8_t again[ORDER_BYTES_MAX];
    struct order o;
    size_t len = 0;
    if (order_parse(in, &room, &o, NULL) != PN_OK) {
        return;
    }
    assert(o.arg_count <= ORDER_ARGS_MAX && o.env_count <= ORDER_ENV_MAX);
    assert(order_fd_count(&o) <= ORDER_FDS_MAX);
    if (o.kind == ORDER_RUN) {
        assert(o.arg_count >= 1 && o.args[o.arg_count] == NULL && o.env[o.env_count] == NULL);
    }
    for (uint32_t i = 0; i < o.file_count; i++) {
        assert(strstr(o.files[i].name, "..") == NULL || order_name_valid(o.files[i].name));
    }
    if (in.len <= ORDER_BYTES_MAX) {
        enum pn_status status = order_write(&o, again, &len, NULL);
        assert(status == PN_OK);
        assert(pn_bytes_equal((struct pn_bytes){again, len}, in));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pn_bytes in = fuzz_exact(data, size);
    orders_are_refused();
    one_order(in);
    fuzz_free(in);
    return 0;
}
