#include "base/failpoint.h"

static const char *const names[WEIR_FAILPOINT_COUNT] = {
#define WEIR_FAILPOINT_NAME(id, text) [WEIR_FAILPOINT_##id] = (text),
#include "base/failpoints.def"
#undef WEIR_FAILPOINT_NAME
};

const char *weir_failpoint_name(size_t index)
{
    return index < WEIR_FAILPOINT_COUNT ? names[index] : NULL;
}

#ifdef WEIR_FAILPOINTS
#define FIU_ENABLE 1
#include <fiu.h>
#include <signal.h>

static void end_here(const char *name)
{
    (void)name;
    raise(SIGKILL);
}

static weir_failpoint_handler handler = end_here;

void weir_failpoint_set_handler(weir_failpoint_handler replacement)
{
    handler = replacement != NULL ? replacement : end_here;
}

void weir_failpoint_reached(weir_failpoint point)
{
    if (fiu_fail(names[point]) != 0) {
        handler(names[point]);
    }
}
#endif
