/* Any bytes as preon.conf: refused, or values within the file. */
#include "tests/fuzz/fuzz.h"
#include "tools/settings.h"

static void one_file(struct pn_bytes in)
{
    struct settings s;
    struct pn_err err = {0};
    char variable[SETTINGS_VARIABLE_BYTES];
    if (settings_parse(in, &s, &err) != PN_OK) {
        assert(err.text[0] != '\0');
        return;
    }
    assert(in.len <= SETTINGS_BYTES_MAX);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *value = settings_value(&s, SETTINGS[i].name);
        assert(value == NULL || strlen(value) < in.len);
        assert(value == NULL || strchr(value, '\n') == NULL);
        assert((value == NULL) == (settings_line(&s, SETTINGS[i].name) == 0));
        settings_variable(SETTINGS[i].name, variable);
        assert(strncmp(variable, "PREON_", 6) == 0 && strchr(variable, '-') == NULL);
    }
    settings_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pn_bytes in = fuzz_exact(data, size);
    one_file(in);
    fuzz_free(in);
    return 0;
}
