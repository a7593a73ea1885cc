defmodule Weir.VmDeathTest do
  use ExUnit.Case

  import Weir.TestSupport, only: [alive?: 1, eventually: 3]
  import Weir.TestSupport.Instances

  @moduletag timeout: 120_000

  # A second VM with an instance whose workers have children of their own; it prints its own pid and
  # all of theirs.
  @script """
  [directory, command] = System.argv()
  {:ok, _} =
    Weir.start_link(
      name: Doomed,
      runtime_directory: directory,
      pools: [[name: :loopback, command: ["/bin/sh", "-c", command], workers: 2]]
    )
  :ok = Weir.await_ready(Doomed, 60_000)
  {:ok, _} = Weir.run(Doomed, {:echo, "x"})
  workers = for worker <- Weir.workers(Doomed), do: worker.pid
  IO.puts("pids " <> Enum.join([System.pid() | workers], " "))
  Process.sleep(:infinity)
  """

  test "when the VM is killed its workers and their children go, and the next one sweeps",
       context do
    directory = directory!()
    children = Path.join(directory!(), "children")

    family = """
    sleep 1000 & echo $! >>#{children}
    setsid sh -c 'echo $$ >>#{children}; exec sleep 1000' &
    (setsid sh -c 'echo $$ >>#{children}; exec sleep 1000' &)
    exec $WORKER
    """

    ["/bin/sh", "-c", command] = script(family)
    {vm, workers} = start_vm([directory, command])

    pids =
      eventually(
        fn ->
          pids = children |> File.read!() |> String.split() |> Enum.map(&String.to_integer/1)
          length(pids) == 6 and pids
        end,
        "all children have told their pids",
        30_000
      )

    for pid <- workers ++ pids, do: assert(alive?(pid))
    assert File.ls!(directory) != []

    kill(vm, "KILL")
    gone = fn -> not Enum.any?(workers ++ pids, &alive?/1) end
    eventually(gone, "workers and their children are gone", 2_000)

    # A killed VM cannot clean up; the next manager on the directory does.
    left = File.ls!(directory)
    assert left != []
    name = start!(context, [], runtime_directory: directory)
    assert {:ok, _} = Weir.run(name, {:echo, "x"})
    assert Enum.all?(left, &(&1 not in File.ls!(directory)))
    :ok = stop_supervised({Weir, name})
    assert File.ls!(directory) == []
  end

  defp start_vm(arguments) do
    paths = for path <- :code.get_path(), path = to_string(path), path =~ "/weir/ebin", do: path
    options = Enum.flat_map(paths, &["-pa", &1]) ++ ["-e", @script, "--" | arguments]

    port =
      Port.open({:spawn_executable, System.find_executable("elixir")}, [
        :binary,
        :stderr_to_stdout,
        :exit_status,
        line: 4_096,
        args: options
      ])

    on_exit(fn -> if Port.info(port), do: Port.close(port) end)
    await_pids(port)
  end

  defp await_pids(port) do
    receive do
      {^port, {:data, {:eol, "pids " <> pids}}} ->
        [vm | workers] = pids |> String.split() |> Enum.map(&String.to_integer/1)
        {vm, workers}

      {^port, {:data, _}} ->
        await_pids(port)

      {^port, {:exit_status, status}} ->
        flunk("the other VM ended with #{status}")
    after
      60_000 -> flunk("the other VM did not get ready")
    end
  end
end
