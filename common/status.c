#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *pn_status_text(enum pn_status status)
{
    switch (status) {
#define PN_STATUS_CASE(name, text)                                                                 \
    case name:                                                                                     \
        return text;
        PN_STATUS_LIST(PN_STATUS_CASE)
#undef PN_STATUS_CASE
    }
    return "unknown status";
}

/* In parentheses: the analyzer has a macro of that name. */
enum pn_status(pn_fail)(struct pn_err *err, enum pn_status status, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        err->status = status;
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return status;
}

void pn_err_wrap(struct pn_err *err, const char *format, ...)
{
    if (err == NULL) {
        return;
    }
    char inner[PN_ERR_TEXT_BYTES];
    memcpy(inner, err->text, sizeof inner);

    va_list args;
    va_start(args, format);
    int len = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof err->text) {
        (void)snprintf(err->text + len, sizeof err->text - (size_t)len, ": %s", inner);
    }
}
