defmodule Weir.Harness.Bench do
  @moduledoc """
  Weir's public API beside an Erlang port, in the same rounds; what `mix ipc.bench` shows.

  Every row has a limit: so many times the port's rate. `Weir.Harness.Bench.Port` is the port, and
  `Weir.Harness.Bench.Rounds` says how rounds are compared.
  """

  alias Weir.Harness.Bench.{Port, Rounds}

  @name Weir.Harness.Bench.Instance
  @callers 64
  @small 64
  @large 1_048_576
  @pipe_bytes 1_048_576

  # How much is done in one measurement.
  @jobs_per_caller 200
  @trips 1_500
  @large_jobs 128

  # Slots for payloads of 1 MiB: few for requests, so that they stay in the processor's cache, more
  # for replies, of which pinned ones come back with the garbage.
  @request_slots 4
  @reply_slots 16

  @type row :: %{
          name: String.t(),
          measure: String.t(),
          against: String.t(),
          unit: String.t(),
          limit: float() | nil,
          result: map()
        }

  @doc """
  The rows that there are: `{name, group, subject, reference, limit}`; a group is measured together,
  and a limit of nil is only shown.
  """
  @spec rows() :: [{String.t(), atom(), atom(), atom(), float() | nil}]
  def rows do
    [
      {"run-64", :small, :run, :port, 1.5},
      {"many-64", :small, :many, :port, 4.0},
      {"run-64-bulk", :small, :run, :port_bulk, nil},
      {"many-64-bulk", :small, :many, :port_bulk, nil},
      {"trip-64", :trip, :trip, :port_trip, 1.8},
      {"mib-copied", :large, :copied, :port_default, 6.0},
      {"mib-copied-pipe", :large, :copied, :port_enlarged, 2.5},
      {"mib-pinned", :large, :pinned, :port_default, 10.0},
      {"mib-pinned-pipe", :large, :pinned, :port_enlarged, 3.0}
    ]
  end

  @measures %{
    run: {"64 B echo, Weir.run/3, 64 callers", "jobs/s"},
    many: {"64 B echo, Weir.run_many/3, 64 callers", "jobs/s"},
    trip: {"64 B echo, one caller, median trip", "trips/s"},
    copied: {"1 MiB echo, CRC both ways, copied out", "bytes/s"},
    pinned: {"1 MiB echo, CRC both ways, pinned", "bytes/s"}
  }

  @references %{
    port: "port {packet, 4}",
    port_bulk: "port, bulk framing",
    port_trip: "port {packet, 4}",
    port_default: "port, default pipes",
    port_enlarged: "port, pipes of 1 MiB"
  }

  @doc """
  Measures the rows with these names in `rounds` rounds. `told` hears of each row as soon as it is
  known, and of each step. Returns the rows, or why they cannot be measured.
  """
  @spec run([String.t()], pos_integer(), ({:row, row()} | {:step, String.t()} -> term())) ::
          {:ok, [row()]} | {:error, String.t()}
  def run(names, rounds, told) do
    with {:ok, program} <- program() do
      groups = for {name, group, _, _, _} <- rows(), name in names, uniq: true, do: group

      Enum.reduce_while(groups, {:ok, []}, fn group, {:ok, done} ->
        wanted = Enum.filter(rows(), fn {name, g, _, _, _} -> g == group and name in names end)

        case group(group, program, wanted, rounds, told) do
          {:ok, rows} -> {:cont, {:ok, done ++ rows}}
          error -> {:halt, error}
        end
      end)
    end
  end

  defp program do
    path = Path.join(to_string(:code.priv_dir(:weir)), "weir-port-echo")

    if File.exists?(path),
      do: {:ok, path},
      else: {:error, "#{path} is missing; mix compile builds it"}
  end

  defp group(group, program, wanted, rounds, told) do
    with {:ok, instance} <- start(group) do
      {probes, ports} = probes(group, program)

      try do
        measured =
          Rounds.run(probes, rounds, &told.({:step, "#{group}: round #{&1} of #{rounds}"}))

        {:ok, for(row <- wanted, do: row(row, measured, told))}
      after
        for port <- ports, do: Port.close(port)
        stop(instance)
      end
    end
  end

  defp row({name, _group, subject, reference, limit}, measured, told) do
    {measure, unit} = @measures[subject]

    row = %{
      name: name,
      measure: measure,
      against: @references[reference],
      unit: unit,
      limit: limit,
      result: Rounds.compare(measured, subject, reference)
    }

    told.({:row, row})
    row
  end

  @doc "Whether a row reaches its limit."
  @spec holds?(row()) :: boolean()
  def holds?(row), do: row.limit == nil or row.result.ratio.median >= row.limit

  # --- What is measured ---

  defp start(group) do
    pool = [
      name: :loopback,
      command: ["weir-loopback"],
      policy: if(group == :large, do: :wait, else: :defer),
      deferred_max: 16_384,
      trusted: true
    ]

    options = [
      name: @name,
      pools: [pool ++ memory(group)],
      # As many jobs as all callers may have under way.
      job_capacity: 32_768,
      held_bytes_max: 1_073_741_824
    ]

    with {:ok, instance} <- Weir.start_link(options) do
      case Weir.await_ready(@name) do
        :ok ->
          {:ok, instance}

        {:error, why} ->
          stop(instance)
          {:error, why}
      end
    end
  end

  # Linked, it would take the caller along.
  defp stop(instance) do
    Process.unlink(instance)
    Supervisor.stop(instance, :shutdown, 30_000)
  end

  defp memory(:large) do
    small = {256, 64}

    [
      memory: [
        request: [small, {@large, @request_slots}],
        response: [small, {@large, @reply_slots}]
      ]
    ]
  end

  defp memory(_), do: []

  defp probes(:small, program) do
    payload = :binary.copy("w", @small)
    port = Port.open(program, :packet, nil)
    bulk = Port.open(program, :stream, nil)

    {[
       run: fn -> rate(fn -> run(payload, []) end, @callers, @jobs_per_caller) end,
       many: fn -> many_rate(payload) end,
       port: fn -> port_rate(port, payload, @jobs_per_caller) end,
       port_bulk: fn -> port_rate(bulk, payload, @jobs_per_caller) end
     ], [port, bulk]}
  end

  defp probes(:trip, program) do
    payload = :binary.copy("w", @small)
    port = Port.open(program, :packet, nil)

    {[
       trip: fn -> trips(fn -> run(payload, []) end, @trips) end,
       port_trip: fn -> trips(fn -> Port.run(port, payload) end, @trips) end
     ], [port]}
  end

  defp probes(:large, program) do
    payload = :rand.bytes(@large)
    each = div(@large_jobs, @callers)
    default = Port.open(program, :packet, nil)
    enlarged = Port.open(program, :packet, @pipe_bytes)
    ours = fn options -> @large * rate(fn -> run(payload, options) end, @callers, each) end

    {[
       copied: fn -> ours.([]) end,
       pinned: fn -> ours.(pinned: true) end,
       port_default: fn -> @large * port_rate(default, payload, each) end,
       port_enlarged: fn -> @large * port_rate(enlarged, payload, each) end
     ], [default, enlarged]}
  end

  defp run(payload, options) do
    {:ok, result} = Weir.run(@name, {:echo, payload}, options)
    result.payload
  end

  defp many_rate(payload) do
    payloads = List.duplicate(payload, @jobs_per_caller)
    check = fn -> for {:ok, _} <- Weir.run_many(@name, {:echo, payloads}), do: 1 end

    @jobs_per_caller *
      rate(fn -> check.() |> length() |> expect(@jobs_per_caller) end, @callers, 1)
  end

  defp expect(count, count), do: :ok

  defp port_rate(port, payload, each),
    do: rate(fn -> Port.run(port, payload) end, @callers, each)

  @doc "Calls per second of a function that `callers` processes call `each` times."
  @spec rate((() -> term()), pos_integer(), pos_integer()) :: float()
  def rate(function, callers, each) do
    parent = self()

    processes =
      for _ <- 1..callers do
        spawn_link(fn ->
          receive do
            :go -> repeat(function, each)
          end

          send(parent, {:finished, self()})
        end)
      end

    begin = now_ns()
    for process <- processes, do: send(process, :go)

    for process <- processes do
      receive do
        {:finished, ^process} -> :ok
      end
    end

    callers * each * 1.0e9 / (now_ns() - begin)
  end

  defp repeat(_function, 0), do: :ok

  defp repeat(function, times) do
    function.()
    repeat(function, times - 1)
  end

  # The median trip of this measurement, as a rate.
  defp trips(function, count) do
    times =
      for _ <- 1..count do
        begin = now_ns()
        function.()
        now_ns() - begin
      end

    1.0e9 / Rounds.quartiles(times).median
  end

  defp now_ns, do: System.monotonic_time(:nanosecond)

  @doc "What the numbers were measured on and with."
  @spec terms() :: keyword()
  def terms do
    [
      otp_release: System.otp_release(),
      erts: to_string(:erlang.system_info(:version)),
      elixir: System.version(),
      emulator: to_string(:erlang.system_info(:emu_flavor)),
      emulator_flags: emulator_flags(),
      schedulers: System.schedulers_online(),
      callers: @callers,
      workers: 1
    ]
  end

  # What the emulator itself was told, which its own functions do not show.
  defp emulator_flags do
    case File.read("/proc/self/cmdline") do
      {:ok, line} ->
        line
        |> String.split(<<0>>, trim: true)
        |> Enum.drop(1)
        |> Enum.take_while(&(&1 != "--"))
        |> Enum.join(" ")

      {:error, _} ->
        "unknown"
    end
  end
end
