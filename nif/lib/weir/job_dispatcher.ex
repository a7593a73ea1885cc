defmodule Weir.JobDispatcher do
  @moduledoc """
  Hands jobs over, in the caller's own process; there is no process that every job passes.

  libweir reserves, places and publishes within one NIF call, which also takes in what has been
  answered meanwhile, often the job's own reply. Otherwise the result comes as a message. Beyond
  libweir this module knows two things: the policy `:wait`, for which no scheduler may be blocked,
  so the caller asks again after short pauses, and the fallback into the BEAM.
  """

  alias Weir.Layout.Generated, as: Layout
  alias Weir.{Error, Fallback, Handle, Job, Native, Result, Telemetry}
  alias Weir.JobDispatcher.Batch

  @idempotent 1
  @pinned 2
  @later 4

  # Pauses of a caller that waits for room, in milliseconds; the last one repeats.
  @pauses [0, 0, 1, 1, 2, 4, 8]
  # How long after its deadline a job's end may take to arrive before the manager counts as lost.
  @grace_ms 5_000
  @look_ms 1_000

  @doc "See `Weir.run/3`."
  @spec run(Handle.t(), Weir.opcode(), iodata(), [Weir.option()]) :: Weir.outcome()
  def run(handle, opcode, payload, options) do
    {pool, timeout_ns, flags} = terms(handle, options)
    payload = binary(payload)

    if Telemetry.active?() do
      told(handle, pool, opcode, payload, fn ->
        run(handle, pool, opcode, payload, timeout_ns, flags)
      end)
    else
      run(handle, pool, opcode, payload, timeout_ns, flags)
    end
  end

  defp run(handle, %{waits: false} = pool, opcode, payload, timeout_ns, flags) do
    handle
    |> run_once(pool, number!(pool, opcode), payload, timeout_ns, flags)
    |> conclude(pool, opcode, payload, timeout_ns, flags)
  end

  defp run(handle, pool, opcode, payload, timeout_ns, flags) do
    ask = &run_once(handle, pool, number!(pool, opcode), payload, &1, flags)

    timeout_ns
    |> deadline()
    |> ask_until(ask, @pauses)
    |> conclude(pool, opcode, payload, timeout_ns, flags)
  end

  # The reference is made and awaited in one function, so that a long mailbox is not searched.
  defp run_once(handle, pool, number, payload, timeout_ns, flags) do
    tag = make_ref()
    caller = caller(handle)

    case caller && Native.job_run(caller, tag, pool.id, number, payload, timeout_ns, flags) do
      {:done, outcome, reply, sent_count, elapsed_ns} ->
        {outcome, reply, sent_count, elapsed_ns}

      :pending ->
        receive do
          {^tag, :done, outcome, reply, sent_count, elapsed_ns} ->
            {outcome, reply, sent_count, elapsed_ns}
        after
          patience(timeout_ns) -> out_of_patience(handle, tag, timeout_ns)
        end

      :large ->
        run_large(handle, caller, tag, pool, number, payload, timeout_ns, flags)

      {:error, status, _} ->
        refused(status)

      nil ->
        refused(:closed)
    end
  end

  defp run_large(handle, caller, tag, pool, number, payload, timeout_ns, flags) do
    case Native.job_run_large(caller, tag, pool.id, number, payload, timeout_ns, flags) do
      {:done, outcome, reply, sent_count, elapsed_ns} -> {outcome, reply, sent_count, elapsed_ns}
      :pending -> await_longer(handle, tag, timeout_ns)
      {:error, status, _} -> refused(status)
    end
  end

  defp await_longer(handle, tag, timeout_ns) do
    receive do
      {^tag, :done, outcome, reply, sent_count, elapsed_ns} ->
        {outcome, reply, sent_count, elapsed_ns}
    after
      patience(timeout_ns) -> out_of_patience(handle, tag, timeout_ns)
    end
  end

  # libweir ends every job, at its deadline if need be. Should its manager be gone for good, which
  # only a crash of the instance can bring about, the caller must not wait for ever.
  defp out_of_patience(handle, tag, timeout_ns) do
    if timeout_ns == :infinity and current?(handle),
      do: await_longer(handle, tag, timeout_ns),
      else: {:manager_lost, nil, 0, 0}
  end

  defp patience(:infinity), do: @look_ms
  defp patience(timeout_ns), do: div(timeout_ns, 1_000_000) + @grace_ms

  defp current?(%{name: name, manager: manager}) do
    match?(%{manager: ^manager}, Handle.get(name))
  end

  defp refused(:closed), do: {:closed, nil, 0, 0}
  defp refused(:full), do: {:rejected, nil, 0, 0}

  defp refused(status) do
    raise Error, outcome: :rejected, text: "libweir refused a job: #{status}"
  end

  # --- The policy :wait ---

  defp ask_until(deadline, ask, pauses) do
    left = left_ns(deadline)

    case ask.(left) do
      {:rejected, _, _, _} = rejected ->
        if left != :infinity and left <= 1,
          do: rejected,
          else: ask_until(deadline, ask, pause(pauses))

      ended ->
        ended
    end
  end

  # Gives way for a moment.
  defp pause([last]), do: pause([last, last])

  defp pause([ms | rest]) do
    receive do
    after
      ms -> rest
    end
  end

  defp deadline(:infinity), do: :infinity
  defp deadline(timeout_ns), do: System.monotonic_time(:nanosecond) + timeout_ns

  defp left_ns(:infinity), do: :infinity
  defp left_ns(deadline), do: max(deadline - System.monotonic_time(:nanosecond), 1)

  # --- The end of a job ---

  defp conclude({:ok, reply, sent_count, elapsed_ns}, pool, opcode, _payload, _timeout_ns, _flags) do
    {:ok,
     %Result{
       payload: reply || <<>>,
       opcode: opcode,
       pool: pool.name,
       sent_count: sent_count,
       elapsed_ns: elapsed_ns
     }}
  end

  defp conclude({:unsupported, _, 0, _}, %{fallback: :beam} = pool, opcode, payload, ns, flags) do
    {:done, outcome, reply, sent_count, elapsed_ns} =
      Fallback.run(pool.beam, number!(pool, opcode), payload, ns, beam_flags(flags))

    ended = {outcome, reply, sent_count, elapsed_ns}
    conclude(ended, %{pool | fallback: nil}, opcode, payload, ns, flags)
  end

  defp conclude(
         {outcome, reply, sent_count, elapsed_ns},
         pool,
         opcode,
         _payload,
         _timeout_ns,
         _flags
       ) do
    text = if outcome == :failed and is_binary(reply), do: reply, else: Error.sentence(outcome)

    {:error,
     %Error{
       outcome: outcome,
       text: text,
       opcode: opcode,
       pool: pool.name,
       sent_count: sent_count,
       elapsed_ns: elapsed_ns
     }}
  end

  # The fallback takes what an envelope would carry; its replies are never pinned.
  defp beam_flags(flags) when Bitwise.band(flags, @idempotent) != 0,
    do: Layout.envelope_flag(:idempotent)

  defp beam_flags(_flags), do: 0

  # --- Jobs that are awaited later ---

  @doc "See `Weir.submit/3`."
  @spec submit(Handle.t(), Weir.opcode(), iodata(), [Weir.option()]) :: Job.t()
  def submit(handle, opcode, payload, options) do
    {pool, timeout_ns, flags} = terms(handle, options)
    payload = binary(payload)
    caller = caller(handle)
    tag = make_ref()
    number = number!(pool, opcode)
    flags = Bitwise.bor(flags, @later)
    started = told_start(handle, pool, opcode, payload)

    answer =
      case caller && Native.job_run(caller, tag, pool.id, number, payload, timeout_ns, flags) do
        :large ->
          Native.job_run_large(caller, tag, pool.id, number, payload, timeout_ns, flags)

        answer ->
          answer
      end

    case answer do
      :pending -> :ok
      {:error, status, _} -> send(self(), to_message(tag, refused(status)))
      nil -> send(self(), to_message(tag, refused(:closed)))
    end

    %Job{
      tag: tag,
      caller: caller,
      owner: self(),
      handle: handle,
      pool: pool,
      opcode: opcode,
      payload: if(pool.fallback == :beam, do: payload),
      started: started,
      timeout_ns: timeout_ns,
      flags: flags
    }
  end

  defp to_message(tag, {outcome, reply, sent_count, elapsed_ns}),
    do: {tag, :done, outcome, reply, sent_count, elapsed_ns}

  @doc "See `Weir.await/2`."
  @spec await(Job.t(), timeout()) :: Weir.outcome() | :pending
  def await(%Job{owner: owner}, _timeout) when owner != self() do
    raise ArgumentError, "a job is awaited by the process that submitted it, #{inspect(owner)}"
  end

  def await(%Job{tag: tag} = job, timeout) do
    receive do
      {^tag, :done, outcome, reply, sent_count, elapsed_ns} ->
        ended = {outcome, reply, sent_count, elapsed_ns}
        outcome = conclude(ended, job.pool, job.opcode, job.payload, job.timeout_ns, job.flags)
        told_end(job.handle, job.pool, job.opcode, job.started, outcome)
        outcome
    after
      slice(timeout) -> await_on(job, timeout)
    end
  end

  defp await_on(job, timeout) do
    cond do
      timeout != :infinity and timeout <= @look_ms ->
        :pending

      current?(job.handle) ->
        await(job, if(timeout == :infinity, do: :infinity, else: timeout - @look_ms))

      true ->
        # The instance has gone; it told the ends of its jobs before it went.
        await_last(job)
    end
  end

  defp await_last(%{tag: tag} = job) do
    ended =
      receive do
        {^tag, :done, outcome, reply, sent, elapsed} -> {outcome, reply, sent, elapsed}
      after
        0 -> {:manager_lost, nil, 0, 0}
      end

    conclude(ended, job.pool, job.opcode, job.payload, job.timeout_ns, job.flags)
  end

  defp slice(:infinity), do: @look_ms
  defp slice(timeout), do: min(timeout, @look_ms)

  @doc "See `Weir.cancel/1`."
  @spec cancel(Job.t()) :: :ok | :not_found
  def cancel(%Job{caller: caller, tag: tag}) do
    case caller && Native.job_cancel(caller, tag) do
      :ok -> :ok
      _ -> :not_found
    end
  end

  # --- Many at once ---

  @doc "See `Weir.run_many/3`."
  @spec run_many(Handle.t(), Weir.opcode(), [iodata()], [Weir.option()]) :: [Weir.outcome()]
  def run_many(_handle, _opcode, [], _options), do: []

  def run_many(handle, opcode, payloads, options) do
    {pool, timeout_ns, flags} = terms(handle, options)
    payloads = Enum.map(payloads, &binary/1)
    number = number!(pool, opcode)
    started = told_batch_start(handle, pool, opcode, payloads)
    deadline = deadline(timeout_ns)

    run = fn payloads ->
      case caller(handle) do
        nil -> for _ <- payloads, do: refused(:closed)
        caller -> Batch.run(caller, pool, number, payloads, left_ns(deadline), flags)
      end
    end

    items = if pool.waits, do: run_waiting(run, payloads, deadline), else: run.(payloads)

    outcomes =
      Enum.zip_with(items, payloads, fn item, payload ->
        conclude(item, pool, opcode, payload, timeout_ns, flags)
      end)

    told_batch_end(handle, pool, opcode, started, outcomes)
    outcomes
  end

  # Those without room are handed over again, after those that had some.
  defp run_waiting(run, payloads, deadline, pauses \\ @pauses) do
    items = run.(payloads)
    rejected = for {{:rejected, _, _, _}, payload} <- Enum.zip(items, payloads), do: payload

    if rejected == [] or left_ns(deadline) == 1 do
      items
    else
      merge(items, run_waiting(run, rejected, deadline, pause(pauses)))
    end
  end

  defp merge([{:rejected, _, _, _} | items], [again | rest]), do: [again | merge(items, rest)]
  defp merge([item | items], again), do: [item | merge(items, again)]
  defp merge([], []), do: []

  # --- Terms of a job ---

  defp terms(handle, []), do: {handle.default_pool, handle.timeout_ns, 0}

  defp terms(handle, options),
    do: terms(options, handle.default_pool, handle.timeout_ns, 0, handle)

  defp terms([], pool, timeout_ns, flags, _handle), do: {pool, timeout_ns, flags}

  defp terms([{:timeout, :infinity} | rest], pool, _, flags, handle),
    do: terms(rest, pool, :infinity, flags, handle)

  defp terms([{:timeout, ms} | rest], pool, _, flags, handle) when is_integer(ms) and ms > 0,
    do: terms(rest, pool, ms * 1_000_000, flags, handle)

  defp terms([{:pool, name} | rest], _, timeout_ns, flags, handle),
    do: terms(rest, Handle.pool!(handle, name), timeout_ns, flags, handle)

  defp terms([{:idempotent, true} | rest], pool, timeout_ns, flags, handle),
    do: terms(rest, pool, timeout_ns, Bitwise.bor(flags, @idempotent), handle)

  defp terms([{:pinned, true} | rest], pool, timeout_ns, flags, handle),
    do: terms(rest, pool, timeout_ns, Bitwise.bor(flags, @pinned), handle)

  defp terms([{key, false} | rest], pool, timeout_ns, flags, handle)
       when key in [:idempotent, :pinned],
       do: terms(rest, pool, timeout_ns, flags, handle)

  defp terms([other | _], _, _, _, _) do
    raise ArgumentError,
          "a job has no option #{inspect(other)}; there are pool: name, timeout: milliseconds or " <>
            ":infinity, idempotent: true or false, pinned: true or false"
  end

  defp binary(payload) when is_binary(payload), do: payload
  defp binary(payload), do: IO.iodata_to_binary(payload)

  defp number!(%{opcodes: opcodes} = pool, opcode) do
    case opcodes do
      %{^opcode => number} -> number
      _ when is_integer(opcode) and opcode in 1..65_535 -> opcode
      _ -> raise ArgumentError, no_opcode(pool, opcode)
    end
  end

  defp no_opcode(pool, opcode) do
    "no opcode has the name #{inspect(opcode)}; pool #{inspect(pool.name)} knows " <>
      Enum.map_join(Map.keys(pool.opcodes), ", ", &inspect/1)
  end

  # One resource per process and instance; it dies with the manager it belongs to. nil when that is
  # closing.
  defp caller(%{key: key, manager: manager} = handle) do
    case Process.get(key) do
      {^manager, caller} -> caller
      _ -> open_caller(handle)
    end
  end

  defp open_caller(%{key: key, manager: manager}) do
    with {:ok, caller} <- Native.caller_open(manager) do
      Process.put(key, {manager, caller})
      caller
    else
      {:error, _, _} -> nil
    end
  end

  # --- Telemetry ---

  defp told(handle, pool, opcode, payload, run) do
    started = told_start(handle, pool, opcode, payload)
    outcome = run.()
    told_end(handle, pool, opcode, started, outcome)
    outcome
  end

  defp told_start(handle, pool, opcode, payload) do
    now = System.monotonic_time()

    if Telemetry.active?() do
      Telemetry.execute(
        [:weir, :job, :start],
        %{
          system_time: System.system_time(),
          monotonic_time: now,
          payload_bytes: byte_size(payload)
        },
        metadata(handle, pool, opcode)
      )
    end

    now
  end

  defp told_end(handle, pool, opcode, started, outcome) do
    if Telemetry.active?() do
      now = System.monotonic_time()
      tell_end(outcome, now - started, now, metadata(handle, pool, opcode))
    end
  end

  defp tell_end({:ok, result}, duration, now, metadata) do
    Telemetry.execute(
      [:weir, :job, :stop],
      %{duration: duration, monotonic_time: now, payload_bytes: byte_size(result.payload)},
      Map.put(metadata, :sent_count, result.sent_count)
    )
  end

  defp tell_end({:error, error}, duration, now, metadata) do
    Telemetry.execute(
      [:weir, :job, :exception],
      %{duration: duration, monotonic_time: now},
      Map.merge(metadata, %{
        kind: :error,
        reason: error,
        stacktrace: [],
        sent_count: error.sent_count
      })
    )
  end

  defp told_batch_start(handle, pool, opcode, payloads) do
    now = System.monotonic_time()

    if Telemetry.active?() do
      Telemetry.execute(
        [:weir, :batch, :start],
        %{
          system_time: System.system_time(),
          monotonic_time: now,
          jobs: length(payloads),
          payload_bytes: IO.iodata_length(payloads)
        },
        metadata(handle, pool, opcode)
      )
    end

    now
  end

  defp told_batch_end(handle, pool, opcode, started, outcomes) do
    if Telemetry.active?() do
      now = System.monotonic_time()

      Telemetry.execute(
        [:weir, :batch, :stop],
        %{
          duration: now - started,
          monotonic_time: now,
          jobs: length(outcomes),
          failed: Enum.count(outcomes, &match?({:error, _}, &1))
        },
        metadata(handle, pool, opcode)
      )
    end
  end

  defp metadata(handle, pool, opcode),
    do: %{instance: handle.name, pool: pool.name, opcode: opcode}
end
