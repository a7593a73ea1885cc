defmodule Weir.Harness.Engine do
  @moduledoc """
  One run: what is put under load, the callers, the clock, the facts.

  The process that calls `run/3` owns everything. It may be told to stop by `{:harness_stop, why}`:
  the first stops the submission, the second gives up what is under way.
  """

  alias Weir.Harness.{
    Caller,
    Generator,
    Histogram,
    Judge,
    Ledger,
    Resources,
    SchedulerWatch,
    Source,
    Subject,
    Tally
  }

  alias Weir.{Chaos, WorkerRegistry}

  @tick_ms 1_000
  # Every job ends by its deadline of 30 s; whoever waits longer waits for nothing.
  @patience_ns 45_000_000_000
  @second_ns 1_000_000_000

  @type reporter :: (:progress | {:trouble, map()}, map() -> term())

  @doc """
  Runs what the settings say. `source` is a function that makes the `Weir.Harness.Source` when
  everything stands; `report` is called each second with the facts so far. Returns the facts, or why
  the run could not begin.
  """
  @spec run(map(), (non_neg_integer() -> Source.t()), reporter()) ::
          {:ok, map()} | {:error, String.t()}
  def run(settings, source, report) do
    trap = Process.flag(:trap_exit, true)
    ledger = Ledger.new()

    try do
      load_code()

      with {:ok, before} <- Resources.read(),
           {:ok, run} <- begin(settings, ledger, report) do
        run |> calibrate() |> drive(source) |> take_down(before)
      end
    after
      Ledger.free(ledger)
      Process.flag(:trap_exit, trap)
    end
  end

  @doc "The source of a run on one node."
  @spec source(map()) :: (non_neg_integer() -> Source.t())
  def source(settings) do
    fn first ->
      deadline = settings.for_ns && now_ns() + settings.for_ns
      Source.local(first, settings.jobs && first + settings.jobs, deadline)
    end
  end

  # Loading code holds a scheduler and opens files: both would be mistaken for findings.
  defp load_code do
    {:ok, modules} = :application.get_key(:weir, :modules)
    :code.ensure_modules_loaded(modules ++ [Enum, Map, MapSet, String, Regex, Task, :queue])
    # Nodes look up each other's names by a program that stays.
    if Node.alive?(), do: :inet_gethost_native.gethostbyname('localhost')
    :ok
  end

  defp begin(settings, ledger, report) do
    with {:ok, subject} <- Subject.start(settings) do
      generator = Generator.new(settings.seed, settings.opcodes)

      {:ok,
       %{
         settings: settings,
         ledger: ledger,
         report: report,
         subject: subject,
         generator: generator,
         watch: SchedulerWatch.start(),
         latency: Map.new(settings.opcodes, &{&1, Histogram.new()}),
         counts: Caller.counts(),
         tally: Tally.new(),
         troubles: 0,
         signals: 0,
         source: nil,
         callers: %{},
         calibration: 0,
         chaos: %{crash: 0, stall: 0, oversize: 0, drop_wake: 0},
         started_ns: now_ns(),
         elapsed_ns: 0
       }}
    end
  end

  # Each scenario runs twice before the load begins: its first reply, with which all later ones are
  # compared, has then been confirmed itself.
  defp calibrate(run) do
    tasks = Generator.scenario_tasks(run.generator, 0)
    count = length(tasks)
    generator = Enum.reduce(tasks, run.generator, &calibrate_one(&1, &2, run, count))
    %{run | generator: generator, calibration: 2 * count}
  end

  defp calibrate_one({number, opcode, payload, _} = task, generator, run, count) do
    Ledger.enter(run.ledger, number, 1)
    Ledger.enter(run.ledger, number + count, 1)
    {first, reply, _} = Subject.run(run.subject, opcode, payload, false)
    {again, confirmed, _} = Subject.run(run.subject, opcode, payload, false)

    wrong = if first == :ok, do: Generator.check(generator, task, reply)
    learned = if first == :ok, do: Generator.learn(generator, task, reply), else: generator
    Ledger.close(run.ledger, number, first, wrong)

    Ledger.close(
      run.ledger,
      number + count,
      again,
      if(again == :ok, do: Generator.check(learned, task, confirmed))
    )

    learned
  end

  # --- The load ---

  defp drive(run, source) do
    set_chaos(run, on: true)
    source = source.(run.calibration)
    run = %{run | source: source, started_ns: now_ns()}

    caller = %Caller{
      subject: run.subject,
      generator: run.generator,
      ledger: run.ledger,
      source: source,
      latency: run.latency,
      counts: run.counts
    }

    callers =
      Map.new(1..run.settings.callers, fn _ ->
        {pid, monitor} = spawn_monitor(fn -> Caller.run(caller) end)
        {monitor, pid}
      end)

    run = watch(%{run | callers: callers}, tick_at(run))
    set_chaos(run, on: false)
    run
  end

  defp tick_at(_run), do: System.monotonic_time(:millisecond) + @tick_ms

  defp watch(%{callers: callers} = run, _tick) when callers == %{},
    do: look(%{run | elapsed_ns: now_ns() - run.started_ns})

  defp watch(run, tick) do
    receive do
      {:DOWN, monitor, :process, pid, reason} when is_map_key(run.callers, monitor) ->
        if reason != :normal and run.signals < 2, do: complain_of(run, pid, reason)
        watch(%{run | callers: Map.delete(run.callers, monitor)}, tick)

      {:harness_stop, _why} ->
        run |> stop_callers() |> watch(tick)

      {:EXIT, pid, reason} when pid == run.subject.pid ->
        Ledger.complain(run.ledger, "what was under load ended by itself: #{inspect(reason)}")
        Source.stop(run.source)
        watch(run, tick)

      {:EXIT, _, _} ->
        watch(run, tick)
    after
      max(tick - System.monotonic_time(:millisecond), 0) ->
        run |> look() |> tell() |> overdue() |> watch(tick + @tick_ms)
    end
  end

  defp complain_of(run, pid, reason) do
    Ledger.complain(
      run.ledger,
      "the caller #{inspect(pid)} ended: #{Exception.format_exit(reason)}"
    )
  end

  defp stop_callers(%{signals: 0} = run) do
    Source.stop(run.source)
    %{run | signals: 1}
  end

  defp stop_callers(run) do
    for {_, pid} <- run.callers, do: Process.exit(pid, :kill)
    %{run | signals: run.signals + 1}
  end

  # Callers that still wait when every deadline has long passed.
  defp overdue(%{settings: %{for_ns: for_ns}} = run) when is_integer(for_ns) do
    if now_ns() - run.started_ns > for_ns + @patience_ns do
      Ledger.complain(
        run.ledger,
        "#{map_size(run.callers)} callers still wait #{div(@patience_ns, @second_ns)} s after " <>
          "the last submission"
      )

      for {_, pid} <- run.callers, do: Process.exit(pid, :kill)
    end

    run
  end

  defp overdue(run), do: run

  defp look(run) do
    workers = Subject.workers(run.subject)
    %{run | tally: Tally.look(run.tally, workers), elapsed_ns: now_ns() - run.started_ns}
  end

  defp tell(run) do
    run = tell_troubles(run)
    run.report.(:progress, facts(run))
    run
  end

  defp tell_troubles(%{subject: %{kind: :memory}} = run), do: run

  defp tell_troubles(run) do
    fresh =
      run.subject.name
      |> WorkerRegistry.troubles()
      |> Enum.take_while(&(&1.number > run.troubles))

    for trouble <- Enum.reverse(fresh), do: run.report.({:trouble, trouble}, facts(run))
    %{run | troubles: Enum.max([run.troubles | Enum.map(fresh, & &1.number)])}
  end

  # --- Disturbances ---

  @disturbances %{
    crash: [every: 700],
    stall: [every: 1_300, for: 300],
    oversize: [every: 200],
    drop_wake: [every: 50]
  }

  defp set_chaos(%{settings: %{chaos: []}}, _), do: :ok

  defp set_chaos(run, on: on?) do
    toggles = for toggle <- run.settings.chaos, do: {toggle, on? && @disturbances[toggle]}
    Chaos.set(run.subject.name, toggles)
  end

  defp read_chaos(%{settings: %{chaos: []}} = run), do: run.chaos
  defp read_chaos(run), do: Chaos.report(run.subject.name)

  # --- The end ---

  defp take_down(run, before) do
    settle(run)
    run = look(run)
    facts = facts(%{run | chaos: read_chaos(run)})
    Subject.stop(run.subject)
    {hits, disturbed} = SchedulerWatch.stop(run.watch)
    left = Resources.left(before)
    facts = Map.merge(facts, %{long_schedules: hits, disturbed: disturbed, left: left})
    if run.signals < 2, do: Ledger.audit(run.ledger)
    Judge.judge(facts, run.ledger)
    {:ok, Map.merge(facts, %{violations: Ledger.violations(run.ledger), is_partial: false})}
  end

  # Slots and pinned replies come back with the garbage of whoever held them, which the virtual
  # machine collects a little later.
  defp settle(run, tries \\ 200) do
    stats = Subject.stats(run.subject)

    if tries > 0 and (stats.slots_taken != 0 or stats.held_bytes != 0 or stats.in_flight != 0) do
      for pid <- Process.list(), do: :erlang.garbage_collect(pid)
      Process.sleep(50)
      settle(run, tries - 1)
    end
  end

  @doc "The facts of a run as far as it has come."
  @spec facts(map()) :: map()
  def facts(run) do
    %{
      settings: run.settings,
      totals: Ledger.totals(run.ledger),
      violations: Ledger.violations(run.ledger),
      stats: Subject.stats(run.subject),
      ready: Subject.ready_count(run.subject),
      workers: Tally.sum(run.tally),
      latency:
        for({opcode, histogram} <- run.latency, do: {opcode, Histogram.summary(histogram)}),
      counts: Caller.read_counts(run.counts),
      chaos: run.chaos,
      signals: run.signals,
      calibration: run.calibration,
      elapsed_ns: run.elapsed_ns,
      long_schedules: [],
      disturbed: 0,
      left: [],
      nodes: [],
      is_partial: true
    }
  end

  defp now_ns, do: System.monotonic_time(:nanosecond)
end
