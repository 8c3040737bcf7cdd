#include "jobs/program.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void job_draft_init(struct job_draft *d)
{
    *d = (struct job_draft){.slice_count = 1, .limits = LIMITS_DEFAULT, .verify = VERIFY_PROOF};
}

void job_draft_fini(struct job_draft *d)
{
    for (uint32_t i = 0; i < d->word_count; i++) {
        free(d->words[i]);
    }
    d->word_count = 0;
}

enum pn_status job_draft_word(struct job_draft *d, const char *format, ...)
{
    if (d->word_count == JOB_DRAFT_WORDS_MAX) {
        return PN_E_FULL;
    }
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        return PN_E_NO_MEMORY;
    }
    d->words[d->word_count++] = text;
    d->words[d->word_count] = NULL;
    return PN_OK;
}
