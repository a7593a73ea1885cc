defmodule Weir.BeamWorkerLoop.MemoryLink do
  @moduledoc """
  A worker loop's link inside one VM: rings and payloads in ETS, the begun marker in `:atomics`.

  Everything belongs to the manager's process (`Weir.Fallback`), so that what the loop has
  published outlives it, as shared memory outlives a worker.
  """

  @behaviour Weir.BeamWorkerLoop.Link

  alias Weir.{BeamWorkerLoop, InMemoryRing, PayloadTable}
  alias Weir.Layout.Generated, as: Layout

  @enforce_keys [:manager, :terms, :requests, :responses, :request_payloads, :response_payloads]
  defstruct [
    :manager,
    :terms,
    :requests,
    :responses,
    :request_payloads,
    :response_payloads,
    :control
  ]

  @type t :: %__MODULE__{
          manager: pid(),
          terms: Weir.Envelope.terms(),
          requests: InMemoryRing.t(),
          responses: InMemoryRing.t(),
          request_payloads: PayloadTable.t(),
          response_payloads: PayloadTable.t(),
          control: :atomics.atomics_ref()
        }

  @begun 1
  @progress 2

  @no_slot Layout.reply_status(:no_slot)
  @oversize Layout.reply_status(:oversize)
  @ok Layout.reply_status(:ok)

  # As long as a worker in C waits for a slot when the job has no deadline.
  @slot_wait_ns 1_000_000_000

  @doc "A fresh link, all of it owned by the calling process."
  @spec new(Weir.Envelope.terms(), keyword()) :: t()
  def new(terms, options) do
    capacity = Keyword.fetch!(options, :capacity)
    slots = [slots: capacity, slot_bytes: Keyword.fetch!(options, :slot_bytes)]

    %__MODULE__{
      manager: self(),
      terms: terms,
      requests: InMemoryRing.new(capacity: capacity),
      responses: InMemoryRing.new(capacity: capacity),
      request_payloads: PayloadTable.new(slots),
      response_payloads: PayloadTable.new(slots),
      control: :atomics.new(2, signed: false)
    }
  end

  @doc "Gives the tables back."
  @spec delete(t()) :: :ok
  def delete(link) do
    InMemoryRing.delete(link.requests)
    InMemoryRing.delete(link.responses)
    PayloadTable.delete(link.request_payloads)
    PayloadTable.delete(link.response_payloads)
  end

  @doc "Ring index plus one of the request last begun."
  @spec begun_marker(t()) :: non_neg_integer()
  def begun_marker(link), do: :atomics.get(link.control, @begun)

  @impl true
  def terms(link), do: link.terms

  # What is taken and not begun dies with the loop, but the manager's own table still has it.
  @impl true
  def take(link, max), do: InMemoryRing.drain(link.requests, max)

  @impl true
  def payload(link, request),
    do: PayloadTable.fetch(link.request_payloads, request.payload_offset, request.payload_bytes)

  @impl true
  def begun(link, index), do: :atomics.put(link.control, @begun, index + 1)

  @impl true
  def reply(link, response, payload) do
    case place(link, response, payload) do
      {:ok, offset} ->
        publish(link, BeamWorkerLoop.with_payload(response, payload, offset, link.terms))

      status ->
        publish(link, %{response | status: status})
    end
  end

  @impl true
  def release(link, request) do
    case PayloadTable.release(
           link.request_payloads,
           request.payload_offset,
           request.payload_bytes
         ) do
      :ok -> :ok
      :error -> {:fault, :release, "the request's slot was given back by somebody else"}
    end
  end

  @impl true
  def finished(link, _status), do: :atomics.add(link.control, @progress, 1)

  @impl true
  def flush(link) do
    send(link.manager, {:weir_replies, link.terms.generation})
    :ok
  end

  @impl true
  def wait(_link, timeout_ms, parent) do
    receive do
      :weir_requests -> swallow_wakes()
      :weir_shutdown -> :shutdown
      {:EXIT, ^parent, _reason} -> :parent_gone
      # The job that it was for has ended by itself.
      {:weir_abandon, _id} -> :ok
    after
      timeout_ms -> :ok
    end
  end

  defp swallow_wakes do
    receive do
      :weir_requests -> swallow_wakes()
    after
      0 -> :ok
    end
  end

  # Jobs in flight never exceed the ring, so there is room.
  defp publish(link, response) do
    case InMemoryRing.publish(link.responses, [response]) do
      {:ok, 1} -> :ok
      :full -> {:fault, :ring_index, "more replies are under way than the ring has slots"}
    end
  end

  # The sentence of a failure is left out when there is no slot for it; a reply waits for one.
  defp place(link, response, payload) do
    case PayloadTable.put(link.response_payloads, payload) do
      {:ok, offset} ->
        {:ok, offset}

      _no_place when response.status != @ok ->
        response.status

      :oversize ->
        @oversize

      :full ->
        wait_for_slot(link, response, payload)
    end
  end

  defp wait_for_slot(link, response, payload) do
    now_ns = Weir.BeamJob.now_ns()

    until_ns =
      if response.deadline_ns != 0, do: response.deadline_ns, else: now_ns + @slot_wait_ns

    look_again(link, payload, until_ns)
  end

  defp look_again(link, payload, until_ns) do
    Process.sleep(1)

    case PayloadTable.put(link.response_payloads, payload) do
      {:ok, offset} ->
        {:ok, offset}

      :full ->
        if Weir.BeamJob.now_ns() >= until_ns,
          do: @no_slot,
          else: look_again(link, payload, until_ns)
    end
  end
end
