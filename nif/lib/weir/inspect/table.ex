defmodule Weir.Inspect.Table do
  @moduledoc """
  Draws a picture of managers as text, in the manner of `mix phx.routes`: columns by spaces alone,
  numbers right-aligned.
  """

  alias Weir.Inspect

  @bar 8
  @gap "  "

  # {title, alignment, cell}
  @columns [
    {"POOL", :left, :pool},
    {"SEAT", :right, :seat},
    {"STATE", :left, :state},
    {"PID", :right, :pid},
    {"LANG", :left, :language},
    {"GEN", :right, :generation},
    {"BEATS", :right, :beats},
    {"AGE", :right, :age},
    {"REQUESTS", :left, :request_bar},
    {"", :right, :requests},
    {"RESPONSES", :left, :response_bar},
    {"", :right, :responses},
    {"SLOTS", :left, :slot_bar},
    {"", :right, :slots},
    {"HELD", :right, :held},
    {"IN FLIGHT", :right, :in_flight},
    {"OK", :right, :ok},
    {"FAILED", :right, :failed},
    {"ERRORS", :right, :errors},
    {"RESTARTS", :right, :restarts},
    {"WAKE", :left, :wake},
    {"CPU", :right, :cpu},
    {"NOTE", :left, :note}
  ]

  @sort_keys %{
    "pool" => {:asc, :role},
    "seat" => {:asc, :seat},
    "state" => {:asc, :state},
    "pid" => {:asc, :pid},
    "language" => {:asc, :language},
    "generation" => {:desc, :generation},
    "age" => {:desc, :beat_age_ms},
    "requests" => {:desc, :request_fill},
    "responses" => {:desc, :response_fill},
    "slots" => {:desc, :request_slots_taken},
    "in_flight" => {:desc, :in_flight},
    "ok" => {:desc, :jobs_ok},
    "failed" => {:desc, :jobs_failed},
    "errors" => {:desc, :errors},
    "restarts" => {:desc, :restarts},
    "cpu" => {:desc, :cpu_ms}
  }

  @doc "What workers can be sorted by."
  @spec sort_keys() :: [String.t()]
  def sort_keys, do: @sort_keys |> Map.keys() |> Enum.sort()

  @doc "See `Weir.Inspect.render/2`; raises `ArgumentError` for a sort key that there is not."
  @spec render(Inspect.snapshot(), keyword()) :: String.t()
  def render(snapshot, options) do
    snapshot.managers
    |> Enum.map(&manager(&1, options))
    |> Enum.intersperse("\n")
    |> IO.iodata_to_binary()
  end

  defp manager(%{error: error} = manager, _options) when error != nil do
    [
      "pid #{manager.pid}  #{manager.life}\n",
      indent("its status page cannot be read: " <> error),
      "\n"
    ]
  end

  defp manager(manager, options) do
    [
      headline(manager),
      indent(jobs(manager)),
      "\n\n",
      workers(manager, options[:sort]),
      hidden(manager),
      links(manager.links),
      events(manager, options)
    ]
  end

  # --- What stands above the table ---

  defp headline(manager) do
    words = [
      manager.name,
      "#{manager.kind}",
      "pid #{manager.pid}",
      life(manager),
      "up #{duration(manager.up_ms)}",
      "seen #{duration(manager.updated_ms_ago)} ago",
      "layout #{manager.layout}",
      "wake #{manager.wake_strategy}",
      "cpu #{duration(manager.cpu_ms)}"
    ]

    [Enum.join(words ++ torn(manager), @gap), "\n"]
  end

  defp life(%{life: :running, flags: []}), do: "running"
  defp life(%{life: life, flags: flags}), do: Enum.join([life | flags], ", ")

  defp torn(%{torn: true}), do: ["TORN: some numbers were being written"]
  defp torn(_whole), do: []

  defp jobs(%{totals: totals, outcomes: outcomes}) do
    always = [submitted: totals.submitted, ok: outcomes.ok, in_flight: totals.in_flight]
    ended = outcomes |> Map.delete(:ok) |> Enum.sort()

    others = [
      deferred: totals.deferred_now,
      sent_again: totals.resent,
      stray_replies: totals.stray_replies,
      protocol_errors: totals.protocol_errors,
      restarts: totals.restarts,
      held_bytes: totals.held_bytes
    ]

    shown = always ++ Enum.reject(ended ++ others, fn {_name, count} -> count == 0 end)
    Enum.map_join(shown, @gap, fn {name, count} -> "#{words(name)} #{grouped(count)}" end)
  end

  # --- Workers ---

  defp workers(%{workers: []}, _sort), do: "  no pools yet\n"

  defp workers(%{workers: workers}, sort) do
    rows = workers |> sorted(sort) |> Enum.map(&row/1)
    table(@columns, rows)
  end

  defp sorted(workers, nil), do: workers

  defp sorted(workers, key) do
    case @sort_keys do
      %{^key => {order, field}} ->
        Enum.sort_by(workers, &comparable(Map.fetch!(&1, field)), order)

      _ ->
        raise ArgumentError,
              "unknown sort key #{key}; choose one of #{Enum.join(sort_keys(), ", ")}"
    end
  end

  # A worker without a heartbeat is older than any.
  defp comparable(nil), do: :infinity
  defp comparable(value), do: value

  defp row(worker) do
    %{
      pool: worker.role,
      seat: worker.seat,
      state: worker.state,
      pid: some(worker.pid),
      language: some(worker.language),
      generation: some(worker.generation),
      beats: worker.beat_count,
      age: if(worker.beat_age_ms, do: duration(worker.beat_age_ms), else: "-"),
      request_bar: bar(worker.request_fill, worker.ring_capacity),
      requests: "#{worker.request_fill}/#{worker.ring_capacity}",
      response_bar: bar(worker.response_fill, worker.ring_capacity),
      responses: "#{worker.response_fill}/#{worker.ring_capacity}",
      slot_bar: bar(worker.request_slots_taken, worker.request_slots),
      slots: "#{worker.request_slots_taken}/#{worker.request_slots}",
      held: worker.response_slots_held,
      in_flight: "#{worker.in_flight}/#{worker.in_flight_max}",
      ok: worker.jobs_ok,
      failed: worker.jobs_failed,
      errors: worker.errors,
      restarts: worker.restarts,
      wake: worker.wake_strategy,
      cpu: duration(worker.cpu_ms),
      note: note(worker)
    }
  end

  defp note(worker) do
    [
      worker.torn && "torn",
      :torn in worker.flags && "no telemetry",
      worker.process_state in ["T", "t"] && "stopped",
      worker.process_state == "Z" && "zombie",
      :throttled in worker.flags && "throttled",
      :spare in worker.flags && "for a reload",
      worker.distrust_reason != :none && "broke the protocol: #{words(worker.distrust_reason)}",
      worker.busy_ms && "busy #{duration(worker.busy_ms)}",
      worker.starts_in_ms && worker.starts_in_ms > 0 &&
        "starts in #{duration(worker.starts_in_ms)}"
    ]
    |> Enum.filter(& &1)
    |> Enum.join(", ")
  end

  defp hidden(%{hidden_seats: 0}), do: ""
  defp hidden(%{hidden_seats: count}), do: "  #{count} more seats do not fit its page\n"

  # --- Links ---

  defp links([]), do: "\n  Links between workers: none\n"

  defp links(links) do
    columns = [
      {"FROM", :left, :from},
      {"TO", :left, :to},
      {"EXCHANGES", :right, :exchanges},
      {"BYTES", :right, :bytes}
    ]

    rows =
      for link <- links do
        %{
          from: "#{link.from_pool}/#{link.from_seat} gen #{link.from_generation}",
          to: "#{link.to_pool}/#{link.to_seat} gen #{link.to_generation}",
          exchanges: link.exchanges,
          bytes: link.bytes
        }
      end

    ["\n  Links between workers\n", table(columns, rows)]
  end

  # --- Events ---

  defp events(manager, options) do
    rows = options[:rows] || 8

    case options[:events] || :errors do
      :none ->
        ""

      :all ->
        event_table("Recent events", manager.events, rows)

      :errors ->
        event_table("Recent errors", Enum.filter(manager.events, &Inspect.error?/1), rows)
    end
  end

  defp event_table(title, [], _rows), do: "\n  #{title}: none\n"

  defp event_table(title, events, rows) do
    columns = [
      {"AGO", :right, :ago},
      {"KIND", :left, :kind},
      {"POOL", :left, :pool},
      {"SEAT", :right, :seat},
      {"GEN", :right, :generation},
      {"PID", :right, :pid},
      {"TEXT", :left, :text}
    ]

    cells =
      for event <- Enum.take(events, -rows) do
        %{
          ago: duration(event.age_ms),
          kind: event.kind,
          pool: event.role,
          seat: event.seat,
          generation: some(event.generation),
          pid: some(event.pid),
          text: if(event.torn, do: event.text <> " (torn)", else: event.text)
        }
      end

    ["\n  #{title}\n", table(columns, cells)]
  end

  # --- Drawing ---

  defp table(columns, rows) do
    rows = for row <- rows, do: Map.new(row, fn {key, cell} -> {key, to_string(cell)} end)
    columns = Enum.reject(columns, &empty?(&1, rows))
    widths = for column <- columns, do: width(column, rows)
    titles = Map.new(columns, fn {title, _align, key} -> {key, title} end)

    for row <- [titles | rows] do
      cells =
        for {{_title, align, key}, width} <- Enum.zip(columns, widths),
            do: pad(row[key], align, width)

      [@gap, cells |> Enum.join(@gap) |> String.trim_trailing(), "\n"]
    end
  end

  # Nobody needs a column of notes without a note.
  defp empty?({"NOTE", _align, key}, rows), do: Enum.all?(rows, &(&1[key] == ""))
  defp empty?(_column, _rows), do: false

  defp width({title, _align, key}, rows) do
    Enum.reduce(rows, String.length(title), &max(String.length(&1[key]), &2))
  end

  defp pad(text, :left, width), do: String.pad_trailing(text, width)
  defp pad(text, :right, width), do: String.pad_leading(text, width)

  # One that is not empty shows at least one mark, one that is not full never all.
  defp bar(_filled, 0), do: String.duplicate(".", @bar)

  defp bar(filled, capacity) do
    marks =
      cond do
        filled <= 0 -> 0
        filled >= capacity -> @bar
        true -> (filled * @bar) |> div(capacity) |> max(1) |> min(@bar - 1)
      end

    String.duplicate("#", marks) <> String.duplicate(".", @bar - marks)
  end

  defp some(0), do: "-"
  defp some(""), do: "-"
  defp some(value), do: value

  defp indent(text), do: [@gap, text]
  defp words(name), do: name |> to_string() |> String.replace("_", " ")

  defp grouped(number) do
    number
    |> Integer.to_string()
    |> String.reverse()
    |> String.replace(~r/(\d{3})(?=\d)/, "\\1,")
    |> String.reverse()
  end

  @doc "A duration for people: 0.3s, 12.0s, 3m12s, 2h05m, 4d03h."
  @spec duration(non_neg_integer()) :: String.t()
  def duration(ms) when ms < 60_000, do: "#{div(ms, 1000)}.#{ms |> rem(1000) |> div(100)}s"

  def duration(ms) when ms < 3_600_000,
    do: two(div(ms, 60_000), "m", ms |> div(1000) |> rem(60), "s")

  def duration(ms) when ms < 86_400_000,
    do: two(div(ms, 3_600_000), "h", ms |> div(60_000) |> rem(60), "m")

  def duration(ms), do: two(div(ms, 86_400_000), "d", ms |> div(3_600_000) |> rem(24), "h")

  defp two(large, large_unit, small, small_unit) do
    "#{large}#{large_unit}#{String.pad_leading("#{small}", 2, "0")}#{small_unit}"
  end
end
