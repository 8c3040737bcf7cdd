/* Key files: made once, read for ever after, and never by anybody else. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/key_sys.h"

struct bed {
    char root[64];
    char folder[80];
    char file[96];
};

static int open_bed(void **state)
{
    struct bed *b = calloc(1, sizeof *b);
    assert_non_null(b);
    (void)snprintf(b->root, sizeof b->root, "/tmp/preon-test-key-XXXXXX");
    assert_non_null(mkdtemp(b->root));
    (void)snprintf(b->folder, sizeof b->folder, "%s/keys", b->root);
    (void)snprintf(b->file, sizeof b->file, "%s/peer.pem", b->folder);
    *state = b;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *b = *state;
    (void)unlink(b->file);
    (void)rmdir(b->folder);
    int result = rmdir(b->root); /* fails when anything was left behind */
    free(b);
    return result;
}

static void write_file(const struct bed *b, mode_t mode, const char *text)
{
    (void)mkdir(b->folder, 0700);
    (void)unlink(b->file);
    int fd = open(b->file, O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static int entries_in(const char *folder)
{
    DIR *d = opendir(folder);
    int count = -2; /* "." and ".." */
    assert_non_null(d);
    while (readdir(d) != NULL) {
        count++;
    }
    (void)closedir(d);
    return count;
}

/* RFC 8032's second key, as `openssl pkey` writes it. */
static const char PEM[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
                          "-----END PRIVATE KEY-----\n";

static void a_key_is_made_once(void **state)
{
    const struct bed *b = *state;
    struct key_pair *made;
    struct key_pair *read;
    struct pn_err err;
    struct public_key first;
    struct public_key second;
    assert_int_equal(key_file_open(b->folder, "peer.pem", &made, &err), PN_OK);
    assert_int_equal(mode_of(b->folder), 0700);
    assert_int_equal(mode_of(b->file), 0600);
    assert_int_equal(entries_in(b->folder), 1); /* nothing is left beside it */
    assert_int_equal(key_file_open(b->folder, "peer.pem", &read, &err), PN_OK);
    key_pair_public(made, &first);
    key_pair_public(read, &second);
    assert_memory_equal(first.b, second.b, sizeof first.b);
    key_pair_free(made);
    key_pair_free(read);
}

static void openssl_and_we_read_the_same(void **state)
{
    const struct bed *b = *state;
    struct key_pair *k;
    struct public_key public;
    char text[2 * PUBLIC_KEY_BYTES + 1];
    write_file(b, 0600, PEM);
    assert_int_equal(key_file_open(b->folder, "peer.pem", &k, NULL), PN_OK);
    key_pair_public(k, &public);
    hex_write((struct pn_bytes){public.b, sizeof public.b}, text);
    assert_string_equal(text, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    key_pair_free(k);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    const struct bed *b = *state;
    static const mode_t MODES[] = {0640, 0604, 0620, 0666};
    for (size_t i = 0; i < sizeof MODES / sizeof MODES[0]; i++) {
        struct key_pair *k;
        struct pn_err err;
        write_file(b, MODES[i], PEM);
        assert_int_equal(key_file_open(b->folder, "peer.pem", &k, &err), PN_E_DENIED);
        assert_non_null(strstr(err.text, "chmod 600"));
        assert_int_equal(mode_of(b->file), MODES[i]); /* and left as it is */
    }
}

static void what_is_no_key_is_refused(void **state)
{
    const struct bed *b = *state;
    static const char *const TEXTS[] = {
        "",
        "hello\n",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzN\n-----END PRIVATE KEY-----\n",
        /* X25519, which signs nothing */
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VuBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
        "-----END PRIVATE KEY-----\n",
        /* under a passphrase: refused, and nobody is asked */
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhLfoBKv7ZGXgICCAAw\n"
        "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEIE4CXuHZzLz+Pd6meNp0NMEQHAE\n"
        "Em4nroFuH3LVAXCNRrR4GJFj/JI2HxHd0ZLiT9Cix99JwwMb/XDfqfjeC+UaVEuL\n"
        "QbC6QUubsmy5K5QjTog=\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct key_pair *k;
        struct pn_err err;
        write_file(b, 0600, TEXTS[i]);
        assert_int_equal(key_file_open(b->folder, "peer.pem", &k, &err), PN_E_MALFORMED);
        assert_non_null(strstr(err.text, "not an Ed25519 private key"));
    }
}

static void links_and_fifos_are_not_keys(void **state)
{
    const struct bed *b = *state;
    struct key_pair *k;
    struct pn_err err;
    assert_int_equal(mkdir(b->folder, 0700), 0);
    assert_int_equal(symlink("/dev/null", b->file), 0);
    assert_int_equal(key_file_open(b->folder, "peer.pem", &k, &err), PN_E_SYSTEM);
    assert_int_equal(unlink(b->file), 0);
    assert_int_equal(mkfifo(b->file, 0600), 0);
    assert_int_equal(key_file_open(b->folder, "peer.pem", &k, &err), PN_E_DENIED);
    assert_int_equal(key_file_open("/proc/none/here", "peer.pem", &k, &err), PN_E_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_once, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(openssl_and_we_read_the_same, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(a_key_that_others_can_read_is_refused, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(links_and_fifos_are_not_keys, open_bed, close_bed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
