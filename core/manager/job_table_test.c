#include "manager/job_table.h"

#include "harness/testing/weir_test.h"

WEIR_TEST(job_table, never_gives_the_same_id_twice)
{
    weir_job_table table;
    WEIR_EXPECT_STATUS(weir_job_table_init(&table, 3, 5), WEIR_OK);
    uint64_t last = 0;
    for (int i = 0; i < 10000; i++) {
        weir_job_entry *entry = weir_job_table_take(&table);
        WEIR_EXPECT_NOT_NULL(entry);
        WEIR_EXPECT_GT(entry->id, last); /* The serial is the upper part. */
        WEIR_EXPECT_EQ(weir_job_id_pool(entry->id), 5);
        last = entry->id;
        weir_job_table_free(&table, entry);
    }
    weir_job_table_destroy(&table);
}

WEIR_TEST(job_table, finds_an_entry_by_its_present_id_only)
{
    weir_job_table table;
    WEIR_EXPECT_STATUS(weir_job_table_init(&table, 4, 0), WEIR_OK);
    weir_job_entry *first = weir_job_table_take(&table);
    const uint64_t old_id = first->id;
    WEIR_EXPECT_EQ(weir_job_table_find(&table, old_id), first);
    WEIR_EXPECT_NULL(weir_job_table_find(&table, 0));
    WEIR_EXPECT_NULL(weir_job_table_find(&table, old_id + 1));                   /* never used */
    WEIR_EXPECT_NULL(weir_job_table_find(&table, old_id | UINT64_C(1) << 16));   /* other pool */
    WEIR_EXPECT_NULL(weir_job_table_find(&table, old_id + (UINT64_C(1) << 24))); /* not yet given */
    weir_job_table_free(&table, first);
    WEIR_EXPECT_NULL(weir_job_table_find(&table, old_id));
    weir_job_entry *again = weir_job_table_take(&table);
    WEIR_EXPECT_EQ(again, first); /* The same place */
    WEIR_EXPECT_NE(again->id, old_id);
    WEIR_EXPECT_NULL(weir_job_table_find(&table, old_id));
    WEIR_EXPECT_EQ(weir_job_table_find(&table, again->id), again);
    weir_job_table_destroy(&table);
}

WEIR_TEST(job_table, is_full_at_its_capacity_and_takes_again_after_a_free)
{
    weir_job_table table;
    weir_job_entry *entries[100];
    WEIR_EXPECT_STATUS(weir_job_table_init(&table, 100, 0), WEIR_OK);
    for (size_t i = 0; i < 100; i++) {
        entries[i] = weir_job_table_take(&table);
        WEIR_EXPECT_NOT_NULL(entries[i]);
    }
    WEIR_EXPECT_NULL(weir_job_table_take(&table));
    weir_job_table_free(&table, entries[37]);
    WEIR_EXPECT_EQ(weir_job_table_take(&table), entries[37]);
    WEIR_EXPECT_NULL(weir_job_table_take(&table));
    weir_job_table_destroy(&table);
}

WEIR_TEST(job_table, holds_as_many_jobs_as_an_id_can_name)
{
    weir_job_table table;
    WEIR_EXPECT_STATUS(weir_job_table_init(&table, 65536, 63), WEIR_OK);
    weir_job_entry *last = NULL;
    for (size_t i = 0; i < 65536; i++) {
        last = weir_job_table_take(&table);
    }
    WEIR_EXPECT_NOT_NULL(last);
    WEIR_EXPECT_EQ(weir_job_table_find(&table, last->id), last);
    WEIR_EXPECT_EQ(weir_job_id_pool(last->id), 63);
    WEIR_EXPECT_NULL(weir_job_table_take(&table));
    weir_job_table_destroy(&table);
}

/* A list against an array that a reader can follow. */
WEIR_TEST(job_table, lists_keep_their_order_through_random_changes)
{
    enum { COUNT = 12 };
    weir_job_table table;
    weir_job_list list;
    weir_job_entry *entries[COUNT];
    size_t order[COUNT];
    size_t length = 0;
    uint64_t random = weir_test_seed();
    WEIR_EXPECT_STATUS(weir_job_table_init(&table, COUNT, 0), WEIR_OK);
    weir_job_list_init(&list);
    for (size_t i = 0; i < COUNT; i++) {
        entries[i] = weir_job_table_take(&table);
    }
    WEIR_EXPECT_NULL(weir_job_list_first(&table, &list));
    WEIR_EXPECT_NULL(weir_job_list_last(&table, &list));
    for (int step = 0; step < 20000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const size_t which = (random >> 33) % COUNT;
        size_t at = 0;
        while (at < length && order[at] != which) {
            at++;
        }
        if (at < length) {
            weir_job_list_remove(&table, &list, entries[which]);
            memmove(&order[at], &order[at + 1], (--length - at) * sizeof order[0]);
        } else if (random >> 63) {
            weir_job_list_append(&table, &list, entries[which]);
            order[length++] = which;
        } else {
            weir_job_list_prepend(&table, &list, entries[which]);
            memmove(&order[1], &order[0], length++ * sizeof order[0]);
            order[0] = which;
        }
        WEIR_EXPECT_EQ(list.count, length);
        weir_job_entry *entry = weir_job_list_first(&table, &list);
        for (size_t i = 0; i < length; i++) {
            WEIR_EXPECT_EQ(entry, entries[order[i]]);
            entry = entry->next == WEIR_NO_JOB ? NULL : &table.entries[entry->next];
        }
        WEIR_EXPECT_NULL(entry);
        WEIR_EXPECT_EQ(weir_job_list_last(&table, &list),
                       length == 0 ? NULL : entries[order[length - 1]]);
    }
    weir_job_table_destroy(&table);
}
