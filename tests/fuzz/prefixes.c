/*
 * A fuzz target without libFuzzer: every strict prefix of every input of its corpus, one byte more,
 * and random changes, each in a heap block of exactly its size.
 *
 *     prefixes CORPUS...
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/random.h"
#include "tests/fuzz/fuzz.h"

enum {
    WHOLE_BYTES_MAX = 4096,  /* of longer inputs only some prefixes: they are flat */
    CHANGED_PER_INPUT = 200, /* and each has up to three changes */
};

static uint64_t run_count;

static void run(const uint8_t *bytes, size_t len)
{
    struct pn_bytes exact = fuzz_exact(bytes, len);
    (void)LLVMFuzzerTestOneInput(exact.ptr, exact.len);
    fuzz_free(exact);
    run_count++;
}

static void each_prefix(struct pn_bytes in)
{
    size_t step = 1 + in.len / WHOLE_BYTES_MAX;
    for (size_t len = 0; len < in.len; len += len < WHOLE_BYTES_MAX / 2 ? 1 : step) {
        run(in.ptr, len);
    }
    run(in.ptr, in.len);
}

static void one_more(struct pn_bytes in, uint8_t byte)
{
    uint8_t *longer = malloc(in.len + 1);
    assert(longer != NULL);
    memcpy(longer, in.ptr, in.len);
    longer[in.len] = byte;
    run(longer, in.len + 1);
    free(longer);
}

static void changed(struct pn_bytes in, struct random *random)
{
    static const uint8_t TELLING[] = {0, 1, 0x7f, 0x80, 0xff, '\n', ' ', '"', '\\', '0', '9'};
    uint8_t *copy = malloc(in.len + (in.len == 0));
    assert(copy != NULL);
    for (int i = 0; i < CHANGED_PER_INPUT && in.len > 0; i++) {
        memcpy(copy, in.ptr, in.len);
        for (uint64_t n = 1 + random_below(random, 3); n > 0; n--) {
            uint8_t *at = &copy[random_below(random, in.len)];
            switch (random_below(random, 3)) {
            case 0:
                *at = TELLING[random_below(random, sizeof TELLING)];
                break;
            case 1:
                *at ^= (uint8_t)(1U << random_below(random, 8));
                break;
            default:
                *at = (uint8_t)random_below(random, 256);
            }
        }
        run(copy, in.len);
    }
    free(copy);
}

/* False: no regular file, or not to be read. */
static bool one_file(int folder, const char *name, struct random *random)
{
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return name[0] == '.' && fd >= 0 && close(fd) == 0;
    }
    size_t len = (size_t)st.st_size;
    uint8_t *bytes = malloc(len + (len == 0));
    bool good = bytes != NULL && read(fd, bytes, len) == (ssize_t)len;
    (void)close(fd);
    if (good) {
        const struct pn_bytes in = {bytes, len};
        each_prefix(in);
        one_more(in, 0);
        one_more(in, '\n');
        changed(in, random);
    }
    free(bytes);
    return good;
}

static int one_corpus(const char *path)
{
    struct random random;
    uint32_t file_count = 0;
    bool good = true;
    DIR *dir = opendir(path);
    random_seed(&random, 1);
    for (struct dirent *e; dir != NULL && good && (e = readdir(dir)) != NULL;) {
        good = one_file(dirfd(dir), e->d_name, &random);
        file_count += e->d_name[0] != '.';
    }
    if (dir == NULL || !good || file_count == 0) {
        (void)fprintf(stderr, "prefixes: %s: no corpus, or not to be read\n", path);
        good = false;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    int status = argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
    for (int i = 1; i < argc && status == EXIT_SUCCESS; i++) {
        status = one_corpus(argv[i]);
    }
    (void)printf("%llu inputs\n", (unsigned long long)run_count);
    return status;
}
