defmodule Weir.TestSupport.Instances do
  @moduledoc "Instances with real workers for tests, each with a runtime directory of its own."

  import ExUnit.Callbacks, only: [on_exit: 1, start_supervised!: 1]

  alias Weir.TestSupport

  @doc "Starts an instance with one pool of the reference worker and waits until it is ready."
  @spec start!(map(), keyword(), keyword()) :: atom()
  def start!(context, pool \\ [], options \\ []) do
    name = start_unready!(context, pool, options)
    :ok = Weir.await_ready(name, 30_000)
    name
  end

  @doc "The same without waiting."
  @spec start_unready!(map(), keyword(), keyword()) :: atom()
  def start_unready!(context, pool \\ [], options \\ []) do
    options = options(context, pool, options)
    start_supervised!({Weir, options})
    options[:name]
  end

  @doc "The options that `start!/3` uses."
  @spec options(map(), keyword(), keyword()) :: keyword()
  def options(context, pool \\ [], options \\ []) do
    pool = Keyword.merge([name: :loopback, command: ["weir-loopback"]], pool)

    Keyword.merge(
      [name: name(context), pools: [pool], runtime_directory: directory!()],
      options
    )
  end

  @doc "A name that no other test uses."
  @spec name(map()) :: atom()
  def name(context), do: Module.concat(context.module, "T#{:erlang.phash2(context.test)}")

  @doc "A fresh directory that nobody else may read, removed at the end of the test."
  @spec directory!() :: Path.t()
  def directory! do
    path = Path.join(System.tmp_dir!(), "weir-test-#{System.pid()}-#{unique()}")
    File.mkdir_p!(path)
    File.chmod!(path, 0o700)
    on_exit(fn -> File.rm_rf!(path) end)
    path
  end

  defp unique, do: System.unique_integer([:positive])

  @doc "A pool's command that runs a shell script; `$WORKER` is the reference worker."
  @spec script(String.t()) :: [String.t()]
  def script(text) do
    role = "--role loopback"
    text = String.replace(text, "$WORKER", "#{TestSupport.program("weir-loopback")} #{role}")
    ["/bin/sh", "-c", text]
  end

  @doc "The worker in the first seat that is taken, as the registry shows it."
  @spec worker(atom()) :: map()
  def worker(instance), do: hd(Weir.workers(instance))

  @doc "Sends a signal to an operating system process."
  @spec kill(pos_integer(), String.t()) :: :ok
  def kill(pid, signal) do
    {_, 0} = System.cmd("kill", ["-#{signal}", "#{pid}"])
    :ok
  end

  @doc "A worker that is stopped for good, so that its jobs go nowhere; resumed by the function."
  @spec stall!(atom()) :: (() -> :ok)
  def stall!(instance) do
    %{pid: pid} = worker(instance)
    kill(pid, "STOP")
    fn -> kill(pid, "CONT") end
  end
end
