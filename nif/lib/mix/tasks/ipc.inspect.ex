defmodule Mix.Tasks.Ipc.Inspect do
  @shortdoc "Shows the managers and workers that run now"
  @moduledoc """
  Shows every Weir manager of this user, in C or in Elixir: its workers, fill levels, payload slots
  in use, heartbeats, restarts, generations, wake strategies, links and recent errors.

      mix ipc.inspect
      mix ipc.inspect --watch --sort in_flight
      mix ipc.inspect --name MyApp.Weir --events all
      mix ipc.inspect --json
      mix ipc.inspect --node my_app@localhost --cookie secret

  It reads the managers' status pages and needs nothing of them: a manager that is stopped or dead
  is shown as it was left. The application is not started.

  ## Options

    * `--watch` - shows a new picture every second until it is interrupted
    * `--every SECONDS` - the time between two pictures of `--watch`; may be a fraction
    * `--count N` - ends `--watch` after so many pictures
    * `--json` - one JSON object in one line for each picture
    * `--sort KEY` - sorts the workers of each manager; numbers come largest first
    * `--name NAME` - only managers of this name
    * `--events WORD` - `errors` (default), `all` or `none` of the recent events
    * `--rows N` - at most so many events of each manager; default 8
    * `--dir PATH` - the runtime directory; default `WEIR_RUNTIME_DIR`, `XDG_RUNTIME_DIR/weir` or
      `/tmp/weir-UID`
    * `--node NAME` - asks `Weir.Inspect` on that Erlang node
    * `--cookie COOKIE` - that node's cookie; default this user's
    * `--help` - shows this text

  ## Columns

    * `BEATS`, `AGE` - heartbeats so far, and the time since the manager last saw a new one
    * `REQUESTS`, `RESPONSES` - messages in each ring, of its capacity
    * `SLOTS` - payload slots for requests in use; `HELD` - replies that callers keep
    * `IN FLIGHT` - jobs at this worker, of as many as it may have
    * `OK`, `FAILED`, `ERRORS` - as the worker says
    * `GEN` - the incarnation; a new process has a new one

  ## Exit codes

  0 something was shown, 1 no manager runs, 2 usage, 3 the node or the library cannot be reached.

  In a release, where there is no mix: `bin/app rpc "Weir.Inspect.print()"`.
  """

  use Mix.Task

  alias Weir.Inspect.{Json, Remote}

  @switches [
    watch: :boolean,
    every: :float,
    count: :integer,
    json: :boolean,
    sort: :string,
    name: :string,
    events: :string,
    rows: :integer,
    dir: :string,
    node: :string,
    cookie: :string,
    help: :boolean
  ]

  @events %{"errors" => :errors, "all" => :all, "none" => :none}

  @impl true
  def run(arguments) do
    case parse(arguments) do
      {:ok, %{help: true}} -> IO.puts(@moduledoc)
      {:ok, options} -> show(options)
      {:error, sentence} -> leave(2, sentence)
    end
  end

  # --- Options ---

  defp parse(arguments) do
    {given, rest, invalid} = OptionParser.parse(arguments, strict: @switches)
    options = Map.new(given)

    with :ok <- known(rest, invalid),
         :ok <- check_sort(options),
         :ok <- check_positive(options),
         {:ok, events} <- events(options) do
      {:ok,
       options
       |> Map.put(:events, events)
       |> Map.put(:watch, options[:watch] || options[:every] != nil)}
    end
  end

  defp known([], []), do: :ok
  defp known([word | _], []), do: {:error, "#{word} is not an option; see mix ipc.inspect --help"}

  defp known(_rest, [{option, nil} | _]),
    do: {:error, "#{option} is not an option, or lacks its value; see mix ipc.inspect --help"}

  defp known(_rest, [{option, value} | _]),
    do: {:error, "#{option} cannot be #{value}; see mix ipc.inspect --help"}

  defp check_sort(%{sort: key}) do
    keys = Weir.Inspect.sort_keys()

    if key in keys,
      do: :ok,
      else: {:error, "--sort #{key} is no key; choose one of #{Enum.join(keys, ", ")}"}
  end

  defp check_sort(_options), do: :ok

  defp check_positive(options) do
    case Enum.find([:every, :count, :rows], &(Map.has_key?(options, &1) and options[&1] <= 0)) do
      nil -> :ok
      name -> {:error, "--#{name} must be more than 0"}
    end
  end

  defp events(options) do
    word = Map.get(options, :events, "errors")

    case @events do
      %{^word => events} -> {:ok, events}
      _ -> {:error, "--events #{word} is unknown; choose errors, all or none"}
    end
  end

  # --- Pictures ---

  defp show(options) do
    load(options)
    if options.watch, do: watch(options, 1), else: options |> picture() |> once(options)
  end

  # Nothing but the code paths: neither the application nor its dependencies are started. Output of
  # the compiler must not come between the lines of --json.
  defp load(options) do
    shell = Mix.shell()
    if options[:json], do: Mix.shell(Mix.Shell.Quiet)
    Mix.Task.run("loadpaths", ["--no-deps-check"])
    Mix.shell(shell)
  end

  defp picture(options) do
    asked = for key <- [:dir, :name], value = options[key], do: {key, value}

    case options do
      %{node: node} -> Remote.snapshot(node, options[:cookie], asked)
      _ -> Weir.Inspect.snapshot(asked)
    end
  end

  defp once({:ok, %{managers: []} = snapshot}, options) do
    if options[:json], do: IO.puts(Json.encode(snapshot))
    leave(1, Weir.Inspect.nothing(snapshot, Map.to_list(options)))
  end

  defp once({:ok, snapshot}, options), do: snapshot |> text(options) |> IO.write()
  defp once({:error, status, sentence}, _options), do: leave(code(status), sentence)

  defp code(:invalid), do: 2
  defp code(_status), do: 3

  defp text(snapshot, %{json: true}), do: Json.encode(snapshot) <> "\n"
  defp text(snapshot, options), do: Weir.Inspect.render(snapshot, Map.to_list(options))

  defp watch(options, number) do
    picture = picture(options)

    if number == options[:count] do
      watched(picture, options, &once(&1, options))
    else
      watched(picture, options, &draw(&1, options))
      Process.sleep(round(1000 * Map.get(options, :every, 1.0)))
      watch(options, number + 1)
    end
  end

  defp watched(picture, options, draw) do
    unless options[:json], do: clear()
    draw.(picture)
  end

  # A watcher waits for managers to come.
  defp draw({:ok, %{managers: []} = snapshot}, %{json: true}), do: IO.puts(Json.encode(snapshot))

  defp draw({:ok, %{managers: []} = snapshot}, options),
    do: IO.puts(Weir.Inspect.nothing(snapshot, Map.to_list(options)))

  defp draw({:ok, snapshot}, options), do: snapshot |> text(options) |> IO.write()
  defp draw({:error, _status, sentence}, _options), do: IO.puts(:stderr, sentence)

  # Only a terminal has something to clear; in a pipe the pictures follow each other.
  defp clear do
    case :io.columns() do
      {:ok, _width} -> IO.write("\e[H\e[2J")
      {:error, _reason} -> IO.write("\n")
    end
  end

  @spec leave(1..3, String.t()) :: no_return()
  defp leave(code, sentence) do
    IO.puts(:stderr, sentence)
    exit({:shutdown, code})
  end
end
