#include "tracker/traits.h"

#include "common/table.h"

struct traits traits_of(uint64_t seed, struct pn_bytes words)
{
    struct traits traits = {0};
    struct pn_bytes word;
    for (size_t i = 0; i < TRACKLINE_WORDS_MAX && trackline_word_next(&words, &word); i++) {
        traits.word[i] = (uint32_t)table_hash(seed, word.ptr, word.len) | 1;
    }
    return traits;
}

static bool has(const struct traits *abilities, uint32_t need)
{
    for (size_t i = 0; i < TRACKLINE_WORDS_MAX; i++) {
        if (abilities->word[i] == need) {
            return true;
        }
    }
    return false;
}

bool traits_have_all(const struct traits *abilities, const struct traits *needs)
{
    for (size_t i = 0; i < TRACKLINE_WORDS_MAX && needs->word[i] != 0; i++) {
        if (!has(abilities, needs->word[i])) {
            return false;
        }
    }
    return true;
}
