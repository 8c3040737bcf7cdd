/* TLS in memory: two connections whose ciphertext the test carries, cuts, bends and withholds. */
#include "tests/unit/unit.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/random.h"
#include "common/tls_sys.h"
#include "tests/unit/alloc.h"

struct side {
    struct tls_identity *identity;
    struct tls *tls;
    bool done;
};

struct pair {
    struct side client;
    struct side server;
};

static struct tls_identity *identity_of(uint8_t number)
{
    const uint8_t seed[SECRET_SEED_BYTES] = {number};
    struct key_pair *key = key_pair_new(seed);
    struct tls_identity *identity;
    assert_non_null(key);
    assert_int_equal(tls_identity_new(key, &identity, NULL), PN_OK);
    key_pair_free(key);
    return identity;
}

static void open_pair(struct pair *p)
{
    *p = (struct pair){.client.identity = identity_of(1), .server.identity = identity_of(2)};
    assert_int_equal(tls_new(p->client.identity, TLS_CLIENT, NULL, &p->client.tls, NULL), PN_OK);
    assert_int_equal(tls_new(p->server.identity, TLS_SERVER, NULL, &p->server.tls, NULL), PN_OK);
}

static void close_pair(struct pair *p)
{
    tls_free(p->client.tls);
    tls_free(p->server.tls);
    tls_identity_free(p->client.identity);
    tls_identity_free(p->server.identity);
}

/* All that `from` has to say, `step` bytes at a time, in exact-size blocks. */
static enum pn_status carry(struct side *from, struct side *to, size_t step, struct pn_err *err)
{
    struct buffer b;
    enum pn_status status = PN_OK;
    buffer_init(&b, TLS_OUTPUT_BYTES_MAX);
    tls_output_swap(from->tls, &b);
    for (size_t at = 0; at < b.len && status == PN_OK; at += step) {
        size_t len = b.len - at < step ? b.len - at : step;
        uint8_t *copy = __real_malloc(len); /* exact, and never one of those that fail */
        assert_non_null(copy);
        memcpy(copy, b.ptr + at, len);
        tls_input(to->tls, (struct pn_bytes){copy, len});
        status = tls_handshake(to->tls, &to->done, err);
        free(copy);
    }
    buffer_fini(&b);
    return status;
}

static enum pn_status shake(struct pair *p, size_t step, struct pn_err *err)
{
    enum pn_status status = tls_handshake(p->client.tls, &p->client.done, err);
    for (int i = 0; i < 5 && status == PN_OK; i++) {
        status = carry(&p->client, &p->server, step, err);
        if (status == PN_OK) {
            status = carry(&p->server, &p->client, step, err);
        }
    }
    return status;
}

/* Sends text and reads it on the other side. */
static void tell(struct side *from, struct side *to, const char *text)
{
    struct buffer b;
    uint8_t out[TLS_RECORD_BYTES];
    size_t len;
    assert_int_equal(tls_write(from->tls, pn_bytes_str(text), NULL), PN_OK);
    buffer_init(&b, TLS_OUTPUT_BYTES_MAX);
    tls_output_swap(from->tls, &b);
    tls_input(to->tls, buffer_bytes(&b));
    assert_int_equal(tls_read(to->tls, out, sizeof out, &len, NULL), PN_OK);
    assert_true(pn_bytes_equal((struct pn_bytes){out, len}, pn_bytes_str(text)));
    assert_int_equal(tls_read(to->tls, out, sizeof out, &len, NULL), PN_OK);
    assert_int_equal(len, 0);
    buffer_fini(&b);
}

static void both_prove_their_keys(void **state)
{
    (void)state;
    static const size_t STEPS[] = {1, 2, 100, 100000};
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++) {
        struct pair p;
        open_pair(&p);
        assert_int_equal(shake(&p, STEPS[i], NULL), PN_OK);
        assert_true(p.client.done && p.server.done);
        assert_true(digest_equal(tls_peer(p.client.tls), tls_identity_peer_id(p.server.identity)));
        assert_true(digest_equal(tls_peer(p.server.tls), tls_identity_peer_id(p.client.identity)));
        tell(&p.client, &p.server, "there");
        tell(&p.server, &p.client, "and back");
        /* Nothing but what was asked for: no tickets, no second thoughts. */
        assert_int_equal(tls_output_bytes(p.client.tls) + tls_output_bytes(p.server.tls), 0);
        close_pair(&p);
    }
}

static void a_pair_with_one_key_is_refused(void **state)
{
    (void)state;
    struct pair p = {.client.identity = identity_of(1), .server.identity = identity_of(1)};
    struct pn_err err;
    assert_int_equal(tls_new(p.client.identity, TLS_CLIENT, NULL, &p.client.tls, NULL), PN_OK);
    assert_int_equal(tls_new(p.server.identity, TLS_SERVER, NULL, &p.server.tls, NULL), PN_OK);
    assert_int_equal(shake(&p, 10000, &err), PN_E_DENIED);
    assert_non_null(strstr(err.text, "ourselves"));
    close_pair(&p);
}

