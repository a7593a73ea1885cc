defmodule Weir.Ring do
  @moduledoc """
  A ring of envelopes with one producer and one consumer.

  The behaviour that `Weir.InMemoryRing` (one VM) and `Weir.SharedRing` (two processes, shared
  memory) have in common, and the functions that work on either. One process publishes, one
  drains; they may be the same or different ones.

  Full and empty are normal answers. A batch becomes visible in order; of a batch that is longer
  than the room, the beginning is accepted. Each envelope is stamped with its ring position and
  sealed while it is published (`Weir.Envelope.encode/2`), and comes out as the 64 bytes with the
  position at which they were read, for `Weir.Envelope.check_request/3` or `check_response/3`:
  nothing in it has been believed yet.
  """

  alias Weir.Envelope
  alias Weir.Layout.Generated, as: Layout

  @type t :: struct()

  @typedoc "64 bytes and the ring position at which they were read."
  @type taken :: {index :: non_neg_integer(), <<_::512>>}

  @typedoc "Why the ring cannot be used any more, with a sentence; only where memory is shared."
  @type refusal :: {:error, atom(), String.t()}

  @doc "Number of slots, a power of two."
  @callback capacity(t()) :: pos_integer()

  @doc "How many envelopes could be published now; only the producer's answer stays true."
  @callback room(t()) :: non_neg_integer() | refusal()

  @doc "Publishes as many of the envelopes as there is room for, from the front."
  @callback publish(t(), [Envelope.t()]) :: {:ok, non_neg_integer()} | :full | refusal()

  @doc "Takes up to `max` envelopes and gives their slots back."
  @callback drain(t(), max :: non_neg_integer()) :: {:ok, [taken()]} | :empty | refusal()

  @doc "True for a capacity that the layout allows."
  defguard is_capacity(capacity)
           when is_integer(capacity) and capacity >= 2 and capacity <= 65_536 and
                  Bitwise.band(capacity, capacity - 1) == 0

  if {2, 65_536} != {Layout.constant(:RING_CAPACITY_MIN), Layout.constant(:RING_CAPACITY_MAX)},
    do: raise("the layout allows other capacities than is_capacity/1")

  @spec capacity(t()) :: pos_integer()
  def capacity(%module{} = ring), do: module.capacity(ring)

  @spec room(t()) :: non_neg_integer() | refusal()
  def room(%module{} = ring), do: module.room(ring)

  @doc """
  Publishes envelopes; `{:ok, count}` says how many, `:full` that there was room for none of them.
  """
  @spec publish(t(), [Envelope.t()]) :: {:ok, non_neg_integer()} | :full | refusal()
  def publish(%module{} = ring, envelopes), do: module.publish(ring, envelopes)

  @spec drain(t(), non_neg_integer()) :: {:ok, [taken()]} | :empty | refusal()
  def drain(%module{} = ring, max), do: module.drain(ring, max)
end
