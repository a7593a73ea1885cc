defmodule Weir.WorkerFaultsTest do
  use ExUnit.Case

  import ExUnit.CaptureLog
  import Weir.TestSupport, only: [alive?: 1, eventually: 2]
  import Weir.TestSupport.Instances

  alias Weir.{Error, Instance, PortSupervisor, ResultIngestor, Result, WorkerRegistry}

  @mib 1024 * 1024

  describe "a worker that is killed" do
    test "is replaced, and what may be repeated is done again", context do
      name = start!(context, stuck: 60_000, silence: 60_000, backoff: [first_ms: 1])
      %{pid: pid, generation: generation} = worker(name)
      stall!(name)
      again = Weir.submit(name, {:echo, "again"}, idempotent: true, timeout: :infinity)
      kill(pid, "KILL")
      assert {:ok, %Result{payload: "again"}} = Weir.await(again)
      assert %{generation: later, state: :ready, restarts: 1} = worker(name)
      assert later > generation
      refute alive?(pid)
      assert %{trouble: "pid " <> _} = worker(name)
      assert [%{kind: "exited", pool: 0, seat: 0} | _] = WorkerRegistry.troubles(name)
    end

    test "again and again loses no job", context do
      name = start!(context, workers: 2, backoff: [first_ms: 1, max_ms: 20], policy: :defer)

      callers =
        for caller <- 1..8 do
          Task.async(fn ->
            for round <- 1..200 do
              payload = "#{caller} #{round}"

              assert {:ok, result} =
                       Weir.run(name, {:echo, payload}, idempotent: true, timeout: :infinity)

              assert result.payload == payload
            end
          end)
        end

      for _ <- 1..4 do
        %{pid: pid} =
          eventually(
            fn -> Enum.find(Weir.workers(name), &(&1.state == :ready and alive?(&1.pid))) end,
            "one is ready"
          )

        kill(pid, "KILL")
        eventually(fn -> not alive?(pid) end, "it is gone")
      end

      Task.await_many(callers, 60_000)
      assert %{outcomes: %{ok: 1_600}, submitted: 1_600} = Weir.stats(name)
    end
  end

  test "a worker that ignores SIGTERM and stands still is gone after a stop", context do
    name = start!(context, command: script("trap '' TERM; exec $WORKER"))
    %{pid: pid} = worker(name)
    kill(pid, "STOP")
    kill(pid, "TERM")
    assert alive?(pid)
    :ok = stop_supervised({Weir, name})
    refute alive?(pid)
  end

  test "a worker that never connects is given up by its start time-out and ended", context do
    file = Path.join(directory!(), "pid")
    command = script("echo $$ >$FILE; trap '' TERM; exec sleep 1000")

    name =
      start_unready!(context,
        command: command,
        env: %{"FILE" => file},
        start_timeout: 3_000,
        backoff: [first_ms: 60_000, max_ms: 60_000]
      )

    pid = eventually(fn -> read_pid(file) end, "it tells its pid")
    eventually(fn -> worker(name).restarts > 0 end, "it is given up")
    eventually(fn -> not alive?(pid) end, "it is gone")
  end

  test "a worker that floods its standard error for five seconds harms nobody", context do
    name = start!(context, command: script("yes 'a line of many' >&2 & exec $WORKER"))
    before = :erlang.memory(:total)
    deadline = System.monotonic_time(:millisecond) + 5_000
    highest = run_until(name, deadline, before)
    assert highest - before < 64 * @mib
    eventually(fn -> worker(name).dropped_lines > 10_000 end, "dropped lines are counted")
    # No more than the pool's 200 lines a second, and those of the beginning.
    assert worker(name).lines in 1..1_500
    :ok = stop_supervised({Weir, name})
  end

  test "a worker that exits at once on its first start works on the second", context do
    mark = Path.join(directory!(), "mark")
    command = script("mkdir $MARK 2>/dev/null && exit 3; exec $WORKER")

    log =
      capture_log(fn ->
        name =
          start_unready!(context, command: command, env: %{"MARK" => mark}, backoff: [first_ms: 1])

        assert Weir.await_ready(name, 30_000) == :ok
        assert {:ok, _} = Weir.run(name, {:echo, "x"})
        assert worker(name).restarts == 1
      end)

    assert log =~ ~r/pid \d+ ended with status 3 before it connected/
  end

  test "a worker that never comes up is given up with the reason", context do
    name =
      start_unready!(context,
        command: script("echo what a pity; exit 9"),
        backoff: [first_ms: 1, max_ms: 2, deaths_max: 3]
      )

    assert {:error, sentence} = Weir.await_ready(name, 30_000)

    assert sentence =~ ~r/worker 0 of pool loopback was given up: pid \d+ ended with status 9/

    eventually(
      fn -> Enum.any?(WorkerRegistry.troubles(name), &(&1.text =~ "died too often in a row")) end,
      "libweir's reason is noted"
    )

    assert {:error, %Error{outcome: :unsupported}} = Weir.run(name, {:echo, "x"})
  end

  test "a missing program is told when the instance starts", context do
    options = options(context, command: ["/nowhere/worker"])
    Process.flag(:trap_exit, true)
    assert {:error, {:shutdown, reason}} = Weir.start_link(options)
    assert inspect(reason) =~ "pool :loopback: there is no worker program at /nowhere/worker"
    assert_raise ArgumentError, fn -> Weir.run(options[:name], {:echo, "x"}) end
  end

  test "a program that vanishes later is told and tried again", context do
    file = Path.join(directory!(), "worker")
    File.cp!(Weir.TestSupport.program("weir-loopback"), file)
    backoff = [first_ms: 1, max_ms: 20, deaths_max: 1_000]
    name = start!(context, command: [file], policy: :wait, backoff: backoff)
    File.rename!(file, file <> ".away")
    kill(worker(name).pid, "KILL")

    eventually(
      fn -> Enum.any?(WorkerRegistry.troubles(name), &(&1.text =~ "No such file")) end,
      "the reason is told"
    )

    File.rename!(file <> ".away", file)
    assert {:ok, _} = Weir.run(name, {:echo, "x"}, timeout: 30_000)
  end

  describe "children of a worker" do
    setup context do
      file = Path.join(directory!(), "pids")
      # One in its group, one that left it, one that also lost its parent.
      family = """
      sleep 1000 & echo $! >>$FILE
      setsid sh -c 'echo $$ >>$FILE; exec sleep 1000' &
      (setsid sh -c 'echo $$ >>$FILE; exec sleep 1000' &)
      while [ $(wc -l <$FILE) -lt 3 ]; do sleep 0.01; done
      exec $WORKER
      """

      name =
        start!(context,
          command: script(family),
          env: %{"FILE" => file},
          backoff: [first_ms: 60_000]
        )

      pids = file |> File.read!() |> String.split() |> Enum.map(&String.to_integer/1)
      for pid <- pids, do: assert(alive?(pid))
      %{name: name, pids: pids}
    end

    test "end with the instance", %{name: name, pids: pids} do
      :ok = stop_supervised({Weir, name})
      for pid <- pids, do: refute(alive?(pid))
    end

    test "end with the worker", %{name: name, pids: pids} do
      kill(worker(name).pid, "KILL")
      eventually(fn -> not Enum.any?(pids, &alive?/1) end, "its children are gone")
    end
  end

  test "a stop waits for the jobs that were accepted", context do
    name = start!(context, workers: 2)
    slow = simulation(20_000)
    test = self()

    callers =
      for _ <- 1..4 do
        Task.async(fn ->
          job = Weir.submit(name, {:simulate, slow}, timeout: :infinity)
          send(test, :submitted)
          Weir.await(job)
        end)
      end

    for _ <- callers, do: assert_receive(:submitted, 10_000)
    :ok = stop_supervised({Weir, name})
    for caller <- callers, do: assert({:ok, %Result{}} = Task.await(caller))
  end

  test "a stop ends what is not done in time as cancelled", context do
    name = start!(context, [stuck: 60_000, silence: 60_000], drain: 50)
    stall!(name)
    job = Weir.submit(name, {:echo, "x"}, timeout: :infinity)
    :ok = stop_supervised({Weir, name})
    assert {:error, %Error{outcome: :cancelled}} = Weir.await(job)
  end

  test "an instance that is stopping takes no new jobs and finishes the others", context do
    name = start!(context, stuck: 60_000, silence: 60_000)
    resume = stall!(name)
    job = Weir.submit(name, {:echo, "x"}, timeout: :infinity)
    stop = Task.async(fn -> Supervisor.stop(name) end)

    closed = fn ->
      match?({:error, %Error{outcome: :closed}}, Weir.run(name, {:echo, "y"}, timeout: 10))
    end

    eventually(closed, "it takes no more")
    assert {:error, %Error{outcome: :closed}} = Weir.await(Weir.submit(name, {:echo, "y"}))
    assert [{:error, %Error{outcome: :closed}}] = Weir.run_many(name, {:echo, ["y"]})
    resume.()
    assert {:ok, %Result{payload: "x"}} = Weir.await(job)
    Task.await(stop, 30_000)
  end

  test "a reload replaces every worker under load and loses no job", context do
    name = start!(context, workers: 2, policy: :defer)
    before = for worker <- Weir.workers(name), do: worker.pid

    callers =
      for caller <- 1..8 do
        Task.async(fn -> run_while(name, caller, 0) end)
      end

    assert Weir.reload(name) == :ok
    # Two at once follow one another.
    two = for _ <- 1..2, do: Task.async(fn -> Weir.reload(name, :loopback) end)
    assert Task.await_many(two, 60_000) == [:ok, :ok]
    for caller <- callers, do: send(caller.pid, :enough)
    counts = Task.await_many(callers, 60_000)
    assert Enum.all?(counts, &(&1 > 0))

    stats = Weir.stats(name)
    assert stats.outcomes.ok == Enum.sum(counts)
    assert stats.submitted == stats.outcomes.ok
    assert Enum.all?(before, &(not alive?(&1)))
    assert for(worker <- Weir.workers(name), do: worker.restarts) |> Enum.sum() == 0
  end

  test "a reload whose worker does not start is told, and the old one stays", context do
    mark = Path.join(directory!(), "mark")
    command = script("[ -e $MARK ] && exit 1; exec $WORKER")

    name =
      start!(context,
        command: command,
        env: %{"MARK" => mark},
        backoff: [first_ms: 1, max_ms: 2, deaths_max: 2]
      )

    %{pid: pid} = worker(name)
    File.write!(mark, "")
    assert {:error, sentence} = Weir.reload(name)
    assert sentence =~ "the new worker does not start"
    assert {:ok, _} = Weir.run(name, {:echo, "x"})
    assert worker(name).pid == pid
  end

  describe "when a process of the instance crashes" do
    @tag :capture_log
    test "the ingestor, manager, workers and jobs go on", context do
      name = start!(context, stuck: 60_000, silence: 60_000)
      %{pid: pid} = worker(name)
      resume = stall!(name)
      job = Weir.submit(name, {:echo, "x"}, timeout: :infinity)
      crash(Instance.part(name, ResultIngestor))
      resume.()
      assert {:ok, %Result{payload: "x", sent_count: 1}} = Weir.await(job)
      assert worker(name).pid == pid
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
      assert Weir.reload(name) == :ok
    end

    @tag :capture_log
    test "the ingestor, by an untrappable kill, everything is made anew", context do
      name = start!(context, stuck: 60_000, silence: 60_000)
      %{pid: pid} = worker(name)
      stall!(name)
      job = Weir.submit(name, {:echo, "x"}, timeout: :infinity)
      replace(Instance.part(name, ResultIngestor), :kill)
      assert {:error, %Error{outcome: :cancelled}} = Weir.await(job)
      assert Weir.await_ready(name) == :ok
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
      eventually(fn -> not alive?(pid) end, "the former worker is gone")
    end

    @tag :capture_log
    test "the holder of the ports, workers are replaced and jobs sent again", context do
      name = start!(context, stuck: 60_000, silence: 60_000)
      stall!(name)
      job = Weir.submit(name, {:echo, "x"}, idempotent: true, timeout: :infinity)
      replace(Instance.part(name, PortSupervisor), :kill)
      assert {:ok, %Result{payload: "x"}} = Weir.await(job)
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
    end

    @tag :capture_log
    test "the registry, everything is made anew", context do
      name = start!(context)
      replace(Instance.part(name, WorkerRegistry), :kill)
      eventually(fn -> Weir.Handle.get(name) end, "the instance is back")
      assert Weir.await_ready(name) == :ok
      assert {:ok, _} = Weir.run(name, {:echo, "x"})
    end
  end

  test "an instance that is killed leaves nothing that its successor minds", context do
    options = options(context)
    Process.flag(:trap_exit, true)
    {:ok, pid} = Weir.start_link(options)
    :ok = Weir.await_ready(options[:name])
    %{pid: worker} = worker(options[:name])
    Process.exit(pid, :kill)
    assert_receive {:EXIT, ^pid, :killed}
    eventually(fn -> not alive?(worker) end, "its worker is gone")

    start_supervised!({Weir, options})
    assert Weir.await_ready(options[:name]) == :ok
    assert {:ok, _} = Weir.run(options[:name], {:echo, "x"})
  end

  test "the lines of a worker reach the log with its metadata", context do
    command = script("echo a line; printf 'caf\\303\\251 \\377\\n' >&2; exec $WORKER")
    metadata = [:instance, :pool, :worker, :generation, :os_pid]

    log =
      capture_log([metadata: metadata, format: "$metadata|$message\n"], fn ->
        name = start!(context, command: command)
        eventually(fn -> worker(name).lines >= 2 end, "both lines came")
        send(self(), {:pid, worker(name).pid, name})
      end)

    assert_received {:pid, pid, name}

    assert log =~
             "instance=#{inspect(name)} pool=loopback worker=0 generation=1 os_pid=#{pid} |a line\n"

    assert log =~ "|caf"
  end

  # --- Helpers ---

  defp read_pid(file) do
    case File.read(file) do
      {:ok, text} when text != "" -> text |> String.trim() |> String.to_integer()
      _ -> nil
    end
  end

  defp run_until(name, deadline, highest) do
    assert {:ok, _} = Weir.run(name, {:echo, "x"})
    Process.sleep(5)
    highest = max(highest, :erlang.memory(:total))

    if System.monotonic_time(:millisecond) < deadline,
      do: run_until(name, deadline, highest),
      else: highest
  end

  defp run_while(name, caller, count) do
    receive do
      :enough -> count
    after
      0 ->
        payload = "#{caller} #{count}"

        assert {:ok, %Result{payload: ^payload}} =
                 Weir.run(name, {:echo, payload}, timeout: :infinity)

        run_while(name, caller, count + 1)
    end
  end

  # A glider on a torus of 256 by 256 cells, for that many generations; see the layout's
  # simulate_request.
  defp simulation(generations) do
    width = 256
    cells = for row <- 0..(width - 1), do: row(row)

    IO.iodata_to_binary([
      <<width::little-32, width::little-32, generations::little-32, 1::little-32, 0::64>>,
      cells
    ])
  end

  defp row(1), do: <<0b010::little-64, 0::192>>
  defp row(2), do: <<0b100::little-64, 0::192>>
  defp row(3), do: <<0b111::little-64, 0::192>>
  defp row(_), do: <<0::256>>

  defp crash(name) do
    pid = Process.whereis(name)
    monitor = Process.monitor(pid)
    # A message that no version of it understands.
    send(pid, {:weir_event, "ready", "no such pool", 0, 0, 0, 0, ""})
    assert_receive {:DOWN, ^monitor, _, _, _}, 10_000
    eventually(fn -> Process.whereis(name) not in [nil, pid] end, "it is back")
  end

  defp replace(name, how) do
    pid = Process.whereis(name)
    Process.exit(pid, how)
    eventually(fn -> Process.whereis(name) not in [nil, pid] end, "it is back")
  end
end
