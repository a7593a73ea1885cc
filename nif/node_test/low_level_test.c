/* The low level: arenas, rings, slots and the handshake, with both ends in one node. */
#include "nif/node_test/testing/node_footprint.h"
#include "nif/node_test/testing/node_host.h"

/* A name that no other test has. */
#define NAME  "Name = list_to_binary(\"/weir-node-test-\" ++ os:getpid())"
#define ALIVE "lists:sum(maps:values(resources()))"

/* An arena of the process "manager", attached by the process "worker" through passed descriptors.
 */
static void open_arena(node_host *node)
{
    node_run(node, "manager", "{ok, Sender, Receiver} = passing_pair()");
    node_run(node, "manager", "{ok, A} = arena_create(#{}, 1), {ok, Ds} = arena_descriptors(A)");
    node_expect(node, "manager", "passing_send(Sender, <<\"memory\">>, Ds)", "ok");
    node_run(node, "worker", "ok");
    node_run(node, "manager", "weir_test_worker ! {welcome, Receiver, arena_welcome(A)}, ok");
    node_run(node, "worker", "{R, W} = receive {welcome, X, Y} -> {X, Y} end");
    node_run(node, "worker", "{ok, <<\"memory\">>, Ds} = passing_receive(R)");
    node_run(node, "worker", "{ok, A} = arena_attach(W, Ds, worker)");
    node_expect(node, "manager", "arena_seal(A)", "ok");
}

WEIR_TEST(node_low_level, opens_publishes_and_drains)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    open_arena(&node);
    node_expect(&node, "worker", "ring_drain(A, 64)", "{ok,[],done}");
    node_run(&node, "manager", "{ok, Slot, Offset, 256} = slot_take(A, 100)");
    node_expect(&node, "manager", "slot_write(A, Slot, 0, <<\"payload\">>)", "ok");
    node_run(&node, "manager",
             "One = weir_pair:envelope(5, Offset, <<\"payload\">>),"
             " Two = weir_pair:envelope(6, 0, <<>>)");
    node_expect(&node, "manager", "ring_publish(A, [One, Two])", "{ok,2}");
    node_run(&node, "worker", "{ok, [One, Two], done} = ring_drain(A, 64)");
    node_run(&node, "worker", "{5, 1, Offset, 7} = weir_pair:decoded(One)");
    node_expect(&node, "worker", "weir_pair:decoded(Two)", "{6,1,0,0}");
    node_expect(&node, "worker", "slot_read(A, Offset, 7)", "{ok,<<\"payload\">>}");
    node_expect(&node, "manager", "maps:get(slots_taken, arena_info(A))", "1");
    node_expect(&node, "worker", "slot_release(A, [Offset])", "ok");
    node_expect(&node, "worker", "slot_release(A, [Offset])", "error:badarg");
    /* The released slot is there again: as many can be taken as there are. */
    node_run(&node, "manager",
             "Take = fun More(N) -> case slot_take(A, 1) of full -> N; {ok, _, _, _} -> More(N + 1)"
             " end end");
    node_run(&node, "manager", "Total = maps:get(slots_total, arena_info(A)), Total = Take(0)");
    node_kill_process(&node, "worker");
    node_kill_process(&node, "manager");
    node_await(&node, "main", ALIVE, "0");
    node_footprint_await(&node, &before);
    node_stop(&node);
}

WEIR_TEST(node_low_level, refuses_what_does_not_fit)
{
    node_host node;
    node_start(&node);
    open_arena(&node);
    node_run(&node, "manager",
             "Full = maps:get(ring_capacity, arena_info(A)),"
             " Many = [weir_pair:envelope(J, 0, <<>>) || J <- lists:seq(1, 64)]");
    node_expect(&node, "manager",
                "lists:usort([ring_publish(A, Many) || _ <- lists:seq(1, Full div 64)])",
                "[{ok,64}]");
    node_expect(&node, "manager", "ring_publish(A, Many)", "{ok,0}");
    node_run(&node, "worker", "{ok, First, more} = ring_drain(A, 3)");
    node_expect(&node, "worker", "[element(1, weir_pair:decoded(E)) || E <- First]", "[1,2,3]");
    node_expect(&node, "manager", "ring_publish(A, Many)", "{ok,3}");
    node_stop(&node);
}

