defmodule Weir.LayoutDigest do
  @moduledoc """
  BLAKE2b with 256 bits (RFC 7693), the digest of a layout's canonical text.

  Erlang's `crypto` has BLAKE2b with 512 bits only, and the length is part of the function, so a
  longer digest cannot be cut. Runs when a peer's layout text is judged, not per job: 36 KiB take
  some milliseconds.
  """

  import Bitwise

  @word 0xFFFFFFFFFFFFFFFF
  @block 128
  @digest_bytes 32

  @iv [
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179
  ]

  @sigma [
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}
  ]

  # Twelve rounds; the last two use the first two permutations again.
  @rounds @sigma ++ Enum.take(@sigma, 2)

  @doc "The digest of a text."
  @spec of(binary()) :: <<_::256>>
  def of(text) when is_binary(text) do
    [first | rest] = @iv
    # Digest length, no key, sequential mode.
    state = [bxor(first, 0x01010000 + @digest_bytes) | rest]

    <<digest::binary-size(@digest_bytes), _::binary>> =
      for word <- blocks(text, 0, state), into: <<>>, do: <<word::little-64>>

    digest
  end

  defp blocks(text, done, state) when byte_size(text) > @block do
    <<block::binary-size(@block), rest::binary>> = text
    blocks(rest, done + @block, compress(state, block, done + @block, false))
  end

  defp blocks(last, done, state) do
    padding = @block - byte_size(last)
    compress(state, <<last::binary, 0::size(padding)-unit(8)>>, done + byte_size(last), true)
  end

  defp compress(state, block, count, is_last) do
    message = List.to_tuple(for <<word::little-64 <- block>>, do: word)
    [v0, v1, v2, v3, v4, v5, v6, v7] = state
    [w0, w1, w2, w3, w4, w5, w6, w7] = @iv
    w4 = bxor(w4, count &&& @word)
    w5 = bxor(w5, count >>> 64)
    w6 = if is_last, do: bxor(w6, @word), else: w6
    work = {v0, v1, v2, v3, v4, v5, v6, v7, w0, w1, w2, w3, w4, w5, w6, w7}

    {a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7} =
      Enum.reduce(@rounds, work, &round(&1, message, &2))

    [a0, a1, a2, a3, a4, a5, a6, a7]
    |> Enum.zip([b0, b1, b2, b3, b4, b5, b6, b7])
    |> Enum.zip_with(state, fn {a, b}, old -> old |> bxor(a) |> bxor(b) end)
  end

  defp round(order, message, {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p}) do
    {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15} = order
    at = &elem(message, &1)
    {a, e, i, m} = mix(a, e, i, m, at.(s0), at.(s1))
    {b, f, j, n} = mix(b, f, j, n, at.(s2), at.(s3))
    {c, g, k, o} = mix(c, g, k, o, at.(s4), at.(s5))
    {d, h, l, p} = mix(d, h, l, p, at.(s6), at.(s7))
    {a, f, k, p} = mix(a, f, k, p, at.(s8), at.(s9))
    {b, g, l, m} = mix(b, g, l, m, at.(s10), at.(s11))
    {c, h, i, n} = mix(c, h, i, n, at.(s12), at.(s13))
    {d, e, j, o} = mix(d, e, j, o, at.(s14), at.(s15))
    {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p}
  end

  defp mix(a, b, c, d, x, y) do
    a = a + b + x &&& @word
    d = turn(bxor(d, a), 32)
    c = c + d &&& @word
    b = turn(bxor(b, c), 24)
    a = a + b + y &&& @word
    d = turn(bxor(d, a), 16)
    c = c + d &&& @word
    b = turn(bxor(b, c), 63)
    {a, b, c, d}
  end

  defp turn(word, bits), do: (word >>> bits ||| word <<< (64 - bits)) &&& @word
end
