defmodule Weir.NativeArenaTest do
  @moduledoc "Arenas from both sides: rings, slots, gate, and a side that lies."
  use ExUnit.Case

  import Weir.TestSupport, only: [eventually: 2]
  alias Weir.Native
  alias Weir.TestSupport.NativeCalls

  @generation 9
  @crc 1

  setup context do
    options = Map.merge(NativeCalls.small_arena(), Map.new(context[:options] || []))
    {:ok, manager} = Native.arena_create(options, @generation)
    welcome = Native.arena_welcome(manager)

    {:ok, descriptors} =
      if welcome.backing == 0, do: Native.arena_descriptors(manager), else: {:ok, []}

    {:ok, worker} = Native.arena_attach(welcome, descriptors, :worker)
    :ok = Native.arena_seal(manager)
    {:ok, wakes_worker} = Native.eventfd_create()
    {:ok, wakes_manager} = Native.eventfd_create()
    :ok = Native.arena_wake_with(manager, wakes_worker, wakes_manager)
    :ok = Native.arena_wake_with(worker, wakes_manager, wakes_worker)
    %{manager: manager, worker: worker, welcome: welcome, descriptors: descriptors}
  end

  # An envelope with its payload in a slot of the side that sends it.
  defp send_payload(side, payload, fields) do
    {:ok, slot, offset, _} = Native.slot_take(side, byte_size(payload))
    :ok = Native.slot_write(side, slot, 0, payload)
    {:ok, 1} = Native.ring_publish(side, [envelope(offset, payload, fields)])
    slot
  end

  defp envelope(offset, payload, fields) do
    %{
      version: Weir.Layout.Generated.version() |> elem(1),
      generation: @generation,
      flags: @crc,
      payload_offset: offset,
      payload_bytes: byte_size(payload),
      original_bytes: byte_size(payload),
      payload_crc: Native.crc32c(payload)
    }
    |> Map.merge(Map.new(fields))
    |> Native.envelope_encode(0)
  end

  defp empty(fields) do
    %{version: Weir.Layout.Generated.version() |> elem(1), generation: @generation, opcode: 1}
    |> Map.merge(Map.new(fields))
    |> Native.envelope_encode(0)
  end

  defp take_one(side) do
    {:ok, [bytes], :done} = Native.ring_drain(side, 64)
    Native.envelope_decode(bytes)
  end

  for {name, options} <- [memfd: [], shm: [backing: 1]] do
    @tag options: options
    test "carries payloads both ways (#{name})", %{manager: manager, worker: worker} do
      for round <- 1..20 do
        request = :binary.copy(<<round>>, 100 * round)
        send_payload(manager, request, opcode: 1, job_id: round)
        job = take_one(worker)
        assert job.job_id == round
        assert {:ok, ^request} = Native.slot_read(worker, job.payload_offset, job.payload_bytes)
        assert Native.slot_release(worker, [job.payload_offset]) == :ok

        send_payload(worker, "answer #{round}", opcode: 1, job_id: round, status: 1)
        reply = take_one(manager)
        answer = "answer #{round}"

        assert {:ok, ^answer} =
                 Native.slot_read(manager, reply.payload_offset, reply.payload_bytes)

        assert Native.slot_release(manager, [reply.payload_offset]) == :ok
      end

      assert %{published: 20, drained: 20, side: :manager} = Native.arena_info(manager)
      assert %{published: 20, drained: 20, side: :worker} = Native.arena_info(worker)
    end
  end

  test "publishes as much of a batch as fits", %{manager: manager, worker: worker} do
    batch = for id <- 1..20, do: empty(job_id: id)
    assert Native.ring_publish(manager, batch) == {:ok, 8}
    assert Native.ring_publish(manager, Enum.drop(batch, 8)) == {:ok, 0}
    assert {:ok, first, :more} = Native.ring_drain(worker, 3)
    assert {:ok, second, :done} = Native.ring_drain(worker, 64)
    assert Enum.map(first ++ second, &Native.envelope_decode(&1).job_id) == Enum.to_list(1..8)
    assert Native.ring_publish(manager, Enum.drop(batch, 8)) == {:ok, 8}
    assert Native.ring_publish(manager, []) == {:ok, 0}

    assert_raise ArgumentError, fn ->
      Native.ring_publish(manager, List.duplicate(hd(batch), 65))
    end
  end

  test "gives slots back when the other side releases them", context do
    %{manager: manager, worker: worker} = context
    for id <- 1..2, do: send_payload(manager, :binary.copy("x", 4096), opcode: 1, job_id: id)
    assert Native.slot_take(manager, 4096) == :full
    assert {:error, :oversize, _} = Native.slot_take(manager, 4097)
    {:ok, [one, _two], :done} = Native.ring_drain(worker, 64)
    offset = Native.envelope_decode(one).payload_offset
    assert Native.slot_release(worker, [offset]) == :ok
    assert {:ok, _, ^offset, 4096} = Native.slot_take(manager, 4096)
  end

  test "lets nobody use a slot that is not his", %{manager: manager, worker: worker} do
    {:ok, slot, offset, 256} = Native.slot_take(manager, 10)
    assert Native.slot_write(manager, slot, 0, "0123456789") == :ok
    one = envelope(offset, "0123456789", opcode: 1)

    # Not drained yet, not with two envelopes, and not after it was published.
    assert_raise ArgumentError, fn -> Native.slot_read(worker, offset, 1) end
    assert_raise ArgumentError, fn -> Native.ring_publish(manager, [one, one]) end
    assert Native.ring_publish(manager, [one]) == {:ok, 1}
    assert_raise ArgumentError, fn -> Native.ring_publish(manager, [one]) end
    assert_raise ArgumentError, fn -> Native.slot_write(manager, slot, 0, "again") end
    assert_raise ArgumentError, fn -> Native.slot_put_back(manager, slot) end

    take_one(worker)
    assert_raise ArgumentError, fn -> Native.slot_read(worker, offset, 257) end
    assert_raise ArgumentError, fn -> Native.slot_read(worker, offset + 1, 1) end
    assert_raise ArgumentError, fn -> Native.slot_release(worker, [offset, offset]) end
    assert Native.slot_release(worker, [offset]) == :ok
    assert_raise ArgumentError, fn -> Native.slot_release(worker, [offset]) end
    assert_raise ArgumentError, fn -> Native.slot_read(worker, offset, 1) end
  end

  test "puts a slot back that was not published", %{manager: manager} do
    {:ok, slot, offset, _} = Native.slot_take(manager, 4096)
    assert Native.arena_info(manager).slots_taken == 1
    assert Native.slot_put_back(manager, slot) == :ok
    assert Native.arena_info(manager).slots_taken == 0
    assert_raise ArgumentError, fn -> Native.slot_put_back(manager, slot) end
    assert {:ok, ^slot, ^offset, _} = Native.slot_take(manager, 4096)
  end

  describe "parking" do
    test "ends with a message when the other side publishes", context do
      %{manager: manager, worker: worker} = context
      assert Native.ring_park(worker) == :parked
      refute_receive {:weir_ready, ^worker}, 20
      Native.ring_publish(manager, [empty(job_id: 1)])
      assert_receive {:weir_ready, ^worker}
      assert Native.arena_info(manager).wakes_sent == 1
      assert Native.ring_park(worker) == :busy
      assert take_one(worker).job_id == 1

      # Awake: no system call is spent on it.
      Native.ring_publish(manager, [empty(job_id: 2)])
      assert Native.arena_info(manager).wakes_sent == 1
    end

    test "needs the eventfds, which are given once", %{welcome: welcome, manager: manager} do
      {:ok, eventfd} = Native.eventfd_create()
      assert {:error, :invalid, _} = Native.arena_wake_with(manager, eventfd, eventfd)
      {:ok, other} = Native.arena_create(NativeCalls.small_arena(), 1)
      assert {:error, :invalid, _} = Native.ring_park(other)
      assert welcome.generation == @generation
    end
  end

  describe "a side that lies" do
    for {what, fields, reason} <- [
          {"about the generation", [generation: 10], :generation},
          {"about the version", [version: 77], :version},
          {"with an unknown flag", [flags: 0x80], :flags},
          {"with a reply as request", [status: 1], :reply_status},
          {"without an opcode", [opcode: 0], :opcode},
          {"about the packed length", [original_bytes: 5], :payload_range}
        ] do
      test "#{what} is not believed any more", %{manager: manager, worker: worker} do
        good = empty(job_id: 1)
        bad = empty(unquote(fields))
        {:ok, 3} = Native.ring_publish(manager, [good, bad, good])
        assert {:ok, [_], :done} = Native.ring_drain(worker, 64)
        assert {:error, :protocol, sentence} = Native.ring_drain(worker, 64)
        assert sentence =~ "(#{unquote(reason)})"
        assert {:error, :protocol, ^sentence} = Native.ring_drain(worker, 64)
      end
    end
  end

  describe "attaching" do
    test "checks what the welcome says", %{welcome: welcome, descriptors: descriptors} do
      {:ok, stranger} = Native.eventfd_create()

      for {change, pair} <- [
            {%{generation: 8}, descriptors},
            {%{manager_bytes: welcome.manager_bytes + 65_536}, descriptors},
            {%{worker_bytes: 1}, descriptors},
            {%{}, Enum.reverse(descriptors)},
            {%{}, [stranger, stranger]},
            {%{}, []},
            {%{backing: 1}, descriptors}
          ] do
        assert {:error, status, sentence} =
                 Native.arena_attach(Map.merge(welcome, change), pair, :worker)

        assert status in [:protocol, :incompatible, :system]
        assert sentence != ""
      end
    end

    test "is not possible once the memory is sealed", context do
      assert {:error, _, _} = Native.arena_attach(context.welcome, context.descriptors, :worker)
    end

    test "leaves the descriptors to their owner", %{descriptors: descriptors} do
      for descriptor <- descriptors, do: assert(Native.descriptor_close(descriptor) == :ok)
    end

    test "is open to a peer, and sealing is the manager's alone" do
      {:ok, manager} = Native.arena_create(NativeCalls.small_arena(), 3)
      {:ok, descriptors} = Native.arena_descriptors(manager)
      {:ok, peer} = Native.arena_attach(Native.arena_welcome(manager), descriptors, :peer)
      assert Native.arena_info(peer).side == :peer
      assert {:error, :refused, _} = Native.arena_seal(peer)
      assert Native.arena_seal(manager) == :ok
    end
  end

  test "goes with its owner", context do
    test = self()

    {owner, monitor} =
      spawn_monitor(fn ->
        {:ok, arena} = Native.arena_create(NativeCalls.small_arena(), 1)
        send(test, {:arena, arena})
        Process.sleep(:infinity)
      end)

    assert_receive {:arena, arena}
    Process.exit(owner, :kill)
    assert_receive {:DOWN, ^monitor, :process, _, :killed}
    eventually(fn -> match?({:error, :closed, _}, Native.arena_info(arena)) end, "it is closed")
    assert Native.arena_close(context.manager) == :ok
    assert {:error, :closed, _} = Native.arena_close(context.manager)
    assert {:error, :closed, _} = Native.ring_publish(context.manager, [])
  end

  test "names what is wrong with its sizes" do
    for {options, words} <- [
          {%{ring_capacity: 3}, "power of two"},
          {%{request_classes: [{65, 1}]}, "64"},
          {%{request_classes: [{128, 1}, {64, 1}]}, "order the classes by size"}
        ] do
      assert {:error, :invalid, sentence} = Native.arena_create(options, 1)
      assert sentence =~ words
    end
  end
end
