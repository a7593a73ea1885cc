%% Both ends of the low level in one node: an arena with a listener, and a worker that connects to it.
-module(weir_pair).
-export([open/0, envelope/3, decoded/1]).

-define(N, 'Elixir.Weir.Native').
-define(TOKEN, binary:copy(<<"5a">>, 32)).

%% The manager's and the worker's end after a complete handshake, as a map; all owned by the calling process.
open() ->
    Directory = list_to_binary(os:getenv("WEIR_RUNTIME_DIR")),
    {ok, Listener} = ?N:listener_open(Directory, <<"pair">>),
    {ok, Arena} = ?N:arena_create(#{}, 1),
    {ok, WakesWorker} = ?N:eventfd_create(),
    {ok, WakesManager} = ?N:eventfd_create(),
    {ok, Worker} = ?N:worker_connect(#{
        socket => <<Directory/binary, "/pair">>, token => ?TOKEN, opcodes => [1]
    }),
    Options = #{token => ?TOKEN, role => <<"worker">>, timeout_ms => 10000},
    {ok, Handshake} = eventually(fun() ->
        ?N:listener_accept(Listener, Arena, {WakesWorker, WakesManager}, Options)
    end),
    shake_hands(Handshake, Worker, pending, pending, 5000),
    ok = ?N:arena_seal(Arena),
    ok = ?N:arena_wake_with(Arena, WakesWorker, WakesManager),
    #{
        listener => Listener,
        arena => Arena,
        handshake => Handshake,
        worker => Worker,
        descriptor => WakesWorker,
        second_descriptor => WakesManager
    }.

eventually(Step) -> eventually(Step, 5000).

eventually(Step, Left) when Left > 0 ->
    case Step() of
        pending ->
            timer:sleep(1),
            eventually(Step, Left - 1);
        Answer ->
            Answer
    end.

%% Each end goes on whenever it can.
shake_hands(_, _, {ok, _}, {ok, _}, _) ->
    ok;
shake_hands(Handshake, Worker, Ours, Theirs, Left) when Left > 0 ->
    Next = step(Ours, fun() -> ?N:handshake_step(Handshake) end),
    Other = step(Theirs, fun() -> ?N:worker_handshake(Worker) end),
    timer:sleep(1),
    shake_hands(Handshake, Worker, Next, Other, Left - 1).

step(pending, Step) -> Step();
step(Done, _) -> Done.

%% An envelope of version 1, generation 1; the ring fills in its place.
envelope(Job, Offset, Payload) ->
    ?N:envelope_encode(
        #{
            version => 1,
            generation => 1,
            opcode => 1,
            job_id => Job,
            flags => 1,
            payload_offset => Offset,
            payload_bytes => byte_size(Payload),
            original_bytes => byte_size(Payload),
            payload_crc => ?N:crc32c(Payload)
        },
        0
    ).

%% {JobId, Opcode, Offset, Bytes}
decoded(Envelope) ->
    #{job_id := Job, opcode := Opcode, payload_offset := Offset, payload_bytes := Bytes} =
        ?N:envelope_decode(Envelope),
    {Job, Opcode, Offset, Bytes}.
