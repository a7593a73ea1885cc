%% Jobs of the reference worker, asked for by the process that calls.
-module(weir_jobs).
-export([run/3, run/4, many/3, echo/2, batch/3, long/1, await/1, collect/1]).

-define(N, 'Elixir.Weir.Native').
-define(ECHO, 1).
-define(SIMULATE, 16).
-define(LATER, 4).
-define(LIMIT_MS, 20000).

%% One job, and its end: {Outcome, Payload}.
run(Caller, Opcode, Payload) -> run(Caller, Opcode, Payload, 10000000000).

run(Caller, Opcode, Payload, Timeout) ->
    Tag = make_ref(),
    Call =
        case byte_size(Payload) > 262144 of
            true -> job_run_large;
            false -> job_run
        end,
    case ?N:Call(Caller, Tag, 0, Opcode, Payload, Timeout, 0) of
        {done, Outcome, Reply, _, _} -> {Outcome, Reply};
        pending -> await(Tag);
        Refusal -> Refusal
    end.

await(Tag) ->
    receive
        {Tag, done, Outcome, Reply, _, _} -> {Outcome, Reply}
    after ?LIMIT_MS -> no_answer
    end.

%% How many of Count echo jobs of so many random bytes came back as they were sent.
many(Caller, Count, Bytes) ->
    length([ok || _ <- lists:seq(1, Count), echo(Caller, Bytes) =:= ok]).

echo(Caller, Bytes) ->
    Payload = rand:bytes(Bytes),
    case run(Caller, ?ECHO, Payload) of
        {ok, Payload} -> ok;
        Other -> Other
    end.

%% The same as one batch: how many of its results are what was sent.
batch(Caller, Count, Bytes) ->
    Tag = make_ref(),
    Payloads = [rand:bytes(Bytes) || _ <- lists:seq(1, Count)],
    {ok, Batch} = ?N:batch_begin(Caller, Tag, 0, ?ECHO, Count, 64, infinity, 0),
    Items = batch_items(Batch, Tag, Payloads, []),
    Expected = maps:from_list(lists:zip(lists:seq(0, Count - 1), Payloads)),
    length([ok || {Index, ok, Reply, _, _} <- Items, maps:get(Index, Expected) =:= Reply]).

batch_items(Batch, Tag, Payloads, Items) ->
    case ?N:batch_run(Batch, Payloads) of
        {_, [], More, 0} ->
            More ++ Items;
        {ok, Rest, More, _} ->
            batch_items(Batch, Tag, Rest, More ++ Items);
        {pending, Rest, More, _} ->
            receive
                {Tag, items, [], 0} -> More ++ Items;
                {Tag, items, Sent, 0} when Rest =:= [] -> Sent ++ More ++ Items;
                {Tag, items, Sent, _} -> batch_items(Batch, Tag, Rest, Sent ++ More ++ Items)
            after ?LIMIT_MS -> Items
            end
    end.

%% The longest job that the reference worker takes, some seconds of Life. Returns its tag.
long(Caller) ->
    Tag = make_ref(),
    {Width, Height, Work} = {128, 128, 1 bsl 30},
    Steps = Work div (Height * (Width div 64 + 8)),
    Cells = rand:bytes(Width * Height div 8),
    Torus = 1,
    Header = <<Width:32/little, Height:32/little, Steps:32/little, Torus:32/little, 0:64>>,
    Payload = <<Header/binary, Cells/binary>>,
    pending = ?N:job_run(Caller, Tag, 0, ?SIMULATE, Payload, infinity, ?LATER),
    Tag.

%% The outcomes of all these jobs, sorted.
collect(Tags) -> lists:sort([element(1, await(Tag)) || Tag <- Tags]).
