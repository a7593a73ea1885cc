defmodule Weir.Harness do
  @moduledoc """
  Puts an instance of Weir under load and accounts for every job; what `mix ipc.harness` does.

      {:ok, settings} = Weir.Harness.Options.parse(["--jobs", "10000"])
      {:ok, facts} = Weir.Harness.run(settings)
      Weir.Harness.Summary.verdict(facts)

  The parts: `Options` the command line, `Engine` one run on this node, `Campaign` one over several
  nodes, `Source` job numbers, `Generator` and `Scenarios` requests and what must be answered,
  `Caller` a process that submits, `Subject` what is under load, `Ledger` and `Judge` whether every
  promise was kept, `Summary` what is told.
  """

  alias Weir.Harness.{Campaign, Engine, Options}

  @doc "Runs what the settings say, on this node or on those that they name."
  @spec run(Options.t(), Engine.reporter()) :: {:ok, map()} | {:error, String.t()}
  def run(settings, report \\ fn _what, _facts -> :ok end)
  def run(%{nodes: []} = s, report), do: Engine.run(s, Engine.source(s), report)
  def run(settings, report), do: Campaign.run(settings, report)
end
