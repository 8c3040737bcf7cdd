#include "attack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *attack_setting(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

long attack_number(const char *name) { return strtol(attack_setting(name), NULL, 10); }

static const struct attack *find(const struct attack *list, const char *name)
{
    while (list->name != NULL && strcmp(list->name, name) != 0) {
        list++;
    }
    return list->name != NULL ? list : NULL;
}

int main(int argc, char **argv)
{
    const struct attack *const lists[] = {attacks_on_files, attacks_on_kernel,
                                          attacks_on_processes};
    const struct attack *a = NULL;
    for (size_t i = 0; argc == 2 && a == NULL && i < sizeof lists / sizeof lists[0]; i++) {
        a = find(lists[i], argv[1]);
    }
    if (a == NULL) {
        return 2;
    }
    printf("ran %s\n", a->name);
    (void)fflush(stdout);
    errno = 0;
    if (a->run()) {
        printf("escaped %s\n", a->name);
        return 0;
    }
    printf("held: %s\n", strerror(errno));
    return 1;
}
