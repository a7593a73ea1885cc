defmodule Weir.Crc32c do
  @moduledoc """
  CRC32C (Castagnoli) in pure Elixir.

  The checksum of every envelope and payload, for the paths that run without native code: the
  in-memory ring and the worker in Elixir. Polynomial 0x1EDC6F41 reflected, initial value and final
  xor all ones (RFC 3720, appendix B.4).

  Four bytes are taken at a time with four tables ("slicing", Kounavis and Berry, ISCC 2005). All
  intermediate values stay below 2^32 and so are small integers on a 64-bit emulator.
  """

  import Bitwise

  @polynomial 0x82F63B78

  first =
    for byte <- 0..255 do
      Enum.reduce(1..8, byte, fn _bit, crc ->
        if (crc &&& 1) == 1, do: bxor(crc >>> 1, @polynomial), else: crc >>> 1
      end)
    end

  next = fn table ->
    for crc <- table, do: bxor(crc >>> 8, Enum.at(first, crc &&& 0xFF))
  end

  second = next.(first)
  third = next.(second)
  fourth = next.(third)

  @table0 List.to_tuple(first)
  @table1 List.to_tuple(second)
  @table2 List.to_tuple(third)
  @table3 List.to_tuple(fourth)

  @doc """
  The checksum of `data`. Iodata is read piece by piece and never joined.

      iex> Weir.Crc32c.of("123456789")
      0xE3069283
      iex> Weir.Crc32c.of("")
      0
  """
  @spec of(iodata()) :: 0..0xFFFFFFFF
  def of(data), do: bxor(update(data, 0xFFFFFFFF), 0xFFFFFFFF)

  defp update(data, crc) when is_binary(data), do: words(data, crc)
  defp update([], crc), do: crc
  defp update([head | tail], crc), do: update(tail, update(head, crc))
  defp update(byte, crc) when byte in 0..255, do: words(<<byte>>, crc)

  defp words(<<word::little-32, rest::binary>>, crc) do
    mixed = bxor(word, crc)

    words(
      rest,
      elem(@table3, mixed &&& 0xFF)
      |> bxor(elem(@table2, mixed >>> 8 &&& 0xFF))
      |> bxor(elem(@table1, mixed >>> 16 &&& 0xFF))
      |> bxor(elem(@table0, mixed >>> 24))
    )
  end

  defp words(rest, crc), do: bytes(rest, crc)

  defp bytes(<<byte, rest::binary>>, crc),
    do: bytes(rest, bxor(crc >>> 8, elem(@table0, bxor(crc, byte) &&& 0xFF)))

  defp bytes(<<>>, crc), do: crc
end
