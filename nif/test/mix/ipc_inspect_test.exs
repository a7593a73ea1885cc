defmodule Mix.Tasks.Ipc.InspectTest do
  # Runs the task in this process and as a program of its own, against a manager in C that the
  # `weir` command would start as well: the node below is a second virtual machine.
  use ExUnit.Case, async: true

  import ExUnit.CaptureIO
  import Weir.TestSupport, only: [eventually: 2]

  alias Mix.Tasks.Ipc.Inspect, as: Task
  alias Weir.Native

  setup do
    dir =
      Path.join(
        System.tmp_dir!(),
        "weir-task-#{System.pid()}-#{System.unique_integer([:positive])}"
      )

    File.mkdir!(dir)
    File.chmod!(dir, 0o700)
    on_exit(fn -> File.rm_rf!(dir) end)
    %{dir: dir}
  end

  # {exit code, stdout, stderr}
  defp task(arguments) do
    parent = self()

    errors =
      capture_io(:stderr, fn ->
        output =
          capture_io(fn ->
            code =
              try do
                Task.run(arguments)
                0
              catch
                :exit, {:shutdown, code} -> code
              end

            send(parent, {:code, code})
          end)

        send(parent, {:output, output})
      end)

    assert_received {:code, code}
    assert_received {:output, output}
    {code, output, errors}
  end

  # A manager in another process: an Erlang one, without the application, that does what it is told
  # on its standard input.
  defp other_manager(dir, name) do
    script = """
    {:ok, manager} = Weir.Native.manager_create(%{name: #{inspect(name)}, runtime_directory: #{inspect(dir)}})
    :ok = Weir.Native.manager_adopt(manager, self())
    {:ok, _} = Weir.Native.manager_add_pool(manager, %{role: "maps", command: ["/bin/true"], worker_count: 3})
    Weir.Native.turn_long(manager)
    IO.puts("there")
    IO.read(:line)
    """

    ebin = :weir |> Application.app_dir() |> Path.join("ebin")

    port =
      Port.open({:spawn_executable, System.find_executable("elixir")}, [
        :binary,
        :exit_status,
        line: 1000,
        args: ["-pa", ebin, "-e", script]
      ])

    assert_receive {^port, {:data, {:eol, "there"}}}, 20_000
    [%{pid: pid}] = elem(Native.status_list(dir) |> elem(1), 1)
    on_exit(fn -> signal(pid, "KILL") end)
    %{port: port, pid: pid}
  end

  defp signal(pid, name), do: System.cmd("kill", ["-#{name}", "#{pid}"], stderr_to_stdout: true)

  test "shows a manager of another process while it runs, is stopped and is dead", %{dir: dir} do
    other = other_manager(dir, "garden")

    assert {0, output, ""} = task(["--dir", dir])
    assert output =~ ~r/^garden  beam  pid #{other.pid}  running  up /
    assert output =~ ~r/POOL +SEAT +STATE/
    for seat <- 0..2, do: assert(output =~ ~r/^  maps +#{seat}  empty/m)

    signal(other.pid, "STOP")

    eventually(
      fn -> File.read!("/proc/#{other.pid}/stat") =~ ") T " end,
      "the manager is stopped"
    )

    assert {0, output, ""} = task(["--dir", dir])
    assert output =~ ~r/^garden  beam  pid #{other.pid}  stopped/
    assert output =~ ~r/^  maps +2  empty/m

    signal(other.pid, "KILL")
    # The last of its threads gives the lock back.
    dead = ~r/^garden  beam  pid #{other.pid}  dead/
    eventually(fn -> elem(task(["--dir", dir]), 1) =~ dead end, "the manager is shown as dead")
  end

  test "writes JSON in one line that says the same", %{dir: dir} do
    {:ok, manager} = Native.manager_create(%{name: "tidy", runtime_directory: dir})
    on_exit(fn -> Native.close(manager) end)
    assert {0, output, ""} = task(["--dir", dir, "--json"])
    assert [line, ""] = String.split(output, "\n")
    assert line =~ ~s("directory": "#{dir}")
    assert line =~ ~s("name": "tidy")
    assert line =~ ~s("kind": "beam")
    assert line =~ ~s("workers": [])
  end

  test "ends with 1 and a sentence when nothing runs", %{dir: dir} do
    assert {1, "", errors} = task(["--dir", dir])
    assert errors =~ "No manager runs in #{dir}. Start one"
    assert {1, output, errors} = task(["--dir", dir, "--json", "--name", "nobody"])
    assert output =~ ~s("managers": [])
    assert errors =~ "No manager named nobody runs"
  end

  test "watches as often as it is told, also while nothing runs", %{dir: dir} do
    assert {1, output, errors} = task(["--dir", dir, "--every", "0.01", "--count", "3"])
    assert output |> String.split("No manager runs") |> length() == 3
    assert errors =~ "No manager runs"
    {:ok, manager} = Native.manager_create(%{name: "seen", runtime_directory: dir})
    on_exit(fn -> Native.close(manager) end)
    assert {0, output, ""} = task(["--dir", dir, "--watch", "--every", "0.01", "--count", "3"])
    assert output |> String.split("seen  beam") |> length() == 4
  end

  test "explains itself" do
    assert {0, output, ""} = task(["--help"])

    for option <- ~w(--watch --json --sort --name --node --cookie --dir --events),
        do: assert(output =~ option)
  end

  test "ends with 2 when it is called in a wrong way" do
    for {arguments, words} <- [
          {["--nonsense"], "--nonsense is not an option"},
          {["maps"], "maps is not an option"},
          {["--sort", "colour"], "choose one of age, cpu"},
          {["--events", "some"], "choose errors, all or none"},
          {["--count", "0"], "more than 0"},
          {["--every", "soon"], "--every cannot be soon"},
          {["--rows"], "lacks its value"},
          {["--node", "@"], "write NAME or NAME@HOST"}
        ] do
      assert {2, "", errors} = task(arguments)
      assert errors =~ words
    end
  end

  test "ends with 3 when the directory is not private", %{dir: dir} do
    File.chmod!(dir, 0o755)
    assert {code, "", errors} = task(["--dir", dir])
    assert code == 2
    assert errors =~ "chmod 700"
  end
end
