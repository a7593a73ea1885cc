%% What the embedded-node tests ask of their node: say where it listens, and let named processes evaluate expressions.
%%
%% Each named process keeps its variables between two expressions, so that it owns the resources that it made and lets
%% go of them when it is told to, or when it ends. A call without a module goes to 'Elixir.Weir.Native'.
-module(weir_node).
-export([announce/1, evaluate/2, forget/2, kill/1]).

%% `-s weir_node announce FILE`: writes the port of the distribution listener, whole or not at all.
announce([File]) ->
    [Number] = [
        N
     || Port <- erlang:ports(),
        erlang:port_info(Port, name) =:= {name, "tcp_inet"},
        {ok, {_, N}} <- [inet:sockname(Port)],
        {error, enotconn} =:= inet:peername(Port)
    ],
    Name = atom_to_list(File),
    ok = file:write_file(Name ++ ".part", integer_to_list(Number)),
    ok = file:rename(Name ++ ".part", Name).

%% The value as text; an exception as "error:badarg". The process is started when it is named for the first time.
evaluate(Name, Text) -> ask(Name, {evaluate, Text}).

%% Drops a variable and collects what only it referred to.
forget(Name, Variable) -> ask(Name, {forget, list_to_atom(Variable)}).

%% Ends the process as a crash elsewhere would, and returns when it is gone.
kill(Name) ->
    Pid = whereis(process(Name)),
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, Reason} -> Reason
    end.

process(Name) -> list_to_atom("weir_test_" ++ Name).

ask(Name, What) ->
    Pid = find(process(Name)),
    Monitor = monitor(process, Pid),
    Pid ! {weir_node, self(), Monitor, What},
    receive
        {Monitor, Answer} ->
            demonitor(Monitor, [flush]),
            Answer;
        {'DOWN', Monitor, process, Pid, Reason} ->
            text({the_process_ended, Reason})
    end.

find(Registered) ->
    case whereis(Registered) of
        undefined ->
            Pid = spawn(fun() -> loop(erl_eval:new_bindings()) end),
            register(Registered, Pid),
            Pid;
        Pid ->
            Pid
    end.

loop(Bindings) ->
    receive
        {weir_node, From, Monitor, {evaluate, Text}} ->
            {Answer, New} = value(Text, Bindings),
            From ! {Monitor, Answer},
            loop(New);
        {weir_node, From, Monitor, {forget, Variable}} ->
            New = erl_eval:del_binding(Variable, Bindings),
            self() ! {weir_node, forgotten, From, Monitor},
            loop(New);
        {weir_node, forgotten, From, Monitor} ->
            erlang:garbage_collect(),
            From ! {Monitor, "ok"},
            loop(Bindings)
    end.

value(Text, Bindings) ->
    {ok, Tokens, _} = erl_scan:string(Text ++ "."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    Native = {value, fun(Name, Arguments) -> apply('Elixir.Weir.Native', Name, Arguments) end},
    try erl_eval:exprs(Expressions, Bindings, Native) of
        {value, Value, New} -> {text(Value), New}
    catch
        Class:Reason -> {atom_to_list(Class) ++ ":" ++ text(Reason), Bindings}
    end.

%% Latin-1 and short enough for one string of the external format.
text(Value) -> lists:sublist(lists:flatten(io_lib:format("~0p", [Value])), 8000).
