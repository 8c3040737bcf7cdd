/* Any bytes as a key file: refused, or a key that signs. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/key_sys.h"
#include "tests/fuzz/fuzz.h"

static char folder[] = "/tmp/preon-fuzz-XXXXXX";

static void remove_folder(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/key", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void write_file(const uint8_t *data, size_t size)
{
    static bool made;
    char path[64];
    if (!made) {
        made = mkdtemp(folder) != NULL && atexit(remove_folder) == 0;
        assert(made);
    }
    (void)snprintf(path, sizeof path, "%s/key", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = fd >= 0 ? write(fd, data, size) : -1;
    assert(n == (ssize_t)size);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct key_pair *key = NULL;
    struct pn_err err = {0};
    write_file(data, size);
    if (key_file_open(folder, "key", &key, &err) == PN_OK) {
        struct public_key public;
        struct signature s;
        key_pair_public(key, &public);
        bool good = key_sign(key, pn_bytes_str("a message"), &s) == PN_OK &&
                    key_verify(&public, pn_bytes_str("a message"), &s);
        assert(good);
        key_pair_free(key);
    } else {
        assert(err.text[0] != '\0');
    }
    return 0;
}
