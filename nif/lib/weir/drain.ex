defmodule Weir.Drain do
  @moduledoc """
  Stops an instance in order.

  It does nothing while the instance runs. When the instance is stopped it is the first to be asked:
  from then on no new jobs are taken; up to `:drain` milliseconds it waits for the accepted ones,
  which the ingestor goes on serving; then it closes the manager, which cancels the rest and ends
  the workers.
  """

  use GenServer

  require Logger

  alias Weir.{Instance, Native, ResultIngestor, WorkerRegistry}

  @look_ms 2
  # How long libweir may take to end the workers and to free everything, beyond the drain.
  @close_ms 15_000

  @doc false
  def child_spec(options) do
    %{
      id: __MODULE__,
      start: {__MODULE__, :start_link, [options]},
      shutdown: options.drain + @close_ms + 5_000
    }
  end

  @doc false
  def start_link(options) do
    GenServer.start_link(__MODULE__, options, name: Instance.part(options.name, __MODULE__))
  end

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)
    {:ok, options}
  end

  @impl true
  def handle_info(_, options), do: {:noreply, options}

  @impl true
  def terminate(_reason, options) do
    case WorkerRegistry.kept_handle(options.name) do
      nil -> :ok
      %{manager: manager} -> stop(manager, options)
    end
  end

  defp stop(manager, options) do
    Native.drain_begin(manager)
    await_drained(manager, now_ms() + options.drain)

    # From here on what the manager tells comes here, its end too, and is passed on.
    with :ok <- Native.manager_adopt(manager, self()) do
      Native.close(manager)
      ingestor = Process.whereis(Instance.part(options.name, ResultIngestor))
      await_closed(manager, ingestor, options.name, now_ms() + @close_ms)
    end
  end

  # Anything but false: all have ended, or the manager has closed already.
  defp await_drained(manager, deadline) do
    if Native.is_drained(manager) == false and now_ms() < deadline do
      Process.sleep(@look_ms)
      await_drained(manager, deadline)
    end
  end

  defp await_closed(manager, ingestor, name, deadline) do
    receive do
      {:weir_closed, ^manager} ->
        :ok

      message when elem(message, 0) in [:weir_event, :weir_start] ->
        if ingestor, do: send(ingestor, message)
        await_closed(manager, ingestor, name, deadline)
    after
      max(deadline - now_ms(), 0) ->
        Logger.error("#{inspect(name)} did not close in time; its workers are killed")
    end
  end

  defp now_ms, do: System.monotonic_time(:millisecond)
end
