defmodule Weir.NativeWorkerTest do
  @moduledoc "The handshake from both ends, and a worker in Elixir that is driven in steps."
  use ExUnit.Case

  import Weir.TestSupport, only: [eventually: 2]
  alias Weir.Native
  alias Weir.TestSupport.NativeCalls

  @token String.duplicate("5e", 32)
  @generation 4
  @large 300_000

  setup do
    directory =
      Path.join(System.tmp_dir!(), "weir-w-#{System.pid()}-#{System.unique_integer([:positive])}")

    File.mkdir!(directory)
    File.chmod!(directory, 0o700)
    on_exit(fn -> File.rm_rf!(directory) end)

    options =
      Map.merge(NativeCalls.small_arena(), %{
        request_classes: [{256, 8}, {524_288, 2}],
        response_classes: [{256, 2}, {524_288, 2}]
      })

    {:ok, arena} = Native.arena_create(options, @generation)
    {:ok, wakes_worker} = Native.eventfd_create()
    {:ok, wakes_manager} = Native.eventfd_create()
    :ok = Native.arena_wake_with(arena, wakes_worker, wakes_manager)
    {:ok, listener} = Native.listener_open(directory, "socket")

    %{
      arena: arena,
      eventfds: {wakes_worker, wakes_manager},
      listener: listener,
      socket: Path.join(directory, "socket"),
      directory: directory
    }
  end

  defp connect(context, options \\ %{}) do
    Native.worker_connect(
      Map.merge(%{socket: context.socket, token: @token, opcodes: [1, 2], role: "echo"}, options)
    )
  end

  defp accept(context, options \\ %{}) do
    %{listener: listener, arena: arena, eventfds: eventfds} = context

    case Native.listener_accept(listener, arena, eventfds, Map.merge(%{token: @token}, options)) do
      :pending ->
        assert_receive {:weir_ready, ^listener}, 5_000
        accept(context, options)

      result ->
        result
    end
  end

  # Both ends in turn, as their sockets become readable.
  defp shake(worker, handshake, manager_says \\ nil) do
    manager_says = manager_says || Native.handshake_step(handshake)

    case Native.worker_handshake(worker) do
      :pending when manager_says == :pending -> shake(worker, handshake)
      :pending -> shake(worker, handshake, manager_says)
      {:ok, _} = ready when manager_says == :pending -> {ready, finish(handshake)}
      result -> {result, manager_says}
    end
  end

  defp finish(handshake) do
    case Native.handshake_step(handshake) do
      :pending ->
        assert_receive {:weir_ready, ^handshake}, 5_000
        finish(handshake)

      result ->
        result
    end
  end

  defp flush(message) do
    receive do
      ^message -> flush(message)
    after
      20 -> :ok
    end
  end

  defp serve(context) do
    {:ok, worker} = connect(context)
    {:ok, handshake} = accept(context)
    {{:ok, terms}, {:ok, names}} = shake(worker, handshake)
    :ok = Native.arena_seal(context.arena)
    %{worker: worker, handshake: handshake, terms: terms, names: names}
  end

  defp request(arena, payload, fields \\ []) do
    place =
      if payload == "" do
        %{}
      else
        {:ok, slot, offset, _} = Native.slot_take(arena, byte_size(payload))
        write(arena, slot, 0, payload)
        bytes = byte_size(payload)

        %{
          flags: 1,
          payload_offset: offset,
          payload_bytes: bytes,
          original_bytes: bytes,
          payload_crc: Native.crc32c_large(payload)
        }
      end

    minor = elem(Weir.Layout.Generated.version(), 1)

    envelope =
      %{version: minor, generation: @generation, opcode: 1}
      |> Map.merge(place)
      |> Map.merge(Map.new(fields))
      |> Native.envelope_encode(0)

    {:ok, 1} = Native.ring_publish(arena, [envelope])
    :ok
  end

  defp write(_arena, _slot, _at, ""), do: :ok

  defp write(arena, slot, at, payload) do
    part = binary_part(payload, 0, min(byte_size(payload), 262_144))
    :ok = Native.slot_write(arena, slot, at, part)
    rest = binary_part(payload, byte_size(part), byte_size(payload) - byte_size(part))
    write(arena, slot, at + byte_size(part), rest)
  end

  defp reply(arena) do
    case Native.ring_drain(arena, 64) do
      {:ok, [bytes], _} -> Native.envelope_decode(bytes)
      {:ok, [], _} -> nil
    end
  end

  defp payload(arena, envelope) do
    {:ok, bytes} = Native.slot_read(arena, envelope.payload_offset, envelope.payload_bytes)
    bytes
  end

  describe "the handshake" do
    test "tells each side of the other", context do
      %{terms: terms, names: names} = serve(context)
      assert %{generation: @generation, ring_capacity: 8, request_bytes_max: 524_288} = terms
      assert terms.manager_pid == String.to_integer(System.pid())
      assert %{role: "echo", language: "elixir", opcodes: [1, 2], relation: :identical} = names
      assert names.pid == String.to_integer(System.pid())
    end

    test "does not wait for a worker that says nothing", context do
      %{listener: listener, arena: arena, eventfds: eventfds} = context
      assert Native.listener_accept(listener, arena, eventfds, %{token: @token}) == :pending
      {:ok, worker} = connect(context)
      assert_receive {:weir_ready, ^listener}, 5_000
      {:ok, handshake} = accept(context)
      assert Native.worker_handshake(worker) == :pending
      assert Native.handshake_step(handshake) == :pending
      refute Native.handshake_alive(handshake)
    end

    for {what, worker, manager, words} <- [
          {"a wrong token", %{token: String.duplicate("00", 32)}, %{}, "token"},
          {"another role", %{}, %{role: "other"}, "role"},
          {"another correlation", %{correlation: "a"}, %{correlation: "b"}, "correlation"}
        ] do
      test "refuses #{what} with a sentence", context do
        {:ok, worker} = connect(context, unquote(Macro.escape(worker)))
        {:ok, handshake} = accept(context, unquote(Macro.escape(manager)))
        assert {:error, :refused, here} = Native.handshake_step(handshake)
        assert {:error, :refused, there} = Native.worker_handshake(worker)
        assert here =~ unquote(words)
        assert there =~ here
        assert {:error, :closed, _} = Native.worker_handshake(worker)
        assert {:error, :closed, _} = Native.handshake_step(handshake)
      end
    end

    test "ends at its deadline", context do
      {:ok, handshake_of_nobody} =
        with {:ok, _} <- connect(context), do: accept(context, %{timeout_ms: 1})

      # HELLO was there in time, READY is not.
      eventually(
        fn -> match?({:error, _, _}, Native.handshake_step(handshake_of_nobody)) end,
        "the deadline has passed"
      )
    end

    test "needs a private directory and a short path", %{directory: directory} do
      open = Path.join(directory, "open")
      File.mkdir!(open)
      File.chmod!(open, 0o755)
      assert {:error, :refused, sentence} = Native.listener_open(open, "s")
      assert sentence =~ "0700"
      long = String.duplicate("n", 120)
      assert {:error, :invalid, _} = Native.listener_open(directory, long)

      assert {:error, :not_found, _} =
               Native.worker_connect(%{socket: "/nowhere", token: @token, opcodes: [1]})
    end

    test "removes its socket", context do
      assert File.exists?(context.socket)
      assert Native.listener_close(context.listener) == :ok
      refute File.exists?(context.socket)
      assert {:error, :closed, _} = Native.listener_close(context.listener)
    end
  end

  describe "a job" do
    setup context, do: serve(context)

    test "is begun, answered and counted", %{worker: worker, arena: arena} do
      assert Native.worker_next(worker) == :empty
      request(arena, "ping", job_id: 77, deadline_ns: 0xFFFF_FFFF_FFFF_FFFF)
      assert {:job, 1, "ping", 77, 0xFFFF_FFFF_FFFF_FFFF} = Native.worker_next(worker)
      assert {:error, :invalid, _} = Native.worker_next(worker)
      assert {:error, :invalid, _} = Native.worker_park(worker)
      assert Native.worker_progress(worker) == :ok
      assert Native.worker_reply(worker, :ok, "pong") == :ok
      assert {:error, :invalid, _} = Native.worker_reply(worker, :ok, "pong")
      answer = reply(arena)
      assert %{job_id: 77, status: 1} = answer
      assert payload(arena, answer) == "pong"
      assert %{jobs_ok: 1, jobs_failed: 0} = Native.worker_stats(worker)
    end

    test "may be empty, both ways", %{worker: worker, arena: arena} do
      request(arena, "", job_id: 1)
      assert {:job, 1, "", 1, 0} = Native.worker_next(worker)
      assert Native.worker_reply(worker, :ok, "") == :ok
      assert %{payload_bytes: 0, status: 1} = reply(arena)
    end

    test "that is large goes through a dirty scheduler", %{worker: worker, arena: arena} do
      large = :rand.bytes(@large)
      request(arena, large, job_id: 1)
      assert Native.worker_next(worker) == :large
      assert {:job, 1, ^large, 1, 0} = Native.worker_next_large(worker)
      assert Native.worker_reply(worker, :ok, large) == :large
      assert Native.worker_reply_large(worker, :ok, large) == :ok
      assert %{payload_bytes: @large, payload_crc: crc} = reply(arena)
      assert crc == Native.crc32c_large(large)
    end

    test "fails with a sentence, which is cut when it is long", %{worker: worker, arena: arena} do
      for {reason, expected} <- [
            {"no such map", "no such map"},
            {String.duplicate("y", 400), String.duplicate("y", 255)}
          ] do
        request(arena, "x")
        {:job, _, _, _, _} = Native.worker_next(worker)
        assert Native.worker_reply(worker, :failed, reason) == :ok
        answer = reply(arena)
        assert Weir.Layout.Generated.reply_status_name(answer.status) == :failed
        assert payload(arena, answer) == expected
        Native.slot_release(arena, [answer.payload_offset])
      end
    end

    test "whose answer fits in no slot is answered so", %{worker: worker, arena: arena} do
      request(arena, "x")
      {:job, _, _, _, _} = Native.worker_next(worker)

      assert {:error, :oversize, _} =
               Native.worker_reply_large(worker, :ok, :binary.copy("x", 524_289))

      assert Native.worker_reply(worker, :oversize, "") == :ok
      assert Weir.Layout.Generated.reply_status_name(reply(arena).status) == :oversize
    end

    test "waits for a slot without waiting", %{worker: worker, arena: arena} do
      held =
        for _ <- 1..4 do
          request(arena, "x")
          {:job, _, _, _, _} = Native.worker_next(worker)
          :ok = Native.worker_reply(worker, :ok, "y")
          reply(arena).payload_offset
        end

      request(arena, "x")
      {:job, _, _, _, _} = Native.worker_next(worker)
      assert Native.worker_reply(worker, :ok, "y") == :full
      assert Native.worker_reply(worker, :ok, "y") == :full
      :ok = Native.slot_release(arena, [hd(held)])
      assert Native.worker_reply(worker, :ok, "y") == :ok
    end

    test "that is damaged, late or unknown never reaches the routine", context do
      %{worker: worker, arena: arena} = context
      request(arena, "x", payload_crc: 1, job_id: 1)
      request(arena, "x", deadline_ns: 1, job_id: 2)
      request(arena, "x", opcode: 3, job_id: 3)
      request(arena, "x", job_id: 4)
      assert {:job, 1, "x", 4, 0} = Native.worker_next(worker)
      assert Native.worker_reply(worker, :no_slot, "") == :ok
      {:ok, answers, :done} = Native.ring_drain(arena, 64)

      names =
        for bytes <- answers,
            answer = Native.envelope_decode(bytes),
            do: {answer.job_id, Weir.Layout.Generated.reply_status_name(answer.status)}

      assert names == [{1, :corrupt}, {2, :expired}, {3, :unsupported}, {4, :no_slot}]
    end

    test "from a manager that lies ends the worker, after the good ones", context do
      %{worker: worker, arena: arena} = context
      request(arena, "x", job_id: 1)
      request(arena, "", generation: 5)
      assert {:job, 1, "x", 1, 0} = Native.worker_next(worker)
      assert Native.worker_reply(worker, :ok, "") == :ok
      assert {:error, :protocol, sentence} = Native.worker_next(worker)
      assert sentence =~ "at request 1 (generation)"
      assert {:error, :protocol, ^sentence} = Native.worker_next(worker)
    end
  end

  describe "waiting" do
    setup context, do: serve(context)

    test "ends with a message", %{worker: worker, arena: arena} do
      assert Native.worker_park(worker) == :parked
      refute_receive {:weir_ready, ^worker}, 20
      request(arena, "x")
      assert_receive {:weir_ready, ^worker}
      assert Native.worker_park(worker) == :busy
      assert {:job, 1, "x", _, _} = Native.worker_next(worker)
    end

    test "of the manager ends with a message too", %{worker: worker, arena: arena} do
      request(arena, "x")
      {:job, 1, "x", _, _} = Native.worker_next(worker)
      assert Native.ring_park(arena) == :parked
      :ok = Native.worker_reply(worker, :ok, "y")
      assert_receive {:weir_ready, ^arena}
      assert Native.worker_stats(worker).wakes_sent == 1
    end
  end

  describe "the end" do
    setup context, do: serve(context)

    test "of the manager is told", %{worker: worker, handshake: handshake} do
      # The last message of the handshake may have been told of before it was taken.
      assert Native.worker_control(worker) == :ok
      flush({:weir_control, worker})
      assert Native.worker_control(worker) == :ok
      refute_receive {:weir_control, ^worker}, 20
      assert Native.handshake_alive(handshake)
      assert Native.handshake_close(handshake) == :ok
      assert_receive {:weir_control, ^worker}
      assert {:error, :peer_dead, _} = Native.worker_control(worker)
    end

    test "of the worker is told", %{worker: worker, handshake: handshake} do
      assert Native.handshake_alive(handshake)
      assert Native.worker_close(worker) == :ok
      assert_receive {:weir_ready, ^handshake}
      refute Native.handshake_alive(handshake)
      assert {:error, :closed, _} = Native.worker_close(worker)
      assert {:error, :closed, _} = Native.worker_next(worker)
      assert {:error, :closed, _} = Native.worker_beat(worker)
    end

    test "begins with draining, in which jobs are still done", %{worker: worker, arena: arena} do
      assert Native.worker_drain(worker) == :ok
      request(arena, "x")
      assert {:job, 1, "x", _, _} = Native.worker_next(worker)
      assert Native.worker_reply(worker, :ok, "") == :ok
      assert Native.worker_next(worker) == :drained
      assert Native.worker_stats(worker).state == Weir.Layout.Generated.worker_state(:draining)
    end

    test "comes with the process that connected", context do
      other = %{context | listener: context.listener}
      test = self()

      {owner, monitor} =
        spawn_monitor(fn ->
          {:ok, worker} = connect(other)
          send(test, {:worker, worker})
          Process.sleep(:infinity)
        end)

      assert_receive {:worker, worker}
      Process.exit(owner, :kill)
      assert_receive {:DOWN, ^monitor, :process, _, :killed}

      eventually(
        fn -> match?({:error, :closed, _}, Native.worker_handshake(worker)) end,
        "it is closed"
      )
    end
  end

  test "a thousand lives leave no descriptor, mapping or resource behind", context do
    life = fn ->
      {:ok, arena} = Native.arena_create(NativeCalls.small_arena(), 1)
      one = %{context | arena: arena}
      {:ok, worker} = connect(one)
      {:ok, handshake} = accept(one)

      case :rand.uniform(3) do
        1 -> :ok
        2 -> shake(worker, handshake)
        3 -> Native.worker_close(worker)
      end
    end

    lives = fn count ->
      for _ <- 1..count do
        {_, monitor} = spawn_monitor(life)
        assert_receive {:DOWN, ^monitor, :process, _, :normal}, 10_000
      end
    end

    # What finished tests left on the heaps of others must not be taken for a leak, nor hide one.
    counts = fn ->
      for pid <- Process.list(), do: :erlang.garbage_collect(pid)

      mappings =
        File.read!("/proc/self/maps") |> String.split("\n") |> Enum.count(&(&1 =~ "weir-"))

      {length(File.ls!("/proc/self/fd")), mappings, Native.resources()}
    end

    lives.(20)
    counts.()
    Process.sleep(200)
    before = counts.()
    lives.(1_000)
    eventually(fn -> counts.() == before end, "the counts are what they were")
  end
end
