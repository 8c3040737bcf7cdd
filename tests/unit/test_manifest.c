/* Manifests: one way to write a job, and a sentence for everything else. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/manifest.h"
#include "common/random.h"
#include "tests/unit/alloc.h"

#define HEX32 "00112233445566778899aabbccddeeff"
#define HEX64 HEX32 HEX32
#define HEAD "preon job 1\n[job]\nname = crunch\nslices = 8\nowner = " HEX64 "\nsalt = " HEX32 "\n"
#define EXEC "[exec]\narg = program:nonce@1\n"

/* Everything that a manifest can hold. */
static const char FULL[] =
    HEAD "[files]\nbin/tool = 77 " HEX64 " x\ncrunch.sh = 1234 " HEX64 "\nempty = 0 " HEX64 "\n"
         "[deps]\nfaces = " HEX64 "\nwords = " HEX64 "\n"
         "[exec]\narg = file:crunch.sh\narg = -v\narg = \narg =  two\\\\three\\nfour\\x01\\x7fé\n"
         "env = A=1\nenv = A1=\nenv = LANG=C.UTF-8 = x\n"
         "[dynamic]\na b.txt\nout.txt\n"
         "[limits]\ntime = 60\ncpu = 50\nmemory = 1048576\nprocesses = 1\noutput = 0\n"
         "[verify]\nmode = quorum 3\nstop = first\ntimeout = 300\n"
         "[requires]\nsystem\n";

static const char SMALL[] = HEAD EXEC;
static const char SET[] = "preon dataset 1\n[job]\nname = faces\nowner = " HEX64 "\nsalt = " HEX32
                          "\n[files]\na/b = 1 " HEX64 "\n";

static enum pn_status parse(const char *text, struct manifest *m, struct pn_err *err)
{
    size_t len = strlen(text);
    uint8_t *copy = unit_exact(text, len);
    enum pn_status status = manifest_parse((struct pn_bytes){copy, len}, m, err);
    free(copy);
    return status;
}

/* Writes m and compares with the bytes it came from. */
static void check_written(struct manifest *m, struct pn_bytes text)
{
    struct buffer out;
    struct pn_err err;
    buffer_init(&out, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_write(m, &out, &err), PN_OK);
    assert_true(pn_bytes_equal(buffer_bytes(&out), text));
    buffer_fini(&out);
}

static void what_is_read_is_written_back(void **state)
{
    (void)state;
    const char *const texts[] = {FULL, SMALL, SET};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct manifest m;
        struct pn_err err = {PN_OK, ""};
        (void)parse(texts[i], &m, &err);
        assert_string_equal(err.text, "");
        check_written(&m, pn_bytes_str(texts[i]));
        manifest_fini(&m);
    }
}

static void every_value_arrives(void **state)
{
    (void)state;
    struct manifest m;
    assert_int_equal(parse(FULL, &m, NULL), PN_OK);
    assert_int_equal(m.kind, MANIFEST_JOB);
    assert_string_equal(m.name, "crunch");
    assert_int_equal(m.slice_count, 8);
    assert_int_equal(m.owner.b[1], 0x11);
    assert_int_equal(m.salt[15], 0xff);
    assert_int_equal(m.file_count, 3);
    assert_string_equal(m.files[0].name, "bin/tool");
    assert_true(m.files[0].executable);
    assert_int_equal(m.files[1].size, 1234);
    assert_false(m.files[1].executable);
    assert_int_equal(m.dep_count, 2);
    assert_string_equal(m.deps[1].name, "words");
    assert_int_equal(m.program_kind, PROGRAM_FILE);
    assert_int_equal(m.arg_count, 4);
    assert_string_equal(m.args[0], "crunch.sh");
    assert_string_equal(m.args[2], "");
    assert_string_equal(m.args[3], " two\\three\nfour\x01\x7fé");
    assert_null(m.args[4]);
    assert_string_equal(m.env[2], "LANG=C.UTF-8 = x");
    assert_null(m.env[3]);
    assert_string_equal(m.outputs[0], "a b.txt");
    assert_int_equal(m.limits.time_s, 60);
    assert_int_equal(m.limits.cpu_s, 50);
    assert_int_equal(m.limits.memory_bytes, 1048576);
    assert_int_equal(m.limits.process_count, 1);
    assert_int_equal(m.limits.output_bytes, 0);
    assert_int_equal(m.verify, VERIFY_QUORUM);
    assert_int_equal(m.quorum, 3);
    assert_int_equal(m.stop, STOP_FIRST);
    assert_int_equal(m.timeout_s, 300);
    assert_true(m.needs_system);
    manifest_fini(&m);

    assert_int_equal(parse(SMALL, &m, NULL), PN_OK);
    assert_memory_equal(&m.limits, &LIMITS_DEFAULT, sizeof m.limits);
    assert_int_equal(m.quorum, 2);
    assert_int_equal(m.stop, STOP_ALL);
    manifest_fini(&m);
}

