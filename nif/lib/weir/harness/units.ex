defmodule Weir.Harness.Units do
  @moduledoc "Numbers as people write and read them; the same words as the `weir` command."

  @durations [ns: 1, us: 1_000, ms: 1_000_000, s: 1_000_000_000, m: 60_000_000_000] ++
               [min: 60_000_000_000, h: 3_600_000_000_000]

  @doc "A count: decimal, or hexadecimal after `0x`."
  @spec parse_count(String.t()) :: {:ok, non_neg_integer()} | :error
  def parse_count("0x" <> digits), do: whole(Integer.parse(digits, 16))
  def parse_count(text), do: whole(Integer.parse(text))

  defp whole({value, ""}) when value >= 0, do: {:ok, value}
  defp whole(_), do: :error

  @doc "A duration with its unit, such as `20s` or `1.5m`, in nanoseconds."
  @spec parse_duration(String.t()) :: {:ok, non_neg_integer()} | :error
  def parse_duration(text) do
    with {value, unit} when value >= 0 <- Float.parse(text),
         {_, factor} <- Enum.find(@durations, fn {name, _} -> Atom.to_string(name) == unit end) do
      {:ok, round(value * factor)}
    else
      _ -> :error
    end
  end

  @doc "With commas between thousands: `1,234,567`."
  @spec count(integer()) :: String.t()
  def count(value) do
    value
    |> Integer.to_string()
    |> String.reverse()
    |> String.replace(~r/(\d{3})(?=\d)/, "\\1,")
    |> String.reverse()
  end

  @doc "Three figures and a unit: `1.37 ms`."
  @spec duration(number()) :: String.t()
  def duration(ns) when ns < 999.5, do: "#{round(ns)} ns"
  def duration(ns), do: scale(ns / 1000, ["us", "ms", "s"], 1000, 999.5)

  @doc "Three figures and a unit: `1.00 MiB`."
  @spec size(number()) :: String.t()
  def size(bytes) when bytes < 1023.5, do: "#{round(bytes)} B"
  def size(bytes), do: scale(bytes / 1024, ["KiB", "MiB", "GiB", "TiB"], 1024, 1023.5)

  defp scale(value, [unit], _factor, _limit), do: figures(value, unit)

  defp scale(value, [unit | units], factor, limit) do
    if value < limit, do: figures(value, unit), else: scale(value / factor, units, factor, limit)
  end

  defp figures(value, unit), do: "#{figures(value)} #{unit}"

  @doc "Three figures: `1.37`, `84.0`, `640`."
  @spec figures(number()) :: String.t()
  def figures(value) do
    decimals = if value < 9.995, do: 2, else: if(value < 99.95, do: 1, else: 0)
    :erlang.float_to_binary(value / 1, decimals: decimals)
  end
end
