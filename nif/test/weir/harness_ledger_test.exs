defmodule Weir.Harness.LedgerTest do
  use ExUnit.Case, async: true

  alias Weir.Harness.Ledger

  setup do
    %{ledger: Ledger.new()}
  end

  test "adds up what was entered and how it ended", %{ledger: ledger} do
    Ledger.enter(ledger, 0, 5)
    for number <- 0..2, do: Ledger.close(ledger, number, :ok)
    Ledger.close(ledger, 3, :timeout)
    Ledger.close(ledger, 4, :rejected)
    Ledger.audit(ledger)

    totals = Ledger.totals(ledger)
    assert %{entered: 5, closed: 5, verified: 3} = totals
    assert %{ok: 3, timeout: 1, rejected: 1, worker_lost: 0} = totals.outcomes
    assert Ledger.violations(ledger) == {0, []}
  end

  test "notices an outcome that comes twice", %{ledger: ledger} do
    Ledger.enter(ledger, 7, 1)
    Ledger.close(ledger, 7, :ok)
    Ledger.close(ledger, 7, :worker_lost)

    assert Ledger.violations(ledger) ==
             {1, ["job 7 ended twice: first ok, then worker_lost"]}

    assert %{closed: 1, verified: 1} = Ledger.totals(ledger)
  end

  test "notices an outcome that never comes", %{ledger: ledger} do
    Ledger.enter(ledger, 0, 3)
    Ledger.close(ledger, 0, :ok)
    Ledger.close(ledger, 2, :ok)
    Ledger.audit(ledger)
    assert Ledger.violations(ledger) == {1, ["job 1 never ended"]}
  end

  test "notices an outcome of a job that nobody submitted", %{ledger: ledger} do
    Ledger.enter(ledger, 0, 1)
    Ledger.close(ledger, 0, :ok)
    Ledger.close(ledger, 1, :ok)
    Ledger.close(ledger, 1_000_000_000, :ok)

    assert Ledger.violations(ledger) ==
             {2,
              [
                "job 1 ended as ok but was not submitted",
                "job 1000000000 ended as ok but was not submitted"
              ]}
  end

  test "notices a job that is submitted twice", %{ledger: ledger} do
    Ledger.enter(ledger, 0, 2)
    Ledger.enter(ledger, 1, 1)
    assert Ledger.violations(ledger) == {1, ["job 1 was submitted twice"]}
  end

  test "notices an outcome that there is not, such as that of a closed instance", %{
    ledger: ledger
  } do
    Ledger.enter(ledger, 0, 1)
    Ledger.close(ledger, 0, :closed)
    Ledger.audit(ledger)

    assert Ledger.violations(ledger) ==
             {2, ["job 0 ended as :closed, which is no outcome", "job 0 never ended"]}
  end

  test "does not count an ok with a wrong reply as verified", %{ledger: ledger} do
    Ledger.enter(ledger, 0, 1)
    Ledger.close(ledger, 0, :ok, "the echo differs from the request")

    assert %{closed: 1, verified: 0} = Ledger.totals(ledger)

    assert Ledger.violations(ledger) ==
             {1, ["job 0 ended as ok, but the echo differs from the request"]}
  end

  test "keeps the first violations as text and counts the others", %{ledger: ledger} do
    for number <- 1..40, do: Ledger.complain(ledger, "complaint #{number}")
    assert {40, texts} = Ledger.violations(ledger)
    assert texts == for(number <- 1..12, do: "complaint #{number}")
  end

  test "keeps neighbours apart when many processes close jobs of one word", %{ledger: ledger} do
    count = 20_000
    Ledger.enter(ledger, 0, count)

    0..7
    |> Enum.map(fn worker ->
      Task.async(fn -> for n <- worker..(count - 1)//8, do: Ledger.close(ledger, n, :ok) end)
    end)
    |> Task.await_many()

    Ledger.audit(ledger)
    assert {0, []} = Ledger.violations(ledger)
    assert %{entered: ^count, closed: ^count, verified: ^count} = Ledger.totals(ledger)
  end

  test "reaches from the first block of numbers into the next ones", %{ledger: ledger} do
    first = 16_384 * 7 - 3
    Ledger.enter(ledger, first, 6)
    for number <- first..(first + 4), do: Ledger.close(ledger, number, :ok)
    Ledger.audit(ledger)
    assert Ledger.violations(ledger) == {1, ["job #{first + 5} never ended"]}
  end
end
