/*
 * A hostile other side of a TLS connection: a good one whose flights are bent, cut and mixed as the
 * input says. The handshake succeeds only with the key that the other side has.
 *
 * Input: a byte of choices, then changes of three bytes each (flight and offset, value); what comes
 * behind 16 changes is given to the server as it is.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/tls_sys.h"
#include "tests/fuzz/fuzz.h"

enum choice {
    CHOICE_PINNED = 1,    /* the client expects the server's ID */
    CHOICE_OTHER = 2,     /* … or somebody else's */
    CHOICE_OURSELVES = 4, /* both have one key */
    CHOICE_RAW = 8,       /* no client at all: bytes */
    CHOICE_CLOSE = 16,    /* the client breaks off after its first flight */
    CHOICE_FLOOD = 32,    /* the client writes more than it may hold; a stranger changes keys */
    CHOICE_STRANGER = 64, /* the client is a plain OpenSSL's … */
    CHOICE_NO_ALPN = 128, /* … that names no protocol */
};
enum { CHANGES_MAX = 16, CHANGE_BYTES = 3, PIECE = 200 };

struct side {
    struct tls_identity *identity;
    struct tls *tls;
    bool done;
};

static struct tls_identity *identity_of(uint8_t number)
{
    static struct tls_identity *known[3]; /* costly to make */
    const uint8_t seed[SECRET_SEED_BYTES] = {number};
    if (known[number] == NULL) {
        struct key_pair *key = key_pair_new(seed);
        enum pn_status status =
            key == NULL ? PN_E_NO_MEMORY : tls_identity_new(key, &known[number], NULL);
        assert(status == PN_OK);
        key_pair_free(key);
    }
    return known[number];
}

static enum pn_status hear(struct side *to, struct pn_bytes bytes)
{
    enum pn_status status = PN_OK;
    struct pn_err err = {0};
    while (bytes.len > 0 && status == PN_OK) {
        size_t len = bytes.len < PIECE ? bytes.len : PIECE;
        struct pn_bytes piece = fuzz_exact(bytes.ptr, len);
        size_t got = 1;
        tls_input(to->tls, piece);
        status = tls_handshake(to->tls, &to->done, &err);
        while (status == PN_OK && to->done && got > 0) {
            uint8_t plain[64];
            status = tls_read(to->tls, plain, sizeof plain, &got, &err);
            assert(got <= sizeof plain);
        }
        fuzz_free(piece);
        bytes = (struct pn_bytes){bytes.ptr + len, bytes.len - len};
    }
    assert(status == PN_OK || err.text[0] != '\0');
    return status;
}

/* What `from` has to say, changed as the input says for this flight. */
static enum pn_status carry(struct side *from, struct side *to, uint8_t flight,
                            struct pn_bytes changes, bool *bent)
{
    struct buffer b;
    buffer_init(&b, TLS_OUTPUT_BYTES_MAX);
    tls_output_swap(from->tls, &b);
    for (size_t i = 0; i + CHANGE_BYTES <= changes.len && b.len > 0; i += CHANGE_BYTES) {
        const uint8_t *c = changes.ptr + i;
        if (c[0] >> 5 == flight && c[2] != 0) {
            b.ptr[((size_t)(c[0] & 31) << 8 | c[1]) % b.len] ^= c[2];
            *bent = true;
        }
    }
    enum pn_status status = hear(to, buffer_bytes(&b));
    buffer_fini(&b);
    return status;
}

static void talk(struct side *client, struct side *server, uint8_t choices, struct pn_bytes changes)
{
    bool bent = false;
    struct pn_err err;
    enum pn_status status = tls_handshake(client->tls, &client->done, &err);
    for (uint8_t flight = 0; flight < 6 && status == PN_OK; flight += 2) {
        status = carry(client, server, flight, changes, &bent);
        if (status == PN_OK && (choices & CHOICE_CLOSE) == 0) {
            status = carry(server, client, (uint8_t)(flight + 1), changes, &bent);
        }
        if (status == PN_OK && client->done && flight == 2) {
            status = tls_write(client->tls, pn_bytes_str("a frame"), &err);
        }
    }
    if (client->done && server->done) {
        assert((choices & (CHOICE_OURSELVES | CHOICE_OTHER | CHOICE_CLOSE)) == 0);
        assert(digest_equal(tls_peer(client->tls), tls_identity_peer_id(server->identity)));
        assert(digest_equal(tls_peer(server->tls), tls_identity_peer_id(client->identity)));
    } else {
        assert(bent || (choices & (CHOICE_OURSELVES | CHOICE_OTHER | CHOICE_CLOSE)) != 0);
    }
    if (status == PN_OK && client->done && (choices & CHOICE_FLOOD) != 0) {
        static const uint8_t MUCH[TLS_OUTPUT_BYTES_MAX];
        status = tls_write(client->tls, (struct pn_bytes){MUCH, sizeof MUCH}, &err);
        assert(status == PN_E_FULL);
    }
}

