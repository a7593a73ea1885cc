%% The least that keeps a manager going in a node: one process that owns it, takes its turns and starts its workers.
%%
%% What Weir.ResultIngestor and Weir.PortSupervisor do in Elixir, without backoff, logging and supervision, so that a test
%% sees the NIF and nothing else.
-module(weir_instance).
-export([start/2, manager/1, events/1, await_ready/2, close/1]).

-define(N, 'Elixir.Weir.Native').

%% A registered process with a manager and one pool. Options are those of manager_add_pool, role and command are given.
start(Name, Options) ->
    Self = self(),
    Reference = make_ref(),
    Pid = spawn(fun() -> init(Name, Options, Self, Reference) end),
    Monitor = monitor(process, Pid),
    receive
        {Reference, Manager} ->
            demonitor(Monitor, [flush]),
            {ok, Manager};
        {'DOWN', Monitor, process, Pid, Reason} ->
            {error, Reason}
    end.

manager(Name) -> ask(Name, manager).

%% [{Kind, Seat, Generation, Pid}], the oldest first.
events(Name) -> ask(Name, events).

%% Waits until that many workers have become ready since the start.
await_ready(Name, Count) -> ask(Name, {await_ready, Count}).

%% Ends it in order; returns when the manager is gone and every worker's port has ended.
close(Name) ->
    Pid = whereis(Name),
    Monitor = monitor(process, Pid),
    Pid ! close,
    receive
        {'DOWN', Monitor, process, Pid, Reason} -> Reason
    end.

ask(Name, What) ->
    Reference = make_ref(),
    Name ! {ask, self(), Reference, What},
    receive
        {Reference, Answer} -> Answer
    after 20000 -> error({no_answer, What})
    end.

init(Name, Options, Starter, Reference) ->
    register(Name, self()),
    {ok, Manager} = ?N:manager_create(#{}),
    ok = ?N:manager_adopt(Manager, self()),
    Command = [list_to_binary(os:getenv("WEIR_NODE_WORKER"))],
    {ok, Pool} = ?N:manager_add_pool(Manager, Options#{role => <<"loopback">>, command => Command}),
    Starter ! {Reference, Manager},
    serve(#{manager => Manager, pool => Pool, events => [], ports => [], waiting => []}).

serve(#{manager := Manager} = State) ->
    case ?N:turn(Manager) of
        {_, _, true, _, _} ->
            _ = ?N:turn_long(Manager),
            serve(hear(State, 0));
        {_, true, _, _, _} ->
            serve(hear(State, 0));
        {_, false, false, _, _} ->
            sleep(State);
        {error, closed, _} ->
            farewell(State)
    end.

sleep(#{manager := Manager} = State) ->
    case ?N:park(Manager) of
        busy -> serve(hear(State, 0));
        {parked, infinity, _} -> serve(hear(State, infinity));
        {parked, Wait, _} -> serve(hear(State, Wait div 1000000 + 1));
        {error, closed, _} -> farewell(State)
    end.

%% Everything in the mailbox; waits for the first message only.
hear(State, Wait) ->
    receive
        Message -> hear(take(Message, State), 0)
    after Wait -> State
    end.

farewell(State) ->
    receive
        {weir_closed, _} -> await_ports(State);
        Message -> farewell(take(Message, State))
    end.

await_ports(#{ports := []}) ->
    ok;
await_ports(State) ->
    receive
        Message -> await_ports(take(Message, State))
    end.

take({weir_event, <<"vacant">>, _, Seat, _, _, _, _}, #{manager := Manager, pool := Pool} = State) ->
    _ = ?N:start_worker(Manager, Pool, Seat),
    State;
take({weir_event, Kind, _, Seat, Generation, Pid, _, _}, #{events := Events} = State) ->
    tell_waiting(State#{events := [{binary_to_atom(Kind), Seat, Generation, Pid} | Events]});
take({weir_start, _, _, _, Socket, Token, Correlation}, #{ports := Ports} = State) ->
    %% The emulator's sanitizer is not the worker's, which has its own.
    Environment = [
        {"WEIR_SOCKET", binary_to_list(Socket)},
        {"WEIR_TOKEN", binary_to_list(Token)},
        {"WEIR_CORRELATION", binary_to_list(Correlation)},
        {"LD_PRELOAD", false}
    ],
    Port = open_port({spawn_executable, os:getenv("WEIR_NODE_WORKER")}, [
        binary, exit_status, {env, Environment}
    ]),
    State#{ports := [Port | Ports]};
take({Port, {exit_status, _}}, #{ports := Ports} = State) ->
    State#{ports := lists:delete(Port, Ports)};
take({ask, From, Reference, manager}, #{manager := Manager} = State) ->
    From ! {Reference, Manager},
    State;
take({ask, From, Reference, events}, #{events := Events} = State) ->
    From ! {Reference, lists:reverse(Events)},
    State;
take({ask, From, Reference, {await_ready, Count}}, #{waiting := Waiting} = State) ->
    tell_waiting(State#{waiting := [{From, Reference, Count} | Waiting]});
take(close, #{manager := Manager} = State) ->
    ok = ?N:manager_close(Manager),
    State;
take(_, State) ->
    State.

tell_waiting(#{waiting := Waiting, events := Events} = State) ->
    Ready = length([ready || {ready, _, _, _} <- Events]),
    {Now, Later} = lists:partition(fun({_, _, Count}) -> Ready >= Count end, Waiting),
    [From ! {Reference, ok} || {From, Reference, _} <- Now],
    State#{waiting := Later}.
