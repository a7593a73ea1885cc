defmodule Weir.InMemoryRingTest do
  use ExUnit.Case, async: true
  use Weir.RingBehaviour, implementation: Weir.InMemoryRing

  alias Weir.InMemoryRing

  defp new_ring(capacity) do
    ring = InMemoryRing.new(capacity: capacity)
    {ring, ring}
  end

  test "refuses a capacity that is no power of two" do
    for capacity <- [0, 1, 3, 6, 65_537, 131_072, -2, 2.0, :two] do
      assert_raise ArgumentError, fn -> InMemoryRing.new(capacity: capacity) end
    end
  end

  test "holds taken slots until they are given back" do
    ring = InMemoryRing.new(capacity: 2)
    assert InMemoryRing.publish(ring, RingBehaviour.envelopes(0..1)) == {:ok, 2}
    assert {:ok, [_, _]} = InMemoryRing.take(ring, 2)
    assert InMemoryRing.publish(ring, RingBehaviour.envelopes(2..2)) == :full
    assert InMemoryRing.consumed(ring) == :ok
    assert InMemoryRing.publish(ring, RingBehaviour.envelopes(2..2)) == {:ok, 1}
  end

  test "is gone with its owner" do
    task = Task.async(fn -> InMemoryRing.new(capacity: 2) end)
    ring = Task.await(task)
    monitor = Process.monitor(task.pid)
    assert_receive {:DOWN, ^monitor, _, _, _}

    assert_raise ArgumentError, fn ->
      InMemoryRing.publish(ring, RingBehaviour.envelopes(0..0))
    end
  end
end
