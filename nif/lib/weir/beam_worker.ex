defmodule Weir.BeamWorker do
  @moduledoc """
  A worker in Elixir as an operating system process of its own.

  A pool whose command is `command/1` gets workers that are Erlang VMs:

      {Weir, name: MyApp.Weir, pools: [
        [name: :words, command: Weir.BeamWorker.command(role: "words", routines: {MyApp.Words, :routines})]
      ]}

  The VM starts without distribution, connects with `WEIR_SOCKET` and `WEIR_TOKEN`, and serves the
  routines (`Weir.BeamRoutines` describes them) over shared memory: envelopes, checksums and slots
  are libweir's, through the NIF; what happens to a job is `Weir.BeamJob`'s.

  Two processes: this one connects, watches the control socket, writes heartbeats and takes SIGTERM;
  `Weir.BeamWorker.Loop` takes jobs and answers them. The exit status is that of a worker in C: 0
  drained or shut down, 1 the manager broke the protocol, 2 usage, 3 no manager or refused.
  """

  alias Weir.BeamWorker.Loop
  alias Weir.{BeamRoutines, HandshakeDriver, Native}
  alias Weir.Layout.Generated, as: Layout

  @beat_ms div(Layout.constant(:BEAT_PERIOD_NS), 1_000_000)
  @greeting_ms 10_000

  # After SIGTERM, a worker that nobody shuts down leaves when it had nothing to do for this long.
  @linger_ms 5_000

  @type option ::
          {:role, String.t()}
          | {:routines, {module(), atom()}}
          | {:erl_flags, [String.t()]}

  @doc """
  The command of a pool: the emulator that runs now, with the code that is loaded now.

  Options: `role` (default "beam"), `routines` (`{module, function}` that returns a map of opcode to
  routine; default `{Weir.BeamRoutines, :loopback}`), `erl_flags` (further flags of the emulator).
  """
  @spec command([option()]) :: [String.t()]
  def command(options \\ []) do
    options =
      Keyword.validate!(options,
        role: "beam",
        routines: {BeamRoutines, :loopback},
        erl_flags: []
      )

    {module, function} = options[:routines]

    [emulator()] ++
      ["-noinput", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"] ++
      options[:erl_flags] ++
      boot(release()) ++
      Enum.flat_map(paths(release(), module), &["-pa", &1]) ++
      ["-s", to_string(__MODULE__), "main", "-extra"] ++
      [options[:role], to_string(module), to_string(function)]
  end

  # A release brings its own emulator, whose boot script starts the whole release; the one beside it
  # starts nothing but the kernel.
  defp release do
    with root when root != nil <- System.get_env("RELEASE_ROOT"),
         version when version != nil <- System.get_env("RELEASE_VSN"),
         boot = Path.join([root, "releases", version, "start_clean"]),
         true <- File.exists?(boot <> ".boot") do
      %{boot: boot, lib: Path.join(root, "lib")}
    else
      _no_release -> nil
    end
  end

  defp boot(nil), do: []
  defp boot(release), do: ["-boot", release.boot, "-boot_var", "RELEASE_LIB", release.lib]

  # The installed emulator finds its own libraries; what a release has of them lies beside the rest.
  defp paths(nil, module),
    do: [:weir, :elixir] |> Enum.map(&ebin/1) |> Enum.concat([folder(module)]) |> Enum.uniq()

  defp paths(_release, _module),
    do:
      for(path <- :code.get_path(), Path.type(to_string(path)) == :absolute, do: to_string(path))

  defp ebin(application), do: to_string(:code.lib_dir(application, :ebin))

  defp folder(module) do
    case :code.which(module) do
      path when is_list(path) -> path |> to_string() |> Path.dirname()
      _preloaded -> ebin(:elixir)
    end
  end

  defp emulator do
    in_root = Path.join([to_string(:code.root_dir()), "bin", "erl"])
    version = to_string(:erlang.system_info(:version))
    in_release = Path.join([to_string(:code.root_dir()), "erts-#{version}", "bin", "erl"])

    cond do
      release() != nil and File.exists?(in_release) -> in_release
      File.exists?(in_root) -> in_root
      erl = System.find_executable("erl") -> erl
      true -> raise "there is no erl in #{in_root} or on the PATH to run a worker in Elixir with"
    end
  end

  @doc "Entry of the VM that `command/1` starts; never returns."
  @spec main() :: no_return()
  def main do
    {:ok, _} = :application.ensure_all_started(:elixir)
    System.halt(start(:init.get_plain_arguments()))
  end

  defp start([role, module, function]) do
    routines = apply(atom(module), atom(function), [])

    with {:ok, socket} <- variable("WEIR_SOCKET"), {:ok, token} <- variable("WEIR_TOKEN") do
      # Nothing that a routine starts shall inherit it.
      System.delete_env("WEIR_TOKEN")
      correlation = System.get_env("WEIR_CORRELATION", "")

      identity = %{
        socket: socket,
        token: token,
        correlation: correlation,
        role: to_string(role),
        opcodes: Map.keys(routines)
      }

      run(identity, routines)
    else
      {:missing, name} ->
        say(role, "#{name} is not set; a manager starts this program")
        3
    end
  end

  defp start(_other) do
    say("weir", "a worker in Elixir needs three arguments: role, module, function")
    2
  end

  defp variable(name) do
    case System.get_env(name) do
      nil -> {:missing, name}
      value -> {:ok, value}
    end
  end

  defp atom(text), do: text |> to_string() |> String.to_atom()

  @doc """
  Connects and serves until the end; returns the exit status. SIGTERM is taken over, so this is for
  a VM that does nothing else.
  """
  @spec run(HandshakeDriver.identity(), Weir.BeamWorkerLoop.routines()) :: 0..3
  def run(identity, routines) do
    Process.flag(:trap_exit, true)
    take_sigterm(self())

    case HandshakeDriver.greet(HandshakeDriver.Native, identity, @greeting_ms) do
      {:ok, worker, _terms} ->
        {:ok, _timer} = :timer.send_interval(@beat_ms, :beat)
        loop = Loop.start(worker, routines)
        watch(%{worker: worker, loop: loop, role: identity.role, last_idle: nil})

      {:error, _status, sentence} ->
        say(identity.role, sentence)
        3
    end
  end

  defp watch(state) do
    receive do
      :beat ->
        _ = Native.worker_beat(state.worker)
        watch(linger(state))

      {:weir_control, worker} when worker == state.worker ->
        control(state)

      {:signal, :sigterm} ->
        _ = Native.worker_drain(state.worker)
        send(state.loop, :weir_look)
        watch(%{state | last_idle: now_ms()})

      {:weir_busy, loop} when loop == state.loop ->
        watch(%{state | last_idle: state.last_idle && now_ms()})

      {:EXIT, loop, reason} when loop == state.loop ->
        ended(reason, state)

      _other ->
        watch(state)
    end
  end

  defp control(state) do
    case Native.worker_control(state.worker) do
      :ok ->
        watch(state)

      {:error, _status, sentence} ->
        # What the loop does now is of no use to anybody, unless it is already told to leave.
        receive do
          {:EXIT, loop, reason} when loop == state.loop -> ended(reason, state)
        after
          0 ->
            say(state.role, sentence)
            3
        end
    end
  end

  defp linger(%{last_idle: nil} = state), do: state

  defp linger(state) do
    if now_ms() - state.last_idle >= @linger_ms, do: send(state.loop, :weir_leave)
    state
  end

  defp ended(:normal, state) do
    _ = Native.worker_close(state.worker)
    0
  end

  defp ended({:weir_fault, status, sentence}, state) do
    say(state.role, sentence)
    _ = Native.worker_close(state.worker)
    if status == :protocol, do: 1, else: 3
  end

  defp ended(reason, state) do
    say(state.role, "the loop ended: #{Exception.format_exit(reason)}")
    1
  end

  defp take_sigterm(pid) do
    :gen_event.swap_handler(
      :erl_signal_server,
      {:erl_signal_handler, []},
      {Weir.BeamWorker.Signals, pid}
    )

    :os.set_signal(:sigterm, :handle)
  end

  defp say(role, sentence), do: IO.puts(:stderr, "#{role}: #{sentence}")

  defp now_ms, do: System.monotonic_time(:millisecond)
end
