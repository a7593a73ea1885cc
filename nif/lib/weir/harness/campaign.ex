defmodule Weir.Harness.Campaign do
  @moduledoc """
  A run over several Erlang nodes.

  This node keeps the books: it hands out blocks of job numbers to the callers on the other nodes,
  and a caller tells what became of a block when it asks for the next one. So each number has one
  owner at any time. When a node dies, what it had and had not told ends as manager_lost, and is
  listed; nothing of it can be told later, because Erlang delivers a node's messages before the news
  of its death.

  A node joins only with the same code and the same layout.
  """

  use GenServer

  alias Weir.Harness.{Campaign, Engine, Ledger, Nodes, Source}

  # Numbers per request, so that distribution is no part of what is measured.
  @lease 64
  @tick_ms 1_000
  @ranges_shown 8

  @doc "Runs the settings on the nodes that they name."
  @spec run(map(), Engine.reporter()) :: {:ok, map()} | {:error, String.t()}
  def run(settings, report) do
    note = fn sentence -> report.({:note, sentence}, %{}) end

    with :ok <- Nodes.connect(settings, note) do
      {:ok, campaign} = GenServer.start_link(__MODULE__, settings)
      drive(campaign, settings, report)
    end
  end

  # Each node is driven by a process here; its answer, or the node's death, ends it.
  defp drive(campaign, settings, report) do
    parent = self()

    for node <- settings.nodes do
      spawn_link(fn -> send(parent, {:shard, node, shard(node, settings, campaign)}) end)
    end

    answers = collect(campaign, length(settings.nodes), %{}, report, tick_at(), 0)
    {totals, nodes, violations, elapsed_ns} = GenServer.call(campaign, {:close, answers})
    GenServer.stop(campaign)

    case for {_, {:error, sentence}} <- answers, do: sentence do
      [] -> {:ok, merge(settings, answers, totals, nodes, violations, elapsed_ns)}
      [sentence | _] -> {:error, sentence}
    end
  end

  defp shard(node, settings, campaign) do
    :erpc.call(node, Campaign, :run_shard, [settings, campaign], :infinity)
  catch
    :error, {:erpc, :noconnection} -> :lost
    kind, reason -> {:error, "#{node}: " <> Exception.format_banner(kind, reason)}
  end

  @doc "One node's share; called on that node."
  @spec run_shard(map(), pid()) :: {:ok, map()} | {:error, String.t()}
  def run_shard(settings, campaign) do
    # Who keeps the books may end; then nobody wants the rest.
    engine = self()

    spawn_link(fn ->
      monitor = Process.monitor(campaign)
      engine_monitor = Process.monitor(engine)

      receive do
        {:DOWN, ^monitor, _, _, _} -> for _ <- 1..2, do: send(engine, {:harness_stop, :campaign})
        {:DOWN, ^engine_monitor, _, _, _} -> :ok
      end
    end)

    GenServer.cast(campaign, {:shard, node(), engine})
    level = Logger.level()
    Logger.configure(level: :error)

    try do
      Engine.run(settings, fn first -> Source.remote(campaign, first) end, fn
        :progress, facts -> GenServer.cast(campaign, {:progress, node(), facts})
        _, _ -> :ok
      end)
    after
      Logger.configure(level: level)
    end
  end

  defp tick_at, do: System.monotonic_time(:millisecond) + @tick_ms

  defp collect(_campaign, 0, answers, _report, _tick, _signals), do: answers

  defp collect(campaign, left, answers, report, tick, signals) do
    receive do
      {:shard, node, answer} ->
        GenServer.cast(campaign, {:ended, node, answer == :lost})
        answers = Map.put(answers, node, answer)
        collect(campaign, left - 1, answers, report, tick, signals)

      {:harness_stop, _why} = stop ->
        GenServer.cast(campaign, stop)
        collect(campaign, left, answers, report, tick, signals + 1)
    after
      max(tick - System.monotonic_time(:millisecond), 0) ->
        case GenServer.call(campaign, :facts) do
          nil -> :ok
          facts -> report.(:progress, facts)
        end

        collect(campaign, left, answers, report, tick + @tick_ms, signals)
    end
  end

  # --- The books ---

  @impl true
  def init(settings) do
    {:ok,
     %{
       settings: settings,
       next: 0,
       # What was handed out and not told of: {first, count} to node.
       open: %{},
       # What nodes ran before their share began: scenarios, twice each.
       outcomes: %{},
       nodes: Map.new(settings.nodes, &{&1, %{jobs: 0, lost: 0, ranges: [], end: "runs"}}),
       engines: %{},
       progress: %{},
       complaints: [],
       signals: 0,
       started_ns: now_ns(),
       deadline_ns: nil,
       began?: false,
       absent: settings.nodes,
       early: []
     }}
  end

  # The first to come wait for the last, so that all work for the same time.
  @impl true
  def handle_call({:lease, node, _report, _wants?} = request, from, %{began?: false} = state) do
    state = %{state | early: [{request, from} | state.early]}
    {:noreply, begin_when_all(%{state | absent: List.delete(state.absent, node)})}
  end

  def handle_call({:lease, node, report, wants?}, _from, state) do
    {answer, state} = answer(node, report, wants?, state)
    {:reply, answer, state}
  end

  def handle_call(:facts, _from, %{progress: progress} = state) when progress == %{},
    do: {:reply, nil, state}

  def handle_call(:facts, _from, state) do
    facts =
      state.settings
      |> merge_facts(Map.values(state.progress))
      |> Map.merge(%{
        elapsed_ns: now_ns() - state.started_ns,
        nodes: node_list(state),
        signals: state.signals,
        is_partial: true
      })

    {:reply, facts, state}
  end

  def handle_call({:close, answers}, _from, state) do
    state = Enum.reduce(Map.keys(state.open), state, &never_told/2)
    state = Enum.reduce(answers, state, &compare/2)
    totals = %{entered: state.next, outcomes: state.outcomes}
    found = Enum.reverse(state.complaints)
    {:reply, {totals, node_list(state), found, now_ns() - state.started_ns}, state}
  end

  @impl true
  def handle_cast({:shard, node, engine}, state),
    do: {:noreply, put_in(state.engines[node], engine)}

  def handle_cast({:progress, node, facts}, state),
    do: {:noreply, put_in(state.progress[node], facts)}

  def handle_cast({:harness_stop, _} = stop, state) do
    for {_, engine} <- state.engines, do: send(engine, stop)
    {:noreply, %{state | signals: state.signals + 1}}
  end

  def handle_cast({:ended, node, lost?}, state) do
    state = if lost?, do: lose(state, node), else: put_in(state.nodes[node].end, "ended")
    {:noreply, begin_when_all(%{state | absent: List.delete(state.absent, node)})}
  end

  defp begin_when_all(%{began?: false, absent: []} = state) do
    for_ns = state.settings.for_ns

    state = %{
      state
      | began?: true,
        started_ns: now_ns(),
        deadline_ns: for_ns && now_ns() + for_ns
    }

    Enum.reduce(Enum.reverse(state.early), %{state | early: []}, fn {request, from}, state ->
      {:lease, node, report, wants?} = request
      {answer, state} = answer(node, report, wants?, state)
      GenServer.reply(from, answer)
      state
    end)
  end

  defp begin_when_all(state), do: state

  defp answer(node, report, wants?, state) do
    state = told(state, node, report)

    if wants? and state.signals == 0 and not over?(state) and state.nodes[node].end == "runs" do
      {block, state} = lease(state, node)
      {{:ok, block}, state}
    else
      {:done, state}
    end
  end

  defp over?(%{deadline_ns: deadline, settings: %{jobs: jobs}} = state) do
    (deadline != nil and now_ns() >= deadline) or (jobs != nil and state.next >= jobs)
  end

  defp lease(state, node) do
    count =
      if state.settings.jobs, do: min(@lease, state.settings.jobs - state.next), else: @lease

    block = {state.next, count}
    {block, %{state | next: state.next + count, open: Map.put(state.open, block, node)}}
  end

  defp told(state, _node, nil), do: state

  defp told(state, node, {block, counts}) do
    {_, count} = block
    sum = counts |> Map.values() |> Enum.sum()

    case Map.pop(state.open, block) do
      {^node, open} when sum == count ->
        state = %{state | open: open, outcomes: add(state.outcomes, counts)}
        update_in(state.nodes[node].jobs, &(&1 + count))

      {^node, open} ->
        complain(
          %{state | open: open},
          "#{node} told #{sum} outcomes of the #{count} jobs #{range(block)}"
        )

      {nil, _} ->
        complain(state, "#{node} told of the jobs #{range(block)}, which had ended already")

      {other, _} ->
        complain(state, "#{node} told of the jobs #{range(block)}, which #{other} has")
    end
  end

  defp lose(state, node) do
    blocks = for {block, ^node} <- state.open, do: block
    count = blocks |> Enum.map(&elem(&1, 1)) |> Enum.sum()
    ranges = blocks |> Enum.sort() |> Enum.map(&range/1)

    state = %{
      state
      | open: Map.drop(state.open, blocks),
        outcomes: add(state.outcomes, %{manager_lost: count}),
        engines: Map.delete(state.engines, node)
    }

    state =
      update_in(
        state.nodes[node],
        &%{&1 | lost: count, ranges: ranges, jobs: &1.jobs + count, end: "died"}
      )

    if state.settings.allow_node_loss do
      state
    else
      complain(
        state,
        "the node #{node} died; its #{count} unfinished jobs are manager_lost: " <>
          shown(ranges)
      )
    end
  end

  defp shown([]), do: "none"

  defp shown(ranges) do
    {first, rest} = Enum.split(ranges, @ranges_shown)

    Enum.join(first, ", ") <>
      if(rest == [], do: "", else: " and #{length(rest)} more ranges")
  end

  defp never_told({_, count} = block, state) do
    complain(state, "the #{count} jobs #{range(block)} of #{state.open[block]} never ended")
  end

  # What a node's own ledger says must be what its callers told here.
  defp compare({node, {:ok, facts}}, state) do
    own = facts.totals.entered - facts.calibration

    if own == state.nodes[node].jobs,
      do: state,
      else:
        complain(
          state,
          "#{node} entered #{own} jobs, its callers told of #{state.nodes[node].jobs}"
        )
  end

  defp compare(_, state), do: state

  defp complain(state, sentence), do: %{state | complaints: [sentence | state.complaints]}

  defp add(a, b), do: Map.merge(a, b, fn _, x, y -> x + y end)
  defp range({first, count}), do: "#{first}-#{first + count - 1}"

  defp node_list(state) do
    for name <- state.settings.nodes, do: Map.put(state.nodes[name], :name, name)
  end

  # --- Merging ---

  defp merge(settings, answers, totals, nodes, found, elapsed_ns) do
    shards = for {node, {:ok, facts}} <- answers, do: {node, facts}
    facts = merge_facts(settings, Enum.map(shards, &elem(&1, 1)))
    lost = Map.get(totals.outcomes, :manager_lost, 0)
    {found_there, texts} = violations(shards)

    # What a dead node verified is known only from what it told.
    told = Map.get(totals.outcomes, :ok, 0)
    extra = Enum.sum(for {_, facts} <- shards, do: facts.calibration)
    died? = Enum.any?(nodes, &(&1.end == "died"))

    outcomes =
      Map.merge(facts.totals.outcomes, totals.outcomes, fn
        :ok, _own, books -> books + extra
        _, _own, books -> books
      end)

    none = if told == 0 and facts.signals == 0, do: ["no job ended as ok"], else: []
    complaints = found ++ none

    facts
    |> Map.merge(%{
      totals: %{
        entered: totals.entered + extra,
        closed: totals.entered + extra,
        verified: if(died?, do: told + extra, else: facts.totals.verified),
        outcomes: Map.put(outcomes, :manager_lost, lost)
      },
      violations: {found_there + length(complaints), complaints ++ texts},
      nodes: nodes,
      elapsed_ns: elapsed_ns,
      is_partial: false
    })
  end

  defp violations(shards) do
    {Enum.sum(for {_, %{violations: {found, _}}} <- shards, do: found),
     for(
       {node, %{violations: {_, texts}}} <- shards,
       text <- texts,
       do: "#{node}: #{text}"
     )}
  end

  @doc "The facts of several nodes as those of one: counters add up, the slowest percentile counts."
  @spec merge_facts(map(), [map()]) :: map()
  def merge_facts(settings, []) do
    zero = Map.new(Ledger.outcomes(), &{&1, 0})

    stats =
      Map.new(
        [:submitted, :in_flight, :deferred_now, :stray_replies, :restarts, :resent, :deferred] ++
          [:protocol_errors, :bytes_copied, :slots_taken, :held_bytes, :parks, :spin_hits] ++
          [:wakes_sent],
        &{&1, 0}
      )

    %{
      settings: settings,
      totals: %{entered: 0, closed: 0, verified: 0, outcomes: zero},
      violations: {0, []},
      stats: Map.put(stats, :outcomes, zero),
      ready: 0,
      workers: %{parks: 0, spin_hits: 0, wakes_sent: 0, bytes_copied: 0, strategies: []},
      latency: [],
      counts: [replies_read_in_place: 0, request_bytes: 0, reply_bytes: 0],
      chaos: %{crash: 0, stall: 0, oversize: 0, drop_wake: 0},
      signals: 0,
      calibration: 0,
      elapsed_ns: 0,
      long_schedules: [],
      disturbed: 0,
      left: [],
      nodes: [],
      is_partial: true
    }
  end

  def merge_facts(settings, [first | rest]) do
    facts = Enum.reduce(rest, first, &sum(&2, &1, nil))
    %{facts | settings: %{settings | workers: settings.workers * length([first | rest])}}
  end

  # Numbers add up, lists join, maps and keyword lists are merged key by key.
  defp sum(a, _b, key) when key in [:settings, :is_partial, :violations], do: a

  defp sum(a, b, key) when key in [:p50_ns, :p99_ns, :p99_9_ns, :max_ns, :signals, :elapsed_ns],
    do: max(a, b)

  defp sum(a, b, :strategies), do: Enum.uniq(a ++ b)
  defp sum(a, b, _) when is_number(a), do: a + b
  defp sum(a, b, _) when is_map(a), do: Map.merge(a, b, fn key, x, y -> sum(x, y, key) end)

  defp sum(a, b, :left), do: a ++ b

  defp sum([{key, _} | _] = a, b, _) when is_atom(key) do
    if Keyword.keyword?(a) and Keyword.keyword?(b),
      do: Keyword.merge(a, b, fn key, x, y -> sum(x, y, key) end),
      else: a ++ b
  end

  defp sum(a, b, _) when is_list(a), do: a ++ b
  defp sum(a, _b, _), do: a

  defp now_ns, do: System.monotonic_time(:nanosecond)
end
