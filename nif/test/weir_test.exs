defmodule WeirTest do
  use ExUnit.Case

  import Weir.TestSupport, only: [eventually: 2]
  import Weir.TestSupport.Instances

  alias Weir.{Error, Result}

  describe "run/3" do
    test "returns the reply and how it came about", context do
      name = start!(context)
      assert {:ok, %Result{} = result} = Weir.run(name, {:echo, "hello"})
      assert result.payload == "hello"
      assert result.opcode == :echo
      assert result.pool == :loopback
      assert result.sent_count == 1
      assert result.elapsed_ns > 0
    end

    test "takes opcodes by number and payloads as iodata", context do
      name = start!(context)
      assert {:ok, %Result{payload: "abc", opcode: 1}} = Weir.run(name, {1, ["a", [?b], "c"]})
    end

    test "carries payloads of every size class and none", context do
      name = start!(context)

      for bytes <- [0, 1, 64, 65, 256, 257, 4_096, 65_536, 262_144, 262_145, 1_048_576] do
        payload = :binary.copy(<<bytes::8>>, bytes)
        assert {:ok, %Result{payload: ^payload}} = Weir.run(name, {:echo, payload})
      end
    end

    test "verifies against an independent checksum", context do
      name = start!(context)
      payload = :rand.bytes(10_000)
      crc = Weir.Crc32c.of(payload)

      assert {:ok, %Result{payload: <<10_000::little-64, ^crc::little-32, 0::32>>}} =
               Weir.run(name, {:crc, payload})
    end

    test "tells an oversize request", context do
      name = start!(context)
      assert {:error, %Error{outcome: :oversize} = error} = Weir.run(name, {:echo, large()})
      assert error.text =~ "fits in no slot"
      assert Exception.message(error) =~ "job :echo of pool :loopback ended as oversize"
    end

    test "tells a request that breaks its schema", context do
      name = start!(context)
      assert {:error, %Error{outcome: :incompatible}} = Weir.run(name, {:simulate, "short"})
    end

    test "tells an opcode that no worker serves", context do
      name = start!(context, command: ["weir-loopback", "--opcodes", "echo"])

      assert {:error, %Error{outcome: :unsupported, sent_count: 0}} =
               Weir.run(name, {:crc, "abc"})
    end

    test "ends at the deadline when the worker does not answer", context do
      name = start!(context, [stuck: 60_000, silence: 60_000], timeout: 100)
      resume = stall!(name)
      assert {:error, %Error{outcome: :timeout}} = Weir.run(name, {:echo, "x"})
      assert {:error, %Error{outcome: :timeout}} = Weir.run(name, {:echo, "x"}, timeout: 20)
      resume.()
      assert {:ok, _} = Weir.run(name, {:echo, "x"}, timeout: :infinity)
    end

    test "serves many processes at once, each with its own reply", context do
      name = start!(context, workers: 2)

      1..64
      |> Enum.map(fn caller ->
        Task.async(fn ->
          for round <- 1..50 do
            payload = "#{caller} #{round}"
            assert {:ok, %Result{payload: ^payload}} = Weir.run(name, {:echo, payload})
          end
        end)
      end)
      |> Task.await_many(60_000)

      assert Weir.stats(name).outcomes.ok == 3_200
    end

    test "leaves other messages of its caller alone", context do
      name = start!(context)
      send(self(), :mine)
      for _ <- 1..100, do: assert({:ok, _} = Weir.run(name, {:echo, "x"}))
      assert Process.info(self(), :messages) == {:messages, [:mine]}
    end

    test "names what is wrong with its arguments", context do
      name = start!(context)

      assert_raise ArgumentError, ~r/no instance of Weir has the name Nobody/, fn ->
        Weir.run(Nobody, {:echo, "x"})
      end

      assert_raise ArgumentError, ~r/no opcode has the name :dance; .* :echo/, fn ->
        Weir.run(name, {:dance, "x"})
      end

      assert_raise ArgumentError, ~r/no pool :images; there are :loopback/, fn ->
        Weir.run(name, {:echo, "x"}, pool: :images)
      end

      assert_raise ArgumentError, ~r/a job has no option \{:timeout, 0\}/, fn ->
        Weir.run(name, {:echo, "x"}, timeout: 0)
      end
    end
  end

  describe "run!/3" do
    test "returns the result or raises the error", context do
      name = start!(context)
      assert %Result{payload: "x"} = Weir.run!(name, {:echo, "x"})
      assert_raise Error, ~r/ended as oversize/, fn -> Weir.run!(name, {:echo, large()}) end
    end
  end

  describe "run_many/3" do
    test "returns the outcomes in the payloads' order", context do
      name = start!(context, workers: 2)
      payloads = for number <- 1..5_000, do: "payload #{number}"
      outcomes = Weir.run_many(name, {:echo, payloads})
      assert Enum.map(outcomes, fn {:ok, result} -> result.payload end) == payloads
    end

    test "carries large payloads among small ones", context do
      name = start!(context)
      payloads = for bytes <- [10, 300_000, 20, 1_000_000, 0, 900_000, 5], do: :rand.bytes(bytes)
      outcomes = Weir.run_many(name, {:echo, payloads})
      assert Enum.map(outcomes, fn {:ok, result} -> result.payload end) == payloads
    end

    test "tells each payload's own outcome", context do
      name = start!(context)

      assert [{:ok, _}, {:error, %Error{outcome: :oversize}}, {:ok, _}] =
               Weir.run_many(name, {:echo, ["a", large(), "b"]})

      assert Weir.run_many(name, {:echo, []}) == []
    end

    test "waits for the jobs of a worker that stands still, until their deadline", context do
      name = start!(context, stuck: 60_000, silence: 60_000)
      resume = stall!(name)
      outcomes = Weir.run_many(name, {:echo, ["a", "b", "c"]}, timeout: 50)

      assert Enum.map(outcomes, fn {:error, error} -> error.outcome end) == [
               :timeout,
               :timeout,
               :timeout
             ]

      resume.()
    end

    test "of the policy :wait comes through a needle's eye", context do
      name = start!(context, policy: :wait, memory: [ring_capacity: 2])

      results =
        1..8
        |> Enum.map(fn caller ->
          payloads = for number <- 1..50, do: "#{caller} #{number}"
          Task.async(fn -> {payloads, Weir.run_many(name, {:echo, payloads})} end)
        end)
        |> Task.await_many(60_000)

      for {payloads, outcomes} <- results do
        assert Enum.map(outcomes, fn {:ok, result} -> result.payload end) == payloads
      end
    end
  end

  describe "submit/3, await/2 and cancel/1" do
    test "hand over now and tell later", context do
      name = start!(context)
      jobs = for number <- 1..10, do: Weir.submit(name, {:echo, "#{number}"})

      # In another order than they were submitted.
      for {job, number} <- jobs |> Enum.with_index(1) |> Enum.reverse() do
        payload = "#{number}"
        assert {:ok, %Result{payload: ^payload}} = Weir.await(job)
      end
    end

    test "await tells that a job has not ended, and may be asked again", context do
      name = start!(context, stuck: 60_000, silence: 60_000)
      resume = stall!(name)
      job = Weir.submit(name, {:echo, "x"}, timeout: :infinity)
      assert Weir.await(job, 20) == :pending
      assert Weir.await(job, 0) == :pending
      resume.()
      assert {:ok, %Result{payload: "x"}} = Weir.await(job)
    end

    test "cancel ends a job as cancelled, from any process", context do
      name = start!(context, stuck: 60_000, silence: 60_000)
      resume = stall!(name)
      job = Weir.submit(name, {:echo, "x"}, timeout: :infinity)
      assert Task.await(Task.async(fn -> Weir.cancel(job) end)) == :ok
      assert {:error, %Error{outcome: :cancelled}} = Weir.await(job)
      assert Weir.cancel(job) == :not_found
      resume.()
    end

    test "only the process that submitted a job awaits it", context do
      name = start!(context)
      job = Weir.submit(name, {:echo, "x"})

      Task.await(
        Task.async(fn ->
          assert_raise ArgumentError, ~r/awaited by the process that submitted/, fn ->
            Weir.await(job)
          end
        end)
      )

      assert {:ok, _} = Weir.await(job)
    end

    test "a job that ends at once is told as well", context do
      name = start!(context)

      assert {:error, %Error{outcome: :oversize}} =
               Weir.await(Weir.submit(name, {:echo, large()}))
    end

    test "the death of the caller cancels its jobs", context do
      name = start!(context, stuck: 60_000, silence: 60_000)
      resume = stall!(name)
      test = self()

      caller =
        spawn(fn ->
          for _ <- 1..3, do: Weir.submit(name, {:echo, "x"}, timeout: :infinity)
          send(test, :submitted)
          Process.sleep(:infinity)
        end)

      assert_receive :submitted, 10_000
      assert Weir.stats(name).outcomes.cancelled == 0
      Process.exit(caller, :kill)
      eventually(fn -> Weir.stats(name).outcomes.cancelled == 3 end, "three jobs are cancelled")
      resume.()
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
    end
  end

  describe "without room" do
    setup context do
      pool = [memory: [ring_capacity: 2], stuck: 60_000, silence: 60_000]
      name = start!(context, pool ++ Map.get(context, :pool, []))
      resume = stall!(name)
      jobs = for _ <- 1..2, do: Weir.submit(name, {:echo, "x"}, timeout: :infinity)
      %{name: name, resume: resume, jobs: jobs}
    end

    test "the policy :reject ends the new job", %{name: name, resume: resume, jobs: jobs} do
      assert {:error, %Error{outcome: :rejected, sent_count: 0}} = Weir.run(name, {:echo, "x"})
      resume.()
      for job <- jobs, do: assert({:ok, _} = Weir.await(job))
    end

    @tag pool: [policy: :defer, deferred_max: 1]
    test "the policy :defer keeps it until its queue is full", context do
      %{name: name, resume: resume, jobs: jobs} = context
      deferred = Weir.submit(name, {:echo, "deferred"}, timeout: :infinity)
      assert {:error, %Error{outcome: :rejected}} = Weir.run(name, {:echo, "x"})
      assert Weir.await(deferred, 10) == :pending
      resume.()
      for job <- [deferred | jobs], do: assert({:ok, _} = Weir.await(job))
    end

    @tag pool: [policy: :drop_oldest, deferred_max: 1]
    test "the policy :drop_oldest ends the oldest deferred job", context do
      %{name: name, resume: resume, jobs: jobs} = context
      old = Weir.submit(name, {:echo, "old"}, timeout: :infinity)
      new = Weir.submit(name, {:echo, "new"}, timeout: :infinity)
      assert {:error, %Error{outcome: :rejected}} = Weir.await(old)
      resume.()
      for job <- [new | jobs], do: assert({:ok, _} = Weir.await(job))
    end

    @tag pool: [policy: :wait]
    test "the policy :wait rejects it at its deadline", %{name: name, resume: resume, jobs: jobs} do
      assert {:error, %Error{outcome: :rejected}} = Weir.run(name, {:echo, "x"}, timeout: 50)
      resume.()
      for job <- jobs, do: assert({:ok, _} = Weir.await(job))
    end

    @tag pool: [policy: :wait]
    test "the policy :wait goes on as soon as there is room", context do
      %{name: name, resume: resume} = context
      waiting = Task.async(fn -> Weir.run(name, {:echo, "x"}, timeout: :infinity) end)
      eventually(fn -> Weir.stats(name).outcomes.rejected > 3 end, "it has asked several times")
      resume.()
      assert {:ok, %Result{payload: "x"}} = Task.await(waiting, 30_000)
    end
  end

  describe "pinned results" do
    test "outlive their worker and their instance", context do
      name = start!(context, trusted: true, backoff: [first_ms: 1])
      payload = :rand.bytes(500_000)
      assert {:ok, %Result{payload: pinned}} = Weir.run(name, {:echo, payload}, pinned: true)
      assert Weir.stats(name).held_bytes >= 500_000
      kill(worker(name).pid, "KILL")
      eventually(fn -> worker(name).restarts == 1 end, "the worker is replaced")
      assert pinned == payload
      :ok = stop_supervised({Weir, name})
      assert pinned == payload
      assert :binary.copy(pinned) == payload
    end

    test "are given back when they are collected", context do
      name = start!(context, trusted: true)

      hold = fn ->
        {:ok, result} = Weir.run(name, {:echo, :rand.bytes(500_000)}, pinned: true)
        result.payload
      end

      test = self()

      {holder, monitor} =
        spawn_monitor(fn ->
          payload = hold.()
          send(test, :held)
          receive do: (:enough -> byte_size(payload))
        end)

      assert_receive :held, 10_000
      assert Weir.stats(name).held_bytes > 0
      send(holder, :enough)
      assert_receive {:DOWN, ^monitor, _, _, _}
      eventually(fn -> Weir.stats(name).held_bytes == 0 end, "nothing is held")
    end

    test "are copies in a pool that is not trusted, and beyond what may be lent", context do
      name = start!(context)
      assert {:ok, %Result{}} = Weir.run(name, {:echo, :rand.bytes(500_000)}, pinned: true)
      assert Weir.stats(name).held_bytes == 0
      :ok = stop_supervised({Weir, name})

      start!(context, trusted: true)
      payloads = for _ <- 1..6, do: :rand.bytes(500_000)
      # Two slots of a worker are as large as that; more results than slots are kept here.
      held = for payload <- payloads, do: Weir.run!(name, {:echo, payload}, pinned: true).payload
      assert held == payloads
    end
  end

  describe "trace: true" do
    test "logs the way of each job, as the samples in the documents", context do
      log =
        ExUnit.CaptureLog.capture_log(fn ->
          name = start!(context, [], trace: true)
          {:ok, _} = Weir.run(name, {:echo, "hello"})
          {:error, _} = Weir.run(name, {5_000, ""})
          :ok = stop_supervised({Weir, name})
        end)

      assert log =~ ~r/job [0-9a-f]{16} correlation \d+ opcode echo 5 bytes to be sent, attempt 1/
      assert log =~ ~r/job [0-9a-f]{16} correlation \d+ opcode echo ended: ok/
      assert log =~ ~r/opcode unknown ended: unsupported/
      assert log =~ "worker 0 of loopback ready: pid"
    end
  end

  describe "fallback: :beam" do
    test "runs what no native worker serves", context do
      command = ["weir-loopback", "--opcodes", "echo"]
      name = start!(context, command: command, fallback: :beam)
      assert {:ok, %Result{sent_count: 1}} = Weir.run(name, {:echo, "abc"})
      crc = Weir.Crc32c.of("abc")

      assert {:ok, %Result{payload: <<3::little-64, ^crc::little-32, _::32>>}} =
               Weir.run(name, {:crc, "abc"})

      assert {:ok, %Result{}} = Weir.await(Weir.submit(name, {:crc, "abc"}))
      assert [{:ok, _}, {:ok, _}] = Weir.run_many(name, {:crc, ["abc", "def"]})

      # Nobody serves this one.
      assert {:error, %Error{outcome: :unsupported}} =
               Weir.run(name, {:worldgen, :binary.copy(<<0>>, 64)})
    end

    test "takes routines of the application's own", context do
      name =
        start!(context,
          fallback: :beam,
          opcodes: %{shout: 5_000},
          routines: %{shout: fn text -> {:ok, String.upcase(text)} end}
        )

      assert {:ok, %Result{payload: "LOUD", opcode: :shout}} = Weir.run(name, {:shout, "loud"})
    end

    test "sends an idempotent job again when its loop dies, another not", context do
      # The routine's process is linked to its loop alone.
      kill_loop = fn _ ->
        {:links, [loop]} = Process.info(self(), :links)
        Process.exit(loop, :kill)
        Process.sleep(:infinity)
      end

      name =
        start!(context,
          fallback: :beam,
          # A loop that died is replaced after a while.
          policy: :defer,
          opcodes: %{kill_loop: 5_000},
          routines: %{kill_loop: kill_loop}
        )

      for {options, sent} <- [{[], 1}, {[idempotent: true], 3}] do
        assert {:error, %Error{outcome: :worker_lost, sent_count: ^sent}} =
                 Weir.run(name, {:kill_loop, ""}, options)

        job = Weir.submit(name, {:kill_loop, ""}, options)

        assert {:error, %Error{outcome: :worker_lost, sent_count: ^sent}} = Weir.await(job)
      end
    end
  end

  describe "instances" do
    test "stand side by side", context do
      first = start!(context)
      other = [name: Module.concat(first, Other), runtime_directory: directory!()]
      options = options(context, [], other)
      start_supervised!({Weir, options})
      :ok = Weir.await_ready(options[:name])
      assert {:ok, _} = Weir.run(first, {:echo, "x"})
      assert {:ok, _} = Weir.run(options[:name], {:echo, "x"})
      :ok = stop_supervised({Weir, first})
      assert {:ok, _} = Weir.run(options[:name], {:echo, "x"})
      assert Weir.stats(options[:name]).outcomes.ok == 2
    end

    test "have several pools, addressed by name", context do
      pools = [
        [name: :small, command: ["weir-loopback", "--role", "small", "--opcodes", "echo"]],
        [name: :large, command: ["weir-loopback", "--role", "large", "--opcodes", "crc"]]
      ]

      name = start!(context, [], pools: pools)
      assert {:ok, %Result{pool: :small}} = Weir.run(name, {:echo, "x"})
      assert {:ok, %Result{pool: :large}} = Weir.run(name, {:crc, "x"}, pool: :large)
      assert {:error, %Error{pool: :large}} = Weir.run(name, {:echo, "x"}, pool: :large)
    end

    test "with one name exclude each other", context do
      name = start!(context)
      assert {:error, {:already_started, pid}} = Weir.start_link(options(context))
      assert pid == Process.whereis(name)
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
    end

    test "may be started again after a stop", context do
      name = start!(context)
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
      :ok = stop_supervised({Weir, name})
      assert_raise ArgumentError, ~r/no instance/, fn -> Weir.run(name, {:echo, "x"}) end
      start!(context)
      # The same process, with what it remembered of the former instance.
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
      assert Weir.stats(name).outcomes.ok == 1
    end
  end

  defp large, do: :binary.copy(<<0>>, 2_000_000)
end
