defmodule Weir.SharedRing do
  @moduledoc """
  One side of an incarnation's rings in shared memory, through the NIF.

  `publish` goes into the ring that this side writes, `drain` takes from the one that the other side
  writes; the other side is another process, or another resource in a test. The C code seals and
  checks each envelope; what was checked comes out as its 64 bytes with their position, so that the
  readers of both rings are the same.

  Envelopes with a payload name a slot that was taken with `Weir.Native.slot_take/2`. A fault of the
  other side is `{:error, :protocol, sentence}`, and nothing that it wrote is believed any more.
  """

  @behaviour Weir.Ring

  alias Weir.{Envelope, Native}

  # What one call of the NIF takes.
  @batch 64

  @enforce_keys [:arena, :capacity, :drained]
  defstruct [:arena, :capacity, :drained]

  @type t :: %__MODULE__{
          arena: Native.arena(),
          capacity: pos_integer(),
          drained: :atomics.atomics_ref()
        }

  @doc "The rings of an arena, from its side; nobody else may drain it."
  @spec new(Native.arena()) :: {:ok, t()} | Weir.Ring.refusal()
  def new(arena) do
    case Native.arena_info(arena) do
      %{ring_capacity: capacity, drained: drained} ->
        count = :atomics.new(1, signed: false)
        :atomics.put(count, 1, drained)
        {:ok, %__MODULE__{arena: arena, capacity: capacity, drained: count}}

      {:error, _status, _sentence} = refusal ->
        refusal
    end
  end

  @doc """
  Both sides of a fresh incarnation in this VM: `{manager, worker}`. Options are those of
  `Weir.Native.arena_create/2`.
  """
  @spec pair(map(), pos_integer()) :: {:ok, {t(), t()}} | Weir.Ring.refusal()
  def pair(options, generation) do
    with {:ok, manager} <- Native.arena_create(options, generation),
         %{} = welcome <- Native.arena_welcome(manager),
         {:ok, descriptors} <- Native.arena_descriptors(manager),
         {:ok, worker} <- Native.arena_attach(welcome, descriptors, :worker),
         :ok <- Native.arena_seal(manager),
         {:ok, near} <- new(manager),
         {:ok, far} <- new(worker) do
      for descriptor <- descriptors, do: :ok = Native.descriptor_close(descriptor)
      {:ok, {near, far}}
    end
  end

  @doc "Unmaps this side."
  @spec close(t()) :: :ok | Weir.Ring.refusal()
  def close(%__MODULE__{arena: arena}), do: Native.arena_close(arena)

  @impl true
  def capacity(%__MODULE__{capacity: capacity}), do: capacity

  @impl true
  def room(%__MODULE__{arena: arena}) do
    with %{room: room} <- Native.arena_info(arena), do: room
  end

  @impl true
  def publish(%__MODULE__{}, []), do: {:ok, 0}

  def publish(%__MODULE__{arena: arena}, envelopes) when is_list(envelopes) do
    # Position and checksum are filled in where the position is known.
    bytes = Enum.map(envelopes, &Envelope.encode(&1, 0))
    publish(arena, Enum.chunk_every(bytes, @batch), 0)
  end

  defp publish(_arena, [], accepted), do: {:ok, accepted}

  defp publish(arena, [batch | rest], accepted) do
    case Native.ring_publish(arena, batch) do
      {:ok, count} when count == length(batch) -> publish(arena, rest, accepted + count)
      {:ok, 0} when accepted == 0 -> :full
      {:ok, count} -> {:ok, accepted + count}
      # What came before is published and will be answered; the next call tells.
      {:error, _status, _sentence} when accepted > 0 -> {:ok, accepted}
      {:error, _status, _sentence} = refusal -> refusal
    end
  end

  @impl true
  def drain(%__MODULE__{}, 0), do: :empty
  def drain(%__MODULE__{} = ring, max) when is_integer(max) and max > 0, do: drain(ring, max, [])

  defp drain(ring, max, taken) do
    case Native.ring_drain(ring.arena, min(max, @batch)) do
      {:ok, bytes, more} ->
        count = length(bytes)
        first = :atomics.add_get(ring.drained, 1, count) - count
        taken = [Enum.with_index(bytes, &{first + &2, &1}) | taken]

        if more == :more and count < max,
          do: drain(ring, max - count, taken),
          else: taken |> Enum.reverse() |> Enum.concat() |> answer()

      {:error, _status, _sentence} = refusal ->
        # What was checked before the fault holds; the next call tells.
        if taken == [], do: refusal, else: taken |> Enum.reverse() |> Enum.concat() |> answer()
    end
  end

  defp answer([]), do: :empty
  defp answer(taken), do: {:ok, taken}
end
