defmodule Weir.ResultIngestor do
  @moduledoc """
  Keeps libweir's manager going when no caller comes by, and hears what it tells.

  Callers take in results themselves, and send each other theirs. This process serves turns while
  somebody waits, then parks: libweir's descriptor is selected, and the next reply, deadline or
  event of a worker becomes the message `{:weir_ready, manager}`. Between two turns it looks into
  its mailbox. Supervision (starting, reaping, recovering) is done in turns on a dirty scheduler.

  libweir's events go to the log, to `Weir.Telemetry`, to the registry, and to the processes that
  hold the workers' ports (`Weir.PortSupervisor`), as do its orders to start a worker.

  When it crashes, its successor adopts the manager; workers and jobs do not notice.
  """

  use GenServer

  import Bitwise, only: [<<<: 2, |||: 2]

  require Logger

  alias Weir.Layout.Generated, as: Layout
  alias Weir.{Handle, Instance, Native, PortSupervisor, Telemetry, WorkerRegistry}

  @troubles ~w(refused exited protocol_error silent stuck fenced quarantined)
  @traces ~w(job_sent job_ended)

  @doc false
  def start_link(options) do
    GenServer.start_link(__MODULE__, options, name: Instance.part(options.name, __MODULE__))
  end

  @doc "See `Weir.reload/3`."
  @spec reload(Handle.t(), atom() | nil, timeout()) :: :ok | {:error, String.t()}
  def reload(handle, pool, timeout) do
    pool = Handle.pool!(handle, pool)
    GenServer.call(Instance.part(handle.name, __MODULE__), {:reload, pool.id}, timeout)
  catch
    :exit, {:timeout, _} -> {:error, "the reload goes on, but not all workers are new in time"}
  end

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)

    with {:ok, handle} <- open(options) do
      WorkerRegistry.keep_handle(handle)

      state = %{
        options: options,
        name: options.name,
        manager: handle.manager,
        pools: Map.new(options.pools, &{handle.pools[&1.name].id, &1}),
        ids: Map.new(options.pools, &{&1.role, handle.pools[&1.name].id}),
        started: %{},
        reloads: :queue.new(),
        timer: nil,
        is_due: false
      }

      # A predecessor may have missed that seats became vacant.
      {:ok, state |> resync() |> due()}
    else
      {:error, _status, sentence} -> {:stop, sentence}
    end
  end

  # --- The manager ---

  # A predecessor that crashed has left the manager with the registry. One that was killed could not,
  # and its manager has closed by itself.
  defp open(options) do
    with %Handle{manager: manager} = handle <- WorkerRegistry.kept_handle(options.name),
         :ok <- Native.manager_adopt(manager, self()) do
      WorkerRegistry.hand_over(options.name, self())
      {:ok, handle}
    else
      _ ->
        PortSupervisor.stop_all(options.name)
        create(options)
    end
  end

  defp create(options) do
    with {:ok, manager} <- Native.manager_create(manager_options(options)),
         # From the first moment on, so that no event of a pool gets lost.
         :ok <- Native.manager_adopt(manager, self()),
         {:ok, pools} <- add_pools(manager, options) do
      [first | _] = options.pools

      {:ok,
       %Handle{
         name: options.name,
         manager: manager,
         key: Module.concat(options.name, Caller),
         pools: pools,
         default_pool: pools[first.name],
         timeout_ns: nanoseconds(options.timeout)
       }}
    end
  end

  defp add_pools(manager, options) do
    Enum.reduce_while(options.pools, {:ok, %{}}, fn pool, {:ok, pools} ->
      case Native.manager_add_pool(manager, pool_options(pool)) do
        {:ok, id} ->
          {:cont, {:ok, Map.put(pools, pool.name, dispatched(options.name, pool, id))}}

        {:error, status, sentence} ->
          Native.close(manager)
          {:halt, {:error, status, "pool #{inspect(pool.name)}: #{sentence}"}}
      end
    end)
  end

  defp manager_options(options) do
    present(%{
      name: inspect(options.name),
      runtime_directory: options.runtime_directory,
      job_capacity: options.job_capacity,
      seed: options.seed,
      held_bytes_max: options.held_bytes_max,
      trace_jobs: options.trace
    })
  end

  defp pool_options(pool) do
    present(%{
      role: pool.role,
      command: pool.command,
      worker_count: pool.workers,
      in_flight_max: pool.in_flight_max,
      high_percent: pool.high_percent,
      low_percent: pool.low_percent,
      # Waiting is the caller's affair: no scheduler may be blocked.
      policy: if(pool.policy == :wait, do: :reject, else: pool.policy),
      deferred_max: pool.deferred_max,
      wake_strategies: bits(pool.wake, &(1 <<< Layout.wake_strategy(&1))),
      capabilities: bits(pool.compress, &Layout.capability/1),
      without_payload_crc: not pool.payload_crc,
      compress_min_bytes: pool.compress_min_bytes,
      spin_ns: max(pool.spin_us * 1_000, 1),
      start_timeout_ns: nanoseconds(pool.start_timeout),
      silence_ns: nanoseconds(pool.silence),
      stuck_ns: nanoseconds(pool.stuck),
      kill_ns: nanoseconds(pool.kill),
      stable_ns: nanoseconds(pool.backoff.stable_ms),
      deaths_max: pool.backoff.deaths_max,
      trusted: pool.trusted,
      arena:
        present(%{
          ring_capacity: pool.memory.ring_capacity,
          request_classes: pool.memory.request,
          response_classes: pool.memory.response
        })
    })
  end

  defp dispatched(name, pool, id) do
    capacity = pool.memory.ring_capacity || 512

    %{
      id: id,
      name: pool.name,
      opcodes: pool.opcodes,
      waits: pool.policy == :wait,
      fallback: pool.fallback,
      beam: Instance.fallback(name, pool.name),
      trusted: pool.trusted,
      workers: pool.workers,
      in_flight: min(pool.in_flight_max || capacity, capacity),
      # libweir's default sizes.
      slots: pool.memory.request || [{256, 512}, {4_096, 64}, {65_536, 8}, {1_048_576, 2}]
    }
  end

  defp bits(names, bit), do: Enum.reduce(names, 0, &(&2 ||| bit.(&1)))

  defp present(map), do: map |> Enum.reject(fn {_, value} -> is_nil(value) end) |> Map.new()

  defp nanoseconds(:infinity), do: :infinity
  defp nanoseconds(ms), do: ms * 1_000_000

  # --- Turns ---

  @impl true
  def handle_info({:weir_ready, manager}, %{manager: manager} = state) do
    {:noreply, serve(state)}
  end

  def handle_info(:due, state), do: {:noreply, serve(%{state | is_due: false})}

  def handle_info(:timer, state), do: {:noreply, serve(%{state | timer: nil})}

  def handle_info(message, state), do: {:noreply, hear(message, state)}

  defp serve(state) do
    case Native.turn(state.manager) do
      {_done, _more, true, _outstanding, _wait} -> serve_long(state)
      {_done, true, _long, _outstanding, _wait} -> due(state)
      {_done, false, false, _outstanding, _wait} -> park(state)
      {:error, _status, _sentence} -> state
    end
  end

  defp serve_long(state) do
    Native.turn_long(state.manager)
    due(state)
  end

  defp park(state) do
    case Native.park(state.manager) do
      {:parked, wait_ns, _outstanding} -> set_timer(state, wait_ns)
      :busy -> due(state)
      {:error, _status, _sentence} -> state
    end
  end

  # Through the mailbox, so that what came meanwhile comes first.
  defp due(%{is_due: true} = state), do: state

  defp due(state) do
    send(self(), :due)
    %{state | is_due: true}
  end

  defp set_timer(state, wait_ns) do
    if state.timer, do: Process.cancel_timer(state.timer)
    %{state | timer: timer(wait_ns)}
  end

  defp timer(:infinity), do: nil

  defp timer(wait_ns) do
    Process.send_after(self(), :timer, min(div(wait_ns + 999_999, 1_000_000), 60_000))
  end

  # --- What libweir tells ---

  defp hear({:weir_event, kind, role, seat, generation, pid, time_ns, text}, state) do
    pool_id = Map.fetch!(state.ids, role)

    event = %{
      kind: kind,
      pool: state.pools[pool_id],
      pool_id: pool_id,
      seat: seat,
      generation: generation,
      pid: pid,
      time_ns: time_ns,
      text: text
    }

    log(event, state)
    state |> tell_seat(event) |> note(event)
  end

  defp hear({:weir_start, pool_id, seat, generation, socket, token, correlation}, state) do
    order = %{generation: generation, socket: socket, token: token, correlation: correlation}
    tell(state, pool_id, seat, {:order, order})
    due(state)
  end

  # The process of a seat has crashed, and may have known that the seat is vacant.
  defp hear({:DOWN, _, :process, _, _}, state), do: resync(state)

  # The only processes that are linked to this one are its supervisor, for whose order to stop
  # GenServer cares, and ports and tasks of code that it calls, none of which lives on.
  defp hear(_other, state), do: state

  defp tell_seat(state, %{kind: kind}) when kind in @traces, do: state

  defp tell_seat(state, event) do
    tell(state, event.pool_id, event.seat, {:event, event.kind, event.generation, event.text})
    state
  end

  defp tell(state, pool_id, seat, message) do
    seat_options = %{
      instance: state.name,
      manager: state.manager,
      pool: state.pools[pool_id],
      seed: state.options.seed
    }

    PortSupervisor.tell(state.name, {pool_id, seat}, seat_options, message)
  end

  defp resync(state) do
    for %{state: :empty} = worker <- WorkerRegistry.present(state) do
      tell(state, worker.pool, worker.seat, {:event, "empty", 0, ""})
    end

    state
  end

  defp note(state, %{kind: kind} = event) when kind in @troubles do
    WorkerRegistry.note_trouble(state.name, {event.pool_id, event.seat}, kind, event.text)
    ended(state, event)
  end

  defp note(state, %{kind: "ready"} = event) do
    now = System.monotonic_time()

    Telemetry.execute(
      [:weir, :worker, :start],
      %{system_time: System.system_time(), monotonic_time: now},
      metadata(state, event)
    )

    put_in(state.started[{event.pool_id, event.seat}], {event.generation, now})
  end

  defp note(state, %{kind: "stopped"} = event), do: ended(state, event)

  defp note(state, %{kind: "reloaded"} = event) do
    case :queue.out(state.reloads) do
      {{:value, {from, pool_id}}, rest} when pool_id == event.pool_id ->
        GenServer.reply(from, reloaded(event.text))
        begin_reload(%{state | reloads: rest})

      _ ->
        state
    end
  end

  defp note(state, _event), do: state

  defp ended(state, %{kind: kind} = event) when kind in ["stopped", "exited"] do
    case Map.pop(state.started, {event.pool_id, event.seat}) do
      {{generation, started}, rest} when generation == event.generation ->
        tell_ended(state, event, System.monotonic_time() - started)
        %{state | started: rest}

      _ ->
        state
    end
  end

  defp ended(state, _event), do: state

  defp tell_ended(state, event, duration) do
    measurements = %{duration: duration, monotonic_time: System.monotonic_time()}
    metadata = metadata(state, event)

    if event.kind == "stopped" do
      metadata = Map.put(metadata, :text, event.text)
      Telemetry.execute([:weir, :worker, :stop], measurements, metadata)
    else
      metadata = Map.merge(metadata, %{kind: :exit, reason: event.text, stacktrace: []})
      Telemetry.execute([:weir, :worker, :exception], measurements, metadata)
    end
  end

  defp metadata(state, event) do
    %{
      instance: state.name,
      pool: event.pool.name,
      worker: event.seat,
      generation: event.generation,
      pid: event.pid
    }
  end

  # --- Reloads, one after another ---

  @impl true
  def handle_call({:reload, pool_id}, from, state) do
    was_empty = :queue.is_empty(state.reloads)
    state = %{state | reloads: :queue.in({from, pool_id}, state.reloads)}
    {:noreply, if(was_empty, do: begin_reload(state), else: state)}
  end

  defp begin_reload(state) do
    case :queue.peek(state.reloads) do
      :empty ->
        state

      {:value, {from, pool_id}} ->
        case Native.reload(state.manager, pool_id) do
          :ok ->
            due(state)

          {:error, _status, sentence} ->
            GenServer.reply(from, {:error, sentence})
            begin_reload(%{state | reloads: :queue.drop(state.reloads)})
        end
    end
  end

  defp reloaded("every worker" <> _), do: :ok
  defp reloaded(sentence), do: {:error, sentence}

  # --- The log ---

  defp log(%{kind: kind} = event, state) do
    level = level(kind)

    if Logger.compare_levels(level, Logger.level()) != :lt do
      Logger.log(level, sentence(event),
        instance: state.name,
        pool: event.pool.name,
        worker: event.seat,
        generation: event.generation,
        os_pid: event.pid
      )
    end
  end

  defp sentence(%{kind: kind, text: text}) when kind in @traces, do: text

  defp sentence(event),
    do: "worker #{event.seat} of #{event.pool.name} #{event.kind}: #{event.text}"

  defp level("quarantined"), do: :error
  defp level(kind) when kind in @troubles, do: :warning
  defp level(kind) when kind in @traces, do: :debug
  defp level("vacant"), do: :debug
  defp level("spawned"), do: :debug
  defp level(_), do: :info

  # --- The end ---

  # Whether this is a crash or a stop, the registry owns the manager until a successor does; a stop
  # has closed it before (`Weir.Drain`).
  @impl true
  def terminate(_reason, state), do: WorkerRegistry.keep_manager(state.name, state.manager)
end
