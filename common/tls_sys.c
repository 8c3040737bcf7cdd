#include "common/tls_sys.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "common/reader.h"

/* RFC 8446, 5.5: one AES-GCM key is good for 2^24.5 records. */
enum { RECORDS_PER_KEY = 1 << 22 };

/*
 * What may come between application data once the handshake is done: new keys, tickets that nobody
 * asked for. Each costs us a key derivation and them 27 bytes (16 us: a link at 1.7 MB/s would have
 * a processor for itself), and nobody needs more than one new key in 64 GiB.
 */
enum { ORDERS_MAX = 8, ORDERS_PER_BYTES = 1024 * 1024 };

static const uint8_t ALPN[] = "\x07preon/1"; /* as TLS has it: length, then the name */
enum { ALPN_BYTES = sizeof ALPN - 1 };

struct tls_identity {
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    struct digest peer_id;
};

struct tls {
    SSL *ssl;
    const struct tls_identity *identity;
    struct reader input; /* lent by tls_input */
    struct buffer output;
    enum pn_status output_status; /* why the last ciphertext could not be kept */
    struct pn_err verdict;        /* on the other side's certificate */
    struct digest peer;
    struct digest expected;
    bool is_pinned;
    bool done;
    uint32_t record_count; /* under the current key */
    uint32_t order_count;  /* of ORDERS_MAX, in ORDERS_PER_BYTES of what they sent us */
    size_t order_bytes;
};

/* --- OpenSSL's view of our buffers --- */

static int bio_read(BIO *bio, char *out, size_t cap, size_t *len)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *len = t->input.left < cap ? t->input.left : cap;
    if (t->order_count > ORDERS_MAX) { /* the only way out of one SSL_read that eats them all */
        *len = 0;
        return 0;
    }
    if (*len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    reader_copy(&t->input, out, *len);
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t len, size_t *written)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    t->output_status = buffer_append(&t->output, (struct pn_bytes){(const uint8_t *)from, len});
    *written = t->output_status == PN_OK ? len : 0;
    return t->output_status == PN_OK;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* there is nothing to flush, and nothing else to control */
}

/* Whatever of TLS's own is sent or was received. */
static void on_message(int sent, int version, int content_type, const void *bytes, size_t len,
                       SSL *ssl, void *arg)
{
    struct tls *t = arg;
    (void)version;
    (void)bytes;
    (void)len;
    (void)ssl;
    if (sent == 0 && t->done && content_type == SSL3_RT_HANDSHAKE &&
        ++t->order_count > ORDERS_MAX) {
        (void)pn_fail(&t->verdict, PN_E_MALFORMED, "TLS: changes its keys for ever");
    }
}

static BIO_METHOD *bio_method_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "preon memory");
    if (m != NULL) {
        (void)BIO_meth_set_read_ex(m, bio_read);
        (void)BIO_meth_set_write_ex(m, bio_write);
        (void)BIO_meth_set_ctrl(m, bio_ctrl);
    }
    return m;
}

/* --- who may talk to us --- */

static enum pn_status judge(struct tls *t, X509 *certificate, struct pn_err *err)
{
    struct public_key key;
    size_t len = sizeof key.b;
    EVP_PKEY *pkey = certificate == NULL ? NULL : X509_get0_pubkey(certificate);
    if (pkey == NULL || EVP_PKEY_get_id(pkey) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(pkey, key.b, &len) != 1 || len != sizeof key.b) {
        return pn_fail(err, PN_E_MALFORMED, "the certificate has no Ed25519 key");
    }
    public_key_peer_id(&key, &t->peer);
    char text[DIGEST_SHORT_BYTES];
    digest_short(&t->peer, text);
    if (digest_equal(&t->peer, &t->identity->peer_id)) {
        return pn_fail(err, PN_E_DENIED, "the other side is ourselves (%s)", text);
    }
    if (t->is_pinned && !digest_equal(&t->peer, &t->expected)) {
        char expected[DIGEST_SHORT_BYTES];
        digest_short(&t->expected, expected);
        return pn_fail(err, PN_E_MISMATCH, "the other side is peer %s, not %s", text, expected);
    }
    return PN_OK;
}

/* In place of OpenSSL's whole verification of chains: the key is all that counts. */
static int on_verify(X509_STORE_CTX *store, void *arg)
{
    (void)arg;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);
    t->verdict.status = PN_OK;
    if (judge(t, X509_STORE_CTX_get0_cert(store), &t->verdict) == PN_OK) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    unsigned char *chosen;
    int found = SSL_select_next_proto(&chosen, out_len, ALPN, ALPN_BYTES, in, in_len);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- the identity --- */

