defmodule Weir.Fallback do
  @moduledoc """
  The in-memory path: a manager and its worker loops inside the VM.

  `fallback: :beam` sends jobs here that no native worker serves, and `--ring memory` sends all of
  them. Each of the `workers` is a `Weir.BeamWorkerLoop` behind a pair of `Weir.InMemoryRing`s, with
  the same envelopes, checks and outcomes as the path through shared memory: every accepted job ends
  in exactly one outcome, told as `{tag, :done, outcome, payload, sent_count, elapsed_ns}`, where
  the payload is the reply (`:ok`), the routine's sentence (`:failed`), or nil.

  A loop that dies is started again after a `Weir.Backoff`; what it had not begun is sent again, what
  it had begun only if the caller called it idempotent, at most twice. The death of a caller cancels
  its jobs. This process owns the rings and tables of every loop.

  ## Options

    * `:name` - to register under (optional)
    * `:routines` - by opcode, see `Weir.BeamRoutines` (default: its loopback routines)
    * `:workers` - number of loops (default: online schedulers)
    * `:capacity` - jobs under way per loop, a power of two (default 256)
    * `:slot_bytes` - longest payload (default 1 MiB)
    * `:no_room` - `:reject` (default) or `:defer`; `:deferred_max` bounds the latter (default 1024)
    * `:payload_crc` - whether payloads carry checksums (default true)
    * `:backoff` - options of `Weir.Backoff.new/1`
  """

  alias Weir.Fallback.Manager

  @type outcome :: atom()
  @type done :: {:done, outcome(), binary() | nil, non_neg_integer(), non_neg_integer()}

  # How many jobs of one run_many/5 are under way at a time.
  @window 64

  @defaults [
    name: nil,
    routines: nil,
    workers: nil,
    capacity: 256,
    slot_bytes: 1_048_576,
    no_room: :reject,
    deferred_max: 1024,
    payload_crc: true,
    backoff: []
  ]

  @doc false
  def child_spec(options),
    do: %{id: options[:name] || __MODULE__, start: {__MODULE__, :start_link, [options]}}

  @doc "Starts the manager and its loops; see the options above."
  @spec start_link(keyword()) :: GenServer.on_start()
  def start_link(options \\ []) do
    options = Keyword.validate!(options, @defaults)
    name = if options[:name], do: [name: options[:name]], else: []
    GenServer.start_link(Manager, options, name)
  end

  @doc """
  Runs a job and waits for its end. The server's death ends it as `:manager_lost`.
  """
  @spec run(GenServer.server(), 0..0xFFFF, binary(), pos_integer() | :infinity, non_neg_integer()) ::
          done()
  def run(server, opcode, payload, timeout_ns \\ :infinity, flags \\ 0) do
    [done] = run_many(server, opcode, [payload], timeout_ns, flags)
    done
  end

  @doc "Runs one job per payload, at most 64 of them under way; the answers keep the order."
  @spec run_many(
          GenServer.server(),
          0..0xFFFF,
          [binary()],
          pos_integer() | :infinity,
          non_neg_integer()
        ) :: [done()]
  def run_many(server, opcode, payloads, timeout_ns \\ :infinity, flags \\ 0) do
    monitor = Process.monitor(server)

    {answers, state} =
      payloads
      |> Enum.with_index()
      |> Enum.reduce({%{}, 0}, fn {payload, number}, {answers, under_way} ->
        {answers, under_way} =
          if under_way < @window,
            do: {answers, under_way},
            else: collect(monitor, answers, under_way)

        submit(server, {monitor, number}, opcode, payload, timeout_ns, flags)
        {answers, under_way + 1}
      end)

    answers = collect_all(monitor, answers, state)
    Process.demonitor(monitor, [:flush])
    lost = {:done, :manager_lost, nil, 0, 0}
    for number <- 0..(length(payloads) - 1)//1, do: Map.get(answers, number, lost)
  end

  defp collect_all(_monitor, answers, 0), do: answers

  defp collect_all(monitor, answers, under_way) do
    {answers, under_way} = collect(monitor, answers, under_way)
    collect_all(monitor, answers, under_way)
  end

  defp collect(monitor, answers, under_way) do
    receive do
      {{^monitor, number}, :done, outcome, payload, sent_count, elapsed_ns} ->
        {Map.put(answers, number, {:done, outcome, payload, sent_count, elapsed_ns}),
         under_way - 1}

      {:DOWN, ^monitor, _, _, _} = down ->
        # Told once, needed for every job that is left.
        send(self(), down)
        {answers, 0}
    end
  end

  @doc """
  Begins a job for the calling process, which is told its end with `tag`. Whoever waits should
  monitor the server, as nothing is told when it is killed.
  """
  @spec submit(
          GenServer.server(),
          term(),
          0..0xFFFF,
          binary(),
          pos_integer() | :infinity,
          non_neg_integer()
        ) :: :ok
  def submit(server, tag, opcode, payload, timeout_ns \\ :infinity, flags \\ 0)
      when is_integer(opcode) and is_binary(payload) do
    GenServer.cast(server, {:submit, self(), tag, opcode, payload, timeout_ns, flags})
  end

  @doc "Ends the calling process's job as cancelled, if it has not ended."
  @spec cancel(GenServer.server(), term()) :: :ok
  def cancel(server, tag), do: GenServer.cast(server, {:cancel, self(), tag})

  @doc "Whether an opcode is served here."
  @spec serves?(GenServer.server(), 0..0xFFFF) :: boolean()
  def serves?(server, opcode), do: GenServer.call(server, {:serves?, opcode})

  @doc "Counts: submitted, by outcome, strays, and what is under way now."
  @spec stats(GenServer.server()) :: map()
  def stats(server), do: GenServer.call(server, :stats)

  @doc "Takes no more jobs and answers when the last one has ended, or `:timeout`."
  @spec drain(GenServer.server(), timeout()) :: :ok | :timeout
  def drain(server, timeout_ms \\ 5_000) do
    GenServer.call(server, :drain, timeout_ms)
  catch
    :exit, {:timeout, _call} -> :timeout
  end
end
