defmodule Weir.JobsRunTest do
  # The NIF's job path without the library: single jobs, batches, deaths, the end of a manager.
  use ExUnit.Case, async: false

  import Weir.TestSupport, only: [eventually: 2]

  alias Weir.{JobsHouse, Native}

  @echo 1
  @later 4
  @pinned 2

  setup context do
    house = JobsHouse.open(Map.get(context, :pool, %{}))
    on_exit(fn -> File.rm_rf!(house.directory) end)
    {:ok, caller} = Native.caller_open(house.manager)
    {:ok, house: house, caller: caller}
  end

  test "a job's reply comes back, whatever its size", %{house: house, caller: caller} do
    for size <- [0, 1, 64, 65, 4096, 262_144, 262_145, 1_048_576] do
      payload = :crypto.strong_rand_bytes(size)
      {outcome, reply} = JobsHouse.run(caller, house.pool, @echo, payload)
      assert {size, outcome} == {size, :ok}
      assert {size, :erlang.crc32(reply || "")} == {size, :erlang.crc32(payload)}
    end

    JobsHouse.close(house)
  end

  test "payloads that are parts of others arrive as they are", %{house: house, caller: caller} do
    <<_::3, unaligned::bitstring-size(8000), _::bitstring>> = :crypto.strong_rand_bytes(1001)
    <<_::binary-size(7), part::binary-size(500), _::binary>> = :crypto.strong_rand_bytes(600)

    for payload <- [unaligned, part] do
      assert {:ok, reply} = JobsHouse.run(caller, house.pool, @echo, payload)
      assert reply == payload
    end

    JobsHouse.close(house)
  end

  test "what cannot be served ends with its outcome", %{house: house, caller: caller} do
    assert {:unsupported, nil} == JobsHouse.run(caller, house.pool, 999, "x")
    assert {:incompatible, nil} == JobsHouse.run(caller, house.pool, 16, "x")

    assert {:oversize, nil} ==
             JobsHouse.run(caller, house.pool, @echo, :binary.copy("x", 2_000_000))

    assert {:timeout, nil} == JobsHouse.run(caller, house.pool, @echo, "x", timeout_ns: 0)
    assert {:error, :not_found} == JobsHouse.run(caller, 17, @echo, "x")
    JobsHouse.close(house)
  end

  test "an end by message says exactly what was asked for", %{house: house, caller: caller} do
    assert :pending ==
             Native.job_run(caller, :mine, house.pool, @echo, "hello", :infinity, @later)

    assert_receive {:mine, :done, :ok, "hello", 1, elapsed_ns} when elapsed_ns > 0, 10_000
    refute_receive {:mine, _, _, _, _, _}, 20
    JobsHouse.close(house)
  end

  test "a batch ends each of its jobs once, in any window", %{house: house, caller: caller} do
    for {count, window} <- [{1, 1}, {63, 7}, {1000, 64}, {2000, 500}] do
      payloads = for index <- 1..count, do: "payload #{index}"
      items = JobsHouse.run_many(house, caller, payloads, window)
      assert Enum.map(items, &elem(&1, 0)) == Enum.to_list(0..(count - 1))
      assert Enum.map(items, &elem(&1, 1)) == List.duplicate(:ok, count)
      assert Enum.map(items, &elem(&1, 2)) == payloads
    end

    JobsHouse.close(house)
  end

  test "a batch may hold large payloads", %{house: house, caller: caller} do
    payloads = for size <- [10, 400_000, 20, 300_000, 1_000_000, 0], do: :binary.copy("z", size)
    items = JobsHouse.run_many(house, caller, payloads)
    assert Enum.map(items, &byte_size(elem(&1, 2) || "")) == Enum.map(payloads, &byte_size/1)
    JobsHouse.close(house)
  end

  @tag pool: %{in_flight_max: 1}
  test "a job that waits can be cancelled, once", %{house: house, caller: caller} do
    stop_workers(house, "STOP")

    for tag <- 1..3,
        do: Native.job_run(caller, tag, house.pool, @echo, "x", :infinity, @later)

    assert :ok == Native.job_cancel(caller, 3)
    assert_receive {3, :done, :cancelled, nil, 0, _}
    assert :not_found == Native.job_cancel(caller, 3)
    stop_workers(house, "CONT")
    assert {:ok, "x"} == JobsHouse.await(1)
    assert {:ok, "x"} == JobsHouse.await(2)
    JobsHouse.close(house)
  end

  test "a caller's death cancels its jobs, however many", %{house: house} do
    stop_workers(house, "STOP")
    test = self()

    {pid, monitor} =
      spawn_monitor(fn ->
        {:ok, caller} = Native.caller_open(house.manager)

        for tag <- 1..300,
            do: Native.job_run(caller, tag, house.pool, @echo, "x", :infinity, @later)

        send(test, :submitted)
        Process.sleep(:infinity)
      end)

    assert_receive :submitted, 10_000
    assert Native.stats(house.manager).submitted == 300
    Process.exit(pid, :kill)
    assert_receive {:DOWN, ^monitor, :process, ^pid, :killed}

    eventually(
      fn -> Native.stats(house.manager).outcomes.cancelled == 300 end,
      "300 jobs are cancelled"
    )

    stop_workers(house, "CONT")
    JobsHouse.close(house)
  end

  test "the end of a manager ends its jobs and is told", %{house: house, caller: caller} do
    stop_workers(house, "STOP")
    :pending = Native.job_run(caller, :single, house.pool, @echo, "x", :infinity, @later)
    {:ok, batch} = Native.batch_begin(caller, :many, house.pool, @echo, 2, 2, :infinity, 0)
    {:ok, [], [], 2} = Native.batch_run(batch, ["a", "b"])
    {:pending, [], [], 2} = Native.batch_run(batch, [])
    JobsHouse.close(house)
    assert {:cancelled, nil} == JobsHouse.await(:single)
    assert_receive {:many, :items, items, 0}
    assert Enum.map(items, &elem(&1, 1)) == [:cancelled, :cancelled]
    assert {:error, :closed, _} = Native.job_run(caller, :t, house.pool, @echo, "x", 1, 0)
    assert {:error, :closed, _} = Native.turn(house.manager)
    assert :ok == Native.close(house.manager)
  end

  test "the owner's death closes the manager", %{house: house, caller: caller} do
    Process.unlink(house.ingestor)
    Process.exit(house.ingestor, :kill)

    eventually(
      fn -> match?({:error, :closed, _}, Native.stats(house.manager)) end,
      "the manager is closed"
    )

    assert {:error, :closed, _} = Native.job_run(caller, :t, house.pool, @echo, "x", 1, 0)
  end

  @tag pool: %{trusted: true}
  test "pinned results outlive their worker and are given back", %{house: house, caller: caller} do
    payload = :crypto.strong_rand_bytes(60_000)
    {:ok, pinned} = JobsHouse.run(caller, house.pool, @echo, payload, flags: @pinned)
    assert Native.stats(house.manager).held_bytes > 0
    [worker] = Native.workers(house.manager)
    {_, 0} = System.cmd("kill", ["-KILL", "#{worker.pid}"])

    eventually(
      fn -> match?([%{state: :ready, generation: 2}], Native.workers(house.manager)) end,
      "the worker was replaced"
    )

    assert {:ok, "again"} == JobsHouse.run(caller, house.pool, @echo, "again")
    assert :erlang.crc32(pinned) == :erlang.crc32(payload)
    _ = pinned

    eventually(
      fn ->
        :erlang.garbage_collect()
        Native.stats(house.manager).held_bytes == 0
      end,
      "the pinned bytes were given back"
    )

    JobsHouse.close(house)
  end

  test "results are copied where the pool is not trusted", %{house: house, caller: caller} do
    payload = :crypto.strong_rand_bytes(60_000)
    assert {:ok, ^payload} = JobsHouse.run(caller, house.pool, @echo, payload, flags: @pinned)
    assert Native.stats(house.manager).held_bytes == 0
    JobsHouse.close(house)
  end

  test "wrong arguments are refused and leave nothing behind", %{house: house, caller: caller} do
    %{pool: pool, manager: manager} = house

    for arguments <- [
          [manager, :t, pool, 1, "x", 1, 0],
          [caller, {:t}, pool, 1, "x", 1, 0],
          [caller, :t, 64, 1, "x", 1, 0],
          [caller, :t, pool, 65_536, "x", 1, 0],
          [caller, :t, pool, 1, 'x', 1, 0],
          [caller, :t, pool, 1, <<1::3>>, 1, 0],
          [caller, :t, pool, 1, "x", -1, 0],
          [caller, :t, pool, 1, "x", 1, 8]
        ] do
      assert_raise ArgumentError, fn -> apply(Native, :job_run, arguments) end
    end

    assert_raise ArgumentError, fn -> Native.batch_begin(caller, :t, pool, 1, 0, 1, 1, 0) end
    {:ok, batch} = Native.batch_begin(caller, :t, pool, 1, 2, 2, 1, 0)
    assert_raise ArgumentError, fn -> Native.batch_run(batch, ["x", :y]) end
    assert_raise ArgumentError, fn -> Native.batch_run(batch, "x") end
    assert_raise ArgumentError, fn -> Native.manager_create(%{surprise: 1}) end
    assert_raise ArgumentError, fn -> Native.manager_add_pool(manager, %{role: "r"}) end
    assert {:error, :invalid, sentence} = Native.manager_add_pool(manager, odd_pool())
    assert sentence =~ "percent"
    assert Native.stats(manager).submitted == 0
    JobsHouse.close(house)
  end

  defp odd_pool do
    %{role: "r", command: ["/bin/true"], high_percent: 10, low_percent: 90}
  end

  defp stop_workers(house, signal) do
    for worker <- Native.workers(house.manager),
        do: {_, 0} = System.cmd("kill", ["-#{signal}", "#{worker.pid}"])
  end
end
