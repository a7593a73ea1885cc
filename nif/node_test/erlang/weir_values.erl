%% Values for weir_misuse: one that is right for each kind of argument, and many that are wrong for it.
-module(weir_values).
-export([right/2, wrong/2]).

%% What the test has made, else the simplest value that will do.
right(Kind, Right) ->
    case Right of
        #{Kind := Value} -> Value;
        #{} -> right(Kind)
    end.

right(u32) -> 0;
right(u64) -> 0;
right(offset) -> 0;
right(length) -> 4;
right(moment) -> 1;
right(sleepers) -> 1;
right(generation) -> 1;
right(slot) -> 0;
right(slot_bytes) -> 64;
right(some_envelopes) -> 1;
right(message) -> <<"message">>;
right(descriptors) -> [];
right(offsets) -> [];
right(envelopes) -> [];
right(envelope) -> <<0:512>>;
right(envelope_kind) -> request;
right(shm_name) -> list_to_binary("/weir-misuse-" ++ os:getpid());
right(shm_bytes) -> 4096;
right(mode) -> read;
right(side) -> worker;
right(fields) -> #{};
right(arena_options) -> #{};
right(accept_options) -> #{token => binary:copy(<<"5a">>, 32)};
right(file_name) -> <<"name">>;
right(maybe_directory) -> nil;
right(u16) -> 1;
right(pool) -> 0;
right(pool_later) -> 0;
right(count) -> 1;
right(flags) -> 0;
right(batch_flags) -> 0;
right(time) -> 1000000;
right(tag) -> tag;
right(binary) -> <<"payload">>;
right(text) -> <<"text">>;
right(payloads) -> [<<"one">>];
right(process) -> self();
right(directory) -> list_to_binary(os:getenv("WEIR_RUNTIME_DIR"));
right(reply_status) -> ok;
right(manager_options) -> #{};
right(pool_options) -> #{role => <<"x">>, command => [<<"/bin/true">>]};
right(connect_options) -> #{socket => <<"/nowhere">>, token => <<"0">>, opcodes => [1]};
right(_) -> make_ref().

%% Everything of the collection that is not of this kind, and what is nearly of it.
wrong(Kind, Right) ->
    [Value || Value <- collection(Right), not is_of(Kind, Value, Right)] ++ nearly(Kind).

collection(Right) ->
    maps:values(Right) ++
        [
            undefined, true, '', 0, -1, 1.5, 1 bsl 32, 1 bsl 64, -(1 bsl 63), 1 bsl 200,
            <<>>, <<1:7>>, <<0:64>>, binary:copy(<<"x">>, 5000), "text", [], [1 | 2], [[]],
            {}, {error, busy}, #{}, #{unknown => 1}, self(), make_ref(), fun() -> ok end,
            hd(erlang:ports()), nil, infinity, ok
        ].

is_of(u32, V, _) -> is_integer(V) andalso V >= 0 andalso V < 1 bsl 32;
is_of(u16, V, _) -> is_integer(V) andalso V >= 0 andalso V < 1 bsl 16;
is_of(pool, V, _) -> V =:= 0;
%% A batch asks for its pool when it is sent.
is_of(pool_later, V, _) -> is_integer(V) andalso V >= 0 andalso V < 64;
%% The ends of a socket pair are descriptors as well.
is_of(descriptor, V, Right) ->
    lists:member(V, maps:values(maps:with([descriptor, sender, receiver], Right)));
is_of(count, V, _) -> is_integer(V) andalso V > 0 andalso V < 1 bsl 20;
is_of(flags, V, _) -> is_integer(V) andalso V >= 0 andalso V < 8;
is_of(batch_flags, V, _) -> is_integer(V) andalso V >= 0 andalso V < 4;
is_of(time, V, _) -> V =:= infinity orelse (is_integer(V) andalso V >= 0 andalso V < 1 bsl 64);
is_of(tag, V, _) -> is_atom(V) orelse is_reference(V) orelse is_integer(V);
is_of(binary, V, _) -> is_binary(V);
is_of(text, V, _) -> is_binary(V) andalso binary:match(V, <<0>>) =:= nomatch;
is_of(payloads, V, _) -> is_list(V) andalso (catch lists:all(fun is_binary/1, V)) =:= true;
is_of(process, V, _) -> is_pid(V);
is_of(u64, V, _) -> is_integer(V) andalso V >= 0 andalso V < 1 bsl 64;
is_of(Kind, V, _) when Kind =:= offset; Kind =:= length; Kind =:= slot ->
    is_integer(V) andalso V >= 0 andalso V < 4096;
is_of(Kind, V, _) when
    Kind =:= moment; Kind =:= sleepers; Kind =:= some_envelopes; Kind =:= slot_bytes; Kind =:= generation
->
    is_integer(V) andalso V >= 0 andalso V < 1 bsl 32;
is_of(message, V, _) -> is_binary(V);
is_of(Kind, V, _) when Kind =:= descriptors; Kind =:= offsets; Kind =:= envelopes -> V =:= [];
is_of(envelope, V, _) -> is_binary(V) andalso byte_size(V) =:= 64;
is_of(envelope_kind, V, _) -> lists:member(V, [request, response]);
is_of(shm_bytes, V, _) -> V =:= 4096;
is_of(mode, V, _) -> lists:member(V, [read, write]);
is_of(side, V, _) -> lists:member(V, [worker, peer]);
is_of(Kind, V, _) when Kind =:= fields; Kind =:= accept_options -> is_map(V);
is_of(arena_options, V, _) -> is_map(V);
is_of(directory, _, _) -> false;
is_of(maybe_directory, V, _) -> V =:= nil orelse is_binary(V);
is_of(reply_status, V, _) -> lists:member(V, [ok, failed, oversize, no_slot]);
is_of(manager_options, V, _) -> V =:= #{};
is_of(pool_options, _, _) -> false;
is_of(connect_options, _, _) -> false;
is_of(file_name, V, _) -> V =:= <<1:7>>;
is_of(shm_name, _, _) -> false;
is_of(Kind, V, Right) -> maps:find(Kind, Right) =:= {ok, V}.

