defmodule Weir.Harness.RunTest do
  # Short real runs in this virtual machine. The watch over schedulers is the VM's only one.
  use ExUnit.Case, async: false

  alias Weir.Harness
  alias Weir.Harness.{Judge, Json, Ledger, Options, Summary}

  @moduletag timeout: 300_000

  defp run(arguments) do
    {:ok, settings} = Options.parse(arguments ++ ~w(--callers 8 --seed 5))
    assert {:ok, facts} = Harness.run(settings)
    facts
  end

  # A scheduler that is held by others of this machine's tests is no concern here.
  defp assert_held(facts) do
    {_, texts} = facts.violations
    assert Enum.reject(texts, &(&1 =~ "held a scheduler")) == []
    totals = facts.totals
    assert totals.entered == totals.closed
    assert totals.closed == totals.outcomes |> Map.values() |> Enum.sum()
    assert totals.verified == totals.outcomes.ok
    assert facts.left == []
    assert facts.stats.slots_taken == 0
  end

  for arguments <- [
        ~w(--ring shm --worker c),
        ~w(--ring shm --worker c --wake futex),
        ~w(--ring shm --worker c --wake eventfd),
        ~w(--ring shm --worker c --wake signal),
        ~w(--ring shm --worker beam),
        ~w(--ring shm --worker beam --wake eventfd),
        ~w(--ring memory --opcodes crc,simulate)
      ] do
    test "every promise holds with #{Enum.join(arguments, " ")}" do
      facts = run(unquote(arguments) ++ ~w(--jobs 400))
      assert_held(facts)
      calibration = facts.calibration
      assert facts.totals.entered == 400 + calibration
    end
  end

  test "replies are read in place, and nothing is copied on the way there" do
    facts = run(~w(--jobs 600 --opcodes echo))
    assert_held(facts)
    assert facts.counts[:replies_read_in_place] > 0
    assert facts.stats.bytes_copied == 0
    assert facts.workers.bytes_copied == 0
  end

  test "workers that are killed and stopped lose no job" do
    facts = run(~w(--for 3s --chaos crash,oversize))
    assert_held(facts)
    assert facts.chaos.crash > 0
    assert facts.chaos.oversize > 0
    assert facts.stats.restarts > 0
  end

  test "a run that is told to stop ends early, cleanly, and says so" do
    parent = self()

    facts =
      with {:ok, settings} = Options.parse(~w(--for 60s --callers 4)) do
        {:ok, facts} =
          Harness.run(settings, fn _, facts ->
            if facts.totals.closed > 0, do: send(parent, {:harness_stop, :test})
          end)

        facts
      end

    assert facts.signals > 0
    assert facts.elapsed_ns < 60_000_000_000
    assert Summary.verdict(%{facts | violations: {0, []}}) == "interrupted"
    assert Summary.exit_code(%{facts | violations: {0, []}}) == 143
  end

  describe "the judge" do
    setup do
      %{facts: run(~w(--jobs 100 --opcodes echo))}
    end

    defp complaints(facts) do
      ledger = Ledger.new()
      Judge.judge(facts, ledger)
      {_, texts} = Ledger.violations(ledger)
      texts
    end

    test "finds nothing in a sound run", %{facts: facts} do
      assert complaints(%{facts | long_schedules: []}) == []
    end

    test "finds each planted lie", %{facts: facts} do
      facts = %{facts | long_schedules: []}
      ok = facts.totals.outcomes.ok

      planted = [
        {put_in(facts.stats.outcomes.ok, ok + 1),
         "saw #{ok} jobs end as ok, the manager counted"},
        {put_in(facts.stats.submitted, ok - 1), "that found room, the manager counted"},
        {put_in(facts.totals.outcomes.corrupt, 1), "1 jobs ended as corrupt, which nothing"},
        {put_in(facts.totals.outcomes.timeout, 1), "1 jobs ended as timeout, which nothing"},
        {put_in(facts.stats.bytes_copied, 64), "copied 64 payload bytes though no job"},
        {put_in(facts.stats.stray_replies, 1), "1 replies came for no job"},
        {put_in(facts.stats.protocol_errors, 2), "2 protocol errors"},
        {put_in(facts.stats.slots_taken, 3), "3 request slots did not come back"},
        {put_in(facts.stats.held_bytes, 4), "4 bytes of dead workers' memory"},
        {put_in(facts.stats.in_flight, 5), "5 jobs are in flight"},
        {%{facts | left: [{:mapping, "7f /memfd:weir-1"}]}, "a mapping was left behind: 7f"},
        {%{facts | long_schedules: ["somebody held a scheduler"]}, "nobody may for 50 ms"},
        {%{facts | settings: %{facts.settings | wake: :futex}} |> slept_by(:signal),
         "slept by signal, though --wake futex"}
      ]

      for {lie, sentence} <- planted do
        assert Enum.any?(complaints(lie), &(&1 =~ sentence)), "not noticed: #{sentence}"
      end
    end

    defp slept_by(facts, strategy), do: put_in(facts.workers.strategies, [strategy])

    test "is told of by table and document alike", %{facts: facts} do
      facts = %{facts | violations: {1, ["job 7 ended twice"]}}
      assert IO.iodata_to_binary(Summary.table(facts)) =~ "BROKEN: 1 promise was not kept"
      assert Summary.document(facts)[:verdict] == "broken"
      assert IO.iodata_to_binary(Json.encode(Summary.document(facts))) =~ ~s("job 7 ended twice")
      assert Summary.exit_code(facts) == 1

      for line <- facts |> Summary.table() |> IO.iodata_to_binary() |> String.split("\n"),
          do: assert(String.length(line) <= 110)
    end
  end
end
