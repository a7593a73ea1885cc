#include "harness/bench/rows.h"

#include "harness/bench/channel.h"
#include "harness/bench/idle_hold.h"
#include "harness/bench/job_bench.h"
#include "harness/bench/references.h"

/* Operations per run: a run takes between 1 and 10 ms. */
#define STREAM_COUNT  UINT64_C(20480)
#define TRIP_COUNT    UINT64_C(4000)
#define PLACING_COUNT UINT64_C(300)
#define PARKED_COUNT  UINT64_C(50)
#define BUFFER_COUNT  UINT64_C(8)

/* Each row has a channel of its own, so that every part goes on where it stopped. */
typedef struct states {
    void *ck_ring;
    void *ping_pong;
    void *futexes;
    void *sockets;
    void *crc;
    weir_bench_channel ring_batch;
    weir_bench_channel ring_single;
    weir_bench_channel gate_batch;
    weir_bench_channel gate_single;
    weir_bench_channel trip;
    weir_bench_channel checked_trip;
    weir_bench_channel parked;
    weir_job_bench jobs;
} states;

static states all;
static weir_bench_words ping_pong_words;
static weir_bench_words futex_words;

bool weir_bench_line_holds(const weir_bench_line *line)
{
    return line->result.rounds > 0 && line->result.ratio.median <= line->limit;
}

static weir_probe add_part(weir_bench_rows *rows, weir_pair_part part, weir_measure measure)
{
    const size_t i = rows->part_count++;
    rows->parts[i] = part;
    rows->contexts[i] = (weir_pair_probe_context){.pair = &rows->pair, .part = &rows->parts[i]};
    return (weir_probe){.measure = measure, .context = &rows->contexts[i]};
}

static void add_row(weir_bench_rows *rows, weir_bench_row row)
{
    rows->rows[rows->count++] = row;
}

static weir_probe add_ck_ring(weir_bench_rows *rows)
{
    const weir_pair_part part = {"ck_ring", weir_bench_ck_ring_produce, weir_bench_ck_ring_consume,
                                 all.ck_ring, STREAM_COUNT};
    return add_part(rows, part, weir_pair_probe);
}

static void add_streams(weir_bench_rows *rows, weir_probe ck_ring)
{
    const struct {
        const char *name;
        const char *measure;
        double limit;
        weir_pair_role lead;
        weir_pair_role peer;
        weir_bench_channel *channel;
    } streams[] = {
        {"ring-batch", "ring alone, batches of 32", 0.35, weir_bench_ring_produce_batches,
         weir_bench_ring_consume, &all.ring_batch},
        {"ring-single", "ring alone, one by one", 0.6, weir_bench_ring_produce_single,
         weir_bench_ring_consume, &all.ring_single},
        {"gate-batch", "ring with gate, batches of 32", 0.5, weir_bench_gate_produce_batches,
         weir_bench_gate_consume, &all.gate_batch},
        {"gate-single", "ring with gate, one by one", 1.5, weir_bench_gate_produce_single,
         weir_bench_gate_consume, &all.gate_single},
    };
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        const weir_pair_part part = {streams[i].name, streams[i].lead, streams[i].peer,
                                     streams[i].channel, STREAM_COUNT};
        add_row(rows, (weir_bench_row){.name = streams[i].name,
                                       .measure = streams[i].measure,
                                       .against = "ck_ring, 64-byte values",
                                       .limit = streams[i].limit,
                                       .subject = add_part(rows, part, weir_pair_probe),
                                       .reference = ck_ring});
    }
}

static void add_spinning_trips(weir_bench_rows *rows)
{
    const weir_pair_part bare = {"ping-pong", weir_bench_ping_pong_lead, weir_bench_ping_pong_peer,
                                 all.ping_pong, TRIP_COUNT};
    const weir_pair_part plain = {"trip", weir_bench_trip_lead, weir_bench_trip_peer, &all.trip,
                                  TRIP_COUNT};
    const weir_pair_part checked = {"trip-crc", weir_bench_checked_trip_lead,
                                    weir_bench_checked_trip_peer, &all.checked_trip, TRIP_COUNT};
    const weir_probe ping_pong = add_part(rows, bare, weir_pair_probe);
    weir_pair_part shorter = bare;
    shorter.name = "placing";
    shorter.count = PLACING_COUNT;
    rows->placing = add_part(rows, shorter, weir_pair_probe);
    add_row(rows, (weir_bench_row){.name = "trip",
                                   .measure = "round trip, spinning, no header CRC",
                                   .against = "cache-line ping-pong",
                                   .limit = 1.3,
                                   .subject = add_part(rows, plain, weir_pair_probe),
                                   .reference = ping_pong});
    add_row(rows, (weir_bench_row){.name = "trip-crc",
                                   .measure = "round trip, spinning, less 5 header CRCs",
                                   .against = "cache-line ping-pong",
                                   .limit = 1.3,
                                   .subject = add_part(rows, checked, weir_pair_probe),
                                   .reference = ping_pong,
                                   .allowance = {.measure = weir_bench_header_crc_probe},
                                   .allowance_factor = 5});
}

