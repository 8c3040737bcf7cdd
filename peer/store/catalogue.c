#include "peer/store/catalogue.h"

#include <stdlib.h>

struct held_content {
    struct digest root;
    uint32_t named; /* by so many files of jobs */
    bool here;
    bool proven;
};

struct held_job {
    struct digest id;
    uint32_t content_count;
    struct held_content *contents[];
};

void catalogue_init(struct catalogue *x, uint64_t seed)
{
    table_init(&x->jobs, DIGEST_BYTES, CATALOGUE_JOBS_MAX, seed);
    table_init(&x->contents, DIGEST_BYTES, CATALOGUE_CONTENTS_MAX, ~seed);
}

static void free_values(struct table *t)
{
    size_t place = 0;
    for (void *value = table_next(t, &place); value != NULL; value = table_next(t, &place)) {
        free(value);
    }
    table_fini(t);
}

void catalogue_fini(struct catalogue *x)
{
    free_values(&x->jobs);
    free_values(&x->contents);
}

static struct held_content *content_at(const struct catalogue *x, const struct digest *root)
{
    return table_get(&x->contents, root->b);
}

static struct held_content *content_make(struct catalogue *x, const struct digest *root,
                                         enum pn_status *status)
{
    struct held_content *c = content_at(x, root);
    *status = PN_OK;
    if (c != NULL) {
        return c;
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        *status = PN_E_NO_MEMORY;
        return NULL;
    }
    c->root = *root;
    *status = table_put(&x->contents, root->b, c);
    if (*status != PN_OK) {
        free(c);
        return NULL;
    }
    return c;
}

/* An entry that says nothing goes. */
static void content_settle(struct catalogue *x, struct held_content *c)
{
    if (c->named == 0 && !c->here) {
        (void)table_remove(&x->contents, c->root.b);
        free(c);
    }
}

static void job_undo(struct catalogue *x, struct held_job *j)
{
    for (uint32_t i = 0; i < j->content_count; i++) {
        j->contents[i]->named--;
        content_settle(x, j->contents[i]);
    }
    free(j);
}

enum pn_status catalogue_add_job(struct catalogue *x, const struct digest *job,
                                 const struct manifest *m)
{
    if (catalogue_has_job(x, job)) {
        return PN_E_EXISTS;
    }
    struct held_job *j = calloc(1, sizeof *j + m->file_count * sizeof j->contents[0]);
    if (j == NULL) {
        return PN_E_NO_MEMORY;
    }
    j->id = *job;
    enum pn_status status = PN_OK;
    for (uint32_t i = 0; i < m->file_count && status == PN_OK; i++) {
        struct held_content *c = content_make(x, &m->files[i].root, &status);
        if (c != NULL) {
            c->named++;
            j->contents[j->content_count++] = c;
        }
    }
    if (status == PN_OK) {
        status = table_put(&x->jobs, job->b, j);
    }
    if (status != PN_OK) {
        job_undo(x, j);
    }
    return status;
}

bool catalogue_remove_job(struct catalogue *x, const struct digest *job, catalogue_each *orphan,
                          void *arg)
{
    struct held_job *j = table_remove(&x->jobs, job->b);
    if (j == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < j->content_count; i++) {
        struct held_content *c = j->contents[i];
        if (--c->named == 0) {
            struct digest root = c->root;
            c->here = false;
            content_settle(x, c);
            orphan(arg, &root);
        }
    }
    free(j);
    return true;
}

bool catalogue_has_job(const struct catalogue *x, const struct digest *job)
{
    return table_get(&x->jobs, job->b) != NULL;
}

void catalogue_jobs(const struct catalogue *x, catalogue_each *each, void *arg)
{
    size_t place = 0;
    for (const struct held_job *j = table_next(&x->jobs, &place); j != NULL;
         j = table_next(&x->jobs, &place)) {
        each(arg, &j->id);
    }
}

enum pn_status catalogue_set_here(struct catalogue *x, const struct digest *root, bool proven)
{
    enum pn_status status;
    struct held_content *c = content_make(x, root, &status);
    if (c != NULL) {
        c->here = true;
        c->proven = proven;
    }
    return status;
}

void catalogue_set_gone(struct catalogue *x, const struct digest *root)
{
    struct held_content *c = content_at(x, root);
    if (c != NULL) {
        c->here = false;
        content_settle(x, c);
    }
}

bool catalogue_here(const struct catalogue *x, const struct digest *root)
{
    const struct held_content *c = content_at(x, root);
    return c != NULL && c->here;
}

bool catalogue_proven(const struct catalogue *x, const struct digest *root)
{
    const struct held_content *c = content_at(x, root);
    return c != NULL && c->here && c->proven;
}

bool catalogue_named(const struct catalogue *x, const struct digest *root)
{
    const struct held_content *c = content_at(x, root);
    return c != NULL && c->named > 0;
}
