defmodule Weir.BackoffTest do
  use ExUnit.Case, async: true

  import Weir.TestVectors, only: [number: 2]
  alias Weir.{Backoff, Property, TestVectors}

  test "waits and gives up as the shared file says" do
    {_last, seats, quarantined} =
      Enum.reduce(TestVectors.read!("backoff.txt"), {nil, 0, 0}, fn
        {"seat", fields, _line}, {_, seats, quarantined} ->
          keys = [:seed, :first_ns, :max_ns, :stable_ns, :deaths_max]
          backoff = Backoff.new(for key <- keys, do: {key, number(fields, to_string(key))})
          {backoff, seats + 1, quarantined}

        {"died", %{"quarantine" => "1"} = fields, line}, {backoff, seats, quarantined} ->
          assert {^line, {:quarantine, backoff}} =
                   {line, Backoff.died(backoff, number(fields, "uptime_ns"))}

          {backoff, seats, quarantined + 1}

        {"died", fields, line}, {backoff, seats, quarantined} ->
          wait_ns = number(fields, "wait_ns")

          assert {^line, {:restart, ^wait_ns, backoff}} =
                   {line, Backoff.died(backoff, number(fields, "uptime_ns"))}

          {backoff, seats, quarantined}
      end)

    assert seats >= 8
    assert quarantined >= 3
  end

  test "has libweir's defaults" do
    assert %Backoff{
             first_ns: 100_000_000,
             max_ns: 10_000_000_000,
             stable_ns: 30_000_000_000,
             deaths_max: 8
           } = Backoff.new()
  end

  test "refuses options that make no sense, by name" do
    assert_raise ArgumentError, ~r/first_ns/, fn -> Backoff.new(first_ns: 0) end
    assert_raise ArgumentError, ~r/deaths_max/, fn -> Backoff.new(deaths_max: 1.5) end
    assert_raise ArgumentError, ~r/seed/, fn -> Backoff.new(seed: -1) end
    assert_raise ArgumentError, ~r/frist_ns/, fn -> Backoff.new(frist_ns: 1) end
  end

  test "waits between half of its delay and all of it, whatever the seed (property)" do
    small = :proper_types.integer(1, 1_000_000)

    generator =
      {:proper_types.integer(0, 0xFFFFFFFFFFFFFFFF), small, small, :proper_types.integer(1, 30)}

    Property.check(
      "the wait lies between half of the delay and all of it",
      300,
      Property.forall(generator, fn {seed, first_ns, more_ns, deaths} ->
        max_ns = first_ns + more_ns
        backoff = Backoff.new(seed: seed, first_ns: first_ns, max_ns: max_ns, deaths_max: 100)

        {_, held} =
          Enum.reduce(0..(deaths - 1), {backoff, true}, fn death, {backoff, held} ->
            {:restart, wait_ns, backoff} = Backoff.died(backoff, 0)
            delay_ns = min(first_ns * Integer.pow(2, death), max_ns)
            {backoff, held and wait_ns in div(delay_ns, 2)..delay_ns}
          end)

        held
      end)
    )
  end
end
