#include "common/key_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/random_sys.h"

enum { PEM_BYTES_MAX = 4096 };

static enum pn_status system_error(struct pn_err *err, const char *folder, const char *name)
{
    enum pn_status status = errno == ENOSPC || errno == EDQUOT ? PN_E_FULL : PN_E_SYSTEM;
    return pn_fail(err, status, "key %s/%s: %s", folder, name, strerror(errno));
}

/* A key under a passphrase is refused: OpenSSL would ask the terminal for it. */
static int no_passphrase(char *out, int cap, int writing, void *arg)
{
    (void)out;
    (void)cap;
    (void)writing;
    (void)arg;
    return -1;
}

static enum pn_status parse_pem(const char *folder, const char *name, const char *text, size_t len,
                                struct key_pair **out, struct pn_err *err)
{
    uint8_t seed[SECRET_SEED_BYTES];
    size_t seed_len = sizeof seed;
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    EVP_PKEY *pkey = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    bool ok = pkey != NULL && EVP_PKEY_get_id(pkey) == EVP_PKEY_ED25519 &&
              EVP_PKEY_get_raw_private_key(pkey, seed, &seed_len) == 1 && seed_len == sizeof seed;
    EVP_PKEY_free(pkey);
    (void)BIO_free(bio);
    if (!ok) {
        return pn_fail(err, PN_E_MALFORMED, "key %s/%s: not an Ed25519 private key in PEM", folder,
                       name);
    }
    *out = key_pair_new(seed);
    explicit_bzero(seed, sizeof seed);
    return *out != NULL ? PN_OK : pn_fail(err, PN_E_NO_MEMORY, "key: out of memory");
}

static enum pn_status read_key(int dir, const char *folder, const char *name, struct key_pair **out,
                               struct pn_err *err)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? PN_E_NOT_FOUND : system_error(err, folder, name);
    }
    char text[PEM_BYTES_MAX];
    struct stat st;
    enum pn_status status = PN_OK;
    ssize_t len = read(fd, text, sizeof text);
    if (len < 0 || fstat(fd, &st) != 0) {
        status = system_error(err, folder, name);
    } else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
        status = pn_fail(err, PN_E_DENIED,
                         "key %s/%s: mode %04o, owner %u: it must be a file of user %u that nobody "
                         "else can read (chmod 600)",
                         folder, name, (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid,
                         (unsigned)geteuid());
    } else {
        status = parse_pem(folder, name, text, (size_t)len, out, err);
    }
    explicit_bzero(text, sizeof text);
    (void)close(fd);
    return status;
}

/* The PEM text of a fresh key. */
static size_t fresh_pem(char *text, size_t cap)
{
    uint8_t seed[SECRET_SEED_BYTES];
    random_fill(seed, sizeof seed);
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    explicit_bzero(seed, sizeof seed);
    BIO *bio = BIO_new(BIO_s_mem());
    size_t len = 0;
    if (pkey != NULL && bio != NULL &&
        PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1) {
        int got = BIO_read(bio, text, (int)cap);
        len = got > 0 ? (size_t)got : 0;
    }
    (void)BIO_free(bio);
    EVP_PKEY_free(pkey);
    return len;
}

static enum pn_status write_key(int dir, const char *folder, const char *name, struct pn_err *err)
{
    char text[PEM_BYTES_MAX];
    char beside[300];
    (void)snprintf(beside, sizeof beside, "%s.%ld.new", name, (long)getpid());
    size_t len = fresh_pem(text, sizeof text);
    if (len == 0) {
        return pn_fail(err, PN_E_NO_MEMORY, "key: out of memory");
    }
    int fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    enum pn_status status = PN_OK;
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) != 0) {
        status = system_error(err, folder, beside);
    }
    explicit_bzero(text, sizeof text);
    if (fd >= 0) {
        (void)close(fd);
    }
    /* Whoever comes first wins: link refuses to replace a key that appeared meanwhile. */
    if (status == PN_OK && linkat(dir, beside, dir, name, 0) != 0 && errno != EEXIST) {
        status = system_error(err, folder, name);
    }
    if (fd >= 0) {
        (void)unlinkat(dir, beside, 0);
    }
    if (status == PN_OK && fsync(dir) != 0) {
        status = system_error(err, folder, name);
    }
    return status;
}

enum pn_status key_file_open(const char *folder, const char *name, struct key_pair **out,
                             struct pn_err *err)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return system_error(err, folder, name);
    }
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return system_error(err, folder, name);
    }
    enum pn_status status = read_key(dir, folder, name, out, err);
    if (status == PN_E_NOT_FOUND) {
        status = write_key(dir, folder, name, err);
        if (status == PN_OK) {
            status = read_key(dir, folder, name, out, err);
        }
    }
    (void)close(dir);
    return status;
}