/* Valid for ever and says nothing: the same key always makes the same certificate. */
static X509 *certificate_new(EVP_PKEY *pkey)
{
    static const unsigned char NAME[] = "preon";
    X509 *x = X509_new();
    X509_NAME *name = x == NULL ? NULL : X509_get_subject_name(x);
    if (name != NULL && X509_set_version(x, X509_VERSION_3) == 1 &&
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
        ASN1_TIME_set_string(X509_getm_notBefore(x), "19700101000000Z") == 1 &&
        ASN1_TIME_set_string(X509_getm_notAfter(x), "99991231235959Z") == 1 &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, NAME, -1, -1, 0) == 1 &&
        X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, pkey) == 1 &&
        X509_sign(x, pkey, NULL) > 0) {
        return x;
    }
    X509_free(x);
    return NULL;
}

static bool has_aes_instructions(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
    return false;
#endif
}

static bool settle(SSL_CTX *ctx)
{
    const char *ciphers = has_aes_instructions()
                              ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
                              : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ctx, TLS_CERTIFICATES_BYTES_MAX);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_ciphersuites(ctx, ciphers) == 1 &&
           SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1 &&
           SSL_CTX_set1_sigalgs_list(ctx, "ed25519") == 1 &&
           SSL_CTX_set1_client_sigalgs_list(ctx, "ed25519") == 1 &&
           SSL_CTX_set_alpn_protos(ctx, ALPN, ALPN_BYTES) == 0; /* the one where 0 is success */
}

static EVP_PKEY *pkey_of(const struct key_pair *key)
{
    uint8_t seed[SECRET_SEED_BYTES];
    key_pair_seed(key, seed);
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    OPENSSL_cleanse(seed, sizeof seed);
    return pkey;
}

enum pn_status tls_identity_new(const struct key_pair *key, struct tls_identity **out,
                                struct pn_err *err)
{
    struct tls_identity *identity = calloc(1, sizeof *identity);
    EVP_PKEY *pkey = pkey_of(key);
    X509 *certificate = pkey == NULL ? NULL : certificate_new(pkey);
    bool ok = false;
    if (identity != NULL && certificate != NULL) {
        struct public_key public;
        key_pair_public(key, &public);
        public_key_peer_id(&public, &identity->peer_id);
        identity->bio = bio_method_new();
        identity->ctx = SSL_CTX_new(TLS_method());
        ok = identity->bio != NULL && identity->ctx != NULL && settle(identity->ctx) &&
             SSL_CTX_use_certificate(identity->ctx, certificate) == 1 &&
             SSL_CTX_use_PrivateKey(identity->ctx, pkey) == 1;
    }
    X509_free(certificate);
    EVP_PKEY_free(pkey);
    if (!ok) {
        const char *reason = ERR_reason_error_string(ERR_get_error());
        tls_identity_free(identity);
        return pn_fail(err, PN_E_NO_MEMORY, "TLS cannot be set up: %s",
                       reason == NULL ? "out of memory" : reason);
    }
    *out = identity;
    return PN_OK;
}

void tls_identity_free(struct tls_identity *identity)
{
    if (identity != NULL) {
        SSL_CTX_free(identity->ctx);
        BIO_meth_free(identity->bio);
        free(identity);
    }
}

const struct digest *tls_identity_peer_id(const struct tls_identity *identity)
{
    return &identity->peer_id;
}

/* --- one connection --- */

