defmodule Weir.ChaosTest do
  use ExUnit.Case

  import Weir.TestSupport, only: [eventually: 2]
  import Weir.TestSupport.Instances

  alias Weir.{Chaos, Result}

  # Jobs that go on while the instance is disturbed; each must end well.
  defp work(name, until) do
    if not until.() do
      payload = :rand.bytes(100)

      assert {:ok, %Result{payload: ^payload}} =
               Weir.run(name, {:echo, payload}, idempotent: true, timeout: :infinity)

      work(name, until)
    end
  end

  defp pool(more \\ []) do
    Keyword.merge(
      [workers: 2, policy: :defer, backoff: [first_ms: 1, max_ms: 20, deaths_max: 10_000]],
      more
    )
  end

  test "crash kills workers, and no job is lost", context do
    name = start!(context, pool(), chaos: [crash: [every: 30], seed: 7])
    work(name, fn -> Chaos.report(name).crash >= 5 end)
    Chaos.set(name, crash: nil)
    assert Enum.sum(for worker <- Weir.workers(name), do: worker.restarts) >= 4
    assert [%{kind: "exited"} | _] = Weir.WorkerRegistry.troubles(name)
  end

  test "stall stops a worker for a while, and it goes on afterwards", context do
    name = start!(context, pool(workers: 1))
    %{pid: pid, generation: generation} = worker(name)
    assert Chaos.once(name, :stall, for: 1_000)
    eventually(fn -> state(pid) == "T" end, "the worker is stopped")
    assert {:ok, %Result{elapsed_ns: _}} = Weir.run(name, {:echo, "x"}, timeout: :infinity)
    assert state(pid) != "T"
    assert %{pid: ^pid, generation: ^generation} = worker(name)
    assert Chaos.report(name).stall == 1
  end

  test "a stall beyond the silence gets the worker replaced, and its jobs done", context do
    name = start!(context, pool(workers: 1, silence: 1_000))
    %{pid: pid} = worker(name)
    assert Chaos.once(name, :stall, for: 60_000)
    eventually(fn -> state(pid) == "T" end, "the worker is stopped")
    assert {:ok, _} = Weir.run(name, {:echo, "x"}, idempotent: true, timeout: :infinity)
    assert worker(name).pid != pid
    assert Enum.any?(Weir.WorkerRegistry.troubles(name), &(&1.kind == "silent"))
  end

  test "oversize submits what fits in no slot, and others go on", context do
    name = start!(context, pool(), chaos: [oversize: [every: 5]])
    work(name, fn -> Chaos.report(name).oversize >= 5 end)
    Chaos.set(name, oversize: false)
    assert Weir.stats(name).outcomes.oversize >= 5
  end

  test "drop_wake leaves out wakes, and a timed look makes up for it", context do
    # Without spinning, so that the worker sleeps between jobs and has to be woken.
    name = start!(context, pool(workers: 1, spin_us: 0))
    before = Chaos.report(name).drop_wake
    Chaos.set(name, drop_wake: [every: 2])
    on_exit(fn -> Weir.Native.drop_wakes(0) end)

    work(name, fn ->
      Process.sleep(5)
      Chaos.report(name).drop_wake >= before + 3
    end)

    Chaos.set(name, drop_wake: nil)
    after_wakes = Chaos.report(name).drop_wake
    for _ <- 1..20, do: assert({:ok, _} = Weir.run(name, {:echo, "x"}))
    assert Chaos.report(name).drop_wake == after_wakes
  end

  test "all at once lose nothing", context do
    toggles = [
      crash: [every: 70],
      stall: [every: 110, for: 40],
      oversize: [every: 30],
      drop_wake: [every: 10]
    ]

    on_exit(fn -> Weir.Native.drop_wakes(0) end)
    name = start!(context, pool(), chaos: toggles)

    1..4
    |> Enum.map(fn _ ->
      Task.async(fn ->
        work(name, fn ->
          report = Chaos.report(name)
          report.crash >= 5 and report.stall >= 3
        end)
      end)
    end)
    |> Task.await_many(60_000)

    Chaos.set(name, crash: nil, stall: nil, oversize: nil, drop_wake: nil)
    eventually(fn -> Weir.stats(name).in_flight == 0 end, "nothing is under way")
    %{submitted: submitted, outcomes: outcomes} = Weir.stats(name)
    assert Enum.sum(Map.values(outcomes)) == submitted
    assert Map.drop(outcomes, [:ok, :oversize]) |> Map.values() |> Enum.all?(&(&1 == 0))
  end

  test "says which toggles there are", context do
    assert_raise ArgumentError, ~r/chaos knows stall: .* not \[fire: \[every: 1\]\]/, fn ->
      Weir.start_link(options(context, [], chaos: [fire: [every: 1]]))
    end

    name = start!(context)
    assert_raise ArgumentError, fn -> Chaos.set(name, stall: [every: 5]) end
  end

  defp state(pid) do
    [_, rest] = "/proc/#{pid}/stat" |> File.read!() |> String.split(") ", parts: 2)
    String.first(rest)
  end
end
