defmodule Weir.Harness.Tally do
  @moduledoc """
  Sums of the workers' own counters over all incarnations: a worker that dies takes its counters
  with it, so they are looked at often and added up per incarnation.
  """

  alias Weir.Harness.Subject

  @counters [:parks, :spin_hits, :wakes_sent, :bytes_copied]

  @doc "Before the first look."
  @spec new() :: map()
  def new, do: %{past: zero(), last: %{}, strategies: []}

  @doc "Looks at the workers."
  @spec look(map(), [map()]) :: map()
  def look(tally, workers) do
    Enum.reduce(workers, tally, fn worker, tally ->
      key = {worker.pool, worker.seat}
      tally = retire(tally, key, tally.last[key], worker.generation)

      strategies =
        if worker.wake_strategy == 0,
          do: tally.strategies,
          else: [Subject.strategy(worker.wake_strategy) | tally.strategies] |> Enum.uniq()

      last = Map.put(tally.last, key, {worker.generation, Map.take(worker, @counters)})
      %{tally | last: last, strategies: strategies}
    end)
  end

  defp retire(tally, key, {generation, counters}, now) when generation != now,
    do: %{tally | past: add(tally.past, counters), last: Map.delete(tally.last, key)}

  defp retire(tally, _key, _last, _now), do: tally

  @doc "The sums, and by which strategies workers slept."
  @spec sum(map()) :: map()
  def sum(tally) do
    tally.last
    |> Enum.reduce(tally.past, fn {_, {_, counters}}, sum -> add(sum, counters) end)
    |> Map.put(:strategies, Enum.sort(tally.strategies))
  end

  defp zero, do: Map.new(@counters, &{&1, 0})
  defp add(a, b), do: Map.merge(a, b, fn _, x, y -> x + y end)
end
