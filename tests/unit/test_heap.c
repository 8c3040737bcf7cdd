/* The heap of what is due: against a plain search, through adds, moves and removals. */
#include "tests/unit/unit.h"

#include "common/heap.h"
#include "common/random.h"
#include "tests/unit/alloc.h"

enum { NODES = 200 };

static const struct heap_node *earliest(const struct heap_node *nodes)
{
    const struct heap_node *best = NULL;
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].place > 0 && (best == NULL || nodes[i].due < best->due)) {
            best = &nodes[i];
        }
    }
    return best;
}

static void like_a_plain_search(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 11);
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {0};
    size_t inside = 0;
    for (int i = 0; i < 20000; i++) {
        struct heap_node *n = &nodes[random_below(&random, NODES)];
        uint64_t due = random_below(&random, 1000);
        if (n->place == 0) {
            assert_int_equal(heap_add(&heap, n, due), PN_OK);
            inside++;
        } else if (random_below(&random, 2) == 0) {
            heap_move(&heap, n, due);
        } else {
            heap_remove(&heap, n);
            heap_remove(&heap, n); /* outside: nothing happens */
            inside--;
        }
        assert_int_equal(heap.count, inside);
        const struct heap_node *want = earliest(nodes);
        const struct heap_node *first = heap_first(&heap);
        assert_true((want == NULL) == (first == NULL));
        assert_true(want == NULL || (first != NULL && want->due == first->due));
    }
    heap_fini(&heap);
}

static void no_memory_leaves_it_as_it_was(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct heap_node nodes[17] = {0};
    for (int i = 0; i < 16; i++) {
        assert_int_equal(heap_add(&heap, &nodes[i], (uint64_t)i), PN_OK);
    }
    alloc_fail_at(1);
    assert_int_equal(heap_add(&heap, &nodes[16], 0), PN_E_NO_MEMORY);
    alloc_fail_never();
    assert_int_equal(nodes[16].place, 0);
    assert_int_equal(heap.count, 16);
    assert_int_equal(heap_add(&heap, &nodes[16], 0), PN_OK);
    heap_fini(&heap);
}

static void the_owner_of_a_node(void **state)
{
    (void)state;
    struct thing {
        int before;
        struct heap_node node;
    } thing = {.before = 3};
    assert_int_equal(heap_owner(&thing.node, struct thing, node)->before, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_a_plain_search),
        cmocka_unit_test(no_memory_leaves_it_as_it_was),
        cmocka_unit_test(the_owner_of_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
