/*
 * key_sys -- key files: PEM (PKCS #8, RFC 8410), mode 0600, made on first use.
 */
#ifndef PREON_COMMON_KEY_SYS_H
#define PREON_COMMON_KEY_SYS_H

#include "common/key.h"

/*
 * Reads the key in folder/name, or makes one there: folder 0700 (its parents must exist), file
 * 0600, written beside, synced and renamed, so that a half-written key is never seen. PN_E_DENIED:
 * the file is not ours, or others can read it. PN_E_MALFORMED: it holds no Ed25519 key. PN_E_FULL,
 * PN_E_SYSTEM. *out is freed by key_pair_free.
 */
enum pn_status key_file_open(const char *folder, const char *name, struct key_pair **out,
                             struct pn_err *err);

#endif