/* --- a client that is no peer ----------------------------------------------------------------- */

/* A certificate of its own for each run of the program; both are kept. */
static SSL_CTX *stranger_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *x = X509_new();
    bool made = ctx != NULL && key != NULL && x != NULL && X509_set_version(x, X509_VERSION_3) &&
                X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
                X509_gmtime_adj(X509_getm_notAfter(x), 3600) != NULL && X509_set_pubkey(x, key) &&
                X509_sign(x, key, NULL) > 0 && SSL_CTX_use_certificate(ctx, x) == 1 &&
                SSL_CTX_use_PrivateKey(ctx, key) == 1;
    assert(made);
    X509_free(x);
    EVP_PKEY_free(key);
    return ctx;
}

/* Whatever lies in the client's output goes to the server. */
static enum pn_status pass_on(BIO *out, struct side *server)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(out, &bytes);
    enum pn_status status = hear(server, (struct pn_bytes){(const uint8_t *)bytes, (size_t)len});
    (void)BIO_reset(out);
    return status;
}

static enum pn_status change_keys(SSL *ssl, BIO *out, struct side *server, int times)
{
    for (int i = 0; i < times; i++) {
        bool changed =
            SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1;
        assert(changed);
    }
    return pass_on(out, server);
}

/* Keys may be changed now and then, among data, but not for ever. */
static void change_keys_for_ever(SSL *ssl, BIO *out, struct side *server)
{
    static const uint8_t DATA[16 * 1024];
    enum pn_status status = change_keys(ssl, out, server, 5);
    for (size_t sent = 0; status == PN_OK && sent < 1024 * 1024; sent += sizeof DATA) {
        bool written = SSL_write(ssl, DATA, sizeof DATA) == sizeof DATA;
        status = written ? pass_on(out, server) : PN_E_SYSTEM;
    }
    status = status == PN_OK ? change_keys(ssl, out, server, 5) : status;
    assert(status == PN_OK);
    assert(change_keys(ssl, out, server, 16) != PN_OK);
}

static void stranger(struct side *server, uint8_t choices)
{
    static const uint8_t ALPN[] = "\x07preon/1";
    static SSL_CTX *ctx;
    ctx = ctx == NULL ? stranger_new() : ctx;
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    assert(ssl != NULL && in != NULL && out != NULL);
    SSL_set_bio(ssl, in, out); /* owns both */
    SSL_set_connect_state(ssl);
    if ((choices & CHOICE_NO_ALPN) == 0) {
        (void)SSL_set_alpn_protos(ssl, ALPN, sizeof ALPN - 1);
    }
    enum pn_status status = PN_OK;
    for (int i = 0; i < 3 && status == PN_OK; i++) {
        struct buffer b;
        (void)SSL_do_handshake(ssl);
        status = pass_on(out, server);
        buffer_init(&b, TLS_OUTPUT_BYTES_MAX);
        tls_output_swap(server->tls, &b);
        if (b.len > 0) {
            (void)BIO_write(in, b.ptr, (int)b.len);
        }
        buffer_fini(&b);
    }
    assert(server->done == ((choices & CHOICE_NO_ALPN) == 0));
    if (server->done && (choices & CHOICE_FLOOD) != 0) {
        change_keys_for_ever(ssl, out, server);
    } else {
        (void)SSL_shutdown(ssl);
        assert(pass_on(out, server) != PN_OK);
    }
    ERR_clear_error();
    SSL_free(ssl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const uint8_t choices = data[0];
    const size_t most = (size_t)CHANGES_MAX * CHANGE_BYTES;
    struct pn_bytes changes = {data + 1, size - 1 < most ? size - 1 : most};
    struct side client = {.identity = identity_of(1)};
    struct side server = {.identity = identity_of(choices & CHOICE_OURSELVES ? 1 : 2)};
    const struct digest *expected = NULL;
    if (choices & (CHOICE_PINNED | CHOICE_OTHER)) {
        expected = tls_identity_peer_id(choices & CHOICE_OTHER ? client.identity : server.identity);
    }
    bool made = tls_new(client.identity, TLS_CLIENT, expected, &client.tls, NULL) == PN_OK &&
                tls_new(server.identity, TLS_SERVER, NULL, &server.tls, NULL) == PN_OK;
    assert(made);
    if (choices & CHOICE_RAW) {
        (void)hear(&server, (struct pn_bytes){data + 1, size - 1});
    } else if (choices & CHOICE_STRANGER) {
        stranger(&server, choices);
    } else {
        talk(&client, &server, choices, changes);
    }
    tls_free(client.tls);
    tls_free(server.tls);
    return 0;
}
