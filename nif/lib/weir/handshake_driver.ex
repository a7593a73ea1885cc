defmodule Weir.HandshakeDriver do
  @moduledoc """
  How a worker and a manager become acquainted, seen from the worker.

  `Weir.HandshakeDriver.Native` speaks the protocol over the manager's socket through the NIF;
  `Weir.HandshakeDriver.InMemory` makes the same checks in the same order between processes of one
  VM. Neither waits inside a call: `c:step/1` is called again when `c:wakes?/2` says that a message
  was for it. `greet/3` does the waiting, with a deadline.
  """

  @type connection :: term()
  @type refusal :: {:error, status :: atom(), sentence :: String.t()}

  @typedoc "What was agreed on; at least the generation and the layout's minor version."
  @type terms :: %{
          required(:generation) => pos_integer(),
          required(:layout_minor) => non_neg_integer(),
          optional(atom()) => term()
        }

  @typedoc """
  Who connects: the manager's socket and the one-use token, what the worker serves, and, if it
  has them, its role and correlation.
  """
  @type identity :: %{
          required(:socket) => term(),
          required(:token) => binary(),
          required(:opcodes) => [1..0xFFFF],
          optional(:role) => String.t(),
          optional(:correlation) => String.t()
        }

  @doc "Says HELLO. `{:error, :timeout, _}`: the manager is busy and the token not used up."
  @callback connect(identity()) :: {:ok, connection()} | refusal()

  @doc "Goes on; after `{:ok, terms}` the worker serves, after a refusal the connection is closed."
  @callback step(connection()) :: {:ok, terms()} | :pending | refusal()

  @doc "Whether this message means that `c:step/1` has something to do."
  @callback wakes?(connection(), message :: term()) :: boolean()

  @doc "Gives up; safe at any time."
  @callback close(connection()) :: :ok

  # How soon a manager is asked again whose queue was full.
  @again_ms 20

  @doc """
  Connects and waits for the terms, at most `timeout_ms`. Messages for others stay in the mailbox.
  """
  @spec greet(module(), identity(), non_neg_integer()) ::
          {:ok, connection(), terms()} | refusal()
  def greet(driver, identity, timeout_ms) do
    until = now_ms() + timeout_ms

    with {:ok, connection} <- connect(driver, identity, until) do
      case steps(driver, connection, until) do
        {:ok, terms} ->
          {:ok, connection, terms}

        refusal ->
          driver.close(connection)
          refusal
      end
    end
  end

  defp connect(driver, identity, until) do
    with {:error, :timeout, _sentence} = refusal <- driver.connect(identity) do
      if now_ms() + @again_ms < until do
        Process.sleep(@again_ms)
        connect(driver, identity, until)
      else
        refusal
      end
    end
  end

  defp steps(driver, connection, until) do
    with :pending <- driver.step(connection),
         :ok <- await(driver, connection, until),
         do: steps(driver, connection, until)
  end

  defp await(driver, connection, until, others \\ []) do
    receive do
      message ->
        if driver.wakes?(connection, message) do
          put_back(others)
        else
          await(driver, connection, until, [message | others])
        end
    after
      max(until - now_ms(), 0) ->
        put_back(others)
        {:error, :timeout, "the manager did not answer in time; look at its log or allow more"}
    end
  end

  defp put_back(others) do
    for message <- Enum.reverse(others), do: send(self(), message)
    :ok
  end

  defp now_ms, do: System.monotonic_time(:millisecond)
end
