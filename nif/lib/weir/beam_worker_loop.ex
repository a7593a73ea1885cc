defmodule Weir.BeamWorkerLoop do
  @moduledoc """
  A worker in Elixir that honours the same envelope as one in C.

  The loop takes requests, runs their routines, and publishes replies; what it does with each job
  is what `docs/protocol.md` says a worker does, in the same order: check the envelope, check the
  payload's place, store the begun marker, work, stage the reply, release the request's slot, count
  progress. Where the bytes come from is a `Weir.BeamWorkerLoop.Link`; `Weir.BeamWorkerLoop.MemoryLink`
  is that of the fallback inside the same VM. A worker in Elixir that is a process of its own gets
  its envelopes checked by libweir and has a loop of its own, `Weir.BeamWorker.Loop`.

  Each routine runs in a process of its own (`Weir.BeamJob`): a crash is the job's failure with its
  reason, a routine past the deadline is killed and the job expires. The loop answers every request
  that it takes exactly once.
  """

  import Bitwise

  alias Weir.{BeamJob, Crc32c, Envelope}
  alias Weir.BeamWorkerLoop.Link
  alias Weir.Layout.Generated, as: Layout

  @batch 32

  # The loop looks at its ring and orders at least this often, whether woken or not.
  @look_ms 250

  @flag_payload_crc Layout.envelope_flag(:payload_crc)
  @flags_packed Layout.envelope_flag(:lz4) ||| Layout.envelope_flag(:zstd)
  @capability_payload_crc Layout.capability(:payload_crc)

  @enforce_keys [:link, :routines, :terms, :parent]
  defstruct [:link, :routines, :terms, :parent]

  @type routines :: %{pos_integer() => Weir.BeamRoutines.routine()}

  @doc """
  Serves until the link says that it is over; returns why.

  The process traps exits meanwhile. `parent` is the process whose end ends the loop at once.
  """
  @spec serve(Link.t(), routines(), pid()) :: Link.ending()
  def serve(link, routines, parent) do
    Process.flag(:trap_exit, true)
    turn(%__MODULE__{link: link, routines: routines, terms: Link.terms(link), parent: parent})
  end

  defp turn(loop) do
    case Link.take(loop.link, @batch) do
      {:ok, taken} ->
        with :ok <- run_all(taken, loop), :ok <- parent_alive(loop), do: turn(loop)

      :empty ->
        with :ok <- Link.wait(loop.link, @look_ms, loop.parent), do: turn(loop)

      {:error, status, sentence} ->
        {:fault, status, sentence}
    end
  end

  # A batch may be long; the parent's end must not wait for its end.
  defp parent_alive(%{parent: parent}) do
    receive do
      {:EXIT, ^parent, _reason} -> :parent_gone
    after
      0 -> :ok
    end
  end

  defp run_all([], loop), do: Link.flush(loop.link)

  defp run_all([{index, bytes} | rest], loop) do
    with {:ok, request} <- check(bytes, index, loop.terms),
         {:ok, payload} <- find_payload(request, loop) do
      Link.begun(loop.link, index)
      {status, reply} = execute(request, payload, loop)

      with :ok <- Link.reply(loop.link, response(request, status), reply),
           :ok <- Link.release(loop.link, request),
           :ok <- Link.finished(loop.link, status),
           # A reply does not wait for a slow job behind it.
           :ok <- Link.flush(loop.link),
           do: run_all(rest, loop)
    else
      {:error, reason} ->
        {:fault, reason, "request #{index} does not hold: #{reason}"}
    end
  end

  defp check(bytes, index, terms), do: Envelope.check_request(bytes, index, terms)

  defp find_payload(request, loop) do
    case Link.payload(loop.link, request) do
      {:ok, payload} -> {:ok, payload}
      :error -> {:error, :payload_range}
    end
  end

  defp execute(request, payload, loop) do
    routine = loop.routines[request.opcode]

    cond do
      routine == nil ->
        {:unsupported, <<>>}

      request.deadline_ns != 0 and BeamJob.now_ns() >= request.deadline_ns ->
        {:expired, <<>>}

      not payload_sound?(request, payload) ->
        {:corrupt, <<>>}

      true ->
        run(routine, request, payload, loop.parent)
    end
  end

  defp run(routine, request, payload, parent) do
    case BeamJob.run(routine, payload, request.deadline_ns, request.job_id, parent) do
      {:ok, reply} -> {:ok, reply}
      {:failed, sentence} -> {:failed, sentence}
      # Nobody waits for an abandoned job; its slot and its place in the ring still come back.
      stopped when stopped in [:expired, :abandoned] -> {:expired, <<>>}
    end
  end

  @doc "Whether a payload is what its envelope says; nothing is ever compressed here."
  @spec payload_sound?(Envelope.t(), binary()) :: boolean()
  def payload_sound?(%Envelope{flags: flags}, _payload) when (flags &&& @flags_packed) != 0,
    do: false

  def payload_sound?(%Envelope{flags: flags} = envelope, payload)
      when (flags &&& @flag_payload_crc) != 0,
      do: Crc32c.of(payload) == envelope.payload_crc

  def payload_sound?(%Envelope{}, _payload), do: true

  defp response(request, status) do
    %Envelope{
      version: request.version,
      opcode: request.opcode,
      status: Layout.reply_status(status),
      generation: request.generation,
      job_id: request.job_id,
      correlation_id: request.correlation_id,
      deadline_ns: request.deadline_ns
    }
  end

  @doc "Completes an envelope for a payload that lies at `offset`, with a checksum where agreed."
  @spec with_payload(Envelope.t(), binary(), non_neg_integer(), Envelope.terms()) :: Envelope.t()
  def with_payload(envelope, <<>>, _offset, _terms), do: envelope

  def with_payload(envelope, payload, offset, terms) do
    bytes = byte_size(payload)
    envelope = %{envelope | payload_offset: offset, payload_bytes: bytes, original_bytes: bytes}

    if (terms.capabilities &&& @capability_payload_crc) != 0,
      do: %{
        envelope
        | flags: envelope.flags ||| @flag_payload_crc,
          payload_crc: Crc32c.of(payload)
      },
      else: envelope
  end
end
