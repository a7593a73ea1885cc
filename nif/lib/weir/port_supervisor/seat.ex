defmodule Weir.PortSupervisor.Seat do
  @moduledoc """
  One place for a worker, and the port that the present one lives behind.

      vacant (libweir) ── backoff ──▶ start_worker ──▶ order (libweir) ──▶ port
         ▲                                                                  │
         └──── the worker is dead: libweir says so *and* the port ended ◀───┘

  The port is `priv/weir-launch`, which starts the worker in a process group of its own, ends it
  with everything that it started when this process or the whole VM is gone, and passes its output
  on as far as this process has asked for lines. What it says is described in
  `nif/launcher/frames.h`.
  """

  use GenServer, restart: :temporary

  require Logger

  alias Weir.{Backoff, Native, WorkerRegistry}

  # Credit for lines is renewed this often, so that a flood costs at most that many messages.
  @credit_ms 100
  @farewell_ms 3_000
  @sigterm 15

  defstruct [
    :instance,
    :manager,
    :pool,
    :pool_id,
    :seat,
    :backoff,
    :port,
    :os_pid,
    :ready_at,
    :timer,
    :credit_timer,
    generation: 0,
    is_vacant: false,
    has_told: false,
    # How the latest worker ended: nil before the first, :stopped when that was intended.
    ending: nil,
    lines: 0
  ]

  @doc false
  def start_link(options), do: GenServer.start_link(__MODULE__, options)

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)
    {pool_id, _} = options.seat
    WorkerRegistry.put_process(options.instance, options.seat, self())
    backoff = options.pool.backoff
    seed = if options.seed, do: [seed: seed(options.seed, options.seat)], else: []

    state = %__MODULE__{
      instance: options.instance,
      manager: options.manager,
      pool: options.pool,
      pool_id: pool_id,
      seat: options.seat,
      # libweir counts the deaths and says when it is enough.
      backoff:
        Backoff.new(
          [
            first_ns: backoff.first_ms * 1_000_000,
            max_ns: backoff.max_ms * 1_000_000,
            stable_ns: backoff.stable_ms * 1_000_000,
            deaths_max: 0xFFFFFFFF
          ] ++ seed
        )
    }

    {:ok, state}
  end

  defp seed(seed, {pool, seat}) do
    {number, _} = Backoff.next_random(seed + pool * 65_536 + seat)
    number
  end

  # --- What libweir says, passed on by the ingestor ---

  @impl true
  def handle_cast({:event, "vacant", _generation, _text}, state) do
    # Whatever is left of the former worker has to go: libweir counts on it no more.
    tell_launcher(state, "K")
    {:noreply, schedule(%{state | is_vacant: true})}
  end

  # libweir says that the seat is empty; news only for a process that has just taken it over.
  def handle_cast({:event, "empty", _, _}, %{generation: 0, timer: nil} = state) do
    {:noreply, schedule(%{state | is_vacant: true})}
  end

  def handle_cast({:event, "ready", generation, _}, %{generation: generation} = state) do
    {:noreply, %{state | ready_at: System.monotonic_time(:nanosecond)}}
  end

  def handle_cast({:event, "stopped", generation, _}, %{generation: generation} = state) do
    {:noreply, %{state | ending: :stopped}}
  end

  def handle_cast({:event, "exited", generation, _}, %{generation: generation} = state) do
    {:noreply, %{state | ending: :died}}
  end

  def handle_cast({:event, _, _, _}, state), do: {:noreply, state}

  def handle_cast({:order, order}, %{port: nil} = state) do
    {:noreply, launch(%{state | generation: order.generation, ending: :died}, order)}
  end

  def handle_cast({:order, order}, state) do
    give_up(%{state | generation: order.generation}, "the former worker's launcher still runs")
    {:noreply, state}
  end

  @impl true
  def handle_call({:signal, number}, _from, state) do
    # Without a pid yet, the launcher is just starting the worker, and reads this afterwards.
    {:reply, tell_launcher(state, <<"S", number>>), state}
  end

  # --- The clock ---

  @impl true
  def handle_info(:start, state) do
    state = %{state | timer: nil, is_vacant: false}

    case Native.start_worker(state.manager, state.pool_id, elem(state.seat, 1)) do
      # The order follows; a seat that is not vacant any more will be told vacant again.
      :ok -> {:noreply, state}
      {:error, _, _} -> {:noreply, state}
    end
  end

  def handle_info(:credit, state) do
    tell_launcher(state, <<"C", state.lines::32>>)
    {:noreply, %{state | credit_timer: nil, lines: 0}}
  end

  # --- What the launcher says ---

  def handle_info({port, {:data, data}}, %{port: port} = state), do: {:noreply, hear(data, state)}

  def handle_info({port, {:exit_status, status}}, %{port: port} = state) do
    {:noreply, port_ended(state, "with status #{status}")}
  end

  # A command to a launcher that has just ended breaks the port, and no status comes.
  def handle_info({:EXIT, port, reason}, %{port: port} = state) do
    {:noreply, port_ended(state, inspect(reason))}
  end

  def handle_info(_, state), do: {:noreply, state}

  defp port_ended(state, how) do
    unless state.has_told, do: give_up(state, "the launcher ended without a word: #{how}")
    if state.credit_timer, do: Process.cancel_timer(state.credit_timer)
    schedule(%{state | port: nil, os_pid: nil, credit_timer: nil, lines: 0})
  end

  defp hear(<<"P", pid::32>>, state), do: %{state | os_pid: pid}

  defp hear(<<"L", line::binary>>, state) do
    WorkerRegistry.count_line(state.instance, state.seat)
    Logger.info(readable(line), metadata(state))
    timer = state.credit_timer || Process.send_after(self(), :credit, @credit_ms)
    %{state | credit_timer: timer, lines: state.lines + 1}
  end

  defp hear(<<"D", count::32>>, state) do
    WorkerRegistry.count_dropped(state.instance, state.seat, count)
    Logger.warning("#{count} lines of this worker's output were dropped", metadata(state))
    state
  end

  defp hear(<<"F", sentence::binary>>, state) do
    give_up(state, sentence)
    %{state | has_told: true}
  end

  defp hear(<<"X", how, code>>, state) do
    ended = if how == ?s, do: "by signal #{code}", else: "with status #{code}"
    # libweir knows the process only once it has connected; before that its end is told here.
    if give_up(state, "pid #{state.os_pid} ended #{ended} before it connected") == :ignored do
      Logger.info("pid #{state.os_pid} ended #{ended}", metadata(state))
    end

    %{state | has_told: true}
  end

  # --- Starting ---

  # libweir has released the seat and the former process is gone.
  defp schedule(%{is_vacant: true, port: nil, timer: nil} = state) do
    {delay_ns, backoff} = delay(state)
    delay_ms = div(delay_ns + 999_999, 1_000_000)

    if delay_ms > 0 do
      Logger.info("next start of this worker in #{delay_ms} ms", metadata(state))
    end

    timer = Process.send_after(self(), :start, delay_ms)
    %{state | timer: timer, backoff: backoff, ready_at: nil}
  end

  defp schedule(state), do: state

  defp delay(%{ending: :died} = state) do
    uptime = if state.ready_at, do: System.monotonic_time(:nanosecond) - state.ready_at, else: 0

    case Backoff.died(state.backoff, uptime) do
      {:restart, wait_ns, backoff} -> {wait_ns, backoff}
      {:quarantine, backoff} -> {backoff.max_ns, backoff}
    end
  end

  defp delay(state), do: {0, Backoff.reset(state.backoff)}

  defp launch(state, order) do
    env =
      [
        {"WEIR_SOCKET", order.socket},
        {"WEIR_TOKEN", order.token},
        {"WEIR_CORRELATION", order.correlation}
      ] ++ Map.to_list(state.pool.env)

    port =
      Port.open({:spawn_executable, launcher()}, [
        :binary,
        :exit_status,
        :hide,
        packet: 2,
        args: ["--credit", "#{credit(state)}" | state.pool.command],
        env: for({name, value} <- env, do: {to_charlist(name), to_charlist(value)})
      ])

    %{state | port: port, has_told: false}
  rescue
    error ->
      reason = Exception.message(error)

      give_up(
        state,
        "cannot start #{launcher()}: #{reason}; run mix compile, which installs it"
      )

      state
  end

  defp launcher, do: Path.join(to_string(:code.priv_dir(:weir)), "weir-launch")

  # Says that nothing will connect; libweir ignores it when something did.
  defp give_up(state, sentence) do
    {_, seat} = state.seat

    case Native.start_failed(state.manager, state.pool_id, seat, state.generation, sentence) do
      :ok ->
        WorkerRegistry.note_trouble(state.instance, state.seat, "refused", sentence)
        Logger.warning(sentence, metadata(state))

      {:error, _, _} ->
        :ignored
    end
  end

  defp tell_launcher(%{port: nil}, _command), do: false

  defp tell_launcher(%{port: port}, command) do
    Port.command(port, command)
  rescue
    ArgumentError -> false
  end

  # --- Output ---

  defp credit(state), do: div(state.pool.log_lines * @credit_ms + 999, 1_000)

  defp readable(line) do
    case :unicode.characters_to_binary(line) do
      text when is_binary(text) -> text
      # A long line may have been cut within a character.
      {:incomplete, text, _} -> text
      {:error, _, _} -> :unicode.characters_to_binary(line, :latin1)
    end
  end

  defp metadata(state) do
    {_, seat} = state.seat

    [
      instance: state.instance,
      pool: state.pool.name,
      worker: seat,
      generation: state.generation,
      os_pid: state.os_pid
    ]
  end

  # --- The end ---

  # Closing the port ends the worker too; waiting for it makes the end certain for whoever stops us.
  @impl true
  def terminate(_reason, state) do
    if state.port != nil and tell_launcher(state, "K"), do: await_exit(state.port)
    :ok
  end

  defp await_exit(port) do
    receive do
      {^port, {:exit_status, _}} -> :ok
      {:EXIT, ^port, _} -> :ok
      {^port, {:data, _}} -> await_exit(port)
    after
      @farewell_ms -> :ok
    end
  end

  @doc "Number of SIGTERM, which asks a worker to finish what it has and end."
  @spec sigterm() :: 15
  def sigterm, do: @sigterm
end
