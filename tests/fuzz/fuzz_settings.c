/* Any bytes as preon.conf: refused, or values within the file. */
#include <assert.h>

#include "tools/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s;
    struct pn_err err;
    if (settings_parse((struct pn_bytes){data, size}, &s, &err) != PN_OK) {
        return 0;
    }
    assert(size <= SETTINGS_BYTES_MAX);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *value = settings_value(&s, SETTINGS[i].name);
        assert(value == NULL || strlen(value) < size);
        assert(value == NULL || strchr(value, '\n') == NULL);
    }
    settings_fini(&s);
    return 0;
}
