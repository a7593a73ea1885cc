defmodule Weir.JobDispatcher.Batch do
  @moduledoc """
  Many payloads with one opcode, handed over by the dozen.

  Each NIF call submits what there is room for, takes a turn, and returns what has ended; only when
  nothing can be submitted and nothing has ended does the caller wait for a message. No more jobs
  are under way at once than the pool's workers have room for, so that a long batch does not reject
  itself.
  """

  alias Weir.{Handle, Native}

  @look_ms 1_000
  @grace_ms 5_000

  @typedoc "How a job ended: outcome, reply, times sent, nanoseconds."
  @type ended :: {atom(), binary() | nil, non_neg_integer(), non_neg_integer()}

  @doc "Runs the payloads; the ends come in their order."
  @spec run(
          reference(),
          Handle.pool(),
          pos_integer(),
          [binary()],
          pos_integer() | :infinity,
          0..3
        ) ::
          [ended()]
  def run(caller, pool, opcode, payloads, timeout_ns, flags) do
    tag = make_ref()
    count = length(payloads)
    window = min(window(pool, payloads), count)

    case Native.batch_begin(caller, tag, pool.id, opcode, count, window, timeout_ns, flags) do
      {:ok, batch} ->
        state = %{
          batch: batch,
          tag: tag,
          wanted: count,
          got: 0,
          ended: [],
          timeout_ns: timeout_ns
        }

        state |> turn(payloads) |> in_order(count)

      {:error, status, _} ->
        List.duplicate({refusal(status), nil, 0, 0}, count)
    end
  end

  # Room of the pool's workers for payloads of this size. Larger slots take smaller payloads too.
  defp window(pool, payloads) do
    largest = payloads |> Enum.reduce(0, &max(byte_size(&1), &2))

    slots =
      for {bytes, count} <- pool.slots, bytes >= largest, reduce: 0, do: (sum -> sum + count)

    # Without a slot that is large enough all of them end at once.
    room = if slots == 0, do: pool.in_flight, else: min(slots, pool.in_flight)
    max(room * pool.workers, 1)
  end

  defp turn(%{got: wanted, wanted: wanted} = state, _rest), do: state

  defp turn(state, rest) do
    heard(Native.batch_run(state.batch, rest), state, rest)
  end

  defp heard({:ok, rest, items, _left}, state, _), do: state |> add(items) |> turn(rest)
  defp heard({:pending, rest, items, _left}, state, _), do: state |> add(items) |> wait(rest)

  # The next payload is too much for a call on a normal scheduler.
  defp heard({:large, rest, items, _left}, state, _) do
    state = add(state, items)

    case Native.batch_run_large(state.batch, rest) do
      {:large, rest, items, _left} -> state |> add(items) |> turn(rest)
      answer -> heard(answer, state, rest)
    end
  end

  # Nothing more is accepted. What was submitted before still ends.
  defp heard({:error, status, _}, state, [_ | _] = rest) do
    first = state.wanted - length(rest)
    items = for index <- first..(state.wanted - 1), do: {index, refusal(status), nil, 0, 0}
    state |> add(items) |> turn([])
  end

  defp heard({:error, _, _}, state, []), do: state

  defp wait(%{got: wanted, wanted: wanted} = state, _rest), do: state

  defp wait(%{tag: tag} = state, rest) do
    receive do
      {^tag, :items, items, _left} -> state |> add(items) |> turn(rest)
    after
      # Every job ends at its deadline; beyond it only a manager that is gone keeps silent, and
      # the next call tells.
      patience(state.timeout_ns) -> turn(state, rest)
    end
  end

  defp patience(:infinity), do: @look_ms
  defp patience(timeout_ns), do: div(timeout_ns, 1_000_000) + @grace_ms

  defp add(state, []), do: state

  defp add(state, items),
    do: %{state | got: state.got + length(items), ended: [items | state.ended]}

  defp refusal(:closed), do: :closed
  defp refusal(_), do: :rejected

  defp in_order(%{ended: ended}, count) do
    strip(:lists.keysort(1, :lists.append(ended)), 0, count)
  end

  defp strip(_, count, count), do: []

  defp strip([{index, outcome, reply, sent, elapsed} | rest], index, count),
    do: [{outcome, reply, sent, elapsed} | strip(rest, index + 1, count)]

  # The manager has gone without a word about this one.
  defp strip(rest, index, count), do: [{:manager_lost, nil, 0, 0} | strip(rest, index + 1, count)]
end