/* Builds FULL with every list the wrong way round. */
static enum pn_status build(struct manifest *m)
{
    static const char *const ARGS[] = {"crunch.sh", "-v", "", " two\\three\nfour\x01\x7fé"};
    struct digest root;
    manifest_init(m, MANIFEST_JOB);
    memcpy(m->name, "crunch", 7);
    m->slice_count = 8;
    (void)digest_parse(HEX64, 64, &root);
    memcpy(m->owner.b, root.b, sizeof m->owner.b);
    memcpy(m->salt, root.b, sizeof m->salt);
    m->limits = (struct limits){60, 50, 1048576, 1, 0};
    m->quorum = 3;
    m->stop = STOP_FIRST;
    m->timeout_s = 300;
    m->needs_system = true;
    enum pn_status status = manifest_set_command(m, PROGRAM_FILE, ARGS, 4, NULL);
    static const char *const PAIRS[][2] = {{"LANG", "C.UTF-8 = x"}, {"A1", ""}, {"A", "1"}};
    for (size_t i = 0; status == PN_OK && i < 3; i++) {
        status = manifest_add_env(m, PAIRS[i][0], PAIRS[i][1], NULL);
    }
    status = status == PN_OK ? manifest_add_output(m, "out.txt", NULL) : status;
    status = status == PN_OK ? manifest_add_output(m, "a b.txt", NULL) : status;
    status = status == PN_OK ? manifest_add_file(m, "empty", 0, &root, false, NULL) : status;
    status = status == PN_OK ? manifest_add_file(m, "crunch.sh", 1234, &root, false, NULL) : status;
    status = status == PN_OK ? manifest_add_file(m, "bin/tool", 77, &root, true, NULL) : status;
    status = status == PN_OK ? manifest_add_dep(m, "words", &root, NULL) : status;
    return status == PN_OK ? manifest_add_dep(m, "faces", &root, NULL) : status;
}

static void a_job_has_one_text_however_it_is_built(void **state)
{
    (void)state;
    struct manifest m;
    assert_int_equal(build(&m), PN_OK);
    check_written(&m, pn_bytes_str(FULL));
    manifest_fini(&m);
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    struct manifest m;
    struct buffer out;
    buffer_init(&out, MANIFEST_BYTES_MAX);
    enum pn_status status = PN_E_NO_MEMORY;
    for (alloc_fail_at(1); status == PN_E_NO_MEMORY; alloc_fail_next()) {
        status = build(&m);
        status = status == PN_OK ? manifest_write(&m, &out, NULL) : status;
        manifest_fini(&m);
    }
    assert_int_equal(status, PN_OK);
    assert_true(alloc_turn > 20);
    status = PN_E_NO_MEMORY;
    for (alloc_fail_at(1); status == PN_E_NO_MEMORY; alloc_fail_next()) {
        status = manifest_parse(buffer_bytes(&out), &m, NULL);
        if (status != PN_OK) {
            assert_null(m.files); /* as after manifest_init: nothing to free */
        }
    }
    alloc_fail_never();
    assert_int_equal(status, PN_OK);
    assert_true(alloc_turn > 20);
    manifest_fini(&m);
    buffer_fini(&out);
}

