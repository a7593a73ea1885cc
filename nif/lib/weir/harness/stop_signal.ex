defmodule Weir.Harness.StopSignal do
  @moduledoc """
  Turns SIGTERM into the message `{:harness_stop, :sigterm}`.

  It takes the place of Erlang's own handler, which would stop the virtual machine at once.
  """

  @behaviour :gen_event

  @server :erl_signal_server
  @default {:erl_signal_handler, []}

  @doc "From now on SIGTERM is told to this process."
  @spec take(pid()) :: :ok
  def take(pid) do
    :ok = :gen_event.swap_handler(@server, @default, {__MODULE__, pid})
    :os.set_signal(:sigterm, :handle)
  end

  @doc "Puts Erlang's handler back."
  @spec give_back() :: :ok
  def give_back, do: :gen_event.swap_handler(@server, {__MODULE__, []}, @default)

  @impl true
  def init({pid, _default}), do: {:ok, pid}

  @impl true
  def handle_event(:sigterm, pid) do
    send(pid, {:harness_stop, :sigterm})
    {:ok, pid}
  end

  # Those that Erlang would have obeyed: SIGUSR1 makes a crash dump, SIGQUIT halts.
  def handle_event(signal, pid) do
    :erl_signal_handler.handle_event(signal, pid)
    {:ok, pid}
  end

  @impl true
  def handle_call(_request, pid), do: {:ok, :ok, pid}

  @impl true
  def terminate(_reason, _pid), do: :ok
end
