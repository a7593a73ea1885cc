#include "channel/telemetry.h"

#include "base/atomic.h"
#include "harness/testing/weir_test.h"

WEIR_TEST(telemetry, gives_back_the_sample_that_was_written)
{
    static struct weir_telemetry shared;
    struct weir_telemetry sample = {.beat_ns = 1, .jobs_ok = 2, .wake_strategy = 3};
    sample.errors[23] = 4;
    weir_telemetry_write(&shared, &sample);
    struct weir_telemetry copy;
    WEIR_EXPECT_STATUS(weir_telemetry_read(&shared, &copy), WEIR_OK);
    WEIR_EXPECT_EQ(copy.sequence, 2);
    sample.sequence = copy.sequence;
    WEIR_EXPECT_MEM_EQ(&copy, &sample, sizeof copy);
}

WEIR_TEST(telemetry, gives_nothing_when_its_writer_died_in_the_middle)
{
    static struct weir_telemetry shared;
    const struct weir_telemetry sample = {.beat_ns = 1};
    weir_telemetry_write(&shared, &sample);
    weir_store_relaxed_u64(&shared.sequence, 3);
    struct weir_telemetry copy;
    WEIR_EXPECT_STATUS(weir_telemetry_read(&shared, &copy), WEIR_EMPTY);
    weir_telemetry_write(&shared, &sample);
    WEIR_EXPECT_STATUS(weir_telemetry_read(&shared, &copy), WEIR_OK);
    WEIR_EXPECT_EQ(copy.sequence, 4);
}