static void any_bent_bit_ends_it(void **state)
{
    (void)state;
    struct pair p;
    open_pair(&p);
    assert_int_equal(shake(&p, 10000, NULL), PN_OK);
    assert_int_equal(tls_write(p.client.tls, pn_bytes_str("precious"), NULL), PN_OK);
    struct buffer b;
    uint8_t out[TLS_RECORD_BYTES];
    size_t len;
    buffer_init(&b, TLS_OUTPUT_BYTES_MAX);
    tls_output_swap(p.client.tls, &b);
    b.ptr[b.len / 2] ^= 4;
    tls_input(p.server.tls, buffer_bytes(&b));
    struct pn_err err;
    assert_int_equal(tls_read(p.server.tls, out, sizeof out, &len, &err), PN_E_MALFORMED);
    assert_int_equal(len, 0);
    buffer_fini(&b);
    close_pair(&p);
}

/* Bytes bent anywhere in the handshake: it ends, or it waits for more, but is never done. */
static void a_bent_handshake_is_never_done(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 4);
    for (int i = 0; i < 300; i++) {
        struct pair p;
        open_pair(&p);
        assert_int_equal(tls_handshake(p.client.tls, &p.client.done, NULL), PN_OK);
        bool bend_client = i % 2 == 0;
        if (!bend_client) {
            assert_int_equal(carry(&p.client, &p.server, 10000, NULL), PN_OK);
        }
        struct buffer b;
        buffer_init(&b, TLS_OUTPUT_BYTES_MAX);
        tls_output_swap(bend_client ? p.client.tls : p.server.tls, &b);
        size_t at = (size_t)random_below(&random, b.len);
        b.ptr[at] ^= (uint8_t)(1u << random_below(&random, 8));
        struct side *judge = bend_client ? &p.server : &p.client;
        uint8_t *copy = unit_exact(b.ptr, b.len);
        tls_input(judge->tls, (struct pn_bytes){copy, b.len});
        (void)tls_handshake(judge->tls, &judge->done, NULL);
        free(copy);
        buffer_fini(&b);
        if (bend_client) {
            /* The server may have noticed nothing yet; the client does, by the transcript. */
            (void)carry(&p.server, &p.client, 10000, NULL);
        }
        assert_false(p.client.done);
        assert_false(p.server.done);
        close_pair(&p);
    }
}

static void garbage_is_malformed(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "HELLO preon/1\r\n",
        "\x16\x03\x01\xff\xff it is long, is it not?",
        "\x80\x80 something older than TLS, with a length",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct pair p;
        struct pn_err err;
        open_pair(&p);
        size_t len = strlen(TEXTS[i]);
        uint8_t *copy = unit_exact(TEXTS[i], len);
        tls_input(p.server.tls, (struct pn_bytes){copy, len});
        assert_int_equal(tls_handshake(p.server.tls, &p.server.done, &err), PN_E_MALFORMED);
        free(copy);
        close_pair(&p);
    }
}

/* A certificate that would do: anybody's key, signed by itself. */
static void show_certificate(SSL *ssl)
{
    const uint8_t seed[SECRET_SEED_BYTES] = {77};
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    X509 *x = X509_new();
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notBefore(x), "19700101000000Z"), 1);
    assert_int_equal(ASN1_TIME_set_string(X509_getm_notAfter(x), "19700102000000Z"), 1);
    assert_true(X509_sign(x, key, NULL) > 0);
    assert_int_equal(SSL_use_certificate(ssl, x), 1);
    assert_int_equal(SSL_use_PrivateKey(ssl, key), 1);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* Has new keys made `count` times, each with some bytes of data if `data`; what our side says. */
static enum pn_status change_keys(SSL *ssl, struct tls *t, int count, size_t data,
                                  struct pn_err *err)
{
    static uint8_t zeros[16 * 1024];
    static uint8_t bytes[64 * 1024];
    for (int i = 0; i < count; i++) {
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(ssl), 1);
        for (size_t sent = 0; sent < data; sent += sizeof zeros) {
            assert_int_equal(SSL_write(ssl, zeros, sizeof zeros), sizeof zeros);
        }
        int len;
        while ((len = BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes)) > 0) {
            tls_input(t, (struct pn_bytes){bytes, (size_t)len});
            size_t got;
            do {
                static uint8_t plain[TLS_RECORD_BYTES];
                enum pn_status status = tls_read(t, plain, sizeof plain, &got, err);
                if (status != PN_OK) {
                    return status;
                }
            } while (got > 0);
        }
    }
    return PN_OK;
}

