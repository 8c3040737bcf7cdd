/*
 * What a link costs: MiB/s of blocks through TLS on loopback, both ends on this one thread, against
 * what the processor needs at least: AES-128-GCM once for each end, measured in the same run,
 * alternating. Prints the medians of five and their ratio.
 */
#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/hash.h"
#include "common/link_uv.h"

enum {
    ROUNDS = 5,
    MIB = 1024 * 1024,
    TOTAL_MIB = 512,
    CHUNK_BYTES = 64 * 1024,
    RECORD_BYTES = 16384
};

struct bench {
    uv_loop_t loop;
    uv_tcp_t listener;
    struct link_context *contexts[2];
    struct link *sender;
    struct link *receiver;
    uint64_t to_send;
    uint64_t received;
};

static uint8_t chunk[CHUNK_BYTES];

static void pour(struct bench *b)
{
    const struct frame f = {.type = FRAME_BLOCK, .body = {chunk, sizeof chunk}};
    while (b->to_send > 0 && link_send(b->sender, SESSION_DATA, &f) == PN_OK) {
        b->to_send -= sizeof chunk;
    }
}

static void on_up(struct link *l, void *arg, const struct digest *peer, const struct hello *hello)
{
    (void)peer;
    (void)hello;
    if (link_outbound(l)) {
        pour(arg);
    }
}

static enum pn_status on_frame(struct link *l, void *arg, const struct frame *f, struct pn_err *err)
{
    struct bench *b = arg;
    (void)l;
    (void)err;
    b->received += f->body.len;
    if (b->received == (uint64_t)TOTAL_MIB * MIB) {
        link_close(b->sender);
        link_close(b->receiver);
        uv_close((uv_handle_t *)&b->listener, NULL);
    }
    return PN_OK;
}

static void on_drain(struct link *l, void *arg)
{
    (void)l;
    pour(arg);
}

static void on_closed(struct link *l, void *arg, enum pn_status why, const char *reason)
{
    (void)l;
    (void)arg;
    if (why != PN_OK) {
        (void)fprintf(stderr, "link: %s\n", reason);
        exit(1);
    }
}

static const struct link_callbacks CALLBACKS = {on_up, on_frame, on_drain, on_closed};

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "bench: %s failed\n", what);
        exit(1);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct bench *b = listener->data;
    must(status == 0 &&
             link_accept(b->contexts[1], listener, 0, &CALLBACKS, b, &b->receiver, NULL) == PN_OK,
         "accept");
}

static struct link_context *context_of(uint8_t number)
{
    const uint8_t seed[SECRET_SEED_BYTES] = {number};
    struct key_pair *key = key_pair_new(seed);
    struct link_context *c = NULL;
    must(key != NULL && link_context_new(key, &c, NULL) == PN_OK, "link_context_new");
    key_pair_free(key);
    return c;
}

/* MiB/s, the handshake included. */
static double through_link(void)
{
    struct bench b = {.to_send = (uint64_t)TOTAL_MIB * MIB};
    struct sockaddr_in name;
    int len = sizeof name;
    b.contexts[0] = context_of(1);
    b.contexts[1] = context_of(2);
    b.listener.data = &b;
    must(uv_loop_init(&b.loop) == 0 && uv_tcp_init(&b.loop, &b.listener) == 0 &&
             uv_ip4_addr("127.0.0.1", 0, &name) == 0 &&
             uv_tcp_bind(&b.listener, (const struct sockaddr *)&name, 0) == 0 &&
             uv_listen((uv_stream_t *)&b.listener, 1, on_connection) == 0 &&
             uv_tcp_getsockname(&b.listener, (struct sockaddr *)&name, &len) == 0,
         "listen");
    const struct addr to = addr_v4(127, 0, 0, 1, ntohs(name.sin_port));
    uint64_t start_us = clock_now_us();
    must(link_dial(b.contexts[0], &b.loop, &to, NULL, 0, &CALLBACKS, &b, &b.sender, NULL) == PN_OK,
         "dial");
    (void)uv_run(&b.loop, UV_RUN_DEFAULT);
    double seconds = (double)(clock_now_us() - start_us) / 1e6;
    must(uv_loop_close(&b.loop) == 0, "uv_loop_close");
    link_context_free(b.contexts[0]);
    link_context_free(b.contexts[1]);
    return TOTAL_MIB / seconds;
}

/* MiB/s of sealing and opening in records of 16 KiB: both ends' share, on one thread too. */
static double through_aes(void)
{
    static const uint8_t KEY[16] = {1};
    static const uint8_t NONCE[12] = {2};
    static uint8_t sealed[RECORD_BYTES];
    static uint8_t opened[RECORD_BYTES];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    must(ctx != NULL, "EVP_CIPHER_CTX_new");
    const int count = TOTAL_MIB / 2 * (MIB / RECORD_BYTES);
    uint8_t tag[16];
    int len;
    uint64_t start_us = clock_now_us();
    for (int i = 0; i < count; i++) {
        const uint8_t *plain = chunk + (size_t)(i % 4) * RECORD_BYTES;
        must(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, KEY, NONCE) == 1 &&
                 EVP_EncryptUpdate(ctx, sealed, &len, plain, RECORD_BYTES) == 1 &&
                 EVP_EncryptFinal_ex(ctx, sealed + len, &len) == 1 &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, sizeof tag, tag) == 1 &&
                 EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, KEY, NONCE) == 1 &&
                 EVP_DecryptUpdate(ctx, opened, &len, sealed, RECORD_BYTES) == 1 &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, sizeof tag, tag) == 1 &&
                 EVP_DecryptFinal_ex(ctx, opened + len, &len) == 1,
             "AES");
    }
    double seconds = (double)(clock_now_us() - start_us) / 1e6;
    EVP_CIPHER_CTX_free(ctx);
    return TOTAL_MIB / 2.0 / seconds;
}

/* MiB/s of naming blocks: what a receiver does besides. */
static double through_hash(void)
{
    struct digest d;
    const int count = TOTAL_MIB / 2 * (MIB / CHUNK_BYTES);
    uint64_t start_us = clock_now_us();
    for (int i = 0; i < count; i++) {
        hash_leaf((struct pn_bytes){chunk, sizeof chunk}, &d);
        chunk[0] ^= d.b[0]; /* the result is used */
    }
    return TOTAL_MIB / 2.0 / ((double)(clock_now_us() - start_us) / 1e6);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    double link[ROUNDS];
    double aes[ROUNDS];
    double hash[ROUNDS];
    for (size_t i = 0; i < sizeof chunk; i++) {
        chunk[i] = (uint8_t)(i * i >> 3);
    }
    for (int i = 0; i < ROUNDS; i++) {
        link[i] = through_link();
        aes[i] = through_aes();
        hash[i] = through_hash();
    }
    qsort(link, ROUNDS, sizeof link[0], by_value);
    qsort(aes, ROUNDS, sizeof aes[0], by_value);
    qsort(hash, ROUNDS, sizeof hash[0], by_value);
    (void)printf("link, both ends on one thread   %7.0f MiB/s\n"
                 "AES-128-GCM, sealed and opened  %7.0f MiB/s\n"
                 "SHA-256 of blocks               %7.0f MiB/s\n"
                 "link / AES                      %7.2f\n"
                 "link / SHA-256                  %7.2f\n",
                 link[ROUNDS / 2], aes[ROUNDS / 2], hash[ROUNDS / 2],
                 link[ROUNDS / 2] / aes[ROUNDS / 2], link[ROUNDS / 2] / hash[ROUNDS / 2]);
    return 0;
}
