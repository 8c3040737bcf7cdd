#include "common/trackline.h"

#include <assert.h>

/* The kinds of words. A row of the grammar below is a list of these. */
enum field {
    END_OF_LINE,
    VERSION,
    PORT,
    IP,
    JOB_ID,     /* 64 digits */
    JOB_SHOT,   /* or idle */
    JOB_LISTED, /* or idle, or hiring */
    TTL,
    KEEPALIVE,
    SLOTS,      /* may be 0: no more */
    SLOTS_SOME, /* at least 1 */
    COUNT,
    KNOWN,
    TOKEN,
    SECONDS,
    WORDS, /* the rest of the line, may be nothing */
    TEXT,  /* the rest of the line, something */
};

enum { FIELDS_MAX = 5 };

/* A set of manners, for the rows that belong to several. */
#define IN(manner) (1u << (manner))
enum {
    SHOT = IN(TRACKLINE_ONE_SHOT),
    SHOT_ANSWER = IN(TRACKLINE_ONE_SHOT_ANSWER),
    REQUEST = IN(TRACKLINE_REQUEST),
    ANSWER = IN(TRACKLINE_ANSWER),
};

struct row {
    enum trackline_kind kind;
    unsigned manners;
    const char *word; /* "": the line starts with its first field */
    enum field fields[FIELDS_MAX];
};

/* The whole protocol. tracker/README.md shows the same table with its meaning. */
static const struct row GRAMMAR[] = {
    {TRACKLINE_INFORM, SHOT, "INFORM", {PORT, JOB_SHOT}},
    {TRACKLINE_DELETE, SHOT, "DELETE", {PORT, JOB_SHOT}},
    {TRACKLINE_QUERY, SHOT, "QUERY", {JOB_SHOT}},
    {TRACKLINE_HELLO, SHOT, "HELLO", {VERSION, WORDS}},

    {TRACKLINE_OK, SHOT_ANSWER, "OK", {END_OF_LINE}},
    {TRACKLINE_ERROR, SHOT_ANSWER | ANSWER, "ERROR", {TEXT}},
    {TRACKLINE_PEER, SHOT_ANSWER, "", {IP, PORT}},

    {TRACKLINE_INFORM, REQUEST, "INFORM", {PORT, JOB_ID, TTL}},
    {TRACKLINE_DELETE, REQUEST, "DELETE", {PORT, JOB_ID}},
    {TRACKLINE_QUERY, REQUEST, "QUERY", {JOB_LISTED, COUNT}},
    {TRACKLINE_IDLE, REQUEST, "IDLE", {SLOTS, WORDS}},
    {TRACKLINE_DEMAND, REQUEST, "DEMAND", {PORT, JOB_ID, SLOTS, WORDS}},
    {TRACKLINE_TAKE, REQUEST, "TAKE", {TOKEN}},
    {TRACKLINE_PASS, REQUEST, "PASS", {TOKEN}},
    {TRACKLINE_PING, REQUEST, "PING", {END_OF_LINE}},

    {TRACKLINE_HELLO, ANSWER, "HELLO", {VERSION, IP, TTL, KEEPALIVE}},
    {TRACKLINE_OK, ANSWER, "OK", {COUNT}},
    {TRACKLINE_PEER, ANSWER, "PEER", {IP, PORT}},
    {TRACKLINE_WANT, ANSWER, "WANT", {IP, PORT, JOB_ID, SLOTS_SOME}},
    {TRACKLINE_END, ANSWER, "END", {COUNT, KNOWN}},
    {TRACKLINE_HIRE, ANSWER, "HIRE", {TOKEN, IP, PORT, JOB_ID}},
    {TRACKLINE_PONG, ANSWER, "PONG", {END_OF_LINE}},
    {TRACKLINE_BUSY, ANSWER, "BUSY", {SECONDS, TEXT}},
};

