defmodule Weir.Options do
  @moduledoc """
  What an instance and its pools can be told, checked once when the instance starts.

  Instance:

    * `:name` (required) - an atom, by which everything addresses the instance
    * `:pools` (required) - at least one pool, see below
    * `:timeout` - milliseconds or `:infinity`; deadline of a job that names none (5,000)
    * `:drain` - milliseconds that a stop waits for accepted jobs (5,000)
    * `:runtime_directory` - default `WEIR_RUNTIME_DIR`, `XDG_RUNTIME_DIR/weir` or `/tmp/weir-UID`
    * `:job_capacity` - jobs known at once, in flight and deferred (8,192, at most 65,536)
    * `:seed` - of every random choice
    * `:held_bytes_max` - bytes of pinned replies at once (64 MiB)
    * `:trace` - `true` logs each job's way at level debug; slow
    * `:chaos` - toggles of `Weir.Chaos`; none by default

  Pool:

    * `:name` (required) - an atom
    * `:command` (required) - the worker's program with its arguments; a relative path is looked up
      in the `priv` directory of `:weir`
    * `:workers` - how many (1)
    * `:role` - what the workers call themselves (the pool's name)
    * `:policy` - what happens without room: `:reject` (default), `:drop_oldest`, `:defer`, `:wait`
    * `:in_flight_max`, `:high_percent`, `:low_percent`, `:deferred_max` - watermarks and queue
    * `:trusted` - `true` allows results that stay in shared memory (`pinned: true`)
    * `:fallback` - `:beam` runs jobs in the BEAM that no native worker serves
    * `:routines` - for that: a map of opcode to a function of the payload, see `Weir.BeamRoutines`
      (by default that module's own)
    * `:opcodes` - names of the application's own opcodes: a map of atom to 4096..65535
    * `:backoff` - `:first_ms` (100), `:max_ms` (10,000), `:stable_ms` (30,000), `:deaths_max` (8)
    * `:start_timeout`, `:silence`, `:stuck`, `:kill` - milliseconds, see `weir/manager.h`
    * `:compress` - list of `:lz4` and `:zstd`; `:compress_min_bytes`
    * `:payload_crc` - `false` goes without payload checksums where the worker agrees
    * `:wake` - list of `:futex`, `:eventfd` and `:signal` that may be used (all)
    * `:spin_us` - longest spin of a worker before it sleeps (20)
    * `:memory` - `:ring_capacity`, `:request` and `:response` (lists of `{slot_bytes, count}`)
    * `:log_lines` - lines of a worker's output that reach the log per second (200)
    * `:env` - further environment of the worker: a map of strings
  """

  alias Weir.Layout.Generated, as: Layout

  @policies [:reject, :drop_oldest, :defer, :wait]

  @instance [
    name: :required,
    pools: :required,
    timeout: 5_000,
    drain: 5_000,
    runtime_directory: nil,
    job_capacity: 8_192,
    seed: nil,
    held_bytes_max: 64 * 1024 * 1024,
    trace: false,
    chaos: []
  ]

  @pool [
    name: :required,
    command: :required,
    workers: 1,
    role: nil,
    policy: :reject,
    in_flight_max: nil,
    high_percent: 100,
    low_percent: 75,
    deferred_max: 1_024,
    trusted: false,
    fallback: nil,
    routines: nil,
    opcodes: %{},
    backoff: [],
    start_timeout: 10_000,
    silence: 3_000,
    stuck: 2_000,
    kill: 2_000,
    compress: [],
    compress_min_bytes: 4_096,
    payload_crc: true,
    wake: [:futex, :eventfd, :signal],
    spin_us: 20,
    memory: [],
    log_lines: 200,
    env: %{}
  ]

  @backoff [first_ms: 100, max_ms: 10_000, stable_ms: 30_000, deaths_max: 8]
  @memory [ring_capacity: nil, request: nil, response: nil]

  @type pool :: %{required(:name) => atom(), optional(atom()) => term()}
  @type t :: %{
          required(:name) => atom(),
          required(:pools) => [pool()],
          optional(atom()) => term()
        }

  @doc """
  Checks the options of an instance and fills in the defaults. Raises `ArgumentError` with a
  sentence that names the option and what it may be.
  """
  @spec validate!(keyword()) :: t()
  def validate!(options) do
    options = fill(options, @instance, "an instance of Weir")
    check(options, :name, &(is_atom(&1) and &1 not in [nil, true, false]), "an atom")
    check(options, :pools, &(is_list(&1) and &1 != []), "a list of at least one pool")
    check(options, :timeout, &(&1 == :infinity or positive?(&1)), "milliseconds or :infinity")
    check(options, :drain, &natural?/1, "milliseconds")
    check(options, :runtime_directory, &(is_nil(&1) or is_binary(&1)), "a path")
    check(options, :job_capacity, &(&1 in 1..65_536), "from 1 to 65536")
    check(options, :seed, &(is_nil(&1) or natural?(&1)), "a number of 64 bits")
    check(options, :held_bytes_max, &natural?/1, "a number of bytes")
    check(options, :trace, &is_boolean/1, "true or false")
    check(options, :chaos, &Keyword.keyword?/1, "a keyword list; see Weir.Chaos")
    Weir.Chaos.check!(options.chaos)

    pools = Enum.map(options.pools, &pool!/1)
    names = Enum.map(pools, & &1.name)

    if names != Enum.uniq(names) do
      refuse("two pools of #{inspect(options.name)} have one name", names)
    end

    # Events name a pool by its role.
    roles = Enum.map(pools, & &1.role)

    if roles != Enum.uniq(roles) do
      refuse("two pools of #{inspect(options.name)} have one role", roles)
    end

    %{options | pools: pools}
  end

  defp pool!(options) do
    pool = fill(options, @pool, "a pool")
    check(pool, :name, &is_atom/1, "an atom")
    check(pool, :workers, &(&1 in 1..1_000), "from 1 to 1000")
    check(pool, :role, &(is_nil(&1) or role?(&1)), "a text of at most 31 bytes")
    check(pool, :policy, &(&1 in @policies), "one of #{inspect(@policies)}")
    check(pool, :in_flight_max, &(is_nil(&1) or positive?(&1)), "at least 1")
    check(pool, :high_percent, &(&1 in 1..100), "from 1 to 100")
    check(pool, :low_percent, &(&1 in 1..100), "from 1 to 100")
    check(pool, :deferred_max, &positive?/1, "at least 1")
    check(pool, :trusted, &is_boolean/1, "true or false")
    check(pool, :fallback, &(&1 in [nil, :beam]), "nil or :beam")
    check(pool, :routines, &routines?/1, "a map of opcode to a function of one argument")
    check(pool, :opcodes, &opcodes?/1, "a map of atom to a number from 4096 to 65535")
    check(pool, :start_timeout, &positive?/1, "milliseconds")
    check(pool, :silence, &positive?/1, "milliseconds")
    check(pool, :stuck, &positive?/1, "milliseconds")
    check(pool, :kill, &positive?/1, "milliseconds")
    check(pool, :compress, &subset?(&1, [:lz4, :zstd]), "a list of :lz4 and :zstd")
    check(pool, :compress_min_bytes, &positive?/1, "a number of bytes")
    check(pool, :payload_crc, &is_boolean/1, "true or false")
    check(pool, :wake, &(&1 != [] and subset?(&1, [:futex, :eventfd, :signal])), "a list")
    check(pool, :spin_us, &natural?/1, "microseconds")
    check(pool, :log_lines, &natural?/1, "lines per second")
    check(pool, :env, &env?/1, "a map of strings")

    %{
      pool
      | command: command!(pool.command),
        role: pool.role || Atom.to_string(pool.name),
        opcodes: Map.merge(layout_opcodes(), pool.opcodes),
        backoff: fill(pool.backoff, @backoff, "a pool's backoff"),
        memory: memory!(fill(pool.memory, @memory, "a pool's memory"))
    }
  end

  defp memory!(memory) do
    check(memory, :ring_capacity, &(is_nil(&1) or positive?(&1)), "a power of two")
    check(memory, :request, &(is_nil(&1) or classes?(&1)), "a list of {slot_bytes, count}")
    check(memory, :response, &(is_nil(&1) or classes?(&1)), "a list of {slot_bytes, count}")
    memory
  end

  defp command!(program) when is_binary(program), do: command!([program])

  defp command!([program | arguments] = command) when is_binary(program) do
    unless Enum.all?(arguments, &is_binary/1), do: refuse("a pool's command has texts", command)
    [Path.expand(program, priv()) | arguments]
  end

  defp command!(command) do
    refuse("a pool's :command is the path of the worker's program with its arguments", command)
  end

  defp priv do
    case :code.priv_dir(:weir) do
      {:error, _} -> File.cwd!()
      priv -> to_string(priv)
    end
  end

  @doc "The layout's opcodes: a map of name to number."
  @spec layout_opcodes() :: %{atom() => pos_integer()}
  def layout_opcodes do
    for number <- 1..(Layout.constant(:OPCODE_APPLICATION_FIRST) - 1),
        name = Layout.opcode_name(number),
        into: %{},
        do: {name, number}
  end

  defp fill(options, defaults, what) do
    unless Keyword.keyword?(options),
      do: refuse("#{what} is described by a keyword list", options)

    keys = Keyword.keys(options)

    case Enum.uniq(keys) -- Keyword.keys(defaults) do
      [] -> :ok
      [key | _] -> refuse("#{what} has no option", key, Keyword.keys(defaults))
    end

    unless keys == Enum.uniq(keys) do
      refuse("#{what} has an option twice,", hd(keys -- Enum.uniq(keys)))
    end

    for {key, default} <- defaults, into: %{} do
      case {Keyword.fetch(options, key), default} do
        {{:ok, value}, _} -> {key, value}
        {:error, :required} -> refuse("#{what} needs the option", key)
        {:error, default} -> {key, default}
      end
    end
  end

  defp check(map, key, valid?, what) do
    value = Map.fetch!(map, key)
    unless valid?.(value), do: refuse("#{inspect(key)} must be #{what}, not", value)
  end

  defp positive?(value), do: is_integer(value) and value > 0
  defp natural?(value), do: is_integer(value) and value >= 0
  defp role?(value), do: is_binary(value) and byte_size(value) in 1..31
  defp subset?(value, of), do: is_list(value) and value -- of == []

  defp routines?(nil), do: true
  defp routines?(map), do: is_map(map) and Enum.all?(map, fn {_, f} -> is_function(f, 1) end)

  defp opcodes?(map) do
    is_map(map) and
      Enum.all?(map, fn {name, number} -> is_atom(name) and number in 4_096..65_535 end)
  end

  defp classes?(list) do
    is_list(list) and list != [] and
      Enum.all?(list, &match?({b, c} when is_integer(b) and is_integer(c), &1))
  end

  defp env?(map) do
    is_map(map) and Enum.all?(map, fn {k, v} -> is_binary(k) and is_binary(v) end)
  end

  defp refuse(sentence, value) do
    raise ArgumentError, "#{sentence} #{inspect(value)}; see Weir.Options"
  end

  defp refuse(sentence, value, known) do
    raise ArgumentError,
          "#{sentence} #{inspect(value)}; there are #{Enum.map_join(known, ", ", &inspect/1)}"
  end
end
