defmodule Weir.JobsHouse do
  @moduledoc """
  A manager with loopback workers and the smallest ingestor there can be, for tests of the NIF
  alone: nothing of the Elixir library is between them and the functions of `Weir.Native`.
  """

  alias Weir.{Native, TestSupport}

  defstruct [:ingestor, :manager, :pool, :directory]

  @doc "Starts it and waits until all workers are ready. Pool options are those of the NIF."
  @spec open(map()) :: %__MODULE__{}
  def open(pool_options \\ %{}) do
    directory =
      Path.join(
        System.tmp_dir!(),
        "weir-jobs-#{System.pid()}-#{System.unique_integer([:positive])}"
      )

    File.mkdir!(directory)
    File.chmod!(directory, 0o700)
    command = [TestSupport.program("weir-loopback")]
    defaults = %{role: "loopback", command: command, worker_count: 1, policy: :defer}
    house = self()
    options = Map.merge(defaults, pool_options)
    ingestor = spawn_link(fn -> serve_house(house, directory, options) end)

    receive do
      {:up, ^ingestor, manager, pool} ->
        %__MODULE__{ingestor: ingestor, manager: manager, pool: pool, directory: directory}
    after
      20_000 -> ExUnit.Assertions.flunk("the workers did not become ready within 20 s")
    end
  end

  @doc "Closes the manager and waits for its end."
  @spec close(%__MODULE__{}) :: :ok
  def close(%__MODULE__{} = house) do
    send(house.ingestor, {:tell_end, self()})
    :ok = Native.close(house.manager)

    receive do
      :ended -> :ok
    after
      20_000 -> ExUnit.Assertions.flunk("the manager did not end within 20 s")
    end

    File.rm_rf!(house.directory)
    :ok
  end

  @doc "Runs one job as a caller does: at once, or by message."
  @spec run(reference(), non_neg_integer(), non_neg_integer(), binary(), keyword()) ::
          {atom(), binary() | nil} | {:error, atom()}
  def run(caller, pool, opcode, payload, options \\ []) do
    tag = make_ref()
    timeout_ns = Keyword.get(options, :timeout_ns, 20_000_000_000)
    arguments = [caller, tag, pool, opcode, payload, timeout_ns, Keyword.get(options, :flags, 0)]

    case apply(Native, :job_run, arguments) do
      :large -> ended(apply(Native, :job_run_large, arguments), tag)
      answer -> ended(answer, tag)
    end
  end

  defp ended({:done, outcome, payload, _sent_count, _elapsed_ns}, _tag), do: {outcome, payload}
  defp ended({:error, status, _sentence}, _tag), do: {:error, status}
  defp ended(:pending, tag), do: await(tag)

  @doc "The end of a job that was :pending."
  @spec await(term()) :: {atom(), binary() | nil}
  def await(tag) do
    receive do
      {^tag, :done, outcome, payload, _sent_count, _elapsed_ns} -> {outcome, payload}
    after
      30_000 -> ExUnit.Assertions.flunk("a job's end did not come within 30 s")
    end
  end

  @doc "Runs a batch to its end; the items in the order of the payloads."
  @spec run_many(%__MODULE__{}, reference(), [binary()], pos_integer()) :: [tuple()]
  def run_many(house, caller, payloads, window \\ 64) do
    tag = make_ref()
    count = length(payloads)

    {:ok, batch} =
      Native.batch_begin(caller, tag, house.pool, 1, count, window, 20_000_000_000, 0)

    batch |> batch_on(tag, payloads, &Native.batch_run/2, []) |> List.keysort(0)
  end

  defp batch_on(batch, tag, rest, run, ended) do
    case run.(batch, rest) do
      {how, _rest, items, 0} when how in [:ok, :large] ->
        items ++ ended

      {:ok, rest, items, _left} ->
        batch_on(batch, tag, rest, &Native.batch_run/2, items ++ ended)

      {:large, rest, items, _left} ->
        batch_on(batch, tag, rest, &Native.batch_run_large/2, items ++ ended)

      {:pending, rest, items, _left} ->
        receive do
          {^tag, :items, more, 0} ->
            more ++ items ++ ended

          {^tag, :items, more, _left} ->
            batch_on(batch, tag, rest, &Native.batch_run/2, more ++ items ++ ended)
        after
          30_000 -> ExUnit.Assertions.flunk("a batch did not go on within 30 s")
        end
    end
  end

  # --- The ingestor ---

  defp serve_house(house, directory, options) do
    {:ok, manager} = Native.manager_create(%{runtime_directory: directory})
    :ok = Native.manager_adopt(manager, self())
    {:ok, pool} = Native.manager_add_pool(manager, options)
    Process.put(:house, {house, options.worker_count})
    Process.put(:command, options.command)
    Process.put(:pool, pool)
    serve(manager)
  end

  defp serve(manager) do
    case Native.turn(manager) do
      {_done, again?, long?, _outstanding, _wait_ns} ->
        if long?, do: Native.turn_long(manager)
        hear(manager, 0)
        if again? or long?, do: serve(manager), else: rest(manager)

      {:error, :closed, _} ->
        last(manager)
    end
  end

  defp rest(manager) do
    case Native.park(manager) do
      {:parked, :infinity, _} -> hear_one(manager, :infinity)
      {:parked, wait_ns, _} -> hear_one(manager, div(wait_ns, 1_000_000) + 1)
      _busy -> :ok
    end

    serve(manager)
  end

  defp hear_one(manager, timeout) do
    receive do
      message -> heard(manager, message)
    after
      timeout -> :ok
    end
  end

  defp hear(manager, timeout) do
    receive do
      message ->
        heard(manager, message)
        hear(manager, timeout)
    after
      timeout -> :ok
    end
  end

  # The end is told by the manager alone; whoever asked for it did so before.
  defp last(manager) do
    receive do
      {:weir_closed, ^manager} -> if to = Process.get(:tell_end), do: send(to, :ended)
      message -> heard(manager, message) && last(manager)
    end
  end

  defp heard(manager, {:weir_event, "vacant", _role, seat, _generation, _pid, _time, _text}) do
    :ok = Native.start_worker(manager, Process.get(:pool), seat)
  end

  defp heard(manager, {:weir_event, "ready", _role, _seat, _generation, _pid, _time, _text}) do
    {house, missing} = Process.get(:house)
    Process.put(:house, {house, missing - 1})
    if missing == 1, do: send(house, {:up, self(), manager, Process.get(:pool)})
  end

  defp heard(_manager, {:weir_start, _pool, _seat, _generation, socket, token, correlation}) do
    [program | arguments] = Process.get(:command)

    Port.open({:spawn_executable, program}, [
      :binary,
      :exit_status,
      args: arguments,
      env: [
        {'WEIR_SOCKET', to_charlist(socket)},
        {'WEIR_TOKEN', to_charlist(token)},
        {'WEIR_CORRELATION', to_charlist(correlation)}
      ]
    ])
  end

  defp heard(_manager, {:tell_end, to}), do: Process.put(:tell_end, to) || true
  defp heard(manager, {:weir_closed, manager} = message), do: send(self(), message)
  defp heard(_manager, _message), do: :ok
end
