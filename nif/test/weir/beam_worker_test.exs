defmodule Weir.BeamWorkerTest do
  use ExUnit.Case

  import ExUnit.CaptureLog
  import Weir.TestSupport, only: [alive?: 1, eventually: 2]
  import Weir.TestSupport.Instances

  alias Weir.{BeamWorker, Crc32c, Error, Result}
  alias Weir.TestSupport.BeamWorkerRoutines

  @crash 0x1000
  @hang 0x1001
  @pid 0x1002
  @long 0x1003
  @token 0x1004
  @sleep 0x1005
  @mark 0x1006

  defp beam!(context, pool \\ [], options \\ []) do
    command = BeamWorker.command(role: "beam", routines: {BeamWorkerRoutines, :routines})
    pool = Keyword.merge([name: :beam, command: command, start_timeout: 30_000], pool)
    start!(context, pool, options)
  end

  test "serves the loopback routines over shared memory", context do
    name = beam!(context)

    for bytes <- [0, 1, 64, 4_096, 200_000, 1_048_576] do
      payload = :rand.bytes(bytes)
      assert {:ok, %Result{payload: ^payload}} = Weir.run(name, {:echo, payload}, timeout: 20_000)
      crc = Crc32c.of(payload)

      assert {:ok, %Result{payload: <<^bytes::little-64, ^crc::little-32, 0::32>>}} =
               Weir.run(name, {:crc, payload}, timeout: 20_000)
    end

    answers =
      Weir.run_many(name, {:echo, for(number <- 1..500, do: "#{number}")}, timeout: 30_000)

    assert for({:ok, result} <- answers, do: result.payload) ==
             for(number <- 1..500, do: "#{number}")

    assert {:error, %Error{outcome: :unsupported}} =
             Weir.run(name, {:pathfind, :binary.copy(<<0>>, 32)})

    assert [%{language: "elixir"}] = Weir.workers(name)
  end

  test "is another process, which forgets its token", context do
    name = beam!(context)
    {:ok, %Result{payload: pid}} = Weir.run(name, {@pid, ""})
    assert pid == to_string(worker(name).pid)
    refute pid == System.pid()
    assert {:ok, %Result{payload: "nil"}} = Weir.run(name, {@token, ""})
  end

  test "fails a job whose routine crashes, with the reason, and goes on", context do
    name = beam!(context)

    assert {:error, %Error{outcome: :failed, text: "** (RuntimeError) the wheel broke"}} =
             Weir.run(name, {@crash, ""})

    assert {:ok, %Result{payload: "on"}} = Weir.run(name, {:echo, "on"})
  end

  test "times a hanging job out and goes on, with the same process", context do
    name = beam!(context, stuck: 60_000)
    %{pid: pid} = worker(name)
    assert {:error, %Error{outcome: :timeout}} = Weir.run(name, {@hang, ""}, timeout: 200)
    assert {:ok, %Result{payload: "on"}} = Weir.run(name, {:echo, "on"}, timeout: 20_000)
    assert %{pid: ^pid, restarts: 0} = worker(name)
  end

  test "answers oversize when a reply fits in no slot", context do
    name = beam!(context)
    assert {:ok, %Result{payload: payload}} = Weir.run(name, {@long, "1048576"}, timeout: 20_000)
    assert byte_size(payload) == 1_048_576

    assert {:error, %Error{outcome: :oversize}} =
             Weir.run(name, {@long, "1048577"}, timeout: 20_000)

    assert {:ok, %Result{}} = Weir.run(name, {@long, "10"})
  end

  test "keeps beating while a routine computes", context do
    name = beam!(context, silence: 3_000)
    %{pid: pid} = worker(name)
    assert {:ok, %Result{payload: "slept"}} = Weir.run(name, {@sleep, "4500"}, timeout: 30_000)
    assert %{pid: ^pid, restarts: 0} = worker(name)
  end

  test "drains at SIGTERM and is replaced without losing a job", context do
    name = beam!(context, policy: :defer, backoff: [first_ms: 1])
    %{pid: pid} = worker(name)
    slow = Weir.submit(name, {@sleep, "300"}, timeout: :infinity)
    quick = for number <- 1..20, do: Weir.submit(name, {:echo, "#{number}"}, timeout: :infinity)
    kill(pid, "TERM")
    assert {:ok, %Result{payload: "slept"}} = Weir.await(slow, 60_000)
    for job <- quick, do: assert({:ok, %Result{}} = Weir.await(job, 60_000))
    eventually(fn -> not alive?(pid) end, "the drained worker has ended")
  end

  test "is replaced when it is killed", context do
    name = beam!(context, backoff: [first_ms: 1], policy: :defer)
    %{pid: pid} = worker(name)
    file = Path.join(directory!(), "begun")
    begun = Weir.submit(name, {@mark, file}, timeout: :infinity)
    eventually(fn -> File.exists?(file) end, "the job has been begun")
    behind = Weir.submit(name, {:echo, "behind"}, timeout: :infinity)
    kill(pid, "KILL")
    assert {:error, %Error{outcome: :worker_lost}} = Weir.await(begun, 60_000)
    assert {:ok, %Result{payload: "behind"}} = Weir.await(behind, 60_000)
    refute alive?(pid)
  end

  test "reloads without losing a job", context do
    name = beam!(context, policy: :defer)
    %{generation: generation} = worker(name)

    feeder =
      Task.async(fn ->
        for number <- 1..300, do: Weir.run(name, {:echo, "#{number}"}, timeout: :infinity)
      end)

    assert :ok = Weir.reload(name)
    assert Enum.all?(Task.await(feeder, 60_000), &match?({:ok, _}, &1))
    assert Enum.all?(Weir.workers(name), &(&1.generation != generation))
  end

  test "ends with its instance, also in the middle of a routine", context do
    name = beam!(context)
    %{pid: pid} = worker(name)
    job = Weir.submit(name, {@hang, ""}, timeout: :infinity)
    Process.sleep(200)
    :ok = stop_supervised({Weir, name})
    refute alive?(pid)
    assert {:error, %Error{outcome: :cancelled}} = Weir.await(job, 10_000)
  end

  test "that is refused says why and ends with status 3", context do
    command = BeamWorker.command(role: "painter", routines: {BeamWorkerRoutines, :routines})

    log =
      capture_log(fn ->
        name =
          start_unready!(context,
            name: :beam,
            command: command,
            start_timeout: 30_000,
            backoff: [first_ms: 60_000, max_ms: 60_000]
          )

        eventually(
          fn -> match?(%{trouble: trouble} when trouble != nil, worker(name)) end,
          "it is refused"
        )

        Process.sleep(300)
      end)

    assert log =~ "painter: "
    assert log =~ "role"
  end

  test "started by hand says what it needs" do
    [erl | arguments] = BeamWorker.command(role: "lonely")

    assert {said, 3} =
             System.cmd(erl, arguments, stderr_to_stdout: true, env: [{"WEIR_SOCKET", nil}])

    assert said =~ "lonely: WEIR_SOCKET is not set; a manager starts this program"
    assert {said, 2} = System.cmd(erl, Enum.drop(arguments, -1), stderr_to_stdout: true)
    assert said =~ "needs three arguments"
  end

  test "without a manager behind the socket ends with status 3" do
    [erl | arguments] = BeamWorker.command()

    env = [
      {"WEIR_SOCKET", "/nonexistent/manager.sock"},
      {"WEIR_TOKEN", String.duplicate("ab", 32)}
    ]

    assert {said, 3} = System.cmd(erl, arguments, stderr_to_stdout: true, env: env)
    assert said =~ "beam: "
  end
end
