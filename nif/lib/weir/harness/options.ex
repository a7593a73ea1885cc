defmodule Weir.Harness.Options do
  @moduledoc """
  The command line of `mix ipc.harness`, checked once.

  Returns settings, or the sentence that says what is wrong. Combinations that cannot exist are
  refused with the reason.
  """

  alias Weir.Harness.{Generator, Units}

  @switches [
    ring: :string,
    wake: :string,
    worker: :string,
    jobs: :string,
    for: :string,
    workers: :string,
    callers: :string,
    seed: :string,
    opcodes: :string,
    chaos: :string,
    json: :string,
    nodes: :string,
    cookie: :string,
    allow_node_loss: :boolean,
    quiet: :boolean,
    help: :boolean
  ]

  @for_default_ns 10_000_000_000
  @for_max_ns 86_400_000_000_000
  @jobs_max 1_000_000_000
  @beam_opcodes [:echo, :crc, :simulate]
  @chaos [:crash, :stall, :oversize, :drop_wake]

  @type t :: %{
          ring: :shm | :memory,
          wake: nil | :futex | :eventfd | :signal,
          worker: :c | :beam,
          jobs: nil | pos_integer(),
          for_ns: nil | pos_integer(),
          workers: pos_integer(),
          callers: pos_integer(),
          seed: non_neg_integer(),
          opcodes: [atom()],
          chaos: [atom()],
          json: nil | Path.t(),
          nodes: [node()],
          cookie: nil | atom(),
          allow_node_loss: boolean(),
          quiet: boolean()
        }

  @doc "`{:ok, settings}`, `:help`, or `{:error, sentence}`."
  @spec parse([String.t()]) :: {:ok, t()} | :help | {:error, String.t()}
  def parse(arguments) do
    {given, rest, invalid} = OptionParser.parse(arguments, strict: @switches)

    with :ok <- known(rest, invalid) do
      if given[:help], do: :help, else: settings(Map.new(given))
    end
  end

  defp known([], []), do: :ok
  defp known([word | _], []), do: {:error, "#{word} is no option; see mix ipc.harness --help"}

  defp known(_, [{option, value} | _]) do
    reason =
      cond do
        not known?(option) -> "there is no option #{option}"
        value == nil -> "#{option} needs a value"
        true -> "#{option} cannot be #{value}"
      end

    {:error, "#{reason}; see mix ipc.harness --help"}
  end

  defp known?(option) do
    option
    |> String.trim_leading("-")
    |> String.replace("-", "_")
    |> then(fn name ->
      Enum.any?(@switches, fn {key, _} -> Atom.to_string(key) == name end)
    end)
  end

  defp settings(given) do
    with {:ok, ring} <- word(given, :ring, [:shm, :memory], :shm),
         {:ok, wake} <- word(given, :wake, [:futex, :eventfd, :signal], nil),
         {:ok, worker} <- word(given, :worker, [:c, :beam], default_worker(ring)),
         :ok <- possible(ring, wake, worker),
         {:ok, jobs} <- count(given, :jobs, 1..@jobs_max, nil),
         {:ok, for_ns} <- time(given, jobs),
         {:ok, workers} <- count(given, :workers, 1..128, 2),
         {:ok, callers} <- count(given, :callers, 1..1_024, 32),
         {:ok, seed} <- count(given, :seed, 0..0xFFFFFFFFFFFFFFFF, fresh_seed()),
         {:ok, opcodes} <- opcodes(given, worker),
         {:ok, chaos} <- chaos(given, ring),
         {:ok, nodes} <- nodes(given),
         {:ok, cookie} <- cookie(given, nodes) do
      {:ok,
       %{
         ring: ring,
         wake: wake,
         worker: worker,
         jobs: jobs,
         for_ns: for_ns,
         workers: workers,
         callers: callers,
         seed: seed,
         opcodes: opcodes,
         chaos: chaos,
         json: given[:json],
         nodes: nodes,
         cookie: cookie,
         allow_node_loss: given[:allow_node_loss] == true,
         quiet: given[:quiet] == true
       }}
    end
  end

  defp default_worker(:memory), do: :beam
  defp default_worker(:shm), do: :c

  defp possible(:memory, _wake, :c),
    do: {:error, "--ring memory with --worker c: a program in C cannot see the VM's memory"}

  defp possible(:memory, wake, :beam) when wake != nil,
    do: {:error, "--ring memory with --wake #{wake}: inside the VM a message wakes the worker"}

  defp possible(:shm, wake, :beam) when wake in [:futex, :signal] do
    {:error,
     "--worker beam with --wake #{wake}: a worker in the VM waits for an eventfd, since " <>
       "#{if wake == :futex, do: "a futex", else: "a wait for a signal"} would hold a scheduler"}
  end

  defp possible(_, _, _), do: :ok

  defp word(given, key, words, default) do
    case Map.fetch(given, key) do
      :error -> {:ok, default}
      {:ok, text} -> one_of(key, text, words)
    end
  end

  defp one_of(key, text, words) do
    case Enum.find(words, &(Atom.to_string(&1) == text)) do
      nil -> {:error, "--#{key} cannot be #{text}; choose one of #{Enum.join(words, ", ")}"}
      word -> {:ok, word}
    end
  end

  defp count(given, key, range, default) do
    case Map.fetch(given, key) do
      :error -> {:ok, default}
      {:ok, text} -> in_range(key, Units.parse_count(text), range)
    end
  end

  defp in_range(key, parsed, range) do
    with {:ok, value} <- parsed, true <- value in range do
      {:ok, value}
    else
      _ -> {:error, "--#{key} must be a number from #{range.first} to #{range.last}"}
    end
  end

  defp time(%{for: text}, _jobs) do
    case Units.parse_duration(text) do
      {:ok, ns} when ns in 1_000_000..@for_max_ns -> {:ok, ns}
      _ -> {:error, "--for must be a time from 1ms to 24h, such as 20s, not #{text}"}
    end
  end

  # Whoever says how many wants them all, however long they take.
  defp time(_, nil), do: {:ok, @for_default_ns}
  defp time(_, _), do: {:ok, nil}

  defp fresh_seed, do: :binary.decode_unsigned(:rand.bytes(4))

  defp opcodes(given, worker) do
    served = if worker == :beam, do: @beam_opcodes, else: Generator.opcodes()

    with {:ok, named} <- words(given, :opcodes, Generator.opcodes(), served) do
      case named -- served do
        [] ->
          {:ok, named}

        [opcode | _] ->
          {:error, "a worker in Elixir does not serve #{opcode}; it serves #{list(served)}"}
      end
    end
  end

  defp chaos(given, ring) do
    with {:ok, chaos} <- words(given, :chaos, @chaos, []) do
      if chaos != [] and ring == :memory,
        do: {:error, "--chaos needs worker processes to disturb, so --ring shm"},
        else: {:ok, chaos}
    end
  end

  defp words(given, key, known, default) do
    case Map.fetch(given, key) do
      :error -> {:ok, default}
      {:ok, text} -> text |> String.split(",", trim: true) |> all_of(key, known)
    end
  end

  defp all_of([], key, known), do: {:error, "--#{key} needs at least one of #{list(known)}"}

  defp all_of(texts, key, known) do
    Enum.reduce_while(texts, {:ok, []}, fn text, {:ok, words} ->
      case one_of(key, text, known) do
        {:ok, word} -> {:cont, {:ok, Enum.uniq(words ++ [word])}}
        error -> {:halt, error}
      end
    end)
  end

  defp nodes(%{nodes: text}) do
    names = String.split(text, ",", trim: true)

    cond do
      names == [] or not Enum.all?(names, &(&1 =~ ~r/^[^@\s]+@[^@\s]+$/)) ->
        {:error, "--nodes must be names such as a@host,b@host, not #{text}"}

      names != Enum.uniq(names) ->
        {:error, "--nodes names a node twice"}

      names |> Enum.map(&(&1 =~ ~r/@.*\./)) |> Enum.uniq() |> length() > 1 ->
        {:error, "--nodes mixes short names and long ones; Erlang connects only one kind"}

      true ->
        {:ok, Enum.map(names, &String.to_atom/1)}
    end
  end

  defp nodes(_), do: {:ok, []}

  defp cookie(%{cookie: cookie}, [_ | _]), do: {:ok, String.to_atom(cookie)}
  defp cookie(%{cookie: _}, []), do: {:error, "--cookie goes with --nodes"}
  defp cookie(_, _), do: {:ok, nil}

  defp list(words), do: Enum.join(words, ", ")

  @doc "The command that repeats a run with these settings."
  @spec command(t()) :: String.t()
  def command(settings) do
    served = if settings.worker == :beam, do: @beam_opcodes, else: Generator.opcodes()

    [
      {:seed, settings.seed, nil},
      {:ring, settings.ring, :shm},
      {:worker, settings.worker, default_worker(settings.ring)},
      {:wake, settings.wake, nil},
      {:jobs, settings.jobs, nil},
      {:for, settings.for_ns && time_text(settings.for_ns), default_time(settings.jobs)},
      {:workers, settings.workers, 2},
      {:callers, settings.callers, 32},
      {:opcodes, commas(settings.opcodes), commas(served)},
      {:chaos, commas(settings.chaos), ""},
      {:nodes, commas(settings.nodes), ""}
    ]
    |> Enum.reject(fn {_, value, default} -> value == default end)
    |> Enum.map_join(fn {key, value, _} -> " --#{key} #{value}" end)
    |> then(&("mix ipc.harness" <> &1))
  end

  defp default_time(nil), do: time_text(@for_default_ns)
  defp default_time(_), do: nil

  defp commas(words), do: Enum.join(words, ",")

  defp time_text(ns) when rem(ns, 1_000_000_000) == 0, do: "#{div(ns, 1_000_000_000)}s"
  defp time_text(ns), do: "#{div(ns, 1_000_000)}ms"
end