/* Somebody else's client, with any ALPN or none; PN_OK when our side takes it. */
static enum pn_status visit(const char *alpn, int version, bool certified, int key_changes,
                            size_t data, struct pn_err *err)
{
    struct pair p;
    open_pair(&p);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    assert_non_null(ssl);
    SSL_set_bio(ssl, in, out);
    assert_int_equal(SSL_set_max_proto_version(ssl, version), 1);
    if (certified) {
        show_certificate(ssl);
    }
    if (alpn != NULL) {
        assert_int_equal(
            SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn)), 0);
    }
    enum pn_status status = PN_OK;
    for (int i = 0; i < 4 && status == PN_OK; i++) {
        (void)SSL_connect(ssl);
        uint8_t bytes[8192];
        int len = BIO_read(out, bytes, sizeof bytes);
        if (len > 0) {
            tls_input(p.server.tls, (struct pn_bytes){bytes, (size_t)len});
            status = tls_handshake(p.server.tls, &p.server.done, err);
        }
        struct buffer b;
        buffer_init(&b, TLS_OUTPUT_BYTES_MAX);
        tls_output_swap(p.server.tls, &b);
        if (b.len > 0) {
            assert_int_equal(BIO_write(in, b.ptr, (int)b.len), b.len);
        }
        buffer_fini(&b);
    }
    assert_int_equal(p.server.done, status == PN_OK);
    if (status == PN_OK) {
        status = change_keys(ssl, p.server.tls, key_changes, data, err);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close_pair(&p);
    return status;
}

static void keys_may_change_but_not_for_ever(void **state)
{
    (void)state;
    struct pn_err err;
    assert_int_equal(visit("\x07preon/1", TLS1_3_VERSION, true, 8, 0, &err), PN_OK);
    assert_int_equal(visit("\x07preon/1", TLS1_3_VERSION, true, 50, 1024 * 1024, &err), PN_OK);
    assert_int_equal(visit("\x07preon/1", TLS1_3_VERSION, true, 10, 0, &err), PN_E_MALFORMED);
    assert_string_equal(err.text, "TLS: changes its keys for ever");
}

static void other_protocols_are_refused(void **state)
{
    (void)state;
    struct pn_err err;
    assert_int_equal(visit("\x07preon/1", TLS1_3_VERSION, true, 0, 0, &err),
                     PN_OK); /* dates ignored */
    assert_int_equal(visit("\x02h2\x07preon/1", TLS1_3_VERSION, true, 0, 0, &err), PN_OK);
    assert_int_equal(visit("\x02h2", TLS1_3_VERSION, true, 0, 0, &err), PN_E_MALFORMED);
    assert_string_equal(err.text, "TLS: no application protocol");
    assert_int_equal(visit("\x07preon/2", TLS1_3_VERSION, true, 0, 0, &err), PN_E_MALFORMED);
    assert_int_equal(visit(NULL, TLS1_3_VERSION, true, 0, 0, &err), PN_E_UNSUPPORTED);
    assert_string_equal(err.text, "TLS: the other side does not ask for preon/1");
    assert_int_equal(visit("\x07preon/1", TLS1_2_VERSION, true, 0, 0, &err), PN_E_MALFORMED);
    assert_string_equal(err.text, "TLS: unsupported protocol");
    assert_int_equal(visit("\x07preon/1", TLS1_3_VERSION, false, 0, 0, &err), PN_E_MALFORMED);
    assert_string_equal(err.text, "TLS: peer did not return a certificate");
}

/* OpenSSL's memory comes from here as well, so that the n-th allocation may be one of its own. */
static void *ssl_malloc(size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return len == 0 ? NULL : malloc(len);
}

static void *ssl_realloc(void *old, size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    if (len == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, len);
}

static void ssl_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

/* Whatever allocation fails, it is said, nothing leaks and nothing is believed. */
static void memory_may_be_short_anywhere(void **state)
{
    (void)state;
    unsigned long failures = 0;
    bool whole = false;
    /* The first ones, ours among them, and then every 13th: all of them take a minute. */
    for (unsigned long n = 1; !whole; n += n < 40 ? 1 : 13) {
        struct pair p;
        struct pn_err err;
        open_pair(&p);
        alloc_fail_at(n);
        struct tls *third = NULL;
        enum pn_status made = tls_new(p.client.identity, TLS_CLIENT, NULL, &third, &err);
        enum pn_status shaken = made == PN_OK ? shake(&p, 10000, &err) : PN_OK;
        enum pn_status written = shaken == PN_OK && made == PN_OK && p.client.done
                                     ? tls_write(p.client.tls, pn_bytes_str("text"), &err)
                                     : PN_OK;
        bool fired = alloc_left == 0;
        alloc_fail_never();
        failures += made != PN_OK || shaken != PN_OK || written != PN_OK;
        whole = !fired;
        if (!fired) {
            assert_true(p.client.done && p.server.done);
        }
        tls_free(third);
        close_pair(&p);
    }
    assert_true(failures > 40);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_prove_their_keys),
        cmocka_unit_test(a_pair_with_one_key_is_refused),
        cmocka_unit_test(any_bent_bit_ends_it),
        cmocka_unit_test(a_bent_handshake_is_never_done),
        cmocka_unit_test(garbage_is_malformed),
        cmocka_unit_test(keys_may_change_but_not_for_ever),
        cmocka_unit_test(other_protocols_are_refused),
        cmocka_unit_test(memory_may_be_short_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
