defmodule Weir.WorkerRegistry do
  @moduledoc """
  What an instance knows of its workers, in ETS, to be read by anybody without asking a process.

  libweir keeps the registry proper (handles, versions, heartbeats, health telemetry, see
  `weir_worker_info`). This table adds what only Elixir knows: the process that holds a worker's
  port, lines printed and dropped, restarts decided here, and the latest troubles. Twice a second
  libweir's part is copied into the table, so that look-ups cost one ETS read.
  """

  use GenServer

  alias Weir.{Handle, Instance, Native}

  # The period of the workers' heartbeats; more often would show nothing new.
  @refresh_ms 500
  @troubles 32

  @typedoc "A place for a worker: number of the pool, number of the seat in it."
  @type seat :: {non_neg_integer(), non_neg_integer()}

  @doc false
  def start_link(options) do
    GenServer.start_link(__MODULE__, options, name: Instance.part(options.name, __MODULE__))
  end

  @doc """
  Each worker as a map: the fields of `weir_worker_info` (`role`, `language`, `pool`, `seat`,
  `state`, `generation`, `pid`, `restarts`, `in_flight`, `beat_ns`, ...) and, from here, `lines`,
  `dropped_lines`, `trouble` (the latest, a sentence or nil) and `port` (the Elixir process).
  """
  @spec workers(atom()) :: [map()]
  def workers(instance) do
    for worker <- present(Handle.fetch!(instance)) do
      Map.merge(worker, seat_info(instance, {worker.pool, worker.seat}))
    end
  end

  @doc false
  def present(handle) do
    case Native.workers(handle.manager) do
      workers when is_list(workers) -> workers
      # It is closing.
      {:error, _status, _sentence} -> []
    end
  end

  @doc "The row of one worker as it was at most half a second ago, or nil."
  @spec lookup(atom(), seat()) :: map() | nil
  def lookup(instance, seat) do
    case :ets.lookup(table(instance), {:worker, seat}) do
      [{_, worker}] -> Map.merge(worker, seat_info(instance, seat))
      [] -> nil
    end
  end

  @doc "How many workers of a pool were ready at the last look."
  @spec ready_count(atom(), non_neg_integer()) :: non_neg_integer()
  def ready_count(instance, pool) do
    :ets.select_count(table(instance), [
      {{{:worker, {pool, :_}}, %{state: :ready}}, [], [true]}
    ])
  end

  @doc "The latest troubles of the instance, newest first."
  @spec troubles(atom()) :: [map()]
  def troubles(instance) do
    instance
    |> table()
    |> :ets.match({{:trouble, :_}, :"$1"})
    |> List.flatten()
    |> Enum.sort_by(& &1.number, :desc)
  end

  @doc "The latest trouble of one seat as a sentence, or nil."
  @spec last_trouble(atom(), non_neg_integer(), non_neg_integer()) :: String.t() | nil
  def last_trouble(instance, pool, seat), do: seat_info(instance, {pool, seat}).trouble

  # --- For the instance's own processes ---

  @doc false
  def table(instance), do: Instance.part(instance, __MODULE__)

  @doc false
  def keep_handle(%Handle{} = handle) do
    :ets.insert(table(handle.name), {:handle, handle})
    Handle.put(handle)
  end

  @doc false
  def kept_handle(instance) do
    case :ets.lookup(table(instance), :handle) do
      [{_, handle}] -> handle
      [] -> nil
    end
  end

  @doc false
  def put_process(instance, seat, pid), do: :ets.insert(table(instance), {{:process, seat}, pid})

  @doc false
  def process(instance, seat) do
    case :ets.lookup(table(instance), {:process, seat}) do
      [{_, pid}] -> if Process.alive?(pid), do: pid
      [] -> nil
    end
  end

  @doc false
  def forget_processes(instance), do: :ets.match_delete(table(instance), {{:process, :_}, :_})

  @doc false
  def count_line(instance, seat), do: count(instance, {:lines, seat}, 1)

  @doc false
  def count_dropped(instance, seat, count), do: count(instance, {:dropped, seat}, count)

  @doc false
  def note_trouble(instance, seat, kind, text) do
    table = table(instance)
    number = count(instance, :trouble_number, 1)
    {pool, number_of_seat} = seat

    trouble = %{
      number: number,
      kind: kind,
      pool: pool,
      seat: number_of_seat,
      text: text,
      time: System.system_time()
    }

    :ets.insert(table, {{:trouble, rem(number, @troubles)}, trouble})
    :ets.insert(table, {{:last_trouble, seat}, text})
    :ok
  end

  @doc false
  def keep_manager(instance, manager) do
    Native.manager_adopt(manager, Process.whereis(Instance.part(instance, __MODULE__)))
  end

  @doc false
  def hand_over(instance, pid) do
    GenServer.cast(Instance.part(instance, __MODULE__), {:hand_over, pid})
  end

  defp count(instance, key, more) do
    :ets.update_counter(table(instance), key, more, {key, 0})
  end

  defp seat_info(instance, seat) do
    table = table(instance)

    %{
      lines: value(table, {:lines, seat}, 0),
      dropped_lines: value(table, {:dropped, seat}, 0),
      trouble: value(table, {:last_trouble, seat}, nil),
      port: value(table, {:process, seat}, nil)
    }
  end

  defp value(table, key, default) do
    case :ets.lookup(table, key) do
      [{_, value}] -> value
      [] -> default
    end
  end

  # --- The process ---

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)
    forget_predecessor(options.name)

    :ets.new(table(options.name), [
      :named_table,
      :public,
      read_concurrency: true,
      write_concurrency: true
    ])

    Process.send_after(self(), :refresh, @refresh_ms)
    started = System.monotonic_time()
    measurements = %{system_time: System.system_time(), monotonic_time: started}
    Weir.Telemetry.execute([:weir, :instance, :start], measurements, %{instance: options.name})
    {:ok, %{name: options.name, started: started, kept: []}}
  end

  # An instance that was killed could not close its manager.
  defp forget_predecessor(name) do
    case Handle.get(name) do
      nil -> :ok
      handle -> Native.close(handle.manager)
    end

    Handle.erase(name)
  end

  @impl true
  def handle_info(:refresh, state) do
    Process.send_after(self(), :refresh, @refresh_ms)

    case kept_handle(state.name) do
      nil -> :ok
      handle -> refresh(state.name, present(handle))
    end

    {:noreply, state}
  end

  # Between two ingestors this process owns the manager; the next one is told what came meanwhile.
  def handle_info(message, state)
      when elem(message, 0) in [:weir_event, :weir_start, :weir_ready] do
    {:noreply, %{state | kept: [message | state.kept]}}
  end

  def handle_info(_, state), do: {:noreply, state}

  @impl true
  def handle_cast({:hand_over, pid}, state) do
    for message <- Enum.reverse(state.kept), do: send(pid, message)
    {:noreply, %{state | kept: []}}
  end

  defp refresh(name, workers) do
    rows = for worker <- workers, do: {{:worker, {worker.pool, worker.seat}}, worker}
    :ets.insert(table(name), rows)
  end

  @impl true
  def terminate(_reason, state) do
    Handle.erase(state.name)
    now = System.monotonic_time()
    measurements = %{duration: now - state.started, monotonic_time: now}
    Weir.Telemetry.execute([:weir, :instance, :stop], measurements, %{instance: state.name})
  end
end
