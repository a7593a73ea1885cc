defmodule Weir.SharedRingTest do
  use ExUnit.Case, async: true
  use Weir.RingBehaviour, implementation: Weir.SharedRing

  alias Weir.{Native, SharedRing}

  # Requests go from the manager's side to the worker's.
  defp new_ring(capacity) do
    {:ok, pair} = SharedRing.pair(%{ring_capacity: capacity}, 7)
    pair
  end

  defp reply(number), do: %{hd(RingBehaviour.envelopes([number])) | status: 1}

  test "carries replies the other way" do
    {manager, worker} = new_ring(4)
    assert SharedRing.publish(worker, [reply(5), reply(6)]) == {:ok, 2}
    assert {:ok, [{0, first}, {1, second}]} = SharedRing.drain(manager, 8)
    assert %Envelope{job_id: 5, status: 1} = Envelope.decode(first)
    assert %Envelope{job_id: 6, status: 1} = Envelope.decode(second)
  end

  test "publishes and drains more than one call of the NIF takes" do
    {manager, worker} = new_ring(256)
    assert SharedRing.publish(manager, RingBehaviour.envelopes(0..299)) == {:ok, 256}
    assert RingBehaviour.drain_numbers(worker, 200) == Enum.to_list(0..199)
    assert SharedRing.publish(manager, RingBehaviour.envelopes(256..299)) == {:ok, 44}
    assert RingBehaviour.drain_numbers(worker, 300) == Enum.to_list(200..299)
  end

  test "tells a fault of the other side, also later" do
    {manager, worker} = new_ring(4)
    # A request where a reply belongs.
    assert SharedRing.publish(worker, [reply(1) | RingBehaviour.envelopes([2])]) == {:ok, 2}
    assert {:ok, [{0, _}]} = SharedRing.drain(manager, 8)
    assert {:error, :protocol, sentence} = SharedRing.drain(manager, 8)
    assert sentence =~ "reply_status"
    assert {:error, :protocol, _} = SharedRing.drain(manager, 8)
  end

  test "says that it is closed" do
    {manager, worker} = new_ring(2)
    assert SharedRing.close(manager) == :ok
    assert {:error, :closed, _} = SharedRing.publish(manager, RingBehaviour.envelopes([1]))
    assert {:error, :closed, _} = SharedRing.drain(manager, 1)
    assert {:error, :closed, _} = SharedRing.room(manager)
    assert {:error, :closed, _} = SharedRing.new(manager.arena)
    assert SharedRing.close(worker) == :ok
  end

  test "that nobody closed is given back when it is collected, while its owner lives" do
    pairs = for _ <- 1..20, do: elem(SharedRing.pair(%{ring_capacity: 2}, 7), 1)
    assert Native.resources().arena >= 40
    assert Enum.all?(pairs, fn {manager, _worker} -> SharedRing.room(manager) == 2 end)
    # Nothing refers to them any more from here on.
    :erlang.garbage_collect()

    Weir.TestSupport.eventually(
      fn -> Native.resources().arena < 20 end,
      "they are collected, those of other tests aside"
    )
  end

  test "pure Elixir and C read each other's envelopes" do
    generator =
      {:proper_types.integer(0, 0xFFFFFFFFFFFFFFFF), :proper_types.binary(),
       :proper_types.integer(0, 0xFFFF)}

    Weir.Property.check(
      "Elixir and C encode alike",
      200,
      Weir.Property.forall(generator, fn {number, bytes, small} ->
        fields = %{
          version: small,
          flags: rem(number, 65_536),
          opcode: small,
          job_id: number,
          payload_crc: rem(number, 0xFFFFFFFF),
          generation: rem(number, 99),
          deadline_ns: number
        }

        terms = %{generation: rem(number, 99), version: small, capabilities: rem(small, 8)}
        encoded = Native.envelope_encode(fields, number)
        checked = Envelope.check_request(encoded, number, terms)

        encoded == Envelope.encode(struct!(Envelope, fields), number) and
          Native.crc32c(bytes) == Weir.Crc32c.of(bytes) and
          agree?(checked, Native.envelope_check(encoded, number, :request, terms))
      end)
    )
  end

  defp agree?({:ok, envelope}, {:ok, map}),
    do: map |> Map.take(Map.keys(envelope)) == Map.from_struct(envelope)

  defp agree?({:error, reason}, {:bad, reason}), do: true
  defp agree?(_pure, _native), do: false
end