WEIR_TEST(node_low_level, believes_nothing_of_a_liar)
{
    node_host node;
    node_start(&node);
    open_arena(&node);
    node_expect(&node, "manager",
                "ring_publish(A, [envelope_encode(#{version => 1, generation => 9}, 0)])",
                "{ok,1}");
    node_run(&node, "worker", "{error, protocol, Sentence} = ring_drain(A, 64)");
    node_run(&node, "worker", "{error, protocol, Sentence} = ring_drain(A, 64)");
    node_expect(&node, "worker", "arena_close(A)", "ok");
    node_run(&node, "worker", "{error, closed, _} = ring_drain(A, 64)");
    node_stop(&node);
}

WEIR_TEST(node_low_level, shakes_hands_and_serves_a_job)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "both", "#{arena := A, worker := W, handshake := H} = Pair = weir_pair:open()");
    node_expect(&node, "both", "worker_next(W)", "empty");
    node_run(&node, "both", "{ok, Slot, Offset, _} = slot_take(A, 100)");
    node_expect(&node, "both", "slot_write(A, Slot, 0, <<\"a request\">>)", "ok");
    node_expect(&node, "both",
                "ring_publish(A, [weir_pair:envelope(5, Offset, <<\"a request\">>)])", "{ok,1}");
    node_expect(&node, "both", "worker_next(W)", "{job,1,<<\"a request\">>,5,0}");
    node_expect(&node, "both", "worker_reply(W, ok, <<\"the reply\">>)", "ok");
    node_run(&node, "both", "{ok, [Reply], done} = ring_drain(A, 64)");
    node_run(&node, "both", "{5, 1, There, 9} = weir_pair:decoded(Reply)");
    node_expect(&node, "both", "slot_read(A, There, 9)", "{ok,<<\"the reply\">>}");
    node_expect(&node, "both", "handshake_alive(H)", "true");
    node_expect(&node, "both", "worker_close(W)", "ok");
    node_await(&node, "both", "handshake_alive(H)", "false");
    node_kill_process(&node, "both");
    node_await(&node, "main", ALIVE, "0");
    node_footprint_await(&node, &before);
    node_stop(&node);
}

WEIR_TEST(node_low_level, gives_everything_back_when_its_process_dies)
{
    node_host node;
    node_start(&node);
    const node_footprint before = node_footprint_read(&node);
    node_run(&node, "both", "Pair = weir_pair:open()");
    node_run(&node, "both", NAME);
    node_run(&node, "main", NAME);
    node_run(&node, "both", "{ok, Memory} = shm_create(Name, 4096)");
    node_expect(&node, "both", "ring_park(maps:get(arena, Pair))", "parked");
    node_run(&node, "main", "trace_clear()");
    node_kill_process(&node, "both");
    node_await(&node, "main", ALIVE, "0");
    node_footprint_await(&node, &before);
    node_run(&node, "main", "{error, system, _} = shm_open(Name, 4096, read)");
    node_expect(&node, "main", "lists:sort(trace())",
                "[{down,arena,1},{down,descriptor,1},{down,descriptor,1},{down,handshake,1},"
                "{down,listener,1},{down,memory,1},{down,worker,1},{stop,arena,1},"
                "{stop,handshake,1},{stop,worker,1}]");
    node_stop(&node);
}

WEIR_TEST(node_low_level, waits_on_a_word_of_named_memory)
{
    node_host node;
    node_start(&node);
    node_run(&node, "one", NAME);
    node_run(&node, "two", NAME);
    node_run(&node, "one", "{ok, Mine} = shm_create(Name, 4096)");
    node_run(&node, "two", "{ok, Same} = shm_open(Name, 4096, read)");
    node_expect(&node, "one", "shm_unlink(Mine)", "ok");
    node_expect(&node, "two", "futex_wait(Same, 64, 7, 1000)", "changed");
    node_expect(&node, "two", "futex_wait(Same, 64, 0, 100)", "timeout");
    node_run(&node, "two", "weir_test_one ! asleep, self() ! wait, ok");
    node_run(&node, "one",
             "receive asleep -> spawn(fun() -> timer:sleep(50), ok = memory_write(Mine, 64, "
             "<<1:32/little>>), futex_wake(Mine, 64, 1) end), ok end");
    node_run(
        &node, "two",
        "Waits = fun Again(0) -> timeout; Again(N) -> case futex_wait_long(Same, 64, 0, 100) of"
        " changed -> seen; woken -> seen; timeout -> Again(N - 1) end end");
    node_expect(&node, "two", "Waits(100)", "seen");
    node_expect(&node, "two", "memory_read(Same, 64, 4)", "{ok,<<1,0,0,0>>}");
    node_run(&node, "two", "{error, _, _} = memory_write(Same, 64, <<2>>)");
    node_stop(&node);
}
