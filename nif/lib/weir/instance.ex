defmodule Weir.Instance do
  @moduledoc """
  The supervisor of one instance.

      Weir.WorkerRegistry         tables; they outlive what is below
      Weir.Fallback               for pools with fallback: :beam
      Weir.Instance.Core
        Weir.PortSupervisor       one process per seat, each holding its worker's port
        Weir.ResultIngestor       keeps libweir's manager going; told of everything that happens
      Weir.Drain                  first to stop: waits for the jobs while all else still works
      Weir.Chaos                  disturbs, when it is told to

  Whoever crashes takes those below along. When the ingestor crashes, the manager, the workers and
  the jobs in flight go on: the next ingestor adopts them. When the holder of the ports crashes, the
  workers die with their ports, and libweir recovers their jobs.
  """

  use Supervisor

  alias Weir.{Chaos, Drain, Fallback, Handle, Options, PortSupervisor}
  alias Weir.{ResultIngestor, WorkerRegistry}

  @poll_ms 10
  @predecessor_ms 5_000

  @doc "Starts an instance; see `Weir.start_link/1`."
  @spec start_link(keyword()) :: Supervisor.on_start()
  def start_link(options) do
    options = Options.validate!(options)
    Supervisor.start_link(__MODULE__, options, name: options.name)
  end

  @impl true
  def init(options) do
    Weir.Telemetry.refresh()
    await_predecessor(options.name)

    children =
      [{WorkerRegistry, options}] ++
        fallbacks(options) ++
        [{Weir.Instance.Core, options}, {Drain, options}, {Chaos, options}]

    Supervisor.init(children, strategy: :rest_for_one)
  end

  # The processes of an instance whose supervisor was killed end by themselves, a moment later.
  defp await_predecessor(name) do
    for module <- [
          WorkerRegistry,
          Weir.Instance.Core,
          PortSupervisor,
          ResultIngestor,
          Drain,
          Chaos
        ],
        pid = Process.whereis(part(name, module)) do
      monitor = Process.monitor(pid)

      receive do
        {:DOWN, ^monitor, _, _, _} -> :ok
      after
        @predecessor_ms -> Process.demonitor(monitor, [:flush])
      end
    end
  end

  defp fallbacks(options) do
    for %{fallback: :beam} = pool <- options.pools do
      name = fallback(options.name, pool.name)
      wanted = [name: name, routines: routines(pool), no_room: no_room(pool.policy)]
      Supervisor.child_spec({Fallback, wanted}, id: name)
    end
  end

  # Its queue is a list in the BEAM: a job that may wait waits there.
  defp no_room(:reject), do: :reject
  defp no_room(_defer_drop_oldest_or_wait), do: :defer

  defp routines(%{routines: nil}), do: nil

  defp routines(pool) do
    Map.new(pool.routines, fn {opcode, f} -> {Map.get(pool.opcodes, opcode, opcode), f} end)
  end

  @doc "Name of the process that runs a pool's jobs in the BEAM."
  @spec fallback(atom(), atom()) :: atom()
  def fallback(name, pool), do: Module.concat([name, Fallback, pool])

  @doc "Name of an instance's process or table."
  @spec part(atom(), module()) :: atom()
  def part(name, module), do: Module.concat(name, module |> Module.split() |> List.last())

  @doc "See `Weir.await_ready/2`."
  @spec await_ready(atom(), timeout()) :: :ok | {:error, String.t()}
  def await_ready(name, timeout) do
    _exists = Handle.fetch!(name)
    deadline = if timeout != :infinity, do: System.monotonic_time(:millisecond) + timeout
    wait_ready(name, deadline)
  end

  defp wait_ready(name, deadline) do
    # It may be restarting just now.
    handle = Handle.get(name)
    workers = if handle, do: WorkerRegistry.present(handle), else: []
    late = Enum.find(workers, &(&1.state != :ready))
    lost = Enum.find(workers, &(&1.state == :quarantined))

    cond do
      workers != [] and late == nil ->
        :ok

      lost != nil ->
        {:error, sentence(lost, "was given up", last_words(name, lost))}

      deadline != nil and System.monotonic_time(:millisecond) >= deadline ->
        {:error, why(name, late, "is not ready in time")}

      true ->
        Process.sleep(@poll_ms)
        wait_ready(name, deadline)
    end
  end

  defp why(name, nil, what), do: "#{inspect(name)} #{what}"

  defp why(name, worker, what) do
    sentence(worker, what, WorkerRegistry.last_trouble(name, worker.pool, worker.seat))
  end

  defp sentence(worker, what, nil), do: "worker #{worker.seat} of pool #{worker.role} #{what}"
  defp sentence(worker, what, text), do: sentence(worker, what, nil) <> ": " <> text

  # Why it died says more than that it did so too often. libweir's events and the words of the seat's
  # own process come in no order, so the latest few are looked at.
  defp last_words(name, %{pool: pool, seat: seat}) do
    latest =
      name
      |> WorkerRegistry.troubles()
      |> Enum.filter(&match?(%{pool: ^pool, seat: ^seat}, &1))
      |> Enum.reject(&(&1.kind == "quarantined"))
      |> Enum.take(3)

    trouble = Enum.find(latest, &(&1.kind == "refused")) || List.first(latest)
    trouble && trouble.text
  end
end
