defmodule Weir.Harness.Judge do
  @moduledoc """
  Says which outcomes a run allows and which numbers have to agree; what does not hold becomes a
  violation in the ledger. The rules are those of `harness/judge.c`.
  """

  alias Weir.Harness.{Ledger, SchedulerWatch}

  @doc """
  Judges the facts of a run. Needed: `settings`, `totals`, `stats`, `workers` (bytes that workers
  copied, `strategies` seen), `chaos` (what was done on purpose), `long_schedules`, `left`,
  `signals`.
  """
  @spec judge(map(), Ledger.t()) :: :ok
  def judge(facts, ledger) do
    complain = &Ledger.complain(ledger, &1)
    outcomes(facts, complain)
    copies(facts, complain)
    replies(facts, complain)
    wakes(facts, complain)
    for hit <- facts.long_schedules, do: complain.(hit <> limit())
    for {kind, name} <- facts.left, do: complain.("a #{kind} was left behind: #{name}")
    unless facts.signals > 1, do: leftovers(facts.stats, complain)
    :ok
  end

  defp limit, do: "; nobody may for #{SchedulerWatch.limit_ms()} ms"

  defp outcomes(facts, complain) do
    for outcome <- Ledger.outcomes() do
      seen = Map.fetch!(facts.totals.outcomes, outcome)
      # Jobs that the chaos submits are no one's else.
      counted = Map.fetch!(facts.stats.outcomes, outcome) - extra(outcome, facts)

      if seen != 0 and not allowed?(outcome, facts) do
        complain.("#{seen} jobs ended as #{outcome}, which nothing in this run excuses")
      end

      if differ?(outcome, seen, counted) and facts.signals < 2 do
        complain.(
          "the callers saw #{seen} jobs end as #{outcome}, the manager counted #{counted}"
        )
      end
    end

    submitted = facts.totals.entered - facts.totals.outcomes.rejected
    counted = facts.stats.submitted - facts.stats.outcomes.rejected - facts.chaos.oversize

    if submitted != counted and facts.signals < 2 do
      complain.(
        "the callers submitted #{submitted} jobs that found room, the manager counted #{counted}"
      )
    end

    if facts.totals.outcomes.ok == 0 and facts.signals == 0, do: complain.("no job ended as ok")
  end

  # A caller that waits for room asks again and again; the manager counts each refusal.
  defp differ?(:rejected, seen, counted), do: seen > counted
  defp differ?(_, seen, counted), do: seen != counted

  defp extra(:oversize, facts), do: facts.chaos.oversize
  defp extra(_, _), do: 0

  defp allowed?(:ok, _), do: true
  # Room can run out under every policy.
  defp allowed?(:rejected, _), do: true
  # The deadline is far beyond what any job takes: without disturbances something was forgotten.
  defp allowed?(:timeout, facts), do: facts.settings.chaos != []
  # Jobs may be sent again twice; a third crash is one too many.
  defp allowed?(:worker_lost, facts), do: facts.stats.restarts > 2
  defp allowed?(:cancelled, facts), do: facts.signals > 1
  defp allowed?(_, _), do: false

  defp copies(%{stats: stats} = facts, complain) do
    copied = stats.bytes_copied + facts.workers.bytes_copied

    # A job that is sent again moves to another worker's memory; nothing else is ever copied. A
    # worker in Elixir copies in and out, as its payloads are binaries.
    if copied != 0 and stats.resent == 0 and facts.settings.worker == :c do
      complain.("libweir copied #{copied} payload bytes though no job was sent again")
    end
  end

  defp replies(%{stats: stats, totals: totals}, complain) do
    late = totals.outcomes.timeout + totals.outcomes.cancelled

    if stats.stray_replies > late do
      complain.(
        "#{stats.stray_replies} replies came for no job, more than the #{late} jobs that could " <>
          "have late ones"
      )
    end

    if stats.protocol_errors != 0 do
      complain.("#{stats.protocol_errors} protocol errors by workers that are meant to be sound")
    end
  end

  defp wakes(%{settings: %{wake: wake}} = facts, complain) when wake != nil do
    case facts.workers.strategies -- [wake, :awake] do
      [] -> :ok
      others -> complain.("workers slept by #{Enum.join(others, ", ")}, though --wake #{wake}")
    end
  end

  defp wakes(_, _), do: :ok

  defp leftovers(stats, complain) do
    if stats.in_flight != 0 or stats.deferred_now != 0 do
      complain.(
        "#{stats.in_flight} jobs are in flight and #{stats.deferred_now} deferred after the last " <>
          "outcome"
      )
    end

    if stats.slots_taken != 0,
      do: complain.("#{stats.slots_taken} request slots did not come back")

    if stats.held_bytes != 0,
      do: complain.("#{stats.held_bytes} bytes of dead workers' memory are still held")
  end
end