/*
 * Whatever the bytes are: they are refused and leave nothing behind, or they are the one way to
 * write what they say.
 */
static bool refused_or_canonical(const uint8_t *bytes, size_t len)
{
    struct manifest m;
    struct pn_err err;
    uint8_t *copy = unit_exact(bytes, len);
    bool good = manifest_parse((struct pn_bytes){copy, len}, &m, &err) == PN_OK;
    if (good) {
        check_written(&m, (struct pn_bytes){copy, len});
    }
    manifest_fini(&m);
    free(copy);
    return good;
}

/* Only a cut before a section that may be missing leaves a manifest: a different one. */
static void a_truncated_text_is_refused_or_another_manifest(void **state)
{
    (void)state;
    size_t good = 0;
    for (size_t len = 0; len < sizeof FULL - 1; len++) {
        bool accepted = refused_or_canonical((const uint8_t *)FULL, len);
        assert_true(!accepted || (len > 0 && FULL[len - 1] == '\n'));
        good += accepted;
    }
    /* After each whole line behind the first of [exec], but for the titles of four sections. */
    assert_int_equal(good, 4 + 3 + 2 + 5 + 3);
    for (size_t len = 0; len < sizeof SET - 1; len++) {
        bool accepted = refused_or_canonical((const uint8_t *)SET, len);
        assert_true(!accepted || strncmp(SET + len, "[files]", 7) == 0);
    }
}

static void random_changes_never_pass_unnoticed(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 7);
    for (int round = 0; round < 30000; round++) {
        uint8_t text[sizeof FULL];
        size_t len = sizeof FULL - 1;
        memcpy(text, FULL, len);
        for (uint64_t n = 1 + random_below(&random, 3); n > 0; n--) {
            size_t at = (size_t)random_below(&random, len);
            switch (random_below(&random, 4)) {
            case 0:
                text[at] = (uint8_t)random_u64(&random);
                break;
            case 1: /* what matters to the grammar */
                text[at] = (uint8_t) " \n=[]/\\x0"[random_below(&random, 9)];
                break;
            case 2:
                memmove(text + at, text + at + 1, len - at - 1);
                len--;
                break;
            default:
                text[at] ^= (uint8_t)(1u << random_below(&random, 8));
                break;
            }
        }
        (void)refused_or_canonical(text, len);
    }
}

