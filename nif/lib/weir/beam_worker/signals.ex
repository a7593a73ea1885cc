defmodule Weir.BeamWorker.Signals do
  @moduledoc """
  Takes SIGTERM in a worker's VM, where it asks to drain and not to stop at once.
  """

  @behaviour :gen_event

  @impl true
  def init({pid, _former}), do: {:ok, pid}

  @impl true
  def handle_event(signal, pid) do
    send(pid, {:signal, signal})
    {:ok, pid}
  end

  @impl true
  def handle_call(_request, pid), do: {:ok, :ok, pid}
end
