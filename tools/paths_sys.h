/*
 * paths_sys -- where things are: XDG folders, and the program's own files.
 */
#ifndef PREON_TOOLS_PATHS_SYS_H
#define PREON_TOOLS_PATHS_SYS_H

#include "common/buffer.h"

enum { PATH_BYTES_MAX = 4096 };

/*
 * $XDG_DATA_HOME/preon, else ~/.local/share/preon; for root in its own home /var/lib/preon, because
 * a peer started by root becomes another user. PN_E_NOT_FOUND: no home folder is known.
 */
enum pn_status paths_data(char out[PATH_BYTES_MAX], struct pn_err *err);

/* $XDG_CONFIG_HOME/preon/NAME, else ~/.config/preon/NAME. */
enum pn_status paths_config(const char *name, char out[PATH_BYTES_MAX], struct pn_err *err);

/* A path made absolute by the working folder, links kept. */
enum pn_status paths_absolute(const char *path, char out[PATH_BYTES_MAX], struct pn_err *err);

/* The folder of launcher and job programs: DIR/libexec/preon or DIR/../libexec/preon, where DIR is
 * the folder of this program. PN_E_NOT_FOUND names both. */
enum pn_status paths_libexec(char out[PATH_BYTES_MAX], struct pn_err *err);

/*
 * Reads a whole regular file of at most bytes_max. The sentence names the path. Initialises out,
 * which the caller frees with buffer_fini in any case.
 */
enum pn_status paths_read(const char *path, size_t bytes_max, struct buffer *out,
                          struct pn_err *err);

/* Whether path is a folder that can be written to, or paths_make could make it one. Makes nothing.
 */
enum pn_status paths_check_folder(const char *path, struct pn_err *err);

/* mkdir -p of a folder, or of the folder that path is in. */
enum pn_status paths_make(const char *path, unsigned mode, struct pn_err *err);
enum pn_status paths_make_parent(const char *path, unsigned mode, struct pn_err *err);

#endif