static const char *field_text(enum field field)
{
    switch (field) {
    case END_OF_LINE:
        return "the end of the line";
    case VERSION:
        return "the version " TRACKLINE_VERSION;
    case PORT:
        return "a port (1 to 65535)";
    case IP:
        return "an IP address";
    case JOB_ID:
        return "a job ID (64 lower-case hex digits)";
    case JOB_SHOT:
        return "a job ID (idle or 64 lower-case hex digits)";
    case JOB_LISTED:
        return "a job ID (idle, hiring or 64 lower-case hex digits)";
    case TTL:
        return "a time to live (1 to 86400 seconds)";
    case KEEPALIVE:
    case SECONDS:
        return "a time (1 to 86400 seconds)";
    case SLOTS:
        return "a number of slots (0 to 65535)";
    case SLOTS_SOME:
        return "a number of slots (1 to 65535)";
    case COUNT:
    case KNOWN:
        return "a count (0 to 1000000000)";
    case TOKEN:
        return "a token (0 to 4294967295)";
    case WORDS:
        return "at most 8 words of at most 31 of a-z 0-9 . _ @ = + -";
    case TEXT:
        return "a text";
    }
    return "nothing";
}

static bool is_word_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._@=+-", c) != NULL);
}

bool trackline_word_next(struct pn_bytes *words, struct pn_bytes *word)
{
    if (words->len == 0) {
        return false;
    }
    const uint8_t *space = memchr(words->ptr, ' ', words->len);
    size_t len = space == NULL ? words->len : (size_t)(space - words->ptr);
    size_t used = space == NULL ? len : len + 1;
    *word = (struct pn_bytes){words->ptr, len};
    *words = (struct pn_bytes){words->ptr + used, words->len - used};
    return true;
}

uint64_t trackline_proof(struct pn_bytes words)
{
    static const char NAME[] = "proof=";
    const size_t name_len = sizeof NAME - 1;
    struct pn_bytes word;
    while (trackline_word_next(&words, &word)) {
        if (word.len <= name_len || memcmp(word.ptr, NAME, name_len) != 0) {
            continue;
        }
        uint64_t proof = 0;
        for (size_t i = name_len; i < word.len; i++) {
            uint8_t digit = (uint8_t)(word.ptr[i] - '0');
            if (digit > 9 || proof > (UINT64_MAX - digit) / 10) {
                return 0;
            }
            proof = proof * 10 + digit;
        }
        return proof;
    }
    return 0;
}

bool trackline_words_are_good(struct pn_bytes words)
{
    if (words.len > 0 && words.ptr[words.len - 1] == ' ') {
        return false;
    }
    struct pn_bytes word;
    for (int count = 0; trackline_word_next(&words, &word); count++) {
        if (count == TRACKLINE_WORDS_MAX || word.len == 0 || word.len > TRACKLINE_WORD_BYTES) {
            return false;
        }
        for (size_t i = 0; i < word.len; i++) {
            if (!is_word_byte(word.ptr[i])) {
                return false;
            }
        }
    }
    return true;
}

bool trackline_job_equal(const struct trackline_job *a, const struct trackline_job *b)
{
    return a->kind == b->kind && digest_equal(&a->id, &b->id);
}

static bool is_printable(struct pn_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return text.len > 0;
}

/* Decimal without sign or leading zeros: a number has one spelling. */
static bool number(struct pn_bytes word, uint32_t min, uint32_t max, uint32_t *out)
{
    if (word.len == 0 || word.len > 10 || (word.len > 1 && word.ptr[0] == '0')) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(word.ptr[i] - '0');
    }
    *out = (uint32_t)value;
    return value >= min && value <= max;
}

static bool job_parse(struct pn_bytes word, enum field field, struct trackline_job *out)
{
    *out = (struct trackline_job){.kind = TRACKLINE_JOB};
    if (field != JOB_ID && pn_bytes_equal(word, pn_bytes_str("idle"))) {
        out->kind = TRACKLINE_JOB_IDLE;
        return true;
    }
    if (field == JOB_LISTED && pn_bytes_equal(word, pn_bytes_str("hiring"))) {
        out->kind = TRACKLINE_JOB_HIRING;
        return true;
    }
    return digest_parse((const char *)word.ptr, word.len, &out->id);
}

static bool slots_parse(struct pn_bytes word, uint32_t min, uint16_t *out)
{
    uint32_t value;
    if (!number(word, min, TRACKLINE_SLOTS_MAX, &value)) {
        return false;
    }
    *out = (uint16_t)value;
    return true;
}

/* IPv6 has many spellings: only the one that we write is read. */
static bool ip_parse(struct pn_bytes word, struct addr *out)
{
    char text[ADDR_IP_TEXT_BYTES];
    return addr_parse_ip(word, out) && pn_bytes_equal(word, pn_bytes_str(addr_ip_text(out, text)));
}

