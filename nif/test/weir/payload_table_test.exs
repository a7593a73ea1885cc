defmodule Weir.PayloadTableTest do
  use ExUnit.Case, async: true

  alias Weir.PayloadTable

  test "keeps a payload until it is released, once" do
    payloads = PayloadTable.new(slots: 2, slot_bytes: 8)
    assert {:ok, offset} = PayloadTable.put(payloads, "abc")
    assert rem(offset, 64) == 0
    assert PayloadTable.fetch(payloads, offset, 3) == {:ok, "abc"}
    assert PayloadTable.fetch(payloads, offset, 4) == :error
    assert PayloadTable.fetch(payloads, offset + 64, 3) == :error
    assert PayloadTable.release(payloads, offset, 3) == :ok
    assert PayloadTable.release(payloads, offset, 3) == :error
    assert PayloadTable.fetch(payloads, offset, 3) == :error
  end

  test "says full and oversize" do
    payloads = PayloadTable.new(slots: 2, slot_bytes: 8)
    assert {:ok, first} = PayloadTable.put(payloads, "12345678")
    assert {:ok, second} = PayloadTable.put(payloads, "x")
    assert first != second
    assert PayloadTable.put(payloads, "y") == :full
    assert PayloadTable.put(payloads, "123456789") == :oversize
    assert PayloadTable.used(payloads) == 2
    assert PayloadTable.release(payloads, first, 8) == :ok
    assert {:ok, _} = PayloadTable.put(payloads, "y")
  end

  test "needs no slot for an empty payload" do
    payloads = PayloadTable.new(slots: 1, slot_bytes: 8)
    assert PayloadTable.put(payloads, "") == {:ok, 0}
    assert PayloadTable.fetch(payloads, 12_345, 0) == {:ok, ""}
    assert PayloadTable.release(payloads, 12_345, 0) == :ok
    assert PayloadTable.used(payloads) == 0
  end
end
