defmodule Mix.Tasks.Ipc.HarnessTest do
  # The task as a person starts it: a process of its own, in a home where nothing is.
  use ExUnit.Case, async: false

  import Weir.TestSupport, only: [eventually: 3, alive?: 1]

  @moduletag timeout: 600_000

  setup do
    directory =
      Path.join(
        System.tmp_dir!(),
        "weir-task-#{System.pid()}-#{System.unique_integer([:positive])}"
      )

    File.mkdir_p!(directory)
    on_exit(fn -> File.rm_rf!(directory) end)
    %{directory: directory, json: Path.join(directory, "report.json")}
  end

  defp environment(context), do: [{"MIX_ENV", "test"}, {"HOME", context.directory}]

  defp mix(context, arguments),
    do: System.cmd("mix", arguments, env: environment(context), stderr_to_stdout: true)

  # A program that runs beside the test; its port, its process id and, at the end, its output.
  defp start(context, program, arguments) do
    environment =
      for {name, value} <- environment(context),
          do: {String.to_charlist(name), String.to_charlist(value)}

    port =
      Port.open(
        {:spawn_executable, System.find_executable(program)},
        [:binary, :exit_status, :stderr_to_stdout, args: arguments, env: environment]
      )

    {:os_pid, pid} = Port.info(port, :os_pid)
    {port, pid}
  end

  defp finish({port, _pid} = program, output \\ "") do
    receive do
      {^port, {:data, data}} -> finish(program, output <> data)
      {^port, {:exit_status, status}} -> {output, status}
    after
      180_000 -> flunk("the program did not end; it said: #{output}")
    end
  end

  defp signal(pid, name), do: {_, 0} = System.cmd("kill", ["-#{name}", "#{pid}"])

  # Numbers of the report, without a reader of JSON.
  defp number(report, key) do
    case Regex.run(~r/"#{key}": (\d+)/, report) do
      [_, digits] -> String.to_integer(digits)
      nil -> nil
    end
  end

  defp outcomes(report) do
    [_, inside] = Regex.run(~r/"outcomes": \{([^}]*)\}/, report)

    for [_, name, count] <- Regex.scan(~r/"(\w+)": (\d+)/, inside),
        into: %{},
        do: {name, String.to_integer(count)}
  end

  test "a short run holds, and writes a report", context do
    {output, code} = mix(context, ~w(ipc.harness --jobs 300 --json #{context.json} --seed 9))
    report = File.read!(context.json)
    assert {code, output} == {0, output}
    assert output =~ "seed 9; to repeat: mix ipc.harness --seed 9 --jobs 300"
    assert output =~ "HELD: every promise was kept"
    refute output =~ "Hex"
    assert report =~ ~s("verdict": "held")
    assert report =~ ~s("is_partial": false)
    assert number(report, "submitted") == outcomes(report) |> Map.values() |> Enum.sum()
  end

  test "a wrong option or an impossible pair is a matter of usage", context do
    assert {output, 2} = mix(context, ~w(ipc.harness --ring memory --worker c))
    assert output =~ "mix ipc.harness: --ring memory with --worker c: a program in C cannot see"
    assert {output, 2} = mix(context, ~w(ipc.harness --json /nowhere/report.json))
    assert output =~ "/nowhere/report.json cannot be written: no such file or directory"
    assert {output, 2} = mix(context, ~w(ipc.bench --rounds 3))
    assert output =~ "--rounds must be from 9 to 1001"
    assert {output, 2} = mix(context, ~w(ipc.bench --only everything))
    assert output =~ "--only knows run-64"
  end

  test "a node that is not there is a matter of the environment", context do
    assert {output, 3} = mix(context, ~w(ipc.harness --nodes nobody@localhost --cookie c))
    assert output =~ "nobody@localhost cannot be reached; start it with: elixir --sname nobody"
  end

  test "SIGTERM ends a run cleanly with 143 after a partial report each second", context do
    run = {_, pid} = start(context, "mix", ~w(ipc.harness --for 100s --json #{context.json}))

    partial =
      eventually(
        fn ->
          with {:ok, report} <- File.read(context.json),
               verified when is_integer(verified) and verified > 0 <- number(report, "verified"),
               do: report,
               else: (_ -> nil)
        end,
        "the partial report has jobs",
        60_000
      )

    assert partial =~ ~s("verdict": "partial")
    assert partial =~ ~s("is_partial": true)
    signal(pid, "TERM")
    {output, code} = finish(run)
    report = File.read!(context.json)

    # A busy machine may have broken the promise about schedulers; the end is clean all the same.
    assert output =~ "INTERRUPTED: stopped early" or output =~ "held a scheduler"
    assert code == 143 or output =~ "held a scheduler"
    assert report =~ ~s("is_partial": false)
    assert number(report, "submitted") == outcomes(report) |> Map.values() |> Enum.sum()
    assert number(report, "processes") == 0
    refute alive?(pid)
  end

  describe "with two nodes" do
    setup context do
      unique = "#{System.pid()}-#{System.unique_integer([:positive])}"
      names = for letter <- ~w(a b), do: "weir-#{letter}-#{unique}"

      nodes =
        for name <- names do
          arguments = ~w(--sname #{name}@localhost --cookie weir-test -S mix run --no-halt)
          start(context, "elixir", arguments)
        end

      on_exit(fn ->
        for {_, pid} <- nodes, alive?(pid), do: System.cmd("kill", ["-KILL", "#{pid}"])
      end)

      for name <- names do
        eventually(
          fn ->
            {:ok, found} = :erl_epmd.names('localhost') |> or_none()
            List.keymember?(found, to_charlist(name), 0)
          end,
          "#{name} is registered",
          60_000
        )
      end

      %{nodes: nodes, list: Enum.map_join(names, ",", &"#{&1}@localhost")}
    end

    defp or_none({:ok, names}), do: {:ok, names}
    defp or_none(_), do: {:ok, []}

    defp campaign(context, more) do
      arguments =
        ~w(ipc.harness --nodes #{context.list} --cookie weir-test --json #{context.json})

      start(context, "mix", arguments ++ more)
    end

    test "both work, and their ledgers are one", context do
      {output, _code} = context |> campaign(~w(--jobs 3000 --callers 8)) |> finish()
      report = File.read!(context.json)
      assert output =~ "joins"
      assert report =~ ~s("is_partial": false)
      assert outcomes(report)["ok"] >= 3_000
      assert number(report, "submitted") == outcomes(report) |> Map.values() |> Enum.sum()
      # Nothing but a busy machine is complained of.
      for [_, text] <- Regex.scan(~r/^  - (.*)$/m, output), do: assert(text =~ "held a scheduler")
    end

    test "one that is killed in the middle has its jobs listed as manager_lost", context do
      run = campaign(context, ~w(--for 15s --allow-node-loss))

      eventually(
        fn ->
          case File.read(context.json) do
            {:ok, report} -> (number(report, "verified") || 0) > 500
            {:error, _} -> false
          end
        end,
        "both nodes work",
        120_000
      )

      [_, {_, victim}] = context.nodes
      signal(victim, "KILL")
      {output, _code} = finish(run)
      report = File.read!(context.json)

      assert output =~ ~r/weir-b-[\d-]+@localhost +[\d,]+ +jobs, died, [\d,]+ manager_lost/
      assert outcomes(report)["manager_lost"] > 0
      assert number(report, "submitted") == outcomes(report) |> Map.values() |> Enum.sum()
      for [_, text] <- Regex.scan(~r/^  - (.*)$/m, output), do: assert(text =~ "held a scheduler")
    end
  end
end
