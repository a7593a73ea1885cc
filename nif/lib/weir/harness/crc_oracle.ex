defmodule Weir.Harness.CrcOracle do
  @moduledoc """
  CRC32C of slices of one block, without reading the slice.

  The answers share nothing with those of the workers: the block is read once, byte by byte; the
  checksum of a slice follows from those of two prefixes by arithmetic over GF(2), where adding n
  zero bytes to a message is a multiplication by x^8n. The method is that of zlib's crc32_combine.
  """

  import Bitwise

  @polynomial 0x82F63B78

  @bytes for(
           byte <- 0..255,
           do:
             Enum.reduce(1..8, byte, fn _, crc ->
               if (crc &&& 1) == 1, do: bxor(crc >>> 1, @polynomial), else: crc >>> 1
             end)
         )
         |> List.to_tuple()

  # The product of two polynomials; the highest bit of a word is the lowest power.
  multiply = fn a, b ->
    {product, _} =
      Enum.reduce(31..0, {0, b}, fn bit, {product, b} ->
        product = if (a >>> bit &&& 1) == 1, do: bxor(product, b), else: product
        {product, if((b &&& 1) == 1, do: bxor(b >>> 1, @polynomial), else: b >>> 1)}
      end)

    product
  end

  # x^(8 * 2^k)
  @powers Enum.scan(0..31, 1 <<< 23, fn
            0, first -> first
            _, power -> multiply.(power, power)
          end)
          |> List.to_tuple()

  @step 64

  @enforce_keys [:prefixes, :block]
  defstruct [:prefixes, :block]

  @type t :: %__MODULE__{prefixes: binary(), block: binary()}

  @doc "Slices may begin at multiples of this."
  @spec step() :: pos_integer()
  def step, do: @step

  @doc "Reads the block."
  @spec new(binary()) :: t()
  def new(block) when rem(byte_size(block), @step) == 0 do
    {prefixes, _} =
      for <<piece::binary-size(@step) <- block>>, reduce: {<<0::32>>, 0} do
        {prefixes, crc} ->
          crc = read(piece, crc)
          {<<prefixes::binary, crc::32>>, crc}
      end

    %__MODULE__{prefixes: prefixes, block: block}
  end

  @doc "The CRC32C of `head` followed by `bytes` bytes of the block from `offset` on."
  @spec of(t(), binary(), non_neg_integer(), non_neg_integer()) :: 0..0xFFFFFFFF
  def of(oracle, head, offset, bytes) when rem(offset, @step) == 0 do
    start = read(head, 0xFFFFFFFF)
    last = offset + bytes
    whole = last - rem(last, @step)
    # Without initial value, prefixes are linear: prefix(b) = prefix(a) * x^8(b - a) + slice.
    slice_end = read(binary_part(oracle.block, whole, last - whole), prefix(oracle, whole))

    slice_end
    |> bxor(shift(prefix(oracle, offset), bytes))
    |> bxor(shift(start, bytes))
    |> bxor(0xFFFFFFFF)
  end

  defp prefix(%{prefixes: prefixes}, at) do
    <<crc::32>> = binary_part(prefixes, div(at, @step) * 4, 4)
    crc
  end

  defp read(<<byte, rest::binary>>, crc),
    do: read(rest, bxor(crc >>> 8, elem(@bytes, bxor(crc, byte) &&& 0xFF)))

  defp read(<<>>, crc), do: crc

  defp shift(crc, bytes), do: shift(crc, bytes, 0)
  defp shift(crc, 0, _), do: crc

  defp shift(crc, bytes, power) do
    crc = if (bytes &&& 1) == 1, do: multiply(elem(@powers, power), crc, 0, 31), else: crc
    shift(crc, bytes >>> 1, power + 1)
  end

  defp multiply(_a, _b, product, -1), do: product

  defp multiply(a, b, product, bit) do
    product = if (a >>> bit &&& 1) == 1, do: bxor(product, b), else: product
    b = if (b &&& 1) == 1, do: bxor(b >>> 1, @polynomial), else: b >>> 1
    multiply(a, b, product, bit - 1)
  end
end
