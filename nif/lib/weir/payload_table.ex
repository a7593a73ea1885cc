defmodule Weir.PayloadTable do
  @moduledoc """
  Payload slots inside one VM: what the shared memory's slots are for `Weir.InMemoryRing`.

  One side puts binaries, the other fetches and releases them by the offset that travels in the
  envelope. The number of slots and their size are bounded as in shared memory, so that the same
  outcomes come out. The table is public and belongs to the process that called `new/1`.
  """

  import Bitwise

  @enforce_keys [:table, :next, :slots, :slot_bytes]
  defstruct [:table, :next, :slots, :slot_bytes]

  @type t :: %__MODULE__{
          table: :ets.tid(),
          next: :atomics.atomics_ref(),
          slots: pos_integer(),
          slot_bytes: pos_integer()
        }

  @doc "Options: `slots`, how many payloads fit, and `slot_bytes`, how long one may be."
  @spec new(slots: pos_integer(), slot_bytes: pos_integer()) :: t()
  def new(options) do
    %__MODULE__{
      table: :ets.new(__MODULE__, [:set, :public]),
      next: :atomics.new(1, signed: false),
      slots: Keyword.fetch!(options, :slots),
      slot_bytes: Keyword.fetch!(options, :slot_bytes)
    }
  end

  @doc "Stores a payload; only the one side that owns the slots calls this."
  @spec put(t(), binary()) :: {:ok, offset :: non_neg_integer()} | :full | :oversize
  def put(%__MODULE__{} = payloads, payload) do
    cond do
      payload == <<>> -> {:ok, 0}
      byte_size(payload) > payloads.slot_bytes -> :oversize
      used(payloads) >= payloads.slots -> :full
      true -> {:ok, store(payloads, payload)}
    end
  end

  @doc "The payload at an offset, if it has this length."
  @spec fetch(t(), non_neg_integer(), non_neg_integer()) :: {:ok, binary()} | :error
  def fetch(_payloads, _offset, 0), do: {:ok, <<>>}

  def fetch(%__MODULE__{table: table}, offset, bytes) do
    case :ets.lookup(table, offset) do
      [{^offset, payload}] when byte_size(payload) == bytes -> {:ok, payload}
      _other -> :error
    end
  end

  @doc "Gives a slot back; `:error` when it was not out."
  @spec release(t(), non_neg_integer(), non_neg_integer()) :: :ok | :error
  def release(_payloads, _offset, 0), do: :ok

  def release(%__MODULE__{table: table}, offset, _bytes) do
    if :ets.take(table, offset) == [], do: :error, else: :ok
  end

  @doc "How many slots are out."
  @spec used(t()) :: non_neg_integer()
  def used(%__MODULE__{table: table}), do: :ets.info(table, :size)

  @doc "Gives the table back before its owner ends."
  @spec delete(t()) :: :ok
  def delete(%__MODULE__{table: table}) do
    :ets.delete(table)
    :ok
  end

  # Offsets are multiples of 64 as in shared memory; one that is still out is passed over.
  defp store(payloads, payload) do
    offset = (:atomics.add_get(payloads.next, 1, 1) &&& 0x3FFFFFF) <<< 6

    if :ets.insert_new(payloads.table, {offset, payload}),
      do: offset,
      else: store(payloads, payload)
  end
end
