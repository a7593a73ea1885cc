defmodule Weir.Harness.Source do
  @moduledoc """
  Hands out job numbers, a block at a time, until there are enough, the time is over, or somebody
  stops it.

  A local source counts by itself. A remote one asks the campaign that spans several nodes, see
  `Weir.Harness.Campaign`, and tells it with each request what became of the block before.
  """

  @enforce_keys [:words, :limit, :deadline_ns, :campaign]
  defstruct [:words, :limit, :deadline_ns, :campaign]

  @type t :: %__MODULE__{}
  @type block :: {first :: non_neg_integer(), count :: pos_integer()}
  @type report :: {block(), %{atom() => non_neg_integer()}} | nil

  @block 32
  @next 1
  @stopped 2

  @doc "Numbers from `first` up to `limit` (nil: without end), until `deadline_ns` (nil: for ever)."
  @spec local(non_neg_integer(), pos_integer() | nil, integer() | nil) :: t()
  def local(first, limit, deadline_ns) do
    words = :atomics.new(2, signed: false)
    :atomics.put(words, @next, first)
    %__MODULE__{words: words, limit: limit, deadline_ns: deadline_ns, campaign: nil}
  end

  @doc "Numbers from a campaign, which counts from 0; here they begin at `first`."
  @spec remote(pid(), non_neg_integer()) :: t()
  def remote(campaign, first) do
    words = :atomics.new(2, signed: false)
    :atomics.put(words, @next, first)
    %__MODULE__{words: words, limit: nil, deadline_ns: nil, campaign: campaign}
  end

  @doc "No more blocks from now on."
  @spec stop(t()) :: :ok
  def stop(%__MODULE__{words: words}), do: :atomics.put(words, @stopped, 1)

  @doc "The next block; `report` is what became of the caller's last one."
  @spec lease(t(), report()) :: {:ok, block()} | :done
  def lease(%__MODULE__{campaign: nil} = source, _report) do
    if stopped?(source) or late?(source.deadline_ns), do: :done, else: next(source)
  end

  def lease(%__MODULE__{campaign: campaign} = source, report) do
    shift = :atomics.get(source.words, @next)
    request = {:lease, node(), shifted(report, -shift), not stopped?(source)}

    case GenServer.call(campaign, request, :infinity) do
      {:ok, {first, count}} -> {:ok, {first + shift, count}}
      :done -> :done
    end
  end

  defp shifted(nil, _shift), do: nil
  defp shifted({{first, count}, outcomes}, shift), do: {{first + shift, count}, outcomes}

  defp next(source) do
    first = :atomics.add_get(source.words, @next, @block) - @block

    cond do
      source.limit == nil -> {:ok, {first, @block}}
      first >= source.limit -> :done
      true -> {:ok, {first, min(@block, source.limit - first)}}
    end
  end

  defp stopped?(%{words: words}), do: :atomics.get(words, @stopped) == 1

  defp late?(nil), do: false
  defp late?(deadline_ns), do: System.monotonic_time(:nanosecond) >= deadline_ns
end
