defmodule Weir.TestSupport.TotalsFormatter do
  @moduledoc """
  Adds the outcome of a test run to the file named by `WEIR_TEST_TOTALS`, one JSON object in one
  line, as `scripts/run-tests` does for the C tests.
  """

  use GenServer

  @impl true
  def init(_options) do
    case System.get_env("WEIR_TEST_TOTALS") do
      nil -> :ignore
      path -> {:ok, %{path: path, passed: 0, failures: [], skips: []}}
    end
  end

  @impl true
  def handle_cast({:test_finished, test}, state), do: {:noreply, count(test, state)}

  # The tests of a module whose setup_all failed are never told as finished.
  def handle_cast({:module_finished, %{state: {:failed, _}} = module}, state) do
    {:noreply, %{state | failures: Enum.map(module.tests, &name/1) ++ state.failures}}
  end

  def handle_cast({:suite_finished, _times}, state) do
    line = [
      ~s({"passed": #{state.passed}, "failed": #{length(state.failures)}, ),
      ~s("skipped": #{length(state.skips)}, "failures": #{list(state.failures)}, ),
      ~s("skips": #{list(state.skips)}}\n)
    ]

    File.write!(state.path, line, [:append])
    {:noreply, state}
  end

  def handle_cast(_, state), do: {:noreply, state}

  defp count(%{state: nil}, state), do: %{state | passed: state.passed + 1}

  defp count(%{state: {:excluded, _}} = test, state), do: skip(test, state)
  defp count(%{state: {:skipped, _}} = test, state), do: skip(test, state)
  defp count(test, state), do: %{state | failures: [name(test) | state.failures]}

  defp skip(test, state), do: %{state | skips: [name(test) | state.skips]}

  defp name(test), do: "nif: #{inspect(test.module)} #{test.name}"

  defp list(names), do: "[" <> Enum.map_join(Enum.reverse(names), ", ", &json/1) <> "]"

  # Names are ours; what JSON would want escaped beyond quotes and backslashes becomes a blank.
  defp json(name) do
    name = String.replace(name, ~r/[[:cntrl:]]/, " ")
    ~s("#{String.replace(name, ~r/["\\]/, "\\\\\\0")}")
  end
end
