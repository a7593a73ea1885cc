defmodule Weir.Harness.Summary do
  @moduledoc "The end of a run, for people and for programs: the same numbers, verdict first."

  alias Weir.Harness.{Ledger, Options, Resources, Units}

  # People look for these always, for the others when there are some.
  @always [:ok, :failed, :timeout, :worker_lost, :rejected]

  @doc "`partial`, `broken`, `interrupted` or `held`."
  @spec verdict(map()) :: String.t()
  def verdict(%{is_partial: true}), do: "partial"
  def verdict(%{violations: {found, _}}) when found > 0, do: "broken"
  def verdict(%{signals: signals}) when signals > 0, do: "interrupted"
  def verdict(_), do: "held"

  @doc "The exit code: 0 held, 1 broken, 143 stopped by SIGTERM."
  @spec exit_code(map()) :: 0 | 1 | 143
  def exit_code(facts) do
    case verdict(facts) do
      "broken" -> 1
      "interrupted" -> 143
      "held" -> 0
    end
  end

  @doc "A line of progress."
  @spec line(map(), map() | nil) :: String.t()
  def line(facts, before) do
    closed = facts.totals.closed
    span = facts.elapsed_ns - if(before, do: before.elapsed_ns, else: 0)
    fresh = closed - if(before, do: before.totals.closed, else: 0)
    rate = if span > 0, do: round(fresh * 1.0e9 / span), else: 0

    [
      pad(:io_lib.format("~.1f", [facts.elapsed_ns / 1.0e9]), 6),
      " s ",
      pad(Units.count(closed), 13),
      " jobs ",
      pad(Units.count(rate), 10),
      "/s ",
      pad(Units.count(facts.totals.entered - closed), 6),
      " in flight ",
      pad(Units.count(closed - facts.totals.outcomes.ok), 6),
      " not ok  workers #{facts.ready}/#{facts.settings.workers}  restarts #{facts.stats.restarts}"
    ]
    |> IO.iodata_to_binary()
  end

  @doc "The table, at most 100 columns wide."
  @spec table(map()) :: iodata()
  def table(facts) do
    [
      "\n",
      verdict_lines(facts),
      nodes(facts.nodes),
      "\nJobs\n",
      jobs(facts),
      "\nThroughput\n",
      row("jobs", Units.count(per_second(facts.totals.outcomes.ok, facts)), "per second"),
      row("payload, both ways", Units.size(per_second(both_ways(facts), facts)), "per second"),
      latency(facts.latency),
      waking(facts),
      rest(facts)
    ]
  end

  defp verdict_lines(%{violations: {found, texts}} = facts) do
    seconds = :io_lib.format("~.1f", [facts.elapsed_ns / 1.0e9])
    terms = " (#{what(facts.settings)}, seed #{facts.settings.seed}, #{seconds} s)\n"

    head =
      case verdict(facts) do
        "broken" when found == 1 -> "BROKEN: 1 promise was not kept"
        "broken" -> "BROKEN: #{Units.count(found)} promises were not kept"
        "interrupted" -> "INTERRUPTED: stopped early; every promise held until then"
        "held" -> "HELD: every promise was kept"
        "partial" -> "PARTIAL: the run goes on"
      end

    more = found - length(texts)

    [
      [head, terms],
      for(text <- texts, do: ["  - ", text, "\n"]),
      if(more > 0, do: "  - and #{Units.count(more)} more\n", else: [])
    ]
  end

  defp what(settings) do
    wake = if settings.wake, do: ", wake #{settings.wake}", else: ""
    "ring #{settings.ring}, worker #{settings.worker}#{wake}"
  end

  defp nodes([]), do: []

  defp nodes(nodes) do
    [
      "\nNodes\n",
      for node <- nodes do
        lost = if node.lost > 0, do: ", #{Units.count(node.lost)} manager_lost", else: ""
        row("#{node.name}", Units.count(node.jobs), "jobs, #{node.end}#{lost}")
      end
    ]
  end

  defp jobs(facts) do
    outcomes = facts.totals.outcomes

    [
      row("submitted", Units.count(facts.totals.entered), ""),
      for outcome <- Ledger.outcomes(), outcome in @always or outcomes[outcome] > 0 do
        note = if outcome == :ok, do: "#{Units.count(facts.totals.verified)} verified", else: ""

        row("#{outcome}", Units.count(outcomes[outcome]), note)
      end,
      row("sent again", Units.count(facts.stats.resent), ""),
      row("deferred", Units.count(facts.stats.deferred), "")
    ]
  end

  defp both_ways(facts), do: facts.counts[:request_bytes] + facts.counts[:reply_bytes]

  defp per_second(_, %{elapsed_ns: 0}), do: 0
  defp per_second(count, facts), do: round(count * 1.0e9 / facts.elapsed_ns)

  defp latency(rows) do
    [
      "\n",
      latency_row("Latency", ["jobs", "p50", "p99", "p99.9", "max"], 14),
      for {opcode, found} <- rows, found[:count] > 0 do
        times = for key <- [:p50_ns, :p99_ns, :p99_9_ns, :max_ns], do: Units.duration(found[key])
        latency_row("  #{opcode}", [Units.count(found[:count]) | times], 14)
      end
    ]
  end

  defp latency_row(name, [first | rest], width) do
    [
      String.pad_trailing(name, width),
      " ",
      pad(first, 15),
      for(text <- rest, do: [" ", pad(text, 12)]),
      "\n"
    ]
  end

  defp waking(facts) do
    asleep = Enum.map_join(facts.workers.strategies, ", ", &"#{&1}")
    {manager, workers} = {facts.stats, facts.workers}

    [
      "\n",
      waking_row("Waking", ["parks", "spin hits", "wake calls"], "asleep by"),
      waking_row("  manager", numbers(manager), ""),
      waking_row("  workers", numbers(workers), if(asleep == "", do: "never slept", else: asleep))
    ]
  end

  defp numbers(from),
    do: for(key <- [:parks, :spin_hits, :wakes_sent], do: Units.count(Map.fetch!(from, key)))

  defp waking_row(name, [a, b, c], note) do
    line = [String.pad_trailing(name, 14), " ", pad(a, 15), " ", pad(b, 12), " ", pad(c, 12)]
    [line, if(note == "", do: "", else: ["   ", note]), "\n"]
  end

  defp rest(facts) do
    left = Enum.frequencies_by(facts.left, &elem(&1, 0))

    kinds = for kind <- Resources.kinds(), do: ", #{plural(kind)} #{Map.get(left, kind, 0)}"

    chaos =
      if facts.settings.chaos == [],
        do: [],
        else: [
          "  done on purpose: ",
          Enum.map_join(facts.settings.chaos, ", ", &"#{&1} #{facts.chaos[&1]}"),
          "\n"
        ]

    [
      "\nCopies and leftovers\n",
      "  payload bytes copied by libweir: manager #{Units.count(facts.stats.bytes_copied)}, " <>
        "workers #{Units.count(facts.workers.bytes_copied)}\n",
      "  replies read in place, with the checksum of their request: " <>
        "#{Units.count(facts.counts[:replies_read_in_place])}\n",
      "  left behind: slots #{facts.stats.slots_taken}#{kinds}\n",
      chaos,
      "  workers restarted: #{facts.stats.restarts}; stray replies #{facts.stats.stray_replies}; " <>
        "protocol errors #{facts.stats.protocol_errors}; " <>
        "schedulers held for 50 ms: #{length(facts.long_schedules)}" <>
        if(facts.disturbed > 0, do: " (#{facts.disturbed} by the machine itself)", else: "") <>
        "\n"
    ]
  end

  defp plural(:process), do: "processes"
  defp plural(kind), do: "#{kind}s"

  defp row(name, value, note) do
    line = ["  ", String.pad_trailing(name, 24), " ", pad(value, 15)]
    [line, if(note == "", do: "", else: ["   ", note]), "\n"]
  end

  defp pad(text, width), do: text |> IO.iodata_to_binary() |> String.pad_leading(width)

  @doc "The document; keys and names are those of `weir run --json` where both have them."
  @spec document(map()) :: keyword()
  def document(%{violations: {found, texts}} = facts) do
    settings = facts.settings

    [
      verdict: verdict(facts),
      is_partial: facts.is_partial,
      violations_found: found,
      violations: texts,
      ring: settings.ring,
      worker: settings.worker,
      wake: settings.wake,
      # Seeds use all 64 bits, which many JSON readers would round.
      seed: Integer.to_string(settings.seed),
      command: Options.command(settings),
      workers: settings.workers,
      callers: settings.callers,
      elapsed_ns: facts.elapsed_ns,
      jobs: [
        submitted: facts.totals.entered,
        verified: facts.totals.verified,
        outcomes: for(o <- Ledger.outcomes(), do: {o, facts.totals.outcomes[o]}),
        sent_again: facts.stats.resent,
        deferred: facts.stats.deferred
      ],
      jobs_per_second: per_second(facts.totals.outcomes.ok, facts),
      payload_bytes: facts.counts[:request_bytes] + facts.counts[:reply_bytes],
      replies_read_in_place: facts.counts[:replies_read_in_place],
      opcodes: for({opcode, found} <- facts.latency, do: {opcode, [latency: found]}),
      wakes: [
        manager: wake_counts(facts.stats),
        workers: wake_counts(facts.workers),
        strategies: facts.workers.strategies
      ],
      bytes_copied: [manager: facts.stats.bytes_copied, workers: facts.workers.bytes_copied],
      left_behind:
        [slots: facts.stats.slots_taken, held_bytes: facts.stats.held_bytes] ++
          for(kind <- Resources.kinds(), do: {plural_key(kind), count_left(facts, kind)}),
      restarts: facts.stats.restarts,
      stray_replies: facts.stats.stray_replies,
      protocol_errors: facts.stats.protocol_errors,
      long_schedules: facts.long_schedules,
      long_schedules_disturbed: facts.disturbed,
      chaos: if(settings.chaos == [], do: nil, else: facts.chaos),
      nodes: for(node <- facts.nodes, do: Enum.sort(node))
    ]
  end

  defp wake_counts(from),
    do: [parks: from.parks, spin_hits: from.spin_hits, wake_calls: from.wakes_sent]

  defp plural_key(kind), do: String.to_atom(plural(kind))
  defp count_left(facts, kind), do: Enum.count(facts.left, &match?({^kind, _}, &1))
end
