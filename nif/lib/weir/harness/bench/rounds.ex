defmodule Weir.Harness.Bench.Rounds do
  @moduledoc """
  Short interleaved rounds: how things are compared on a noisy machine.

  Within a round every probe is measured once, one right after the other, in an order that turns
  around from round to round. Ratios are taken within a round, and their median counts: what the
  machine does for longer than a round hits all probes alike, what it does for shorter is an outlier.
  """

  @typedoc "A measurement: its name and a function that returns a rate (larger is better)."
  @type probe :: {atom(), (() -> number())}

  @doc "Measures all probes `rounds` times, after one round that is thrown away."
  @spec run([probe()], pos_integer(), (pos_integer() -> term())) :: [%{atom() => number()}]
  def run(probes, rounds, told \\ fn _ -> :ok end) do
    for {_, probe} <- probes, do: probe.()

    for round <- 1..rounds do
      told.(round)
      order = if rem(round, 2) == 1, do: probes, else: Enum.reverse(probes)
      Map.new(order, fn {name, probe} -> {name, probe.()} end)
    end
  end

  @doc "Quartiles of the ratio of two probes, and the medians of both."
  @spec compare([%{atom() => number()}], atom(), atom()) :: map()
  def compare(rounds, subject, reference) do
    ratios = for round <- rounds, do: round[subject] / round[reference]

    %{
      rounds: length(rounds),
      subject: quartiles(for round <- rounds, do: round[subject]).median,
      reference: quartiles(for round <- rounds, do: round[reference]).median,
      ratio: quartiles(ratios)
    }
  end

  @doc """
  Quartiles by linear interpolation between the closest ranks (Hyndman and Fan 1996, type 7).
  """
  @spec quartiles([number(), ...]) :: %{q1: float(), median: float(), q3: float()}
  def quartiles(values) do
    sorted = values |> Enum.sort() |> List.to_tuple()
    %{q1: at(sorted, 0.25), median: at(sorted, 0.5), q3: at(sorted, 0.75)}
  end

  defp at(sorted, p) do
    rank = (tuple_size(sorted) - 1) * p
    below = trunc(rank)
    above = min(below + 1, tuple_size(sorted) - 1)
    elem(sorted, below) + (rank - below) * (elem(sorted, above) - elem(sorted, below))
  end
end
