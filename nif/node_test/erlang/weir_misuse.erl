%% Wrong arguments for every function of Weir.Native.
%%
%% Each function has a row that says what each of its arguments is meant to be. One argument at a time is replaced by
%% everything that it must not be, the others being right; then all are replaced at random. The function must raise badarg
%% or refuse with {error, Status, ...}, and the node must live. A function without a row fails, so none is forgotten.
-module(weir_misuse).
-export([missing_rows/0, functions/0, check/3]).

-define(N, 'Elixir.Weir.Native').
-define(RANDOM_ROUNDS, 100).

rows() ->
    #{
        descriptor_close => [descriptor],
        descriptor_is_open => [descriptor],
        descriptor_select => [descriptor],
        eventfd_drain => [descriptor],
        eventfd_ring => [descriptor],
        manager_create => [manager_options],
        manager_add_pool => [manager, pool_options],
        manager_adopt => [manager, process],
        turn => [manager],
        turn_long => [manager],
        park => [manager],
        start_worker => [manager, u32, u32],
        start_failed => [manager, u32, u32, u32, text],
        drain_begin => [manager],
        is_drained => [manager],
        reload => [manager, u32],
        close => [manager],
        manager_close => [manager],
        stats => [manager],
        workers => [manager],
        caller_open => [manager],
        job_run => [caller, tag, pool, u16, binary, time, flags],
        job_run_large => [caller, tag, pool, u16, binary, time, flags],
        job_cancel => [caller, tag],
        batch_begin => [caller, tag, pool_later, u16, count, count, time, batch_flags],
        batch_run => [batch, payloads],
        batch_run_large => [batch, payloads],
        batch_cancel => [batch],
        passing_send => [sender, message, descriptors],
        passing_receive => [receiver],
        shm_create => [shm_name, shm_bytes],
        shm_open => [shm_name, shm_bytes, mode],
        shm_unlink => [memory],
        memory_info => [memory],
        memory_read => [memory, offset, length],
        memory_write => [memory, offset, binary],
        memory_close => [memory],
        futex_wait => [memory, offset, u32, moment],
        futex_wait_long => [memory, offset, u32, moment],
        futex_wake => [memory, offset, sleepers],
        arena_create => [arena_options, generation],
        arena_welcome => [arena],
        arena_descriptors => [arena],
        arena_attach => [welcome, descriptors, side],
        arena_seal => [arena],
        arena_wake_with => [arena, descriptor, descriptor],
        arena_info => [arena],
        arena_close => [arena],
        ring_publish => [arena, envelopes],
        ring_drain => [arena, some_envelopes],
        ring_park => [arena],
        slot_take => [arena, slot_bytes],
        slot_write => [arena, slot, offset, binary],
        slot_put_back => [arena, slot],
        slot_read => [arena, offset, length],
        slot_release => [arena, offsets],
        listener_open => [directory, file_name],
        listener_accept => [listener, arena, eventfds, accept_options],
        listener_close => [listener],
        handshake_step => [handshake],
        handshake_alive => [handshake],
        handshake_close => [handshake],
        envelope_encode => [fields, u64],
        envelope_decode => [envelope],
        envelope_check => [envelope, u64, envelope_kind, fields],
        crc32c => [binary],
        crc32c_large => [binary],
        layout_load => [text, text],
        layout_diff => [text, text],
        drop_wakes => [u32],
        worker_connect => [connect_options],
        worker_handshake => [worker],
        worker_control => [worker],
        worker_close => [worker],
        worker_next => [worker],
        worker_next_large => [worker],
        worker_reply => [worker, reply_status, binary],
        worker_reply_large => [worker, reply_status, binary],
        worker_park => [worker],
        worker_beat => [worker],
        worker_progress => [worker],
        worker_drain => [worker],
        worker_stats => [worker],
        status_list => [maybe_directory],
        status_read => [maybe_directory, text]
    }.

%% Functions with arguments that no row describes.
missing_rows() ->
    Rows = rows(),
    lists:sort([
        {Name, Arity}
     || {Name, Arity} <- ?N:module_info(exports),
        Arity > 0,
        not lists:member(Name, [module_info, '__info__']),
        Arity =/= length(maps:get(Name, Rows, []))
    ]).

functions() -> lists:sort(maps:keys(rows())).

%% [] or what was answered to which arguments. Right holds what the caller has made: a map of kind to value.
check(Name, Right, Seed) ->
    Kinds = maps:get(Name, rows()),
    Arguments = [weir_values:right(Kind, Right) || Kind <- Kinds],
    Single = [
        {Name, Position, Wrong, Answer}
     || {Position, Kind} <- lists:zip(lists:seq(1, length(Kinds)), Kinds),
        Wrong <- weir_values:wrong(Kind, Right),
        Answer <- [call(Name, put_at(Position, Wrong, Arguments))],
        not is_refusal(Answer)
    ],
    _ = rand:seed(exsss, Seed),
    Several = [
        {Name, All, Answer}
     || _ <- lists:seq(1, ?RANDOM_ROUNDS),
        All <- [[any(weir_values:wrong(Kind, Right)) || Kind <- Kinds]],
        Answer <- [call(Name, All)],
        not is_refusal(Answer)
    ],
    lists:sublist(Single ++ Several, 5).

call(Name, Arguments) ->
    try
        apply(?N, Name, Arguments)
    catch
        error:badarg -> badarg;
        Class:Reason -> {Class, Reason}
    end.

is_refusal(badarg) -> true;
is_refusal({error, Status, Sentence}) -> is_atom(Status) andalso is_binary(Sentence);
is_refusal({error, Status}) -> is_atom(Status);
is_refusal(_) -> false.

put_at(Position, Value, List) ->
    {Before, [_ | After]} = lists:split(Position - 1, List),
    Before ++ [Value | After].

any(List) -> lists:nth(rand:uniform(length(List)), List).