static void every_rule_has_its_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sentence;
    } CASES[] = {
        {"", "line 1: missing: expected 'preon job 1' or 'preon dataset 1'"},
        {"preon job 2\n", "line 1: 'preon job 2': expected 'preon job 1' or 'preon dataset 1'"},
        {"preon job 1", "line 1: ends without a newline: truncated?"},
        {"preon job 1\r\n", "line 1: holds a control character or is not UTF-8"},
        {"preon job 1\n[job]\nname = \xc3\n", "line 3: holds a control character or is not UTF-8"},
        {"preon job 1\n[files]\n", "line 2: '[files]': expected '[job]'"},
        {"preon job 1\n[job]\nname = a/b\n",
         "line 3: name = a/b: allowed are 1 to 64 letters, digits, '.', '_', '-'"},
        {"preon job 1\n[job]\nname = a\nslices = 0\nowner = \n",
         "line 4: slices = 0: allowed are 1 to 16777216"},
        {"preon job 1\n[job]\nname = a\nslices = 16777217\n",
         "line 4: slices = 16777217: allowed are 1 to 16777216"},
        {"preon job 1\n[job]\nname = a\nslices = 08\n",
         "line 4: slices = 08: allowed are 1 to 16777216, plain decimal"},
        {"preon job 1\n[job]\nname = a\nslices = 99999999999999999999\n",
         "line 4: slices = 99999999999999999999: allowed are 1 to 16777216, plain decimal"},
        {"preon job 1\n[job]\nname = a\nslices = 1\nowner = AA\n",
         "line 5: owner = AA: must be 64 lower-case hex digits"},
        {"preon job 1\n[job]\nname = a\nslices = 1\nowner = " HEX64 "\n",
         "line 6: missing: expected 'salt = …'"},
        {HEAD "[files]\n" EXEC, "line 7: [files]: an empty section is left out"},
        {HEAD "[files]\na = 1\n", "line 8: 'a = 1': expected 'NAME = BYTES ROOT' or 'NAME = BYTES "
                                  "ROOT x'"},
        {HEAD "[files]\n../a = 1 " HEX64 "\n" EXEC,
         "line 8: file '../a': a name must be relative, without empty, '.' or '..' parts"},
        {HEAD "[files]\n/a = 1 " HEX64 "\n" EXEC,
         "line 8: file '/a': a name must be relative, without empty, '.' or '..' parts"},
        {HEAD "[files]\na\\b = 1 " HEX64 "\n" EXEC,
         "line 8: file 'a\\b': a name must not hold control characters, '\\' or '='"},
        {HEAD "[files]\na\xc2\x9b = 1 " HEX64 "\n" EXEC,
         "line 8: file 'a?"
         "?': a name must not hold control characters, '\\' or '='"},
        {HEAD "[files]\nb = 1 " HEX64 "\na = 1 " HEX64 "\n" EXEC,
         "file 'a': twice, or not in sorted order"},
        {HEAD "[files]\na = 1 " HEX64 "\na = 2 " HEX64 "\n" EXEC,
         "file 'a': twice, or not in sorted order"},
        {HEAD "[files]\na = 1 " HEX64 "\na-b = 1 " HEX64 "\na/b = 2 " HEX64 "\n" EXEC,
         "file 'a/b': its folder is a file as well"},
        {HEAD "[files]\na = 1099511627777 " HEX64 "\n" EXEC,
         "file 'a': 1099511627777 bytes, at most 1099511627776"},
        {HEAD "[files]\ndeps/a = 1 " HEX64 "\n[deps]\nb = " HEX64 "\n" EXEC,
         "file 'deps/a': deps is the folder of [deps]"},
        {HEAD "[deps]\na/b = " HEX64 "\n" EXEC,
         "line 8: dependency 'a/b': a name must not hold '/'"},
        {HEAD, "line 7: missing: expected '[exec]'"},
        {HEAD "[exec]\n", "line 8: missing: expected 'arg = …'"},
        {HEAD "[exec]\narg = sh\n",
         "line 8: arg = sh: the first word must begin with program:, file: or system:"},
        {HEAD "[exec]\narg = \xc2\x9b"
              "2J\n",
         "line 8: arg = ?\?2J: the first word must begin with program:, file: or system:"},
        {HEAD "[exec]\narg = program:nonce\n", "line 8: arg = program:nonce: must be NAME@VERSION"},
        {HEAD "[exec]\narg = program:nonce@01\n",
         "line 8: arg = program:nonce@01: must be NAME@VERSION"},
        {HEAD "[exec]\narg = file:a\n", "arg = file:a: no such name in [files]"},
        {HEAD "[exec]\narg = system:sh\n", "arg = system:sh: needs 'system' in [requires]"},
        {HEAD "[exec]\narg = system:/bin/sh\n",
         "line 8: arg = system:/bin/sh: must be the name of a command, without '/'"},
        {HEAD "[exec]\narg = program:a@1\narg = \\q\n",
         "line 9: '\\q': not an escape; allowed are \\\\, \\n and \\xHH of other control "
         "characters"},
        {HEAD EXEC "env = 1A=x\n",
         "line 9: env = 1A=x: must be KEY=VALUE, KEY of letters, digits and '_'"},
        {HEAD EXEC "env = A\n",
         "line 9: env = A: must be KEY=VALUE, KEY of letters, digits and '_'"},
        {HEAD EXEC "env = PREON_OUT=x\n", "line 9: env = PREON_OUT=x: PREON_… are set by the peer"},
        {HEAD EXEC "env = A1=\nenv = A=\n", "env = A=: twice, or not in sorted order"},
        {HEAD EXEC "[dynamic]\n..\n",
         "line 10: output '..': a name must be relative, without empty, '.' or '..' parts"},
        {HEAD EXEC "[dynamic]\n b\n",
         "line 10: output ' b': a name must not begin with ' ' or '[', nor end with ' '"},
        {HEAD EXEC "[dynamic]\nb\na\n", "output 'a': twice, or not in sorted order"},
        {HEAD EXEC "[limits]\n",
         "line 10: missing: expected time, cpu, memory, processes or output"},
        {HEAD EXEC "[limits]\ntime = 3600\n", "line 10: time: the default is left out"},
        {HEAD EXEC "[limits]\ntime = 0\n", "line 10: time = 0: allowed are 1 to 2678400"},
        {HEAD EXEC "[limits]\ncpu = 1\ntime = 1\n",
         "line 11: 'time = 1': expected nothing more, or another order"},
        {HEAD EXEC "[verify]\nmode = quorum 2\n", "line 10: quorum: the default is left out"},
        {HEAD EXEC "[verify]\nmode = quorum 17\n", "line 10: quorum = 17: allowed are 1 to 16"},
        {HEAD EXEC "[verify]\nmode = majority\n",
         "line 10: mode = majority: must be 'quorum K' or 'proof'"},
        {HEAD "[exec]\narg = system:sh\n[verify]\nmode = proof\n[requires]\nsystem\n",
         "mode = proof: only program:… can prove its results"},
        {HEAD EXEC "[verify]\nstop = all\n", "line 10: stop: the default is left out"},
        {HEAD EXEC "[verify]\nstop = now\n", "line 10: stop = now: must be first or lowest"},
        {HEAD EXEC "[verify]\ntimeout = 0\n", "line 10: timeout = 0: allowed are 1 to 31622400"},
        {HEAD EXEC "[verify]\n", "line 10: missing: expected mode, stop or timeout"},
        {HEAD EXEC "[requires]\nnetwork\n", "line 10: 'network': expected 'system'"},
        {HEAD EXEC "[requires]\nsystem\n\n",
         "line 11: '': expected nothing more, or another order"},
        {"preon dataset 1\n[job]\nname = a\nslices = 1\n",
         "line 4: 'slices = 1': expected 'owner = …'"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct manifest m;
        struct pn_err err = {PN_OK, ""};
        enum pn_status status = parse(CASES[i].text, &m, &err);
        assert_string_equal(err.text, CASES[i].sentence);
        assert_int_not_equal(status, PN_OK);
        assert_int_equal(err.status, status);
        manifest_fini(&m);
    }
}

