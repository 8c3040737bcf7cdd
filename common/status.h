/*
 * status -- how every function that can fail says so: a status to branch on, a sentence to read.
 */
#ifndef PREON_COMMON_STATUS_H
#define PREON_COMMON_STATUS_H

/* One list for the enum and its texts. The order is free; the values never leave the process. */
#define PN_STATUS_LIST(X)                                                                          \
    X(PN_OK, "ok")                                                                                 \
    X(PN_E_MALFORMED, "malformed") /* bytes that do not follow their format */                     \
    X(PN_E_TOO_BIG, "too big")     /* over a stated maximum */                                     \
    X(PN_E_RANGE, "out of range")  /* a value outside what is allowed */                           \
    X(PN_E_NOT_FOUND, "not found")                                                                 \
    X(PN_E_EXISTS, "exists already")                                                               \
    X(PN_E_DENIED, "denied")           /* by a rule or a wish, not by an accident */               \
    X(PN_E_MISMATCH, "does not match") /* a hash, signature or identity is not the stated one */   \
    X(PN_E_BUSY, "busy")               /* try again later */                                       \
    X(PN_E_FULL, "full")               /* a bounded container or a disk */                         \
    X(PN_E_CLOSED, "closed")           /* the other side is gone */                                \
    X(PN_E_TIMEOUT, "timed out")                                                                   \
    X(PN_E_UNSUPPORTED, "not supported") /* by this version, machine or kernel */                  \
    X(PN_E_NO_MEMORY, "out of memory")                                                             \
    X(PN_E_SYSTEM, "system error") /* the text carries strerror */

enum pn_status {
#define PN_STATUS_ENUM(name, text) name,
    PN_STATUS_LIST(PN_STATUS_ENUM)
#undef PN_STATUS_ENUM
};

enum { PN_ERR_TEXT_BYTES = 192 };

/* Lives on the caller's stack; nothing to free. Passing NULL means "not interested". */
struct pn_err {
    enum pn_status status;
    char text[PN_ERR_TEXT_BYTES]; /* one line, no newline, cut when longer */
};

/* The status in words, for when there is no sentence. Never NULL. */
const char *pn_status_text(enum pn_status status);

/* Fills *err (unless NULL) and returns status, so that failing is one statement. */
__attribute__((format(printf, 3, 4))) enum pn_status
pn_fail(struct pn_err *err, enum pn_status status, const char *format, ...);

#ifdef __clang_analyzer__ /* does not see into status.c: what is returned is what was given */
#define pn_fail(err, status, ...) ((void)(pn_fail)((err), (status), __VA_ARGS__), (status))
#endif

/* Puts context in front: "bad length" becomes "peer 192.0.2.1:4000: bad length". */
__attribute__((format(printf, 2, 3))) void pn_err_wrap(struct pn_err *err, const char *format, ...);

#endif