/* In lines with an address the port belongs to it. */
static bool port_parse(struct pn_bytes word, struct trackline *out)
{
    return addr_parse_port(word, out->addr.family == ADDR_NONE ? &out->port : &out->addr.port);
}

static bool field_parse(enum field field, struct pn_bytes word, struct trackline *out)
{
    switch (field) {
    case VERSION:
        return pn_bytes_equal(word, pn_bytes_str(TRACKLINE_VERSION));
    case PORT:
        return port_parse(word, out);
    case IP:
        return ip_parse(word, &out->addr);
    case JOB_ID:
    case JOB_SHOT:
    case JOB_LISTED:
        return job_parse(word, field, &out->job);
    case TTL:
        return number(word, 1, TRACKLINE_TTL_S_MAX, &out->ttl_s);
    case KEEPALIVE:
        return number(word, 1, TRACKLINE_TTL_S_MAX, &out->keepalive_s);
    case SECONDS:
        return number(word, 1, TRACKLINE_TTL_S_MAX, &out->seconds);
    case SLOTS:
        return slots_parse(word, 0, &out->slots);
    case SLOTS_SOME:
        return slots_parse(word, 1, &out->slots);
    case COUNT:
        return number(word, 0, TRACKLINE_COUNT_MAX, &out->count);
    case KNOWN:
        return number(word, 0, TRACKLINE_COUNT_MAX, &out->known);
    case TOKEN:
        return number(word, 0, UINT32_MAX, &out->token);
    case END_OF_LINE:
    case WORDS:
    case TEXT:
        break; /* no single words: see row_parse */
    }
    return false;
}

/* Where it fails, *wrong is the field that was expected. */
static bool row_parse(const struct row *row, struct pn_bytes rest, struct trackline *out,
                      enum field *wrong)
{
    *out = (struct trackline){.kind = row->kind};
    for (size_t i = 0; i < FIELDS_MAX && row->fields[i] != END_OF_LINE; i++) {
        *wrong = row->fields[i];
        if (*wrong == WORDS) {
            out->words = rest;
            return trackline_words_are_good(rest);
        }
        if (*wrong == TEXT) {
            out->text = rest;
            return is_printable(rest);
        }
        struct pn_bytes word;
        if (!trackline_word_next(&rest, &word) || !field_parse(*wrong, word, out)) {
            return false;
        }
    }
    *wrong = END_OF_LINE;
    return rest.len == 0;
}

static const struct row *row_find(enum trackline_manner manner, struct pn_bytes word)
{
    const size_t count = sizeof GRAMMAR / sizeof GRAMMAR[0];
    const struct row *wordless = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &GRAMMAR[i];
        if ((row->manners & IN(manner)) == 0) {
            continue;
        }
        if (row->word[0] == '\0') {
            wordless = row;
        } else if (pn_bytes_equal(word, pn_bytes_str(row->word))) {
            return row;
        }
    }
    return wordless;
}

enum pn_status trackline_parse(enum trackline_manner manner, struct pn_bytes in,
                               struct trackline *out, struct pn_err *err)
{
    size_t bytes_max =
        manner == TRACKLINE_ONE_SHOT ? TRACKLINE_ONE_SHOT_BYTES_MAX : TRACKLINE_BYTES_MAX;
    if (in.len > bytes_max) {
        return pn_fail(err, PN_E_TOO_BIG, "a line of more than %zu bytes", bytes_max);
    }
    if (in.len > 0 && in.ptr[in.len - 1] == ' ') {
        return pn_fail(err, PN_E_MALFORMED, "a space at the end of the line");
    }
    struct pn_bytes rest = in;
    struct pn_bytes word = {0};
    (void)trackline_word_next(&rest, &word);
    const struct row *row = row_find(manner, word);
    if (row == NULL) {
        return pn_fail(err, PN_E_MALFORMED, "unknown word at the start of the line");
    }
    if (row->word[0] == '\0') {
        rest = in;
    }
    struct trackline line;
    enum field wrong = END_OF_LINE;
    if (!row_parse(row, rest, &line, &wrong)) {
        return pn_fail(err, PN_E_MALFORMED, "%s: expected %s", row->word, field_text(wrong));
    }
    *out = line;
    return PN_OK;
}

