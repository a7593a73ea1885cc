defmodule Weir.InMemoryRing do
  @moduledoc """
  A ring inside one VM: slots in an ETS table, counts in `:atomics`.

  Its decisions are those of `core/channel/ring.h`; both suites read `docs/vectors/ring.txt`.

  The table is public and belongs to the process that called `new/1`: when that process ends, the
  ring is gone and using it raises. One process publishes and one drains at a time. `:atomics` are
  sequentially consistent and `:ets.insert/2` of a list is atomic, so whoever sees the count sees
  the batch.

  `take/2` and `consumed/1` are the two halves of `drain/2`, for a consumer that wants to hold the
  slots of a batch until it has finished it.
  """

  @behaviour Weir.Ring

  import Bitwise
  import Weir.Ring, only: [is_capacity: 1]

  alias Weir.Envelope

  @enforce_keys [:table, :counts, :capacity]
  defstruct [:table, :counts, :capacity]

  @type t :: %__MODULE__{
          table: :ets.tid(),
          counts: :atomics.atomics_ref(),
          capacity: pos_integer()
        }

  # Indices run freely and wrap at 2^64, as in shared memory.
  @word 0xFFFFFFFFFFFFFFFF

  # What has been published, given back, and taken (the last is the consumer's own).
  @published 1
  @consumed 2
  @taken 3

  @doc """
  A new ring. `capacity` is a power of two from 2 to 65,536 (default 256); `first_index` is 0
  except in tests of the wrap-around.
  """
  @spec new(capacity: pos_integer(), first_index: non_neg_integer()) :: t()
  def new(options \\ []) do
    options = Keyword.validate!(options, capacity: 256, first_index: 0)
    capacity = options[:capacity]
    first_index = options[:first_index]

    unless is_capacity(capacity),
      do: raise(ArgumentError, "a ring's capacity must be a power of two from 2 to 65536")

    unless first_index in 0..@word,
      do: raise(ArgumentError, "a ring's first index must have 64 bits")

    counts = :atomics.new(3, signed: false)
    for count <- [@published, @consumed, @taken], do: :atomics.put(counts, count, first_index)
    table = :ets.new(__MODULE__, [:set, :public])
    %__MODULE__{table: table, counts: counts, capacity: capacity}
  end

  @doc "Gives the table back before its owner ends."
  @spec delete(t()) :: :ok
  def delete(%__MODULE__{table: table}) do
    :ets.delete(table)
    :ok
  end

  @impl true
  def capacity(%__MODULE__{capacity: capacity}), do: capacity

  @impl true
  def room(%__MODULE__{} = ring), do: ring.capacity - used(ring, @consumed)

  @impl true
  def publish(%__MODULE__{}, []), do: {:ok, 0}

  def publish(%__MODULE__{} = ring, envelopes) when is_list(envelopes) do
    case room(ring) do
      0 ->
        :full

      room ->
        first = :atomics.get(ring.counts, @published)
        {slots, count} = seal(envelopes, ring, first, room, [], 0)
        :ets.insert(ring.table, slots)
        :atomics.put(ring.counts, @published, first + count &&& @word)
        {:ok, count}
    end
  end

  @impl true
  def drain(%__MODULE__{} = ring, max) do
    answer = take(ring, max)
    consumed(ring)
    answer
  end

  @doc "Takes up to `max` envelopes; their slots stay in use until `consumed/1`."
  @spec take(t(), non_neg_integer()) :: {:ok, [Weir.Ring.taken()]} | :empty
  def take(%__MODULE__{} = ring, max) when is_integer(max) and max >= 0 do
    case min(used(ring, @taken), max) do
      0 ->
        :empty

      count ->
        first = :atomics.get(ring.counts, @taken)

        taken =
          for step <- 0..(count - 1) do
            index = first + step &&& @word
            {index, :ets.lookup_element(ring.table, slot(ring, index), 2)}
          end

        :atomics.put(ring.counts, @taken, first + count &&& @word)
        {:ok, taken}
    end
  end

  @doc "Gives back all slots taken so far."
  @spec consumed(t()) :: :ok
  def consumed(%__MODULE__{counts: counts}),
    do: :atomics.put(counts, @consumed, :atomics.get(counts, @taken))

  defp used(%{counts: counts}, behind),
    do: :atomics.get(counts, @published) - :atomics.get(counts, behind) &&& @word

  defp seal([envelope | rest], ring, index, room, slots, count) when count < room do
    slot = {slot(ring, index), Envelope.encode(envelope, index)}
    seal(rest, ring, index + 1 &&& @word, room, [slot | slots], count + 1)
  end

  defp seal(_rest, _ring, _index, _room, slots, count), do: {slots, count}

  defp slot(%{capacity: capacity}, index), do: index &&& capacity - 1
end