static void writing_checks_too(void **state)
{
    (void)state;
    struct manifest m;
    struct buffer out;
    struct pn_err err;
    buffer_init(&out, MANIFEST_BYTES_MAX);
    assert_int_equal(parse(SMALL, &m, NULL), PN_OK);
    m.slice_count = 0;
    assert_int_equal(manifest_write(&m, &out, &err), PN_E_RANGE);
    assert_string_equal(err.text, "slices = 0: allowed are 1 to 16777216");
    m.slice_count = 1;
    m.limits.process_count = 0;
    assert_int_equal(manifest_write(&m, &out, &err), PN_E_RANGE);
    m.limits.process_count = 1;
    assert_int_equal(manifest_add_output(&m, "../x", &err), PN_E_MALFORMED);
    assert_int_equal(manifest_add_output(&m, "x", NULL), PN_OK);
    assert_int_equal(manifest_add_output(&m, "x", NULL), PN_OK);
    assert_int_equal(manifest_write(&m, &out, &err), PN_E_MALFORMED);
    assert_int_equal(out.len, 0);
    manifest_fini(&m);
    buffer_fini(&out);
}

static void names_do_not_turn_what_follows_them(void **state)
{
    (void)state;
    assert_false(manifest_name_valid("gnp\xe2\x80\xae.sh"));
    assert_true(manifest_name_valid("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d.sh"));
}

