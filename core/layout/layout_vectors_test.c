/* Layouts, their digests and how they relate, in C and in Elixir: docs/vectors/layout.txt. */
#include <stdio.h>
#include <string.h>

#include "harness/testing/weir_test.h"
#include "harness/testing/weir_test_vectors.h"
#include "layout/testing/layout_texts.h"
#include "weir/layout.h"

#define FILE_OF_VECTORS WEIR_SOURCE_DIR "/docs/vectors/layout.txt"
#define LAYOUTS_MAX     100
#define TEXT_MAX        4096

typedef struct named_layout {
    char name[64];
    weir_layout *layout;
} named_layout;

typedef struct shelf {
    named_layout item[LAYOUTS_MAX];
    size_t count;
} shelf;

static const weir_layout *find(const weir_test_vectors *v, const shelf *all, const char *key)
{
    const char *name = weir_test_vectors_text(v, key);
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->item[i].name, name) == 0) {
            return all->item[i].layout;
        }
    }
    weir_test_vectors_fail(v, "there is no layout %s above", name);
}

static void read_layout(weir_test_vectors *v, shelf *all)
{
    WEIR_EXPECT_LT(all->count, (size_t)LAYOUTS_MAX);
    named_layout *item = &all->item[all->count++];
    snprintf(item->name, sizeof item->name, "%s", weir_test_vectors_text(v, "name"));
    uint8_t wanted[WEIR_LAYOUT_DIGEST_BYTES];
    weir_test_vectors_bytes(v, "digest", wanted, sizeof wanted);
    char text[TEXT_MAX] = "";
    size_t bytes = 0;
    const char *line = weir_test_vectors_raw(v);
    for (; line != NULL && strcmp(line, "end_layout") != 0; line = weir_test_vectors_raw(v)) {
        WEIR_EXPECT_LT(bytes + strlen(line) + 2, sizeof text);
        bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "%s\n", line);
    }
    if (line == NULL) {
        weir_test_vectors_fail(v, "the layout %s has no end", item->name);
    }
    item->layout = weir_load_sound(text);
    uint8_t digest[WEIR_LAYOUT_DIGEST_BYTES];
    WEIR_EXPECT_STATUS(weir_layout_digest_of(item->layout, digest), WEIR_OK);
    if (memcmp(digest, wanted, sizeof wanted) != 0) {
        weir_test_vectors_fail(v, "the layout %s has another digest", item->name);
    }
}

static weir_layout_relation compare(const weir_test_vectors *v, const shelf *all)
{
    weir_layout_differences differences;
    weir_layout_diff(find(v, all, "from"), find(v, all, "to"), &differences);
    const weir_layout_difference *first = weir_layout_first_difference(&differences);
    const char *told = first != NULL ? first->text : "";
    const char *relation = weir_layout_relation_name(differences.relation);
    if (strcmp(relation, weir_test_vectors_text(v, "relation")) != 0 ||
        strcmp(told, weir_test_vectors_text(v, "first")) != 0 ||
        differences.raise_minor != (weir_test_vectors_number(v, "raise_minor") != 0)) {
        weir_test_vectors_fail(v, "%s is %s (%s), raise minor: %d",
                               weir_test_vectors_text(v, "name"), relation, told,
                               differences.raise_minor);
    }
    return differences.relation;
}

WEIR_TEST(layout_vectors, have_the_digest_and_relate_as_the_shared_file_says)
{
    static shelf all;
    unsigned met[WEIR_LAYOUT_BREAKING + 1] = {0};
    weir_test_vectors v;
    weir_test_vectors_open(&v, FILE_OF_VECTORS);
    while (weir_test_vectors_next(&v)) {
        if (weir_test_vectors_is(&v, "layout")) {
            read_layout(&v, &all);
        } else if (weir_test_vectors_is(&v, "diff")) {
            met[compare(&v, &all)]++;
        } else {
            weir_test_vectors_fail(&v, "%s is no kind of case", v.word);
        }
    }
    WEIR_EXPECT_GE(met[WEIR_LAYOUT_IDENTICAL], 2);
    WEIR_EXPECT_GE(met[WEIR_LAYOUT_COMPATIBLE], 8);
    WEIR_EXPECT_GE(met[WEIR_LAYOUT_BREAKING], 25);
    for (size_t i = 0; i < all.count; i++) {
        weir_layout_free(all.item[i].layout);
    }
}
