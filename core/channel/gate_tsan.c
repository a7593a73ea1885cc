/* Two threads at two gates over one mapping hand a turn to and fro by each strategy; what belongs
 * to the turn is touched by plain accesses only. */
#include <pthread.h>
#include <stdio.h>

#include "channel/testing/gate_pair_shared.h"

enum { ROUNDS = 2000 };

#define PATIENCE_NS (30 * WEIR_NS_PER_SECOND)

typedef struct task {
    gate_pair *pair;
    int side;
    uint32_t allowed;
    uint64_t spin_max_ns;
    weir_status status;
} task;

static void *run(void *argument)
{
    task *one = argument;
    gate_end end;
    one->status = gate_end_join(&end, one->pair, one->side, one->allowed, one->spin_max_ns);
    if (one->status == WEIR_OK) {
        one->status = gate_end_meet(&end, weir_deadline_in(PATIENCE_NS));
    }
    if (one->status == WEIR_OK) {
        one->status =
            gate_end_storm(&end, one->side == 0, ROUNDS, PATIENCE_NS, (uint64_t)one->side + 1);
    }
    return NULL;
}

static int storm(uint32_t strategy, uint64_t spin_max_ns)
{
    gate_pair *pair = gate_pair_make();
    if (pair == NULL) {
        return 2;
    }
    task tasks[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        tasks[i] = (task){.pair = pair,
                          .side = i,
                          .allowed = WEIR_STRATEGY_BIT(strategy),
                          .spin_max_ns = spin_max_ns};
        if (pthread_create(&threads[i], NULL, run, &tasks[i]) != 0) {
            return 2;
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    const int bad = tasks[0].status != WEIR_OK || tasks[1].status != WEIR_OK ||
                    pair->side[0].plain != UINT64_C(2) * ROUNDS;
    printf("%s, spin %llu ns: %s and %s\n", weir_wake_strategy_name(strategy),
           (unsigned long long)spin_max_ns, weir_status_name(tasks[0].status),
           weir_status_name(tasks[1].status));
    gate_pair_free(pair);
    return bad;
}

int main(void)
{
    int bad = 0;
    for (uint32_t s = WEIR_WAKE_STRATEGY_FUTEX; s <= WEIR_WAKE_STRATEGY_SIGNAL; s++) {
        bad |= storm(s, 0);
        bad |= storm(s, 50 * WEIR_NS_PER_US);
    }
    return bad;
}
