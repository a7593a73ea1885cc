defmodule Weir.Inspect do
  @moduledoc """
  Looks at the managers of this user: workers, fill levels, heartbeats, restarts, recent errors.

  Each manager, in C or in Elixir, keeps a status page in the runtime directory. This module reads
  those pages and needs nothing of the manager: it may be busy, stopped or dead, and it may belong
  to another process. What was being written just then is marked as torn.

  `mix ipc.inspect` shows the same; in a release, where there is no mix:

      bin/app rpc "Weir.Inspect.print()"

  Options of all functions here:

    * `:dir` - the runtime directory; default `WEIR_RUNTIME_DIR`, `XDG_RUNTIME_DIR/weir` or
      `/tmp/weir-UID`
    * `:name` - only managers of this name; an Elixir instance has the name that it was started with

  `render/2` and `print/1` also take

    * `:sort` - a key of `sort_keys/0`; numbers come largest first
    * `:events` - `:errors` (default), `:all` or `:none`
    * `:rows` - at most so many events of each manager; default 8
  """

  alias Weir.Inspect.Table
  alias Weir.Native

  @typedoc "A picture of all managers of a runtime directory; plain data, so that it can travel."
  @type snapshot :: %{
          directory: String.t(),
          node: node(),
          taken_at: String.t(),
          managers: [map()]
        }

  @error_kinds ~w(protocol_error silent stuck fenced exited refused quarantined)
  @ns_per_ms 1_000_000

  @doc """
  Takes a picture of every manager. A runtime directory that does not exist has none.
  """
  @spec snapshot(keyword()) :: {:ok, snapshot()} | {:error, atom(), String.t()}
  def snapshot(options \\ []) do
    dir = options[:dir]

    with :ok <- check_library(),
         {:ok, {directory, entries}} <- Native.status_list(dir) do
      managers =
        for entry <- entries, manager = look(dir, entry), wanted?(manager, options), do: manager

      {:ok,
       %{
         directory: directory,
         node: node(),
         taken_at: DateTime.to_iso8601(DateTime.utc_now()),
         managers: Enum.sort_by(managers, &{&1.life == :dead, &1.name, &1.id})
       }}
    end
  end

  @doc "The picture as a text table, without colours."
  @spec render(snapshot(), keyword()) :: String.t()
  def render(snapshot, options \\ []), do: Table.render(snapshot, options)

  @doc "What `render/2` can sort workers by."
  @spec sort_keys() :: [String.t()]
  def sort_keys, do: Table.sort_keys()

  @doc "Prints the table, or a sentence that says why there is none."
  @spec print(keyword()) :: :ok
  def print(options \\ []) do
    case snapshot(options) do
      {:ok, %{managers: []} = snapshot} -> IO.puts(nothing(snapshot, options))
      {:ok, snapshot} -> IO.write(render(snapshot, options))
      {:error, _status, sentence} -> IO.puts(sentence)
    end
  end

  @doc "A sentence for a picture without managers: what to do about it."
  @spec nothing(snapshot(), keyword()) :: String.t()
  def nothing(snapshot, options \\ []) do
    who =
      if options[:name], do: "No manager named #{options[:name]} runs", else: "No manager runs"

    "#{who} in #{snapshot.directory}. Start one, with `weir run` or with {Weir, ...} in a supervision " <>
      "tree, or name another directory by --dir or WEIR_RUNTIME_DIR."
  end

  @doc "Whether an event is one that a person should look into."
  @spec error?(map()) :: boolean()
  def error?(event), do: event.kind in @error_kinds

  defp check_library do
    Native.version()
    :ok
  rescue
    _not_loaded ->
      {:error, :unsupported,
       "weir_nif.so is not loaded; run mix compile, which builds and installs it"}
  end

  defp wanted?(manager, options), do: options[:name] in [nil, manager.name]

  # nil when the manager removed its page after it had been listed.
  defp look(dir, entry) do
    case Native.status_read(dir, entry.id) do
      {:ok, picture} -> describe(entry, picture)
      {:error, status, _sentence} when status in [:not_found, :empty] -> nil
      {:error, _status, sentence} -> damaged(entry, sentence)
    end
  end

  defp damaged(entry, sentence) do
    entry
    |> Map.take([:id, :name, :pid, :kind, :life])
    |> Map.merge(%{error: sentence, torn: false, workers: [], links: [], events: []})
  end

  defp describe(entry, picture) do
    %{manager: manager, read_ns: now} = picture

    %{
      id: entry.id,
      error: nil,
      pid: entry.pid,
      life: picture.life,
      torn: picture.torn,
      name: manager.name,
      kind: manager.kind,
      flags: manager.flags,
      layout: "#{manager.layout_major}.#{manager.layout_minor}",
      layout_digest: Base.encode16(manager.layout_digest, case: :lower),
      wake_strategy: manager.wake_strategy,
      cpu_ms: div(picture.process.cpu_ns, @ns_per_ms),
      up_ms: age(now, manager.started_ns),
      updated_ms_ago: age(now, manager.updated_ns),
      started_at: wall(manager.started_wall_ns),
      hidden_seats: max(manager.seat_total - length(picture.seats), 0),
      totals: totals(manager),
      outcomes: manager.outcomes,
      workers: for(seat <- picture.seats, occupied?(seat), do: worker(seat, now)),
      links: picture.links,
      events: Enum.map(picture.events, &event(&1, now))
    }
  end

  # The seat that reloads use is nobody's business while nobody sits there.
  defp occupied?(seat), do: seat.generation != 0 or :spare not in seat.flags

  defp totals(manager) do
    Map.take(
      manager,
      ~w(submitted sent resent deferred deferred_now in_flight stray_replies protocol_errors restarts slots_taken
         held_bytes bytes_copied wakes_sent parks spin_hits mappings event_count pool_count)a
    )
  end

  defp worker(seat, now) do
    seat
    |> Map.drop(
      ~w(process spawned_ns ready_ns start_at_ns beat_seen_ns beat_ns busy_since_ns last_job_ns progress)a
    )
    |> Map.merge(%{
      process_state: seat.process.state,
      cpu_ms: div(seat.process.cpu_ns, @ns_per_ms),
      up_ms: if(seat.ready_ns > 0, do: age(now, seat.ready_ns)),
      beat_age_ms: if(seat.beat_seen_ns > 0, do: age(now, seat.beat_seen_ns)),
      busy_ms: if(seat.busy_since_ns > 0, do: age(now, seat.busy_since_ns)),
      starts_in_ms: if(seat.state == :empty, do: max(div(seat.start_at_ns - now, @ns_per_ms), 0)),
      last_job_us: div(seat.last_job_ns, 1000)
    })
  end

  defp event(event, now) do
    event |> Map.delete(:time_ns) |> Map.put(:age_ms, age(now, event.time_ns))
  end

  # Clocks of a torn or forged page may say anything.
  defp age(now, then) when then <= now, do: div(now - then, @ns_per_ms)
  defp age(_now, _then), do: 0

  defp wall(ns) do
    case DateTime.from_unix(ns, :nanosecond) do
      {:ok, time} -> time |> DateTime.truncate(:second) |> DateTime.to_iso8601()
      {:error, _reason} -> nil
    end
  end
end
