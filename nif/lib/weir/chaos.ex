defmodule Weir.Chaos do
  @moduledoc """
  Disturbs an instance on purpose, to see that nothing is lost.

  The toggles are set by the option `:chaos` of the instance or at any time by `set/2`:

    * `stall: [every: ms, for: ms]` - a worker is stopped (SIGSTOP) for that long
    * `crash: [every: ms]` - a worker is killed (SIGKILL)
    * `oversize: [every: ms]` - a job is submitted whose payload fits in no slot
    * `drop_wake: [every: n]` - every n-th wake by futex is left out, of all instances of this VM; a
      timed look of the other side has to make up for it

  The victim is chosen by chance from `seed: n` (default: the instance's seed, or a random one).
  `nil` or `false` switches a toggle off. `report/1` counts what was done, which a test should
  look at: a disturbance that never happened proves nothing.
  """

  use GenServer

  require Logger

  alias Weir.{Backoff, Error, Handle, Instance, Native, PortSupervisor, WorkerRegistry}

  @toggles [:stall, :crash, :oversize, :drop_wake]
  @sigkill 9
  @sigstop 19
  @sigcont 18

  @type toggle :: :stall | :crash | :oversize | :drop_wake
  @type counts :: %{toggle() => non_neg_integer()}

  @doc false
  def start_link(options) do
    GenServer.start_link(__MODULE__, options, name: Instance.part(options.name, __MODULE__))
  end

  @doc "Sets toggles; those that are not named stay."
  @spec set(atom(), keyword()) :: :ok
  def set(instance, toggles) do
    check!(toggles)
    GenServer.call(Instance.part(instance, __MODULE__), {:set, toggles})
  end

  @doc "How often each disturbance has happened."
  @spec report(atom()) :: counts()
  def report(instance), do: GenServer.call(Instance.part(instance, __MODULE__), :report)

  @doc "Does one of `:stall`, `:crash` and `:oversize` once, now. Returns whether it could be done."
  @spec once(atom(), :stall | :crash | :oversize, keyword()) :: boolean()
  def once(instance, toggle, options \\ []) do
    GenServer.call(Instance.part(instance, __MODULE__), {:once, toggle, options})
  end

  @doc "Raises `ArgumentError` for a toggle that there is not."
  @spec check!(keyword()) :: :ok
  def check!(toggles) do
    for {toggle, terms} <- Keyword.delete(toggles, :seed) do
      unless toggle in @toggles and (terms in [nil, false] or valid?(toggle, terms)) do
        raise ArgumentError,
              "chaos knows stall: [every: ms, for: ms], crash: [every: ms], oversize: [every: ms] " <>
                "and drop_wake: [every: n], not #{inspect([{toggle, terms}])}"
      end
    end

    :ok
  end

  defp valid?(toggle, terms) do
    keys = if toggle == :stall, do: [:every, :for], else: [:every]

    Keyword.keyword?(terms) and Enum.sort(Keyword.keys(terms)) == keys and
      Enum.all?(terms, fn {_, value} -> is_integer(value) and value > 0 end)
  end

  # --- The process ---

  @impl true
  def init(options) do
    seed = options.chaos[:seed] || options.seed || :binary.decode_unsigned(:rand.bytes(8))
    state = %{name: options.name, random: seed, terms: %{}, timers: %{}, counts: %{}}
    {:ok, apply_all(state, Keyword.delete(options.chaos, :seed))}
  end

  @impl true
  def handle_call({:set, toggles}, _from, state), do: {:reply, :ok, apply_all(state, toggles)}

  def handle_call(:report, _from, state) do
    counts = Map.new(@toggles, &{&1, Map.get(state.counts, &1, 0)})
    {:reply, %{counts | drop_wake: Native.dropped_wakes()}, state}
  end

  def handle_call({:once, toggle, options}, _from, state) do
    {done, state} = disturb(toggle, options, state)
    {:reply, done, state}
  end

  @impl true
  def handle_info({:every, toggle}, state) do
    case state.terms do
      %{^toggle => terms} ->
        {_, state} = disturb(toggle, terms, state)
        {:noreply, set_timer(state, toggle, terms)}

      _ ->
        {:noreply, state}
    end
  end

  def handle_info({:continue, seat}, state) do
    PortSupervisor.signal(state.name, seat, @sigcont)
    {:noreply, state}
  end

  def handle_info(_, state), do: {:noreply, state}

  defp apply_all(state, toggles) do
    Enum.reduce(toggles, state, fn {toggle, terms}, state -> apply_one(state, toggle, terms) end)
  end

  defp apply_one(state, :seed, seed), do: %{state | random: seed}

  defp apply_one(state, :drop_wake, terms) do
    every = if terms, do: terms[:every], else: 0
    Native.drop_wakes(every)
    state
  end

  defp apply_one(state, toggle, terms) do
    if timer = state.timers[toggle], do: Process.cancel_timer(timer)

    if terms do
      set_timer(%{state | terms: Map.put(state.terms, toggle, terms)}, toggle, terms)
    else
      %{state | terms: Map.delete(state.terms, toggle)}
    end
  end

  defp set_timer(state, toggle, terms) do
    put_in(state.timers[toggle], Process.send_after(self(), {:every, toggle}, terms[:every]))
  end

  # --- What is done ---

  defp disturb(:crash, _terms, state) do
    signal(state, :crash, @sigkill, fn _seat -> :ok end)
  end

  defp disturb(:stall, terms, state) do
    for_ms = Keyword.get(terms, :for, 1_000)

    signal(state, :stall, @sigstop, fn seat ->
      Process.send_after(self(), {:continue, seat}, for_ms)
    end)
  end

  defp disturb(:oversize, _terms, state) do
    handle = Handle.fetch!(state.name)
    {number, state} = draw(state)
    pool = handle.pools |> Map.values() |> Enum.at(rem(number, map_size(handle.pools)))
    {largest, _} = Enum.max(pool.slots)
    payload = :binary.copy(<<0>>, largest + 1)

    # Anything but this outcome would be a finding, and the log is where it can be found.
    case Weir.run(state.name, {:echo, payload}, pool: pool.name) do
      {:error, %Error{outcome: :oversize}} ->
        :ok

      other ->
        Logger.error("an oversize job did not end as oversize: #{inspect(other, limit: 5)}")
    end

    {true, count(state, :oversize)}
  end

  defp signal(state, toggle, number, then) do
    ready = for %{state: :ready} = w <- workers(state), do: {w.pool, w.seat}

    case pick(ready, state) do
      {nil, state} ->
        {false, state}

      {seat, state} ->
        done = PortSupervisor.signal(state.name, seat, number)
        if done, do: then.(seat)
        {done, if(done, do: count(state, toggle), else: state)}
    end
  end

  defp workers(state) do
    case Handle.get(state.name) do
      nil -> []
      handle -> WorkerRegistry.present(handle)
    end
  end

  defp pick([], state), do: {nil, state}

  defp pick(list, state) do
    {number, state} = draw(state)
    {Enum.at(list, rem(number, length(list))), state}
  end

  defp draw(state) do
    {number, random} = Backoff.next_random(state.random)
    {number, %{state | random: random}}
  end

  defp count(state, toggle), do: update_in(state.counts[toggle], &((&1 || 0) + 1))
end
