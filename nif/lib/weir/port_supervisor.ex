defmodule Weir.PortSupervisor do
  @moduledoc """
  Holds the worker processes of an instance: one Elixir process per seat, each with its port.

  libweir says what shall happen to a seat, by events; the ingestor passes them on. See
  `Weir.PortSupervisor.Seat` for the life of one worker.
  """

  use DynamicSupervisor

  alias Weir.{Instance, WorkerRegistry}
  alias Weir.PortSupervisor.Seat

  @doc false
  def start_link(options) do
    name = Instance.part(options.name, __MODULE__)
    DynamicSupervisor.start_link(__MODULE__, options, name: name)
  end

  @impl true
  def init(options) do
    # Those of a predecessor are about to end.
    WorkerRegistry.forget_processes(options.name)
    # Seats are temporary: a new one is started by the next event that concerns it.
    DynamicSupervisor.init(strategy: :one_for_one)
  end

  @doc """
  Tells the process of a seat something, and starts it if need be. `options` is what
  `Weir.PortSupervisor.Seat` is started with. The calling process then monitors it.
  """
  @spec tell(atom(), WorkerRegistry.seat(), map(), term()) :: :ok
  def tell(instance, seat, options, message) do
    case WorkerRegistry.process(instance, seat) || start_seat(instance, seat, options) do
      nil -> :ok
      pid -> GenServer.cast(pid, message)
    end
  end

  @doc "Sends a worker a signal, as `Weir.Chaos` does. Returns whether there was one to get it."
  @spec signal(atom(), WorkerRegistry.seat(), 1..64) :: boolean()
  def signal(instance, seat, number) do
    case WorkerRegistry.process(instance, seat) do
      nil -> false
      pid -> GenServer.call(pid, {:signal, number})
    end
  end

  @doc "Ends all seats, which ends their workers: the manager that they belonged to is gone."
  @spec stop_all(atom()) :: :ok
  def stop_all(instance) do
    supervisor = Instance.part(instance, __MODULE__)

    for {_, pid, _, _} <- DynamicSupervisor.which_children(supervisor), is_pid(pid) do
      DynamicSupervisor.terminate_child(supervisor, pid)
    end

    :ok
  end

  # The supervisor may just be restarting; then the ingestor, which asks, is about to end as well.
  defp start_seat(instance, seat, options) do
    supervisor = Instance.part(instance, __MODULE__)

    case DynamicSupervisor.start_child(supervisor, {Seat, Map.put(options, :seat, seat)}) do
      {:ok, pid} ->
        Process.monitor(pid)
        pid

      _ ->
        nil
    end
  catch
    :exit, _ -> nil
  end
end
