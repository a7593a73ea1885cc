defmodule Mix.Tasks.Ipc.InspectProgramTest do
  # The task as a person starts it, beside instances with real workers, the `weir` command and
  # another Erlang node.
  use ExUnit.Case, async: false

  import Weir.TestSupport, only: [eventually: 2]

  alias Weir.TestSupport.Instances

  @moduletag timeout: 600_000

  # {exit code, stdout, stderr} of `mix ipc.inspect` in a process of its own.
  defp mix(arguments, environment \\ []) do
    errors =
      Path.join(
        System.tmp_dir!(),
        "weir-stderr-#{System.pid()}-#{System.unique_integer([:positive])}"
      )

    {output, code} =
      System.cmd("/bin/sh", ["-c", ~s(exec mix ipc.inspect "$@" 2>"$ERRORS"), "sh" | arguments],
        env: [{"MIX_ENV", "test"}, {"ERRORS", errors} | environment]
      )

    said = File.read!(errors)
    File.rm!(errors)
    {code, output, said}
  end

  test "shows an instance of this virtual machine with its workers and their jobs", context do
    dir = Instances.directory!()
    name = Instances.start!(context, [workers: 2], runtime_directory: dir)
    for _ <- 1..20, do: {:ok, _} = Weir.run(name, {:echo, "payload"})

    assert {0, output, _} = mix(["--dir", dir, "--name", inspect(name), "--events", "all"])
    assert output =~ ~r/^#{Regex.escape(inspect(name))}  beam  pid #{System.pid()}  running/
    assert output =~ ~r/submitted 20  ok 20  in flight 0$/m
    assert output =~ ~r/^  loopback +0  ready +\d+  c +\d+ .*  (futex|eventfd|signal|awake)/m
    assert output =~ ~r/^  loopback +1  ready/m
    assert output =~ ~r/  ready +loopback .* speaks c/

    assert {1, "", errors} = mix(["--dir", dir, "--name", "nobody"])
    assert errors =~ "No manager named nobody runs"
  end

  test "shows restarts and the reason among the recent errors", context do
    dir = Instances.directory!()
    name = Instances.start!(context, [workers: 1], runtime_directory: dir)
    %{pid: pid} = Instances.worker(name)
    Instances.kill(pid, "KILL")

    manager =
      eventually(
        fn ->
          {:ok, %{managers: [manager]}} = Weir.Inspect.snapshot(dir: dir)
          match?(%{workers: [%{state: :ready, restarts: some}]} when some > 0, manager) && manager
        end,
        "the worker is back"
      )

    assert [%{generation: generation}] = manager.workers
    assert generation > 1
    assert manager.totals.restarts > 0
    assert Enum.any?(manager.events, &(&1.kind == "exited" and &1.pid == pid))
    assert {0, output, _} = mix(["--dir", dir])
    assert output =~ ~r/s  exited +loopback +0 +\d+ +#{pid}  /
  end

  test "keeps showing heartbeats while nothing else happens", context do
    dir = Instances.directory!()
    _name = Instances.start!(context, [workers: 1], runtime_directory: dir)

    beats = fn ->
      {:ok, %{managers: [%{workers: [worker]}]}} = Weir.Inspect.snapshot(dir: dir)
      worker.beat_count
    end

    before = beats.()
    eventually(fn -> beats.() >= before + 3 end, "three more heartbeats are shown")
  end

  # --- The weir command ---

  defp weir_command do
    directory = System.get_env("WEIR_BUILD_DIR") || Path.expand("../../../build/release", __DIR__)

    {output, status} =
      System.cmd(
        "flock",
        [directory <> ".lock", "cmake", "--build", directory, "--target", "weir-cli"],
        stderr_to_stdout: true
      )

    if status != 0, do: flunk("the weir command cannot be built:\n" <> output)
    Path.join(directory, "bin/weir")
  end

  test "shows a run of the weir command, and what is left of it when it is killed" do
    dir = Instances.directory!()

    port =
      Port.open({:spawn_executable, weir_command()}, [
        :binary,
        :stderr_to_stdout,
        args: ["run", "--for", "60s", "--workers", "2", "--quiet"],
        env: [{~c"WEIR_RUNTIME_DIR", String.to_charlist(dir)}]
      ])

    {:os_pid, pid} = Port.info(port, :os_pid)
    on_exit(fn -> System.cmd("kill", ["-KILL", "#{pid}"], stderr_to_stdout: true) end)

    eventually(
      fn ->
        match?(
          {:ok,
           %{managers: [%{outcomes: %{ok: ok}, workers: [%{state: :ready}, %{state: :ready}]}]}}
          when ok > 1000,
          Weir.Inspect.snapshot(dir: dir)
        )
      end,
      "the run has two workers and some jobs"
    )

    environment = [{"WEIR_RUNTIME_DIR", dir}]
    assert {0, output, _} = mix(["--sort", "cpu"], environment)
    assert output =~ ~r/^weir-#{pid}  c  pid #{pid}  running/
    assert output =~ ~r/^  loopback +0  ready +\d+  c /m

    assert {0, output, _} = mix(["--json"], environment)
    assert [line, ""] = String.split(output, "\n")
    assert line =~ ~s("name": "weir-#{pid}")

    Instances.kill(pid, "STOP")
    assert {0, output, _} = mix([], environment)
    assert output =~ ~r/^weir-#{pid}  c  pid #{pid}  stopped/

    Instances.kill(pid, "KILL")
    dead = ~r/^weir-#{pid}  c  pid #{pid}  dead/
    eventually(fn -> elem(mix([], environment), 1) =~ dead end, "the run is shown as dead")
  end

  # --- Another node ---

  # A port mapper of our own: a daemon that `elixir --sname` leaves behind would outlive the test.
  defp start_epmd do
    {:ok, socket} = :gen_tcp.listen(0, ip: {127, 0, 0, 1})
    {:ok, number} = :inet.port(socket)
    :gen_tcp.close(socket)

    epmd = System.find_executable("epmd") || Path.join(:code.root_dir(), "bin/epmd")

    port =
      Port.open({:spawn_executable, epmd}, [
        :binary,
        :stderr_to_stdout,
        args: ["-port", "#{number}", "-address", "127.0.0.1"]
      ])

    {:os_pid, pid} = Port.info(port, :os_pid)
    on_exit(fn -> System.cmd("kill", ["-KILL", "#{pid}"], stderr_to_stdout: true) end)

    eventually(
      fn ->
        with {:ok, socket} <- :gen_tcp.connect({127, 0, 0, 1}, number, []),
             do: :gen_tcp.close(socket) == :ok
      end,
      "epmd answers"
    )

    "#{number}"
  end

  defp start_node(name, arguments, script, epmd) do
    port =
      Port.open({:spawn_executable, System.find_executable("elixir")}, [
        :binary,
        line: 1000,
        args:
          ["--sname", name, "--cookie", "weir-test"] ++
            arguments ++ ["-e", script <> "; IO.puts(:there); IO.read(:line)"],
        env: [{~c"ERL_EPMD_PORT", String.to_charlist(epmd)}]
      ])

    assert_receive {^port, {:data, {:eol, "there"}}}, 20_000
    {:os_pid, pid} = Port.info(port, :os_pid)
    on_exit(fn -> System.cmd("kill", ["-KILL", "#{pid}"], stderr_to_stdout: true) end)
  end

  test "asks another node, and says what is wrong when that node gives no picture" do
    dir = Instances.directory!()
    epmd = start_epmd()
    environment = [{"ERL_EPMD_PORT", epmd}]
    name = "weir-far-#{System.pid()}"
    ebin = :weir |> Application.app_dir() |> Path.join("ebin")
    options = inspect(%{name: "far", runtime_directory: dir})
    # Kept from being collected.
    manager = "{:ok, it} = Weir.Native.manager_create(#{options}); :persistent_term.put(:it, it)"
    start_node(name, ["-pa", ebin], manager, epmd)
    start_node(name <> "-bare", [], ":ok", epmd)

    assert {0, output, _} =
             mix(["--node", name, "--cookie", "weir-test", "--dir", dir], environment)

    assert output =~ ~r/^far  beam  pid \d+  running/

    assert {0, output, _} =
             mix(["--node", name, "--cookie", "weir-test", "--dir", dir, "--json"], environment)

    assert output =~ ~s("node": "#{name}@)

    assert {3, "", errors} = mix(["--node", name, "--cookie", "wrong"], environment)
    assert errors =~ "cannot be reached"

    assert {3, "", errors} =
             mix(["--node", "nobody-" <> name, "--cookie", "weir-test"], environment)

    assert errors =~ "cannot be reached"

    assert {3, "", errors} =
             mix(["--node", name <> "-bare", "--cookie", "weir-test"], environment)

    assert errors =~ "runs no Weir of this version"
  end
end
