/* The committed bindings are what the generators make of the committed layout. */
#include "layout/layout_gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/testing/weir_test.h"
#include "layout/generated/weir_layout.h"
#include "layout/testing/layout_texts.h"

WEIR_TEST(layout_gen, committed_bindings_are_not_stale)
{
    size_t bytes;
    char *source = weir_read_source("core/layout/07-layout.toml", &bytes);
    weir_layout *layout = weir_load_sound(source);
    for (size_t i = 0; i < WEIR_LAYOUT_ARTIFACT_COUNT; i++) {
        const weir_layout_artifact *artifact = &weir_layout_artifacts[i];
        char path[128];
        snprintf(path, sizeof path, "core/layout/generated/weir%s", artifact->suffix);
        size_t committed_bytes;
        char *committed = weir_read_source(path, &committed_bytes);
        char *text;
        WEIR_EXPECT_STATUS(artifact->generate(layout, &text, &bytes), WEIR_OK);
        if (bytes != committed_bytes || memcmp(text, committed, bytes) != 0)
            weir_test_fail(
                __FILE__, __LINE__,
                "%s is stale: run `weir layout gen --lang %s --out core/layout/generated "
                "core/layout/07-layout.toml`",
                path, artifact->language);
        free(text);
        free(committed);
    }
    weir_layout_free(layout);
    free(source);
}

WEIR_TEST(layout_gen, names_and_schemas_come_from_the_layout)
{
    weir_layout *layout;
    weir_error error = {{0}};
    WEIR_EXPECT_STATUS(weir_layout_load_builtin(&layout, &error), WEIR_OK);
    const weir_layout_enum *opcodes = weir_layout_find_enum(layout, "opcode");
    size_t schemas = 0;
    for (size_t i = 0; i < opcodes->value_count; i++) {
        const weir_layout_value *value = &opcodes->values[i];
        WEIR_EXPECT_STR_EQ(weir_opcode_name((uint32_t)value->value), value->name);
        const struct weir_opcode_schema *schema = weir_opcode_schema_find((uint32_t)value->value);
        WEIR_EXPECT_EQ(schema != NULL, value->has_request);
        if (schema == NULL)
            continue;
        schemas++;
        WEIR_EXPECT_EQ(schema->opcode, value->value);
        WEIR_EXPECT_EQ(schema->request_min, value->request_min);
        WEIR_EXPECT_EQ(schema->request_max, value->request_max);
    }
    WEIR_EXPECT_GT(schemas, (size_t)0);
    WEIR_EXPECT_STR_EQ(weir_opcode_name(0xffff), "unknown");
    WEIR_EXPECT_STR_EQ(weir_envelope_flag_name(3), "unknown");
    WEIR_EXPECT_NULL(weir_opcode_schema_find(0x10001));
    weir_layout_free(layout);
}

/* A layout without any definition still gives files that say so. */
WEIR_TEST(layout_gen, an_empty_layout_gives_every_binding)
{
    weir_layout *layout = weir_load_sound(HEAD);
    for (size_t i = 0; i < WEIR_LAYOUT_ARTIFACT_COUNT; i++) {
        char *text;
        size_t bytes;
        WEIR_EXPECT_STATUS(weir_layout_artifacts[i].generate(layout, &text, &bytes), WEIR_OK);
        WEIR_EXPECT_STR_HAS(text, "Do not edit");
        WEIR_EXPECT_EQ(strlen(text), bytes);
        free(text);
    }
    weir_layout_free(layout);
}
