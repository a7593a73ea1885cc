/* The references of the round-trip rows: cache lines, futexes and a socket, bare. */
#include <errno.h>
#include <sys/socket.h>

#include "base/atomic.h"
#include "base/os.h"
#include "harness/bench/bench_message.h"
#include "harness/bench/references.h"

void *weir_bench_words_new(weir_bench_words *words)
{
    *words = (weir_bench_words){
        .shared = weir_pair_shared(WEIR_BENCH_WORD_PAIRS * sizeof *words->shared)};
    return words->shared != NULL ? words : NULL;
}

/* Both sides count runs alike and so meet at the same pair; no turn comes twice. */
static struct weir_bench_shared_words *begin_run(weir_bench_words *state)
{
    return &state->shared[state->run++ % WEIR_BENCH_WORD_PAIRS];
}

uint64_t weir_bench_ping_pong_lead(void *context, uint64_t count)
{
    weir_bench_words *state = context;
    struct weir_bench_shared_words *words = begin_run(state);
    for (uint64_t i = 0; i < count; i++) {
        weir_store_release_u32(&words->ping, ++state->turn);
        while (weir_load_acquire_u32(&words->pong) != state->turn) {
            weir_cpu_relax();
        }
    }
    return state->turn;
}

uint64_t weir_bench_ping_pong_peer(void *context, uint64_t count)
{
    weir_bench_words *state = context;
    struct weir_bench_shared_words *words = begin_run(state);
    for (uint64_t i = 0; i < count; i++) {
        state->turn++;
        while (weir_load_acquire_u32(&words->ping) != state->turn) {
            weir_cpu_relax();
        }
        weir_store_release_u32(&words->pong, state->turn);
    }
    return state->turn;
}

static void tell(uint32_t *word, uint32_t turn)
{
    weir_store_release_u32(word, turn);
    (void)weir_os()->futex_wake(word, 1);
}

static void await(const uint32_t *word, uint32_t turn)
{
    uint32_t seen;
    while ((seen = weir_load_acquire_u32(word)) != turn) {
        (void)weir_os()->futex_wait(word, seen, WEIR_NEVER);
    }
}

uint64_t weir_bench_futex_lead(void *context, uint64_t count)
{
    weir_bench_words *state = context;
    struct weir_bench_shared_words *words = begin_run(state);
    for (uint64_t i = 0; i < count; i++) {
        weir_pair_think(WEIR_BENCH_THINK_NS);
        tell(&words->ping, ++state->turn);
        await(&words->pong, state->turn);
    }
    return state->turn;
}

uint64_t weir_bench_futex_peer(void *context, uint64_t count)
{
    weir_bench_words *state = context;
    struct weir_bench_shared_words *words = begin_run(state);
    for (uint64_t i = 0; i < count; i++) {
        await(&words->ping, ++state->turn);
        weir_pair_think(WEIR_BENCH_THINK_NS);
        tell(&words->pong, state->turn);
    }
    return state->turn;
}

typedef struct sockets {
    int fds[2]; /* Lead, peer. */
    uint64_t index;
} sockets;

void *weir_bench_socket_new(void)
{
    static sockets state;
    state = (sockets){.fds = {-1, -1}};
    return weir_os()->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, state.fds) == 0 ? &state
                                                                                            : NULL;
}

void weir_bench_socket_free(void *context)
{
    sockets *state = context;
    for (int i = 0; state != NULL && i < 2; i++) {
        (void)weir_os()->close(state->fds[i]);
    }
}

static bool is_sent(int fd, const weir_bench_message *message)
{
    return send(fd, message, sizeof *message, MSG_NOSIGNAL) == (ssize_t)sizeof *message;
}

static bool is_received(int fd, weir_bench_message *message)
{
    ssize_t bytes;
    do {
        bytes = recv(fd, message, sizeof *message, 0);
    } while (bytes < 0 && errno == EINTR);
    return bytes == (ssize_t)sizeof *message;
}

uint64_t weir_bench_socket_lead(void *context, uint64_t count)
{
    sockets *state = context;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        weir_bench_message message;
        weir_bench_message_write((weir_word *)message.words, state->index++);
        weir_pair_think(WEIR_BENCH_THINK_NS);
        if (!is_sent(state->fds[0], &message) || !is_received(state->fds[0], &message)) {
            return 0;
        }
        sum += weir_bench_message_read((const weir_word *)message.words);
    }
    return sum;
}

uint64_t weir_bench_socket_peer(void *context, uint64_t count)
{
    sockets *state = context;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        weir_bench_message message;
        if (!is_received(state->fds[1], &message)) {
            return 1;
        }
        weir_pair_think(WEIR_BENCH_THINK_NS);
        if (!is_sent(state->fds[1], &message)) {
            return 1;
        }
        sum += weir_bench_message_read((const weir_word *)message.words);
    }
    return sum;
}
