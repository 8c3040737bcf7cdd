#include "tools/print_sys.h"

#include <stdio.h>

void print_json(const json_t *json)
{
    if (json != NULL) {
        (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
}
