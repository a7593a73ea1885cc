defmodule Weir.Crc32cTest do
  use ExUnit.Case, async: true
  doctest Weir.Crc32c

  # RFC 3720, appendix B.4.
  test "gives the checksums that RFC 3720 lists" do
    assert Weir.Crc32c.of(:binary.copy(<<0>>, 32)) == 0x8A9136AA
    assert Weir.Crc32c.of(:binary.copy(<<0xFF>>, 32)) == 0x62A8AB43
    assert Weir.Crc32c.of(for(byte <- 0..31, into: <<>>, do: <<byte>>)) == 0x46DD794E
    assert Weir.Crc32c.of(for(byte <- 31..0, into: <<>>, do: <<byte>>)) == 0x113FDB5C
  end

  test "sums iodata as if it were one binary, wherever it is cut" do
    whole = for byte <- 0..40, into: <<>>, do: <<byte * 7 + 3>>

    for at <- 0..41 do
      <<front::binary-size(at), back::binary>> = whole
      assert Weir.Crc32c.of([front, [back]]) == Weir.Crc32c.of(whole)
    end

    assert Weir.Crc32c.of([?1, "23", [[?4 | "56789"]]]) == 0xE3069283
  end
end
