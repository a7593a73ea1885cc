defmodule Weir.TestSupport do
  @moduledoc "What several test modules need: programs, waiting, and the world outside the VM."

  @doc "Tags whose tests cannot run here; none so far, each would need a reason beside it."
  @spec exclusions() :: keyword()
  def exclusions, do: []

  @doc "Path of a program that the NIF's compiler installed."
  @spec program(String.t()) :: Path.t()
  def program(name), do: Path.join(to_string(:code.priv_dir(:weir)), name)

  @doc "Waits until the function returns something true, and returns that."
  @spec eventually((() -> result), String.t(), pos_integer()) :: result when result: term()
  def eventually(function, what, timeout_ms \\ 10_000) do
    deadline = System.monotonic_time(:millisecond) + timeout_ms
    wait(function, what, deadline)
  end

  defp wait(function, what, deadline) do
    cond do
      value = function.() ->
        value

      System.monotonic_time(:millisecond) > deadline ->
        ExUnit.Assertions.flunk("waited in vain until #{what}")

      true ->
        Process.sleep(10)
        wait(function, what, deadline)
    end
  end

  @doc "Whether an operating system process lives (a zombie does not)."
  @spec alive?(pos_integer()) :: boolean()
  def alive?(pid) do
    case File.read("/proc/#{pid}/stat") do
      {:ok, stat} ->
        [_, rest] = String.split(stat, ") ", parts: 2)
        not String.starts_with?(rest, ["Z", "X"])

      {:error, _} ->
        false
    end
  end
end
