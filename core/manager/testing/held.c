/* Jobs that a test holds in their worker, and a look at what a worker has published. */
#include <stdio.h>
#include <unistd.h>

#include "base/atomic.h"
#include "manager/registry.h"
#include "manager/testing/house.h"

#define LOOK_S 0.002

void house_make_held(house *house, house_job *job)
{
    *job = house_make(house, JOB_HOLD, 0);
    snprintf(job->gate, sizeof job->gate, "%s.hold-%llu", house->directory,
             (unsigned long long)job->correlation_id);
    FILE *gate = fopen(job->gate, "wxe");
    WEIR_EXPECT_NOT_NULL(gate);
    fclose(gate);
    job->string = job->gate;
}

void house_hold(house *house, weir_pool_id pool, house_job *job)
{
    house_make_held(house, job);
    const weir_job_spec spec = house_spec(job);
    house_submit(pool, job, &spec);
}

void house_await_begun(house_job *job)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    while (house_file_bytes(job->gate) == 0) {
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "no worker begins the job");
        }
        house_pass(job->house, LOOK_S);
    }
}

void house_let_go(house_job *job)
{
    WEIR_EXPECT_EQ(unlink(job->gate), 0);
}

void house_await_published(house *house, uint64_t count)
{
    const uint64_t deadline_ns = weir_test_deadline(HOUSE_PATIENCE_S);
    const struct weir_worker_control *theirs =
        house->manager->pools[0]->seats[0].now->arena.worker_control;
    while (weir_load_relaxed_u64(&theirs->response_published) < count) {
        if (weir_os()->clock_ns() > deadline_ns) {
            weir_test_fail(__FILE__, __LINE__, "%llu of %llu replies were published",
                           (unsigned long long)weir_load_relaxed_u64(&theirs->response_published),
                           (unsigned long long)count);
        }
        weir_os()->sleep_until(weir_deadline_in(WEIR_NS_PER_MS));
    }
}
