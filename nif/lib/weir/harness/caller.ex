defmodule Weir.Harness.Caller do
  @moduledoc """
  A process that submits jobs until its source has no more, and closes each in the ledger.

  Of each block of numbers the seed says how it is handed over: one by one, in batches, or submitted
  first and awaited afterwards.
  """

  alias Weir.Harness.{Generator, Histogram, Ledger, Source, Subject}

  @enforce_keys [:subject, :generator, :ledger, :source, :latency, :counts]
  defstruct [:subject, :generator, :ledger, :source, :latency, :counts]

  @type t :: %__MODULE__{}

  @doc "Numbers that callers add up: replies read in place, bytes of requests, bytes of replies."
  @spec counts() :: :counters.counters_ref()
  def counts, do: :counters.new(3, [:write_concurrency])

  @in_place 1
  @request_bytes 2
  @reply_bytes 3

  @doc "The sums of `counts/0`."
  @spec read_counts(:counters.counters_ref()) :: keyword()
  def read_counts(counts) do
    [
      replies_read_in_place: :counters.get(counts, @in_place),
      request_bytes: :counters.get(counts, @request_bytes),
      reply_bytes: :counters.get(counts, @reply_bytes)
    ]
  end

  @doc "Runs until the source is done."
  @spec run(t(), Source.report()) :: :ok
  def run(%__MODULE__{} = caller, report \\ nil) do
    case Source.lease(caller.source, report) do
      {:ok, block} -> run(caller, {block, run_block(caller, block)})
      :done -> :ok
    end
  end

  defp run_block(caller, {first, count}) do
    Ledger.enter(caller.ledger, first, count)

    first..(first + count - 1)
    |> Enum.map(&Generator.task(caller.generator, &1))
    |> hand_over(caller, Generator.draw(caller.generator, first, :manner, 4))
    |> Enum.frequencies()
  end

  defp hand_over(tasks, caller, manner) when manner in [0, 1] do
    for {number, opcode, payload, _} = task <- tasks do
      pinned? = pinned?(caller, number)
      close(caller, task, Subject.run(caller.subject, opcode, payload, pinned?), pinned?)
    end
  end

  defp hand_over(tasks, caller, 2) do
    tasks
    |> Enum.group_by(fn {number, opcode, _, _} -> {opcode, pinned?(caller, number)} end)
    |> Enum.flat_map(fn {{opcode, pinned?}, tasks} ->
      payloads = for {_, _, payload, _} <- tasks, do: payload
      ended = Subject.run_many(caller.subject, opcode, payloads, pinned?)
      Enum.zip_with(tasks, ended, &close(caller, &1, &2, pinned?))
    end)
  end

  defp hand_over(tasks, caller, 3) do
    tasks
    |> Enum.chunk_every(8)
    |> Enum.flat_map(fn tasks ->
      jobs = for {_, opcode, payload, _} <- tasks, do: {opcode, payload}
      ended = Subject.run_later(caller.subject, jobs)
      Enum.zip_with(tasks, ended, &close(caller, &1, &2, false))
    end)
  end

  # Every fourth reply is read where the worker wrote it.
  defp pinned?(caller, number),
    do: caller.subject.kind == :shm and Generator.draw(caller.generator, number, :pinned, 4) == 0

  defp close(caller, {number, opcode, payload, _} = task, {outcome, reply, ns}, pinned?) do
    wrong = if outcome == :ok, do: wrong(caller, task, reply, pinned?)
    Ledger.close(caller.ledger, number, outcome, wrong)

    if outcome == :ok do
      Histogram.add(Map.fetch!(caller.latency, opcode), ns)
      :counters.add(caller.counts, @request_bytes, byte_size(payload))
      :counters.add(caller.counts, @reply_bytes, byte_size(reply))
      if pinned?, do: :counters.add(caller.counts, @in_place, 1)
    end

    outcome
  end

  # An echo in place must have the checksum of the request that was written in place, read from the
  # shared pages themselves.
  defp wrong(caller, {_, :echo, payload, _} = task, reply, true) do
    if :erlang.crc32(payload) == :erlang.crc32(reply),
      do: Generator.check(caller.generator, task, reply),
      else: "the checksum of the echo in place is not that of the request"
  end

  defp wrong(caller, task, reply, _), do: Generator.check(caller.generator, task, reply)
end
