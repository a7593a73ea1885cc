defmodule Mix.Tasks.Ipc.Bench do
  @shortdoc "Compares Weir with an Erlang port"
  @moduledoc """
  Measures Weir's public API beside an Erlang port to a C echo program, in interleaved rounds, and
  shows the ratios beside their limits.

      mix ipc.bench
      mix ipc.bench --check --json bench.json
      mix ipc.bench --only trip-64,run-64 --rounds 21

  The port is opened with `{packet, 4}`, behind one owner process that takes all requests in its
  mailbox at once. Rows without a limit show a port whose owner also makes the packets itself, many
  in one command. Ratios are taken within a round, their median counts.

  ## Options

    * `--rounds N` - rounds of each row, at least 9 (11)
    * `--only LIST` - only these rows
    * `--check` - exits with 1 when a limit is missed
    * `--json FILE` - writes the numbers
    * `--help` - shows this text

  ## Exit codes

  0 measured (and every limit held, with `--check`), 1 a limit was missed, 2 usage, 3 the environment
  cannot do this (and why).
  """

  use Mix.Task

  alias Weir.Harness.{Bench, Json, Units}

  @requirements ["app.config"]
  @switches [rounds: :integer, only: :string, check: :boolean, json: :string, help: :boolean]
  @rounds_least 9
  @rounds_default 11

  @impl true
  def run(arguments) do
    case parse(arguments) do
      :help -> IO.puts(@moduledoc)
      {:error, sentence} -> leave(2, sentence)
      {:ok, settings} -> measure(settings)
    end
  end

  @doc false
  def parse(arguments) do
    {given, rest, invalid} = OptionParser.parse(arguments, strict: @switches)
    known = Enum.map(Bench.rows(), &elem(&1, 0))
    only = if given[:only], do: String.split(given[:only], ",", trim: true), else: known
    rounds = Keyword.get(given, :rounds, @rounds_default)

    cond do
      invalid != [] ->
        {:error, "#{elem(hd(invalid), 0)} is no option or lacks its value; see --help"}

      rest != [] ->
        {:error, "#{hd(rest)} is no option; see mix ipc.bench --help"}

      given[:help] ->
        :help

      rounds < @rounds_least or rounds > 1_001 ->
        {:error, "--rounds must be from #{@rounds_least} to 1001"}

      only == [] or only -- known != [] ->
        {:error, "--only knows #{Enum.join(known, ", ")}"}

      true ->
        {:ok, %{rounds: rounds, only: only, check: given[:check] == true, json: given[:json]}}
    end
  end

  defp measure(settings) do
    {:ok, _} = Application.ensure_all_started(:weir)
    Logger.configure(level: :error)
    terms = Bench.terms()

    IO.puts(
      "Erlang/OTP #{terms[:otp_release]}, erts #{terms[:erts]} (#{terms[:emulator]}), Elixir " <>
        "#{terms[:elixir]}, #{terms[:schedulers]} schedulers; emulator flags: " <>
        if(terms[:emulator_flags] == "", do: "none", else: terms[:emulator_flags])
    )

    IO.puts("#{settings.rounds} interleaved rounds; medians; quartiles of the ratio\n")
    IO.puts(head())

    case Bench.run(settings.only, settings.rounds, &tell/1) do
      {:ok, rows} -> conclude(rows, terms, settings)
      {:error, sentence} -> leave(3, sentence)
    end
  end

  defp tell({:row, row}), do: IO.puts(line(row))

  defp tell({:step, text}) do
    if terminal?(), do: IO.write(["\r", text, "\e[K\r"])
  end

  defp terminal?,
    do: match?({:ok, _}, :io.columns()) and System.get_env("TERM", "") not in ["", "dumb"]

  defp head do
    "#{cell("name", -16)} #{cell("measure", -39)} #{cell("ours", 10)} #{cell("against", -21)} " <>
      "#{cell("port", 10)} #{cell("unit", -7)} #{cell("ratio", 6)} [q1 - q3]        limit"
  end

  defp line(%{result: result} = row) do
    %{q1: q1, median: median, q3: q3} = result.ratio
    spread = "[#{Units.figures(q1)} - #{Units.figures(q3)}]"

    "#{cell(row.name, -16)} #{cell(row.measure, -39)} #{cell(amount(result.subject, row), 10)} " <>
      "#{cell(row.against, -21)} #{cell(amount(result.reference, row), 10)} " <>
      "#{cell(row.unit, -7)} #{cell(Units.figures(median), 6)} #{cell(spread, -14)} " <>
      limit(row)
  end

  defp limit(%{limit: nil}), do: cell("-", 6)

  defp limit(row),
    do: "#{cell(Units.figures(row.limit), 6)}  #{if Bench.holds?(row), do: "ok", else: "MISSED"}"

  defp amount(value, %{unit: "bytes/s"}), do: Units.size(value)
  defp amount(value, _), do: Units.count(round(value))

  defp cell(text, width) when width < 0, do: String.pad_trailing(text, -width)
  defp cell(text, width), do: String.pad_leading(text, width)

  defp conclude(rows, terms, settings) do
    missed = Enum.reject(rows, &Bench.holds?/1)
    limits = Enum.count(rows, & &1.limit)
    IO.puts("#{limits - length(missed)} of #{limits} limits held.")
    write(rows, terms, missed, settings)
    if settings.check and missed != [], do: exit({:shutdown, 1})
  end

  defp write(_rows, _terms, _missed, %{json: nil}), do: :ok

  defp write(rows, terms, missed, settings) do
    document =
      [command: "mix ipc.bench", held: missed == [], rounds: settings.rounds] ++
        terms ++ [rows: Enum.map(rows, &row_document/1)]

    case Json.write(settings.json, document) do
      :ok -> :ok
      {:error, sentence} -> leave(3, "--json: #{sentence}")
    end
  end

  defp row_document(%{result: result} = row) do
    [
      name: row.name,
      measure: row.measure,
      against: row.against,
      unit: row.unit,
      ours: result.subject,
      reference: result.reference,
      ratio: Enum.sort(result.ratio),
      limit: row.limit,
      held: Bench.holds?(row)
    ]
  end

  @spec leave(pos_integer(), String.t()) :: no_return()
  defp leave(code, sentence) do
    IO.puts(:stderr, "mix ipc.bench: #{sentence}")
    exit({:shutdown, code})
  end
end
