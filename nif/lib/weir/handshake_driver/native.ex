defmodule Weir.HandshakeDriver.Native do
  @moduledoc """
  The handshake over the manager's socket: libweir's own, through the NIF.

  The connection is the worker itself, which `Weir.Native` serves jobs from.
  """

  @behaviour Weir.HandshakeDriver

  alias Weir.Native

  @impl true
  def connect(identity), do: Native.worker_connect(identity)

  @impl true
  def step(worker), do: Native.worker_handshake(worker)

  @impl true
  def wakes?(worker, message), do: message == {:weir_control, worker}

  @impl true
  def close(worker) do
    # A refused one is closed already.
    _ = Native.worker_close(worker)
    :ok
  end
end
