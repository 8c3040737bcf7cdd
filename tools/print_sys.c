#include "tools/print_sys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/utf8.h"

void print_json(const json_t *json)
{
    if (json != NULL) {
        /* Its strings may hold U+009B and the like, which a terminal obeys. */
        size_t ascii = isatty(STDOUT_FILENO) == 1 ? JSON_ENSURE_ASCII : 0;
        (void)json_dumpf(json, stdout, JSON_INDENT(2) | ascii);
        (void)putchar('\n');
    }
}

void print_foreign(FILE *to, const char *text)
{
    char *tame = isatty(fileno(to)) == 1 ? strdup(text) : NULL;
    if (tame != NULL) {
        utf8_tame(tame, true);
        (void)fputs(tame, to);
    } else if (isatty(fileno(to)) != 1) {
        (void)fputs(text, to);
    }
    free(tame);
}