static void a_text_over_its_maximum_is_refused(void **state)
{
    (void)state;
    struct manifest m;
    struct pn_err err;
    uint8_t *text = malloc(MANIFEST_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', MANIFEST_BYTES_MAX + 1);
    assert_int_equal(manifest_parse((struct pn_bytes){text, MANIFEST_BYTES_MAX + 1}, &m, &err),
                     PN_E_TOO_BIG);
    assert_string_equal(err.text, "manifest: 1048577 bytes, at most 1048576");
    free(text);

    struct buffer out;
    buffer_init(&out, 2 * MANIFEST_BYTES_MAX);
    assert_int_equal(parse(SMALL, &m, NULL), PN_OK);
    char key[] = "K000";
    char value[1101];
    memset(value, 'v', 1100);
    value[1100] = '\0';
    for (uint32_t i = 0; i < JOB_ENV_MAX; i++) {
        for (uint32_t digit = 0; digit < 3; digit++) {
            key[3 - digit] = (char)('A' + (i >> (4 * digit)) % 16);
        }
        assert_int_equal(manifest_add_env(&m, key, value, NULL), PN_OK);
    }
    assert_int_equal(manifest_add_env(&m, "B", "", &err), PN_E_TOO_BIG);
    assert_int_equal(manifest_write(&m, &out, &err), PN_E_TOO_BIG);
    assert_string_equal(err.text, "[exec]: arguments and environment of 1134602 bytes, at most "
                                  "57344");
    manifest_fini(&m);

    assert_int_equal(parse(SMALL, &m, NULL), PN_OK);
    char word[57344 - (4 + 3) - 3 + 1 + 1]; /* one too many beside "true" */
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    const char *const words[] = {"true", word};
    assert_int_equal(manifest_set_command(&m, PROGRAM_SYSTEM, words, 2, NULL), PN_OK);
    m.needs_system = true;
    assert_int_equal(manifest_write(&m, &out, &err), PN_E_TOO_BIG);
    word[sizeof word - 2] = '\0';
    assert_int_equal(manifest_set_command(&m, PROGRAM_SYSTEM, words, 2, NULL), PN_OK);
    assert_int_equal(manifest_write(&m, &out, NULL), PN_OK);
    char name[NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct digest root = {0};
    for (uint32_t i = 0; i < JOB_FILES_MAX; i++) {
        (void)snprintf(name + NAME_BYTES_MAX - 4, 5, "%04u", i);
        assert_int_equal(manifest_add_file(&m, name, 1, &root, false, NULL), PN_OK);
    }
    assert_int_equal(manifest_write(&m, &out, &err), PN_E_TOO_BIG);
    assert_non_null(strstr(err.text, "1048576"));
    manifest_fini(&m);
    buffer_fini(&out);
}

static void the_id_is_the_hash_of_the_text(void **state)
{
    (void)state;
    struct digest id;
    char hex[DIGEST_HEX_BYTES];
    manifest_id(pn_bytes_str("preon job 1\n"), &id);
    digest_hex(&id, hex);
    assert_string_equal(hex, "29489114be1e3dedf229b921898190aea9e9f86614c7e4a59803f4c5558071dc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_written_back),
        cmocka_unit_test(every_value_arrives),
        cmocka_unit_test(a_job_has_one_text_however_it_is_built),
        cmocka_unit_test(memory_may_fail_anywhere),
        cmocka_unit_test(a_truncated_text_is_refused_or_another_manifest),
        cmocka_unit_test(random_changes_never_pass_unnoticed),
        cmocka_unit_test(every_rule_has_its_sentence),
        cmocka_unit_test(writing_checks_too),
        cmocka_unit_test(names_do_not_turn_what_follows_them),
        cmocka_unit_test(a_text_over_its_maximum_is_refused),
        cmocka_unit_test(the_id_is_the_hash_of_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
