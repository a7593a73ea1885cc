/* A worker that flips one bit of every hundredth echo: the harness has to notice. */
#include <string.h>

#include "layout/generated/weir_layout.h"
#include "weir/worker.h"

static weir_status echo(weir_job *job, void *context)
{
    unsigned *served = context;
    size_t bytes = 0;
    const void *request = weir_job_request(job, &bytes);
    void *reply = NULL;
    const weir_status status = weir_job_reply(job, bytes, &reply);
    if (status != WEIR_OK || bytes == 0) {
        return status;
    }
    memcpy(reply, request, bytes);
    if (++*served % 100 == 0) {
        ((unsigned char *)reply)[bytes - 1] ^= 1;
    }
    return WEIR_OK;
}

int main(int argc, char **argv)
{
    static unsigned served;
    static const weir_worker_routine routines[] = {{WEIR_OPCODE_ECHO, echo}};
    const weir_worker_options options = {
        .role = "loopback", .routines = routines, .routine_count = 1, .context = &served};
    return weir_worker_main(&options, argc, argv);
}