static void add_parked_trips(weir_bench_rows *rows)
{
    const weir_pair_part parked = {"parked", weir_bench_parked_trip_lead,
                                   weir_bench_parked_trip_peer, &all.parked, PARKED_COUNT};
    const weir_pair_part futexes = {"futexes", weir_bench_futex_lead, weir_bench_futex_peer,
                                    all.futexes, PARKED_COUNT};
    const weir_pair_part sockets = {"sockets", weir_bench_socket_lead, weir_bench_socket_peer,
                                    all.sockets, PARKED_COUNT};
    const weir_probe subject = add_part(rows, parked, weir_pair_probe);
    add_row(rows, (weir_bench_row){.name = "parked",
                                   .measure = "round trip, both parked",
                                   .against = "bare futex ping-pong",
                                   .limit = 1.15,
                                   .subject = subject,
                                   .reference = add_part(rows, futexes, weir_pair_probe),
                                   .begin = weir_bench_idle_hold,
                                   .end = weir_bench_idle_let_go});
    add_row(rows, (weir_bench_row){.name = "parked-socket",
                                   .measure = "round trip, both parked",
                                   .against = "SOCK_SEQPACKET, 64 bytes",
                                   .limit = 0.9,
                                   .subject = subject,
                                   .reference = add_part(rows, sockets, weir_pair_probe),
                                   .begin = weir_bench_idle_hold,
                                   .end = weir_bench_idle_let_go});
}

static void add_jobs(weir_bench_rows *rows, weir_probe ck_ring)
{
    const weir_pair_part isal = {"ISA-L", weir_bench_crc_lead, weir_bench_crc_peer, all.crc,
                                 BUFFER_COUNT};
    add_row(rows, (weir_bench_row){.name = "echo-job",
                                   .measure = "whole echo job, 64 bytes, batched",
                                   .against = "ck_ring, 64-byte values",
                                   .limit = 5,
                                   .subject = {weir_job_bench_echo_probe, &all.jobs},
                                   .reference = ck_ring,
                                   .begin = weir_job_bench_begin,
                                   .end = weir_job_bench_end,
                                   .context = &all.jobs});
    add_row(rows, (weir_bench_row){.name = "crc-job",
                                   .measure = "whole crc job over 1 MiB already written",
                                   .against = "ISA-L CRC32C, 1 MiB",
                                   .limit = 2.3,
                                   .subject = {weir_job_bench_crc_probe, &all.jobs},
                                   .reference = add_part(rows, isal, weir_bench_crc_probe),
                                   .begin = weir_job_bench_begin,
                                   .end = weir_job_bench_end,
                                   .context = &all.jobs});
}

void weir_bench_rows_describe(weir_bench_rows *rows)
{
    *rows = (weir_bench_rows){0};
    const weir_probe ck_ring = add_ck_ring(rows);
    add_streams(rows, ck_ring);
    add_spinning_trips(rows);
    add_parked_trips(rows);
    add_jobs(rows, ck_ring);
}

void weir_bench_row_names(const char **names)
{
    weir_bench_rows rows;
    weir_bench_rows_describe(&rows);
    for (size_t i = 0; i < rows.count; i++) {
        names[i] = rows.rows[i].name;
    }
    size_t count = rows.count;
    names[count++] = WEIR_BENCH_ALLOCATIONS;
    names[count++] = WEIR_BENCH_MANAGER_CPU;
    names[count++] = WEIR_BENCH_IDLE;
    names[count] = NULL;
}

static weir_status make_channels(weir_error *error)
{
    const struct {
        weir_bench_channel *channel;
        uint64_t spin_max_ns;
    } wanted[] = {
        {&all.ring_batch, WEIR_BENCH_STREAM_SPIN_NS},
        {&all.ring_single, WEIR_BENCH_STREAM_SPIN_NS},
        {&all.gate_batch, WEIR_BENCH_STREAM_SPIN_NS},
        {&all.gate_single, WEIR_BENCH_STREAM_SPIN_NS},
        {&all.trip, WEIR_BENCH_TRIP_SPIN_NS},
        {&all.checked_trip, WEIR_BENCH_TRIP_SPIN_NS},
        {&all.parked, 0},
    };
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < sizeof wanted / sizeof wanted[0]; i++) {
        status = weir_bench_channel_init(wanted[i].channel, wanted[i].spin_max_ns, error);
    }
    return status;
}

weir_status weir_bench_rows_open(weir_bench_rows *rows, const weir_pair_cores *cores,
                                 const char *worker_path, weir_error *error)
{
    *rows = (weir_bench_rows){0};
    all.ck_ring = weir_bench_ck_ring_new();
    all.ping_pong = weir_bench_words_new(&ping_pong_words);
    all.futexes = weir_bench_words_new(&futex_words);
    all.sockets = weir_bench_socket_new();
    all.crc = weir_bench_crc_new();
    if (all.ck_ring == NULL || all.ping_pong == NULL || all.futexes == NULL ||
        all.sockets == NULL || all.crc == NULL) {
        weir_error_set(error, "no memory or no descriptor for the bench; free some");
        return WEIR_NO_MEMORY;
    }
    all.jobs = (weir_job_bench){.pair = &rows->pair,
                                .cores = *cores,
                                .worker_path = worker_path != NULL ? worker_path
                                                                   : weir_job_bench_worker_path()};
    const weir_status status = make_channels(error);
    if (status != WEIR_OK) {
        return status;
    }
    weir_bench_rows_describe(rows);
    return weir_pair_start(&rows->pair, rows->parts, rows->part_count, cores, error);
}

void weir_bench_rows_close(weir_bench_rows *rows)
{
    weir_pair_stop(&rows->pair);
    weir_bench_socket_free(all.sockets);
    weir_pair_shared_free();
    all = (states){0};
}
