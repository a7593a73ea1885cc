defmodule Weir.Harness.SchedulerWatch do
  @moduledoc """
  Notes whoever holds a scheduler for 50 ms or more.

  The VM measures by the wall clock, so on a busy machine it also accuses processes whose thread was
  not let run. Therefore the time that each scheduler thread waited for a processor is read from
  `/proc/self/task/*/schedstat` (proc(5)) all the while, and the time that a hypervisor took from
  `/proc/stat`; a hit of which less than 50 ms are left without that waiting is counted as disturbed
  and not as a hit.

  The VM has one system monitor; it is put back as it was by `stop/1`.
  """

  @limit_ms 50
  @sample_ms 20
  # Samples kept: five seconds, as hits of a second were seen on a busy machine.
  @samples 250
  # Besides a busy machine tells late: so long before a hit something counts as meanwhile.
  @margin_ms 100

  @type t :: pid()

  @doc "The limit in milliseconds."
  @spec limit_ms() :: pos_integer()
  def limit_ms, do: @limit_ms

  @doc "Begins to watch."
  @spec start() :: t()
  def start do
    parent = self()
    watch = spawn_link(fn -> begin(parent) end)

    receive do
      {^watch, :watching} -> watch
    end
  end

  @doc "Ends it; a sentence for each hit (at most 100), and how many were disturbed."
  @spec stop(t()) :: {[String.t()], disturbed :: non_neg_integer()}
  def stop(watch) do
    send(watch, {:stop, self()})

    receive do
      {^watch, :hits, hits, disturbed} -> {hits, disturbed}
    end
  end

  defp begin(parent) do
    Process.flag(:priority, :high)
    threads = threads()
    before = :erlang.system_monitor(self(), [{:long_schedule, @limit_ms}])
    send(parent, {self(), :watching})
    state = %{before: before, threads: threads, samples: [], hits: [], disturbed: 0}
    state |> sample() |> collect(now_ms() + @sample_ms)
  end

  defp collect(state, due) do
    receive do
      {:monitor, who, :long_schedule, terms} ->
        state |> sample() |> judge(who, terms) |> collect(due)

      {:stop, from} ->
        restore(state.before)
        send(from, {self(), :hits, Enum.reverse(state.hits), state.disturbed})
    after
      max(due - now_ms(), 0) -> state |> sample() |> collect(now_ms() + @sample_ms)
    end
  end

  defp judge(state, who, terms) do
    waited_ms = waited_ms(state.samples, now_ms() - 2 * terms[:timeout] - @margin_ms)

    cond do
      terms[:timeout] - waited_ms < @limit_ms -> %{state | disturbed: state.disturbed + 1}
      length(state.hits) == 100 -> state
      true -> %{state | hits: [sentence(who, terms) | state.hits]}
    end
  end

  @doc """
  The longest that a thread waited for a processor since `since_ms`, from samples `{ms, [ns]}`,
  newest first.
  """
  @spec waited_ms([{integer(), [non_neg_integer()]}], integer()) :: non_neg_integer()
  def waited_ms([], _since_ms), do: 0

  def waited_ms([{_, newest} | _] = samples, since_ms) do
    {_, oldest} = Enum.find(samples, List.last(samples), fn {at_ms, _} -> at_ms <= since_ms end)

    newest |> Enum.zip_with(oldest, &(&1 - &2)) |> Enum.max(fn -> 0 end) |> div(1_000_000)
  end

  defp sample(state) do
    stolen = stolen_ns()
    waits = for thread <- state.threads, do: wait_ns(thread) + stolen
    %{state | samples: Enum.take([{now_ms(), waits} | state.samples], @samples)}
  end

  defp threads do
    for task <- ls("/proc/self/task"),
        {:ok, name} <- [File.read("/proc/self/task/#{task}/comm")],
        name =~ ~r/^\d+_scheduler/,
        do: "/proc/self/task/#{task}/schedstat"
  end

  defp ls(path) do
    case File.ls(path) do
      {:ok, names} -> names
      {:error, _} -> []
    end
  end

  # Time on the processor, time waiting for it, slices.
  defp wait_ns(path) do
    with {:ok, text} <- File.read(path),
         [_, waited, _] <- String.split(text) do
      String.to_integer(waited)
    else
      _ -> 0
    end
  end

  # Of all processors together, in hundredths of a second.
  defp stolen_ns do
    with {:ok, text} <- File.read("/proc/stat"),
         ["cpu" | numbers] <- text |> String.split("\n", parts: 2) |> hd() |> String.split(),
         steal when steal != nil <- Enum.at(numbers, 7) do
      String.to_integer(steal) * 10_000_000
    else
      _ -> 0
    end
  end

  defp restore({pid, options}) when is_pid(pid), do: :erlang.system_monitor(pid, options)
  defp restore(_), do: :erlang.system_monitor(:undefined)

  @doc "What is said of a hit."
  @spec sentence(pid() | port(), keyword()) :: String.t()
  def sentence(who, terms) do
    "#{inspect(who)} held a scheduler for #{terms[:timeout]} ms" <>
      case {terms[:in], terms[:out], terms[:port_op]} do
        {nil, nil, nil} -> ""
        {nil, nil, operation} -> " in the port operation #{operation}"
        {from, to, _} -> ", from #{place(from)} to #{place(to)}"
      end
  end

  defp place({module, function, arity}), do: Exception.format_mfa(module, function, arity)
  defp place(_), do: "an unknown place"

  defp now_ms, do: System.monotonic_time(:millisecond)
end