bool trackline_is_whole(struct pn_bytes in)
{
    struct trackline line;
    return trackline_parse(TRACKLINE_ONE_SHOT, in, &line, NULL) == PN_OK &&
           line.kind != TRACKLINE_HELLO;
}

/* A line being written; the sizes are known to suffice, only texts are cut. */
struct pen {
    char *out;
    size_t len;
};

static void put(struct pen *pen, const void *from, size_t len)
{
    assert(len <= TRACKLINE_BYTES_MAX - pen->len);
    memcpy(pen->out + pen->len, from, len);
    pen->len += len;
}

static void put_str(struct pen *pen, const char *text) { put(pen, text, strlen(text)); }

static void put_number(struct pen *pen, uint32_t value)
{
    char digits[10];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(pen, digits + at, sizeof digits - at);
}

static void put_job(struct pen *pen, const struct trackline_job *job)
{
    char hex[DIGEST_HEX_BYTES];
    switch (job->kind) {
    case TRACKLINE_JOB:
        digest_hex(&job->id, hex);
        put(pen, hex, sizeof hex - 1);
        return;
    case TRACKLINE_JOB_IDLE:
        put_str(pen, "idle");
        return;
    case TRACKLINE_JOB_HIRING:
        put_str(pen, "hiring");
        return;
    }
}

static void put_text(struct pen *pen, struct pn_bytes text)
{
    size_t room = TRACKLINE_BYTES_MAX - pen->len;
    size_t len = text.len < room ? text.len : room;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.ptr[i];
        pen->out[pen->len++] = c < ' ' || c > '~' ? '?' : (char)c;
    }
    if (len == 0 || pen->out[pen->len - 1] == ' ') {
        pen->len -= len > 0; /* a line does not end with a space */
        pen->out[pen->len++] = '.';
    }
}

static void put_field(struct pen *pen, enum field field, const struct trackline *line)
{
    char ip[ADDR_IP_TEXT_BYTES];
    switch (field) {
    case END_OF_LINE:
        return;
    case VERSION:
        put_str(pen, TRACKLINE_VERSION);
        return;
    case PORT:
        put_number(pen, line->addr.family == ADDR_NONE ? line->port : line->addr.port);
        return;
    case IP:
        put_str(pen, addr_ip_text(&line->addr, ip));
        return;
    case JOB_ID:
    case JOB_SHOT:
    case JOB_LISTED:
        put_job(pen, &line->job);
        return;
    case TTL:
        put_number(pen, line->ttl_s);
        return;
    case KEEPALIVE:
        put_number(pen, line->keepalive_s);
        return;
    case SECONDS:
        put_number(pen, line->seconds);
        return;
    case SLOTS:
    case SLOTS_SOME:
        put_number(pen, line->slots);
        return;
    case COUNT:
        put_number(pen, line->count);
        return;
    case KNOWN:
        put_number(pen, line->known);
        return;
    case TOKEN:
        put_number(pen, line->token);
        return;
    case WORDS:
        if (line->words.len > 0) {
            put(pen, line->words.ptr, line->words.len);
        }
        return;
    case TEXT:
        put_text(pen, line->text);
        return;
    }
}

static const struct row *row_of(enum trackline_manner manner, enum trackline_kind kind)
{
    for (size_t i = 0; i < sizeof GRAMMAR / sizeof GRAMMAR[0]; i++) {
        if (GRAMMAR[i].kind == kind && (GRAMMAR[i].manners & IN(manner)) != 0) {
            return &GRAMMAR[i];
        }
    }
    return NULL;
}

size_t trackline_write(enum trackline_manner manner, const struct trackline *line,
                       char out[TRACKLINE_TEXT_BYTES])
{
    const struct row *row = row_of(manner, line->kind);
    assert(row != NULL);
    struct pen pen = {.out = out};
    put_str(&pen, row->word);
    for (size_t i = 0; i < FIELDS_MAX && row->fields[i] != END_OF_LINE; i++) {
        if (pen.len > 0 && !(row->fields[i] == WORDS && line->words.len == 0)) {
            put(&pen, " ", 1);
        }
        put_field(&pen, row->fields[i], line);
    }
    out[pen.len] = '\n';
    return pen.len + 1;
}