nearly(manager_options) ->
    [
        #{job_capacity => 65537}, #{job_capacity => -1}, #{job_capacity => <<"1">>},
        #{runtime_directory => "list"}, #{runtime_directory => <<"zero", 0>>},
        #{runtime_directory => binary:copy(<<"d">>, 100000)}, #{seed => -1}, #{trace_jobs => 1},
        #{<<"job_capacity">> => 1}, #{held_bytes_max => 1 bsl 64}
    ];
nearly(pool_options) ->
    Good = right(pool_options),
    [
        maps:remove(role, Good), maps:remove(command, Good), Good#{role := role},
        Good#{role := binary:copy(<<"r">>, 32)}, Good#{command := []}, Good#{command := <<"/bin/true">>},
        Good#{command := [<<"/bin/true">> | <<"x">>]}, Good#{command := ["/bin/true"]},
        Good#{command := [<<"/nowhere/there">>]}, Good#{command := lists:duplicate(5000, <<"a">>)},
        Good#{worker_count => 1024}, Good#{worker_count => -1}, Good#{policy => refuse},
        Good#{policy => 1}, Good#{trusted => yes}, Good#{arena => []}, Good#{arena => #{ring => 1}},
        Good#{arena => #{ring_capacity => 3}}, Good#{arena => #{ring_capacity => 1 bsl 31}},
        Good#{arena => #{request_classes => [{64}]}}, Good#{arena => #{request_classes => [{0, 1}]}},
        Good#{arena => #{response_classes => lists:duplicate(100, {64, 1})}},
        Good#{arena => #{request_classes => [{16#FFFFFFFF, 16#FFFFFFFF}]}}, Good#{high_percent => 101},
        Good#{wake_strategies => 1 bsl 31}, Good#{silence_ns => 1 bsl 63}, Good#{unknown => 1}
    ];
nearly(connect_options) ->
    Good = right(connect_options),
    [
        maps:remove(socket, Good), maps:remove(token, Good), maps:remove(opcodes, Good),
        Good#{socket := binary:copy(<<"s">>, 200)}, Good#{socket := <<>>}, Good#{token := 1},
        Good#{token := binary:copy(<<"t">>, 5000)}, Good#{opcodes := []}, Good#{opcodes := [0]},
        Good#{opcodes := [65536]}, Good#{opcodes := lists:seq(1, 65)}, Good#{opcodes := [1 | 2]},
        Good#{opcodes := [1, 1]}, Good#{role => binary:copy(<<"r">>, 100)}, Good#{role => 1},
        Good#{correlation => <<0>>}, Good#{unknown => 1}, Good
    ];
nearly(payloads) -> [[two], [<<1:3>>], [[<<"one">>]]];
nearly(arena_options) ->
    [
        #{ring_capacity => 3}, #{ring_capacity => -1}, #{backing => 7}, #{capabilities => 1 bsl 20},
        #{request_classes => [{64, 1, 1}]}, #{request_classes => [{0, 0}]}, #{request_classes => 1},
        #{response_classes => lists:duplicate(200, {64, 1})},
        #{response_classes => [{16#FFFFFFFF, 16#FFFFFFFF}]}
    ];
nearly(accept_options) -> [#{}, #{token => <<"0">>}, #{token => binary:copy(<<"zz">>, 32)}];
nearly(fields) -> [#{generation => -1}, #{generation => 1 bsl 64}, #{version => <<"1">>}];
nearly(descriptors) -> [[make_ref()], [1], [self() | 2]];
nearly(offsets) -> [[1 bsl 40], [-1], [<<>>], [0 | 1], lists:duplicate(65, 0)];
nearly(envelopes) -> [[<<0:504>>], [1], [<<0:512>> | 2], lists:duplicate(65, <<0:512>>)];
nearly(shm_bytes) -> [0, 1, 4097, 1 bsl 40];
nearly(shm_name) -> [<<"/other">>, <<"/weir-a/b">>, <<"/weir-">>, binary:copy(<<"/weir-">>, 100)];
nearly(offset) -> [1 bsl 30, 1 bsl 63];
nearly(length) -> [1 bsl 20, 1 bsl 63];
nearly(slot) -> [1 bsl 20];
nearly(slot_bytes) -> [0, 1 bsl 30];
nearly(moment) -> [1001];
nearly(sleepers) -> [0, 1025];
nearly(some_envelopes) -> [0, 65];
nearly(generation) -> [0];
nearly(envelope) -> [<<0:504>>, <<0:520>>];
nearly(u16) -> [65536, 1 bsl 16 + 1];
nearly(flags) -> [8, 16#FFFFFFFF];
nearly(batch_flags) -> [4, 8];
nearly(count) -> [0, 1 bsl 31];
nearly(pool) -> [1, 63, 64, 1 bsl 31];
nearly(pool_later) -> [64, 1 bsl 31];
nearly(text) -> [<<"zero", 0>>];
nearly(_) -> [].
