defmodule Weir.FallbackTest do
  use ExUnit.Case, async: true

  import Weir.TestSupport, only: [eventually: 2]
  alias Weir.{Crc32c, Fallback, Property}

  @echo 1
  @idempotent 8
  @app 0x1000
  @crash 0x1001
  @hang 0x1002
  @count 0x1003
  @kill_loop 0x1004
  @hold 0x1005

  defp start(options \\ []) do
    me = self()
    counter = :counters.new(1, [])

    routines = %{
      @app => fn payload -> {:ok, String.upcase(payload)} end,
      @crash => fn _ -> raise "the wheel broke" end,
      @hang => fn _ -> Process.sleep(:infinity) end,
      @count => fn _ ->
        :counters.add(counter, 1, 1)
        {:ok, "#{:counters.get(counter, 1)}"}
      end,
      # The routine's process is linked to its loop alone, and the loop knows its parent.
      @kill_loop => fn _ ->
        :counters.add(counter, 1, 1)
        {:links, [loop]} = Process.info(self(), :links)
        Process.exit(loop, :kill)
        Process.sleep(:infinity)
      end,
      @hold => fn _ ->
        send(me, {:holding, self()})

        receive do
          :go_on -> {:ok, "held"}
        end
      end
    }

    options =
      Keyword.merge(
        [
          routines: Map.merge(Weir.BeamRoutines.loopback(), routines),
          workers: 2,
          backoff: [first_ns: 1_000_000, max_ns: 2_000_000, deaths_max: 50]
        ],
        options
      )

    {start_supervised!({Fallback, options}, id: make_ref()), counter}
  end

  defp outcome({:done, outcome, _payload, _sent, _elapsed}), do: outcome

  defp balanced(server) do
    stats = Fallback.stats(server)
    assert stats.submitted == stats.outcomes |> Map.values() |> Enum.sum()
    assert stats.outstanding == 0
    stats
  end

  test "runs the loopback routines" do
    {server, _} = start()
    payload = :rand.bytes(1000)
    assert {:done, :ok, ^payload, 1, elapsed_ns} = Fallback.run(server, @echo, payload)
    assert elapsed_ns > 0
    crc = Crc32c.of(payload)

    assert {:done, :ok, <<1000::little-64, ^crc::little-32, 0::32>>, 1, _} =
             Fallback.run(server, 2, payload)

    assert {:done, :ok, "", 1, _} = Fallback.run(server, @echo, "")
    assert {:done, :ok, "WEIR", 1, _} = Fallback.run(server, @app, "weir")
    balanced(server)
  end

  test "answers many jobs in their order" do
    {server, _} = start()
    payloads = for number <- 1..500, do: "job #{number}"
    answers = Fallback.run_many(server, @echo, payloads)
    assert for({:done, :ok, payload, 1, _} <- answers, do: payload) == payloads
    assert Fallback.run_many(server, @echo, []) == []
    assert balanced(server).outcomes == %{ok: 500}
  end

  test "works without checksums where both sides agree" do
    {server, _} = start(payload_crc: false)
    assert {:done, :ok, "bare", 1, _} = Fallback.run(server, @echo, "bare")
  end

  test "fails a job whose routine crashes, with the reason, and goes on" do
    {server, _} = start(workers: 1)

    assert {:done, :failed, "** (RuntimeError) the wheel broke", 1, _} =
             Fallback.run(server, @crash, "")

    assert {:done, :ok, "on", 1, _} = Fallback.run(server, @echo, "on")
    assert Fallback.stats(server).restarts == 0
  end

  test "refuses what is not served, breaks the schema or is too long, before it is sent" do
    {server, _} = start(slot_bytes: 100)
    assert {:done, :unsupported, nil, 0, _} = Fallback.run(server, 17, :binary.copy(<<0>>, 32))
    assert {:done, :unsupported, nil, 0, _} = Fallback.run(server, 3, "")
    assert {:done, :unsupported, nil, 0, _} = Fallback.run(server, 0x7777, "")
    assert {:done, :incompatible, nil, 0, _} = Fallback.run(server, 16, "short")
    assert {:done, :oversize, nil, 0, _} = Fallback.run(server, @echo, :binary.copy("x", 101))
    assert {:done, :ok, _, 1, _} = Fallback.run(server, @echo, :binary.copy("x", 100))
    refute Fallback.serves?(server, 17)
    assert Fallback.serves?(server, @echo)
  end

  test "calls a reply that fits in no slot oversize" do
    {server, _} = start(slot_bytes: 100, routines: %{@app => fn p -> {:ok, [p, p]} end})
    assert {:done, :oversize, nil, 1, _} = Fallback.run(server, @app, :binary.copy("x", 60))
    assert {:done, :ok, _, 1, _} = Fallback.run(server, @app, :binary.copy("x", 50))
  end

  test "times a job out, kills its routine and serves the next" do
    {server, _} = start(workers: 1)
    assert {:done, :timeout, nil, 1, elapsed_ns} = Fallback.run(server, @hang, "", 20_000_000)
    assert elapsed_ns >= 20_000_000
    assert {:done, :ok, "on", 1, _} = Fallback.run(server, @echo, "on", 60_000_000_000)

    eventually(
      fn -> Fallback.stats(server).in_flight == 0 end,
      "the loop answers the expired job"
    )

    balanced(server)
  end

  test "times a job out that never came to be begun" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :holder, @hold, "")
    assert_receive {:holding, routine}, 5_000
    assert {:done, :timeout, nil, 1, _} = Fallback.run(server, @count, "", 20_000_000)
    send(routine, :go_on)
    assert_receive {:holder, :done, :ok, "held", 1, _}, 5_000
    # It was past its deadline when its turn came.
    assert {:done, :ok, "1", 1, _} = Fallback.run(server, @count, "")
  end

  test "cancels a job and its routine" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :mine, @hold, "")
    assert_receive {:holding, routine}, 5_000
    monitor = Process.monitor(routine)
    Fallback.cancel(server, :mine)
    assert_receive {:mine, :done, :cancelled, nil, 1, _}, 5_000
    assert_receive {:DOWN, ^monitor, _, _, :killed}, 5_000
    Fallback.cancel(server, :mine)
    Fallback.cancel(server, :never)
    assert {:done, :ok, "on", 1, _} = Fallback.run(server, @echo, "on")
    assert balanced(server).outcomes == %{cancelled: 1, ok: 1}
  end

  test "cancels the jobs of a caller that died" do
    {server, _} = start(workers: 1)

    caller =
      spawn(fn ->
        for number <- 1..5, do: Fallback.submit(server, number, @hang, "")
        Process.sleep(:infinity)
      end)

    eventually(fn -> Fallback.stats(server).outstanding == 5 end, "the jobs arrived")
    Process.exit(caller, :kill)
    eventually(fn -> Fallback.stats(server).outcomes == %{cancelled: 5} end, "they are cancelled")
    assert {:done, :ok, "on", 1, _} = Fallback.run(server, @echo, "on")
  end

  test "rejects what has no room" do
    {server, _} = start(workers: 1, capacity: 2)
    for tag <- [:a, :b, :c], do: Fallback.submit(server, tag, @hold, "")
    assert_receive {:c, :done, :rejected, nil, 0, _}, 5_000

    for tag <- [:a, :b] do
      assert_receive {:holding, routine}, 5_000
      send(routine, :go_on)
      assert_receive {^tag, :done, :ok, "held", 1, _}, 5_000
    end

    balanced(server)
  end

  test "defers what has no room, up to a limit, in order" do
    {server, _} = start(workers: 1, capacity: 2, no_room: :defer, deferred_max: 3)
    for tag <- 1..6, do: Fallback.submit(server, tag, @hold, "")
    assert_receive {6, :done, :rejected, nil, 0, _}, 5_000
    assert Fallback.stats(server).deferred == 3

    for tag <- 1..5 do
      assert_receive {:holding, routine}, 5_000
      send(routine, :go_on)
      assert_receive {^tag, :done, :ok, "held", 1, _}, 5_000
    end

    balanced(server)
  end

  test "a loop that dies is started again, and its begun job is lost" do
    {server, counter} = start(workers: 1)
    assert {:done, :worker_lost, nil, 1, _} = Fallback.run(server, @kill_loop, "")
    assert :counters.get(counter, 1) == 1
    assert {:done, :rejected, nil, 0, _} = Fallback.run(server, @echo, "too early")
    eventually(fn -> outcome(Fallback.run(server, @echo, "again")) == :ok end, "it is back")
    assert Fallback.stats(server).restarts == 1
  end

  test "an idempotent job that kills its loop is sent again twice and then lost" do
    {server, counter} = start(workers: 1)

    assert {:done, :worker_lost, nil, 3, _} =
             Fallback.run(server, @kill_loop, "", :infinity, @idempotent)

    assert :counters.get(counter, 1) == 3
    balanced(server)
  end

  test "jobs that a dead loop had not begun are sent again whatever they are" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :holder, @hold, "")
    assert_receive {:holding, _routine}, 5_000
    for number <- 1..5, do: Fallback.submit(server, number, @count, "")
    [{0, :serving, loop}] = Fallback.stats(server).workers
    Process.exit(loop, :kill)
    assert_receive {:holder, :done, :worker_lost, nil, 1, _}, 5_000

    for number <- 1..5 do
      payload = "#{number}"
      assert_receive {^number, :done, :ok, ^payload, 2, _}, 5_000
    end

    balanced(server)
  end

  test "a routine ends with its loop" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :holder, @hold, "")
    assert_receive {:holding, routine}, 5_000
    monitor = Process.monitor(routine)
    [{0, :serving, loop}] = Fallback.stats(server).workers
    Process.exit(loop, :kill)
    assert_receive {:DOWN, ^monitor, _, _, _}, 5_000
  end

  test "a seat whose loops keep dying is quarantined, and its jobs end" do
    {server, _} =
      start(workers: 1, no_room: :defer, backoff: [first_ns: 1_000_000, deaths_max: 2])

    answers = Fallback.run_many(server, @kill_loop, ["", "", ""], :infinity, @idempotent)
    assert Enum.map(answers, &outcome/1) |> Enum.uniq() == [:worker_lost]
    assert [{0, :quarantined, nil}] = Fallback.stats(server).workers
    balanced(server)
  end

  test "a forged reply is a fault: nothing of that loop is believed any more" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :holder, @hold, "")
    Fallback.submit(server, :behind, @count, "")
    assert_receive {:holding, _routine}, 5_000
    %{seats: %{0 => seat}} = :sys.get_state(server)
    # Signed for another incarnation.
    forged = %Weir.Envelope{opcode: @hold, status: 1, generation: 99, job_id: 1}
    {:ok, 1} = Weir.InMemoryRing.publish(seat.link.responses, [forged])
    send(server, {:weir_replies, seat.link.terms.generation})
    assert_receive {:holder, :done, :worker_lost, nil, 1, _}, 5_000
    # The begun marker is not believed either.
    assert_receive {:behind, :done, :worker_lost, nil, 1, _}, 5_000
    balanced(server)
  end

  test "a reply to nothing is dropped and counted" do
    {server, _} = start(workers: 1)
    %{seats: %{0 => seat}} = :sys.get_state(server)
    terms = seat.link.terms

    forged = %Weir.Envelope{
      opcode: @echo,
      status: 1,
      generation: terms.generation,
      version: terms.version,
      job_id: 77
    }

    {:ok, 1} = Weir.InMemoryRing.publish(seat.link.responses, [forged])
    send(server, {:weir_replies, terms.generation})
    eventually(fn -> Fallback.stats(server).stray == 1 end, "it is counted")
  end

  test "a payload that does not match its checksum makes the job corrupt" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :holder, @hold, "")
    assert_receive {:holding, routine}, 5_000
    Fallback.submit(server, :victim, @echo, "genuine")
    %{seats: %{0 => seat}} = :sys.get_state(server)
    table = seat.link.request_payloads.table
    [{offset, "genuine"}] = :ets.tab2list(table)
    :ets.insert(table, {offset, "forgery"})
    send(routine, :go_on)
    assert_receive {:victim, :done, :corrupt, nil, 1, _}, 5_000
  end

  test "drains: takes no more and waits for what is under way" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :holder, @hold, "")
    assert_receive {:holding, routine}, 5_000
    assert Fallback.drain(server, 50) == :timeout
    assert {:done, :cancelled, nil, 0, _} = Fallback.run(server, @echo, "late")
    send(routine, :go_on)
    assert Fallback.drain(server, 5_000) == :ok
    assert_receive {:holder, :done, :ok, "held", 1, _}
    assert Fallback.drain(server) == :ok
  end

  test "stopping cancels what is left, killing ends it as manager_lost, loops never outlive it" do
    {server, _} = start(workers: 1)
    Fallback.submit(server, :holder, @hold, "")
    assert_receive {:holding, _}, 5_000
    [{0, :serving, loop}] = Fallback.stats(server).workers
    monitor = Process.monitor(loop)
    GenServer.stop(server, :shutdown)
    assert_receive {:holder, :done, :cancelled, nil, 1, _}, 5_000
    assert_receive {:DOWN, ^monitor, _, _, _}, 5_000

    Process.flag(:trap_exit, true)

    {:ok, server} =
      Fallback.start_link(workers: 1, routines: %{@hang => fn _ -> Process.sleep(:infinity) end})

    task = Task.async(fn -> Fallback.run_many(server, @hang, ["", ""]) end)
    eventually(fn -> Fallback.stats(server).outstanding == 2 end, "the jobs arrived")
    Process.exit(server, :kill)

    assert [{:done, :manager_lost, nil, 0, 0}, {:done, :manager_lost, nil, 0, 0}] =
             Task.await(task)
  end

  test "serves many callers at once, each job once" do
    {server, _} = start(workers: 2)

    1..32
    |> Enum.map(fn caller ->
      Task.async(fn ->
        for number <- 1..30 do
          payload = "#{caller} #{number}"
          assert {:done, :ok, ^payload, 1, _} = Fallback.run(server, @echo, payload)
        end
      end)
    end)
    |> Task.await_many(60_000)

    assert balanced(server).outcomes == %{ok: 960}
  end

  test "ends every job in exactly one outcome, whatever happens (property)" do
    job =
      :proper_types.frequency([
        {6, {:proper_types.exactly(@echo), :proper_types.binary(), :proper_types.exactly(0)}},
        {2, {:proper_types.exactly(@crash), :proper_types.exactly(""), :proper_types.exactly(0)}},
        {2, {:proper_types.exactly(@hang), :proper_types.exactly(""), :proper_types.exactly(0)}},
        {1,
         {:proper_types.exactly(@kill_loop), :proper_types.exactly(""),
          :proper_types.oneof([0, @idempotent])}},
        {1, {:proper_types.exactly(0x7777), :proper_types.exactly(""), :proper_types.exactly(0)}}
      ])

    cancelled =
      :proper_types.frequency([
        {4, :proper_types.exactly(false)},
        {1, :proper_types.exactly(true)}
      ])

    generator = :proper_types.list({job, cancelled})

    Property.check(
      "every job ends in exactly one outcome",
      40,
      Property.forall(generator, fn jobs ->
        {server, _} = start(workers: 2, capacity: 4, no_room: :defer, deferred_max: 16)
        jobs = Enum.with_index(jobs)

        for {{{opcode, payload, flags}, cancelled?}, tag} <- jobs do
          Fallback.submit(server, tag, opcode, payload, 40_000_000, flags)
          if cancelled?, do: Fallback.cancel(server, tag)
        end

        ends =
          for {{{opcode, payload, _}, cancelled?}, tag} <- jobs do
            receive do
              {^tag, :done, outcome, reply, _sent, _elapsed} ->
                plausible?(opcode, payload, cancelled?, outcome, reply)
            after
              10_000 -> :missing
            end
          end

        # Told once: nothing comes after the last one.
        :ok = Fallback.drain(server)
        again = receive(do: ({_tag, :done, _, _, _, _} -> true), after: (0 -> false))
        stats = Fallback.stats(server)

        Enum.all?(ends, &(&1 == true)) and not again and
          stats.submitted == length(jobs) and
          stats.outcomes |> Map.values() |> Enum.sum() == length(jobs)
      end)
    )
  end

  defp plausible?(opcode, payload, cancelled?, outcome, reply) do
    case {opcode, outcome} do
      {_, :cancelled} -> cancelled?
      {_, :rejected} -> true
      {@echo, :ok} -> reply == payload
      {@echo, outcome} -> outcome in [:timeout, :worker_lost]
      {@crash, :failed} -> reply == "** (RuntimeError) the wheel broke"
      {@crash, outcome} -> outcome in [:timeout, :worker_lost]
      {@hang, outcome} -> outcome in [:timeout, :worker_lost]
      {@kill_loop, outcome} -> outcome in [:timeout, :worker_lost]
      {0x7777, outcome} -> outcome == :unsupported
    end
  end
end
