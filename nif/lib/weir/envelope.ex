defmodule Weir.Envelope do
  @moduledoc """
  The envelope codec: one job or one reply in 64 bytes.

  The counterpart of `core/channel/envelope.h` for the paths that run without native code. Both
  read `docs/vectors/envelope.txt` in their tests, so that they cannot drift apart.

  `check_request/3` and `check_response/3` take 64 bytes that came from somewhere else and answer
  with the envelope or with the first reason against it, in the order that the protocol states.
  Whether the payload's place is a slot is the caller's to check, who owns the slots.
  """

  import Bitwise

  alias Weir.Crc32c
  alias Weir.Layout.Generated, as: Layout

  @bytes Layout.constant(:ENVELOPE_BYTES)
  @magic Layout.constant(:ENVELOPE_MAGIC)

  # The patterns below spell out the fields; this makes a changed layout stop the compiler.
  @expected [
    magic: {:u32, 0},
    version: {:u16, 4},
    flags: {:u16, 6},
    opcode: {:u16, 8},
    status: {:u16, 10},
    generation: {:u32, 12},
    job_id: {:u64, 16},
    correlation_id: {:u64, 24},
    payload_offset: {:u32, 32},
    payload_bytes: {:u32, 36},
    payload_crc: {:u32, 40},
    original_bytes: {:u32, 44},
    deadline_ns: {:u64, 48},
    sequence: {:u32, 56},
    header_crc: {:u32, 60}
  ]
  @actual for field <- Layout.fields(:envelope),
              {type, nil, offset, _bytes} = Layout.field(:envelope, field),
              do: {field, {type, offset}}
  if @expected != @actual, do: raise("the layout's envelope is not the one that is encoded here")

  @flag_payload_crc Layout.envelope_flag(:payload_crc)
  @flag_lz4 Layout.envelope_flag(:lz4)
  @flag_zstd Layout.envelope_flag(:zstd)
  @flags_packed @flag_lz4 ||| @flag_zstd
  @flags_known @flag_payload_crc ||| @flags_packed ||| Layout.envelope_flag(:idempotent)

  @capability_lz4 Layout.capability(:lz4)
  @capability_zstd Layout.capability(:zstd)
  @capability_payload_crc Layout.capability(:payload_crc)

  @status_none Layout.reply_status(:none)
  @status_max Enum.find(0..0xFFFF, &(Layout.reply_status_name(&1 + 1) == nil))

  defstruct version: 0,
            flags: 0,
            opcode: 0,
            status: 0,
            generation: 0,
            job_id: 0,
            correlation_id: 0,
            payload_offset: 0,
            payload_bytes: 0,
            payload_crc: 0,
            original_bytes: 0,
            deadline_ns: 0

  @typedoc "What the two ends put into an envelope; magic, sequence and checksum are the codec's."
  @type t :: %__MODULE__{
          version: 0..0xFFFF,
          flags: 0..0xFFFF,
          opcode: 0..0xFFFF,
          status: 0..0xFFFF,
          generation: 0..0xFFFFFFFF,
          job_id: non_neg_integer(),
          correlation_id: non_neg_integer(),
          payload_offset: 0..0xFFFFFFFF,
          payload_bytes: 0..0xFFFFFFFF,
          payload_crc: 0..0xFFFFFFFF,
          original_bytes: 0..0xFFFFFFFF,
          deadline_ns: non_neg_integer()
        }

  @typedoc "What the reader knows before it looks; capabilities are the agreed bits."
  @type terms :: %{
          generation: 0..0xFFFFFFFF,
          version: 0..0xFFFF,
          capabilities: non_neg_integer()
        }

  @type reason ::
          :magic
          | :header_crc
          | :sequence
          | :version
          | :generation
          | :flags
          | :payload_range
          | :reply_status
          | :opcode

  @doc "Size of an encoded envelope."
  @spec bytes() :: pos_integer()
  def bytes, do: @bytes

  @doc "The part of a ring index that an envelope carries."
  @spec sequence(non_neg_integer()) :: 0..0xFFFFFFFF
  def sequence(ring_index), do: ring_index + 1 &&& 0xFFFFFFFF

  @doc "Stamps the envelope for its ring position, sets the header's checksum, and encodes it."
  @spec encode(t(), non_neg_integer()) :: <<_::512>>
  def encode(%__MODULE__{} = envelope, ring_index) do
    head =
      <<@magic::little-32, envelope.version::little-16, envelope.flags::little-16,
        envelope.opcode::little-16, envelope.status::little-16, envelope.generation::little-32,
        envelope.job_id::little-64, envelope.correlation_id::little-64,
        envelope.payload_offset::little-32, envelope.payload_bytes::little-32,
        envelope.payload_crc::little-32, envelope.original_bytes::little-32,
        envelope.deadline_ns::little-64, sequence(ring_index)::little-32>>

    <<head::binary, Crc32c.of(head)::little-32>>
  end

  @doc "Reads the fields without believing any of them; nil when it is not 64 bytes long."
  @spec decode(binary()) :: t() | nil
  def decode(
        <<_magic::little-32, version::little-16, flags::little-16, opcode::little-16,
          status::little-16, generation::little-32, job_id::little-64, correlation_id::little-64,
          payload_offset::little-32, payload_bytes::little-32, payload_crc::little-32,
          original_bytes::little-32, deadline_ns::little-64, _sequence::little-32,
          _header_crc::little-32>>
      ) do
    %__MODULE__{
      version: version,
      flags: flags,
      opcode: opcode,
      status: status,
      generation: generation,
      job_id: job_id,
      correlation_id: correlation_id,
      payload_offset: payload_offset,
      payload_bytes: payload_bytes,
      payload_crc: payload_crc,
      original_bytes: original_bytes,
      deadline_ns: deadline_ns
    }
  end

  def decode(_other), do: nil

  @doc "Checks 64 bytes that claim to be a request."
  @spec check_request(<<_::512>>, non_neg_integer(), terms()) :: {:ok, t()} | {:error, reason()}
  def check_request(binary, ring_index, terms) do
    with {:ok, envelope} <- check_common(binary, ring_index, terms) do
      cond do
        envelope.status != @status_none -> {:error, :reply_status}
        envelope.opcode == 0 -> {:error, :opcode}
        true -> {:ok, envelope}
      end
    end
  end

  @doc "Checks 64 bytes that claim to be a response."
  @spec check_response(<<_::512>>, non_neg_integer(), terms()) :: {:ok, t()} | {:error, reason()}
  def check_response(binary, ring_index, terms) do
    with {:ok, envelope} <- check_common(binary, ring_index, terms) do
      if envelope.status == @status_none or envelope.status > @status_max,
        do: {:error, :reply_status},
        else: {:ok, envelope}
    end
  end

  defp check_common(binary, ring_index, terms) do
    <<head::binary-size(60), header_crc::little-32>> = binary
    <<magic::little-32, _::binary-size(52), sequence::little-32>> = head

    cond do
      magic != @magic ->
        {:error, :magic}

      header_crc != Crc32c.of(head) ->
        {:error, :header_crc}

      sequence != sequence(ring_index) ->
        {:error, :sequence}

      true ->
        check_fields(decode(binary), terms)
    end
  end

  defp check_fields(envelope, terms) do
    cond do
      envelope.version != terms.version -> {:error, :version}
      envelope.generation != terms.generation -> {:error, :generation}
      not flags_agreed?(envelope, terms.capabilities) -> {:error, :flags}
      not lengths_agree?(envelope) -> {:error, :payload_range}
      true -> {:ok, envelope}
    end
  end

  defp flags_agreed?(%{flags: flags} = envelope, capabilities) do
    packed = flags &&& @flags_packed
    has_crc = (flags &&& @flag_payload_crc) != 0

    cond do
      (flags &&& bnot(@flags_known)) != 0 -> false
      packed == @flags_packed -> false
      packed == @flag_lz4 and (capabilities &&& @capability_lz4) == 0 -> false
      packed == @flag_zstd and (capabilities &&& @capability_zstd) == 0 -> false
      has_crc -> true
      # A payload that claims to need no checksum would be a way around the check.
      envelope.payload_bytes > 0 and (capabilities &&& @capability_payload_crc) != 0 -> false
      true -> envelope.payload_crc == 0
    end
  end

  defp lengths_agree?(%{flags: flags} = envelope) when (flags &&& @flags_packed) == 0,
    do: envelope.original_bytes == envelope.payload_bytes

  defp lengths_agree?(envelope), do: envelope.payload_bytes > 0 and envelope.original_bytes > 0
end
