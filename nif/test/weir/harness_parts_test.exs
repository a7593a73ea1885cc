defmodule Weir.Harness.PartsTest do
  use ExUnit.Case, async: true

  alias Weir.Crc32c

  alias Weir.Harness.{
    CrcOracle,
    Generator,
    Histogram,
    Json,
    Scenarios,
    SchedulerWatch,
    Source,
    Tally,
    Units
  }

  alias Weir.Harness.Bench.Rounds

  describe "the crc oracle" do
    test "agrees with the checksum of the bytes themselves" do
      block = :rand.bytes(64 * 128)
      oracle = CrcOracle.new(block)

      for offset <- [0, 64, 4_096],
          bytes <- [0, 1, 63, 64, 65, 4_000],
          head <- ["", "a", "12345678"] do
        expected = Crc32c.of([head, binary_part(block, offset, bytes)])

        assert {offset, bytes, head, CrcOracle.of(oracle, head, offset, bytes)} ==
                 {offset, bytes, head, expected}
      end
    end
  end

  describe "the generator" do
    setup do
      %{generator: Generator.new(3, Generator.opcodes())}
    end

    test "makes the same job of a number again, and others of another seed", %{generator: made} do
      again = Generator.new(3, Generator.opcodes())
      other = Generator.new(4, Generator.opcodes())
      jobs = fn generator -> for n <- 0..200, do: Generator.task(generator, n) end
      assert jobs.(made) == jobs.(again)
      refute jobs.(made) == jobs.(other)
    end

    test "makes every opcode of the mix", %{generator: generator} do
      made = for n <- 0..2_000, uniq: true, do: elem(Generator.task(generator, n), 1)
      assert Enum.sort(made) == Enum.sort(Generator.opcodes())
    end

    test "finds right replies right and wrong ones wrong", %{generator: generator} do
      for n <- 0..500, {_, opcode, payload, _} = task = Generator.task(generator, n) do
        case opcode do
          :echo ->
            assert Generator.check(generator, task, payload) == nil
            assert Generator.check(generator, task, payload <> "x") =~ "another length"

            if payload != "",
              do: assert(Generator.check(generator, task, flip(payload)) =~ "differs")

          :crc when byte_size(payload) < 20_000 ->
            reply = <<byte_size(payload)::little-64, Crc32c.of(payload)::little-32, 0::32>>
            assert Generator.check(generator, task, reply) == nil
            <<size::binary-size(8), rest::binary>> = reply

            assert Generator.check(generator, task, size <> flip(rest)) =~
                     "not that of the request"

            assert Generator.check(generator, task, "") =~ "counts other bytes"

          :simulate ->
            {:ok, reply} = Weir.BeamRoutines.Simulate.run(payload)
            reply = IO.iodata_to_binary(reply)
            assert Generator.check(generator, task, reply) == nil
            assert Generator.check(generator, task, flip(reply)) =~ "not the one that follows"

          _ ->
            :ok
        end
      end
    end

    test "holds later replies against the first one of a scenario", %{generator: generator} do
      [task | _] =
        for task <- Generator.scenario_tasks(generator, 0), elem(task, 1) == :pathfind, do: task

      assert Generator.check(generator, task, "anything") == nil
      learned = Generator.learn(generator, task, "anything")
      assert Generator.check(learned, task, "anything") == nil
      assert Generator.check(learned, task, "anythinG") =~ "differs from that of an earlier run"
    end

    test "has as many scenarios as it says" do
      assert length(Scenarios.make(:analytics, 1)) == Scenarios.per_opcode()
    end
  end

  defp flip(<<byte, rest::binary>>), do: <<Bitwise.bxor(byte, 1), rest::binary>>

  describe "a source" do
    test "hands out each number once, up to its limit" do
      source = Source.local(10, 100, nil)
      assert drain(source) == Enum.to_list(10..99)
    end

    test "hands out nothing after its time or when it was stopped" do
      assert Source.lease(Source.local(0, nil, System.monotonic_time(:nanosecond) - 1), nil) ==
               :done

      source = Source.local(0, nil, nil)
      assert {:ok, {0, _}} = Source.lease(source, nil)
      Source.stop(source)
      assert Source.lease(source, nil) == :done
    end
  end

  defp drain(source) do
    case Source.lease(source, nil) do
      {:ok, {first, count}} -> Enum.to_list(first..(first + count - 1)) ++ drain(source)
      :done -> []
    end
  end

  describe "the watch over schedulers" do
    test "knows how long a thread waited for a processor since some time" do
      ms = 1_000_000
      samples = [{140, [9 * ms, 61 * ms]}, {120, [9 * ms, 40 * ms]}, {100, [5 * ms, 1 * ms]}]
      assert SchedulerWatch.waited_ms(samples, 120) == 21
      assert SchedulerWatch.waited_ms(samples, 110) == 60
      # Older than what is known: what is known counts.
      assert SchedulerWatch.waited_ms(samples, 10) == 60
      assert SchedulerWatch.waited_ms([], 10) == 0
    end

    test "names who held one" do
      terms = [timeout: 63, in: {Weir, :run, 3}, out: :undefined]

      assert SchedulerWatch.sentence(self(), terms) =~
               "held a scheduler for 63 ms, from Weir.run/3"
    end

    test "puts the system monitor back" do
      before = :erlang.system_monitor()
      watch = SchedulerWatch.start()
      assert {^watch, [long_schedule: 50]} = :erlang.system_monitor()
      assert {hits, disturbed} = SchedulerWatch.stop(watch)
      assert is_list(hits) and disturbed >= 0
      assert :erlang.system_monitor() == before
    end
  end

  test "the tally keeps the counters of workers that are gone" do
    worker = fn generation, parks ->
      %{
        pool: 0,
        seat: 0,
        generation: generation,
        wake_strategy: 1,
        parks: parks,
        spin_hits: 0,
        wakes_sent: 0,
        bytes_copied: 0
      }
    end

    tally =
      Enum.reduce([{1, 5}, {1, 7}, {2, 1}], Tally.new(), fn {generation, parks}, tally ->
        Tally.look(tally, [worker.(generation, parks)])
      end)

    assert %{parks: 8, strategies: [:futex]} = Tally.sum(tally)
  end

  test "a histogram's percentiles are right to 5 %" do
    histogram = Histogram.new()
    for ns <- 1..10_000, do: Histogram.add(histogram, ns * 1_000)
    summary = Histogram.summary(histogram)
    assert summary[:count] == 10_000
    assert_in_delta summary[:p50_ns], 5_000_000, 250_000
    assert_in_delta summary[:p99_ns], 9_900_000, 500_000
    assert summary[:max_ns] == 10_000_000
  end

  test "ratios are taken within rounds" do
    rounds = [%{a: 10, b: 1}, %{a: 20, b: 10}, %{a: 6, b: 2}]

    assert %{rounds: 3, subject: 10.0, reference: 2.0, ratio: ratio} =
             Rounds.compare(rounds, :a, :b)

    assert ratio == %{q1: 2.5, median: 3.0, q3: 6.5}
  end

  test "every probe is measured once a round, after a round that does not count" do
    test = self()
    probes = for name <- [:a, :b], do: {name, fn -> send(test, name) && 1 end}
    assert [%{a: 1, b: 1}, %{a: 1, b: 1}] = Rounds.run(probes, 2)
    {:messages, messages} = Process.info(self(), :messages)
    assert messages == [:a, :b, :a, :b, :b, :a]
  end

  test "numbers are read and written as people do" do
    assert Units.parse_duration("250ms") == {:ok, 250_000_000}
    assert Units.parse_duration("2m") == {:ok, 120_000_000_000}
    assert Units.parse_duration("2 m") == :error
    assert Units.parse_count("0x10") == {:ok, 16}
    assert Units.parse_count("-1") == :error
    assert Units.count(1_234_567) == "1,234,567"
    assert Units.duration(1_370_000) == "1.37 ms"
    assert Units.duration(640) == "640 ns"
    assert Units.size(3 * 1_048_576) == "3.00 MiB"
  end

  test "JSON keeps the order of keyword lists and escapes what it must" do
    term = [verdict: "held", list: [1, 2.5], none: nil, empty: [], text: "a\"\\\n\t"]

    assert IO.iodata_to_binary(Json.encode(term)) == """
           {
             "verdict": "held",
             "list": [
               1,
               2.5
             ],
             "none": null,
             "empty": [],
             "text": "a\\"\\\\\\n\\u0009"
           }
           """
  end
end
