defmodule Mix.Tasks.Ipc.Harness do
  @shortdoc "Puts Weir under load and accounts for every job"
  @moduledoc """
  Starts loopback workers, puts the whole path from `Weir.run/3` to the worker and back under load,
  verifies every reply, and accounts for every job, process, descriptor and mapping.

      mix ipc.harness
      mix ipc.harness --for 20s --workers 4
      mix ipc.harness --jobs 100000 --seed 42 --json result.json
      mix ipc.harness --wake eventfd
      mix ipc.harness --ring memory
      mix ipc.harness --worker beam --chaos crash,stall
      mix ipc.harness --nodes a@host,b@host --cookie secret --for 1m

  ## Options

    * `--ring WORD` - `shm`: worker processes behind shared memory (default); `memory`: the path
      that stays in the VM
    * `--worker WORD` - `c` (default with `shm`) or `beam`: a worker in Elixir
    * `--wake WORD` - how the manager may wake a sleeping worker: `futex`, `eventfd` or `signal`;
      the best that works by default
    * `--for TIME` - ends after this time (10s); `--jobs N` - ends after so many jobs
    * `--workers N` - workers (2); `--callers N` - processes that submit (32)
    * `--opcodes LIST` - only these of echo, crc, simulate, pathfind, worldgen, analytics; a worker
      in Elixir serves the first three
    * `--chaos LIST` - disturbs meanwhile: `crash`, `stall`, `oversize`, `drop_wake`
    * `--seed N` - repeats the jobs of an earlier run
    * `--json FILE` - writes the report; it is there from the first second on and says
      `"is_partial": true` until the end
    * `--nodes LIST` - shares the jobs between these Erlang nodes, on which Weir's code must be
      loaded (`elixir --sname a --cookie secret -S mix run --no-halt`); `--cookie COOKIE` - theirs
    * `--allow-node-loss` - a node that dies breaks no promise; its jobs count as manager_lost
    * `--quiet` - no progress
    * `--help` - shows this text

  Which requests a seed makes and how they are handed over (one by one, in batches, submitted first
  and awaited later, with replies copied or read in place) follows from the number of each job.

  Ctrl-C cannot be caught here: Erlang ends at once. SIGTERM ends the run cleanly, with a report.

  ## Exit codes

  0 every promise held, 1 one was broken, 2 usage, 3 the environment cannot do this (and why), 143
  stopped by SIGTERM.
  """

  use Mix.Task

  alias Weir.Harness
  alias Weir.Harness.{Json, Options, StopSignal, Summary}

  @requirements ["app.config"]

  @impl true
  def run(arguments) do
    case Options.parse(arguments) do
      :help -> IO.puts(@moduledoc)
      {:error, sentence} -> leave(2, sentence)
      {:ok, settings} -> prepare(settings)
    end
  end

  defp prepare(settings) do
    {:ok, _} = Application.ensure_all_started(:weir)
    # What workers do is told by this task; the log would say it again.
    Logger.configure(level: :error)
    settings |> with_partial() |> start()
  end

  # Whoever presses Ctrl-C finds the last second here.
  defp with_partial(%{json: nil} = settings) do
    file = "weir-harness-#{System.pid()}.json"
    {settings, Path.join(System.tmp_dir() || "/tmp", file), false}
  end

  defp with_partial(settings), do: {settings, settings.json, true}

  defp start({settings, file, keep?}) do
    case Json.write(file, verdict: "partial", is_partial: true, command: Options.command(settings)) do
      :ok -> start(settings, file, keep?)
      {:error, sentence} -> leave(2, "--json: #{sentence}")
    end
  end

  defp start(settings, file, keep?) do
    IO.puts("seed #{settings.seed}; to repeat: #{Options.command(settings)}")
    IO.puts("partial report each second: #{file} (Ctrl-C ends at once, SIGTERM cleanly)")
    StopSignal.take(self())

    try do
      Harness.run(settings, reporter(settings, file))
    after
      StopSignal.give_back()
    end
    |> conclude(file, keep?)
  end

  defp conclude({:error, sentence}, file, _keep?) do
    File.rm(file)
    leave(3, sentence)
  end

  defp conclude({:ok, facts}, file, keep?) do
    finish_line()
    IO.write(Summary.table(facts))

    if keep? do
      case Json.write(file, Summary.document(facts)) do
        :ok -> :ok
        {:error, sentence} -> leave(3, "--json: #{sentence}")
      end
    else
      File.rm(file)
    end

    case Summary.exit_code(facts) do
      0 -> :ok
      code -> exit({:shutdown, code})
    end
  end

  # --- Progress ---

  defp reporter(settings, file) do
    terminal? = terminal?()

    fn
      :progress, facts ->
        unless settings.quiet, do: progress(facts, terminal?)
        # What cannot be written now is complained of at the end.
        _ = Json.write(file, Summary.document(facts))

      {:trouble, trouble}, facts ->
        unless settings.quiet do
          if terminal?, do: IO.write("\r\e[K")
          seconds = :io_lib.format("~6.1f", [facts.elapsed_ns / 1.0e9])
          IO.puts("#{seconds} s  worker #{trouble.seat} #{trouble.kind}: #{trouble.text}")
        end

      {:note, sentence}, _facts ->
        IO.puts(sentence)
    end
  end

  defp progress(facts, terminal?) do
    line = Summary.line(facts, Process.put({__MODULE__, :shown}, facts))
    if terminal?, do: IO.write(["\r", line, "\e[K"]), else: IO.puts(line)
  end

  defp finish_line, do: if(terminal?(), do: IO.write("\r\e[K"))

  defp terminal? do
    match?({:ok, _}, :io.columns()) and System.get_env("TERM", "") not in ["", "dumb"]
  end

  @spec leave(pos_integer(), String.t()) :: no_return()
  defp leave(code, sentence) do
    IO.puts(:stderr, "mix ipc.harness: #{sentence}")
    exit({:shutdown, code})
  end
end
