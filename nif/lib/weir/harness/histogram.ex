defmodule Weir.Harness.Histogram do
  @moduledoc """
  Durations in buckets of which sixteen double the time, so a percentile is right to 5 %.

  Any number of processes record at once.
  """

  @buckets 16 * 48

  @enforce_keys [:counts, :most]
  defstruct [:counts, :most]

  @type t :: %__MODULE__{counts: :counters.counters_ref(), most: :atomics.atomics_ref()}

  @doc "An empty one."
  @spec new() :: t()
  def new do
    %__MODULE__{
      counts: :counters.new(@buckets, [:write_concurrency]),
      most: :atomics.new(1, signed: false)
    }
  end

  @doc "Records a duration."
  @spec add(t(), non_neg_integer()) :: :ok
  def add(%__MODULE__{} = histogram, ns) do
    bucket = min(trunc(:math.log2(max(ns, 1)) * 16) + 1, @buckets)
    :counters.add(histogram.counts, bucket, 1)
    raise_most(histogram.most, ns, :atomics.get(histogram.most, 1))
  end

  defp raise_most(_most, ns, now) when ns <= now, do: :ok

  defp raise_most(most, ns, now) do
    case :atomics.compare_exchange(most, 1, now, ns) do
      :ok -> :ok
      now -> raise_most(most, ns, now)
    end
  end

  @doc "How many, some percentiles, and the longest, in nanoseconds."
  @spec summary(t()) :: keyword()
  def summary(%__MODULE__{counts: counts, most: most}) do
    counted = for bucket <- 1..@buckets, do: :counters.get(counts, bucket)
    count = Enum.sum(counted)
    longest = :atomics.get(most, 1)

    at = fn percent ->
      counted |> percentile(count * percent / 100, 0, 1) |> min(longest)
    end

    [count: count, p50_ns: at.(50), p99_ns: at.(99), p99_9_ns: at.(99.9), max_ns: longest]
  end

  defp percentile([last], _wanted, _passed, bucket), do: upper(bucket, last)

  defp percentile([here | rest], wanted, passed, bucket) do
    if passed + here >= wanted and passed + here > 0,
      do: upper(bucket, here),
      else: percentile(rest, wanted, passed + here, bucket + 1)
  end

  defp upper(bucket, _count), do: round(:math.pow(2, bucket / 16))
end