enum pn_status tls_new(const struct tls_identity *identity, enum tls_side side,
                       const struct digest *expected, struct tls **out, struct pn_err *err)
{
    struct tls *t = calloc(1, sizeof *t);
    BIO *bio = BIO_new(identity->bio);
    if (t != NULL) {
        t->ssl = SSL_new(identity->ctx);
    }
    if (t == NULL || t->ssl == NULL || bio == NULL || SSL_set_app_data(t->ssl, t) != 1) {
        (void)BIO_free(bio);
        tls_free(t);
        ERR_clear_error();
        return pn_fail(err, PN_E_NO_MEMORY, "no memory for a TLS connection");
    }
    t->identity = identity;
    buffer_init(&t->output, TLS_OUTPUT_BYTES_MAX);
    if (expected != NULL) {
        t->expected = *expected;
        t->is_pinned = true;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_msg_callback(t->ssl, on_message);
    SSL_set_msg_callback_arg(t->ssl, t);
    SSL_set_bio(t->ssl, bio, bio); /* takes it, once for both directions */
    if (side == TLS_CLIENT) {
        SSL_set_connect_state(t->ssl);
    } else {
        SSL_set_accept_state(t->ssl);
    }
    *out = t;
    return PN_OK;
}

void tls_free(struct tls *t)
{
    if (t != NULL) {
        SSL_free(t->ssl);
        buffer_fini(&t->output);
        free(t);
    }
}

void tls_input(struct tls *t, struct pn_bytes ciphertext)
{
    assert(t->input.left == 0);
    t->input = reader_of(ciphertext);
}

/* What an operation that did not succeed means: PN_OK when it only lacks input. */
static enum pn_status explain(struct tls *t, int result, struct pn_err *err)
{
    int why = SSL_get_error(t->ssl, result);
    if (why == SSL_ERROR_WANT_READ) {
        return PN_OK;
    }
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    if (t->output_status != PN_OK) {
        return pn_fail(err, t->output_status, "TLS: no room for ciphertext: %s",
                       pn_status_text(t->output_status));
    }
    if (t->verdict.status != PN_OK) {
        return pn_fail(err, t->verdict.status, "%s", t->verdict.text);
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
        return pn_fail(err, PN_E_CLOSED, "closed by the other side");
    }
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
        return pn_fail(err, PN_E_NO_MEMORY, "TLS: out of memory");
    }
    /* Alerts from the other side are numbered above this: it judged us, not we it. */
    enum pn_status status =
        ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET ? PN_E_DENIED : PN_E_MALFORMED;
    return pn_fail(err, status, "TLS: %s", reason == NULL ? "broken off" : reason);
}

static enum pn_status check_alpn(const struct tls *t, struct pn_err *err)
{
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    const struct pn_bytes ours = {ALPN + 1, ALPN_BYTES - 1};
    if (!pn_bytes_equal((struct pn_bytes){name, len}, ours)) {
        return pn_fail(err, PN_E_UNSUPPORTED, "TLS: the other side does not ask for preon/1");
    }
    return PN_OK;
}

enum pn_status tls_handshake(struct tls *t, bool *done, struct pn_err *err)
{
    if (!t->done) {
        ERR_clear_error();
        int result = SSL_do_handshake(t->ssl);
        enum pn_status status = result == 1 ? check_alpn(t, err) : explain(t, result, err);
        if (status != PN_OK) {
            return status;
        }
        t->done = result == 1;
    }
    *done = t->done;
    return PN_OK;
}

enum pn_status tls_read(struct tls *t, uint8_t *out, size_t cap, size_t *len, struct pn_err *err)
{
    assert(t->done);
    ERR_clear_error();
    *len = 0;
    int result = SSL_read_ex(t->ssl, out, cap, len);
    t->order_bytes += *len;
    if (t->order_bytes >= ORDERS_PER_BYTES) {
        t->order_bytes = 0;
        t->order_count = 0;
    }
    return result == 1 ? PN_OK : explain(t, result, err);
}

enum pn_status tls_write(struct tls *t, struct pn_bytes plaintext, struct pn_err *err)
{
    assert(t->done);
    if (plaintext.len == 0) {
        return PN_OK;
    }
    ERR_clear_error();
    t->record_count += (uint32_t)(plaintext.len / TLS_RECORD_BYTES + 1);
    if (t->record_count > RECORDS_PER_KEY) {
        t->record_count = 0;
        (void)SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED); /* goes ahead of the bytes */
    }
    size_t len;
    int result = SSL_write_ex(t->ssl, plaintext.ptr, plaintext.len, &len);
    if (result == 1) {
        return PN_OK;
    }
    enum pn_status status = explain(t, result, err);
    /* Memory never makes OpenSSL wait for input here. */
    return status != PN_OK ? status : pn_fail(err, PN_E_MALFORMED, "TLS: cannot write");
}

size_t tls_output_bytes(const struct tls *t) { return t->output.len; }

void tls_output_swap(struct tls *t, struct buffer *b)
{
    assert(b->len == 0);
    struct buffer sent = *b;
    sent.max = TLS_OUTPUT_BYTES_MAX;
    *b = t->output;
    t->output = sent;
}

const struct digest *tls_peer(const struct tls *t) { return &t->peer; }
