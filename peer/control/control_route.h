/*
 * control_route -- which question a method and a path are.
 */
#ifndef PREON_PEER_CONTROL_CONTROL_ROUTE_H
#define PREON_PEER_CONTROL_CONTROL_ROUTE_H

#include "common/digest.h"
#include "common/status.h"

enum route_kind {
    ROUTE_PEER,
    ROUTE_SHUTDOWN,
    ROUTE_JOBS,
    ROUTE_CREATE,
    ROUTE_JOB,
    ROUTE_REMOVE,
    ROUTE_MANIFEST,
    ROUTE_EVENTS,
    ROUTE_PUT,
    ROUTE_START,
    ROUTE_CANCEL,
    ROUTE_RESUME,
    ROUTE_SLICES,
    ROUTE_RESULTS,
    ROUTE_LOG,
    ROUTE_OUTPUT,
};

struct route {
    enum route_kind kind;
    struct digest job; /* zero where the path has none, as the two numbers */
    uint64_t slice;
    uint32_t index; /* of a file or an output */
};

/*
 * PN_E_NOT_FOUND: no such path. PN_E_UNSUPPORTED: the path has other methods (HTTP 405).
 * PN_E_MALFORMED: a part of the path is not what its place asks for. *out is written on PN_OK.
 */
enum pn_status route_find(const char *method, const char *path, struct route *out,
                          struct pn_err *err);

/* Decimal digits without leading zero, at most max: of paths and queries. */
bool route_number(const char *text, size_t len, uint64_t max, uint64_t *out);

#endif
