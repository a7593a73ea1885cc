defmodule Weir.Fallback.Seat do
  @moduledoc """
  A place for one worker loop of `Weir.Fallback`: who sits there, what is under way, when the next
  one is started.

  The functions run in the manager's process, which owns the tables of the link.
  """

  alias Weir.{Backoff, BeamJob, BeamWorkerLoop, Envelope, InMemoryRing, PayloadTable}
  alias Weir.BeamWorkerLoop.MemoryLink

  @enforce_keys [:number, :backoff, :options]
  defstruct [
    :number,
    :backoff,
    :options,
    :link,
    :pid,
    state: :empty,
    started_ns: 0,
    next_index: 0,
    in_flight: %{},
    restarts: 0,
    distrusted?: false
  ]

  @type t :: %__MODULE__{
          number: non_neg_integer(),
          backoff: Backoff.t(),
          options: keyword(),
          link: MemoryLink.t() | nil,
          pid: pid() | nil,
          state: :empty | :serving | :quarantined,
          started_ns: non_neg_integer(),
          next_index: non_neg_integer(),
          in_flight: %{(job_id :: non_neg_integer()) => index :: non_neg_integer()},
          restarts: non_neg_integer(),
          distrusted?: boolean()
        }

  @doc "Starts a loop with fresh rings and a generation of its own; linked to the caller."
  @spec start(t(), pos_integer(), Envelope.terms()) :: t()
  def start(%__MODULE__{link: nil} = seat, generation, terms) do
    link = MemoryLink.new(%{terms | generation: generation}, seat.options)
    manager = self()
    routines = Keyword.fetch!(seat.options, :routines)
    pid = :proc_lib.spawn_link(fn -> run(link, routines, manager) end)

    %{
      seat
      | link: link,
        pid: pid,
        state: :serving,
        started_ns: BeamJob.now_ns(),
        next_index: 0,
        in_flight: %{},
        distrusted?: false
    }
  end

  defp run(link, routines, manager) do
    case BeamWorkerLoop.serve(link, routines, manager) do
      {:fault, reason, sentence} -> exit({:weir_fault, reason, sentence})
      _told_to -> :ok
    end
  end

  @doc "Whether one more job may be under way here."
  @spec room?(t()) :: boolean()
  def room?(%__MODULE__{state: :serving} = seat),
    do: map_size(seat.in_flight) < InMemoryRing.capacity(seat.link.requests)

  def room?(_seat), do: false

  @doc "Sends a job; there must be room. Timed-out jobs may still hold payload slots: then `:full`."
  @spec send_job(t(), Envelope.t(), binary()) :: {:ok, t()} | :full | :oversize
  def send_job(%__MODULE__{} = seat, envelope, payload) do
    with {:ok, offset} <- PayloadTable.put(seat.link.request_payloads, payload) do
      terms = seat.link.terms
      envelope = %{envelope | generation: terms.generation, version: terms.version}
      envelope = BeamWorkerLoop.with_payload(envelope, payload, offset, terms)
      {:ok, 1} = InMemoryRing.publish(seat.link.requests, [envelope])
      send(seat.pid, :weir_requests)
      in_flight = Map.put(seat.in_flight, envelope.job_id, seat.next_index)
      {:ok, %{seat | in_flight: in_flight, next_index: seat.next_index + 1}}
    end
  end

  @doc "The caller of a job does not wait for it any more."
  @spec abandon(t(), non_neg_integer()) :: :ok
  def abandon(%__MODULE__{pid: pid, in_flight: in_flight}, job_id) do
    if is_map_key(in_flight, job_id), do: send(pid, {:weir_abandon, job_id})
    :ok
  end

  @doc """
  Takes up to `max` replies in: `{job id, envelope, payload}` each; the payload is nil when it does
  not match its checksum. `stray` counts replies to nothing. After `:distrusted` nothing that the
  loop wrote is believed.
  """
  @spec replies(t(), pos_integer()) ::
          {:ok | :distrusted, [{non_neg_integer(), Envelope.t(), binary() | nil}],
           stray :: non_neg_integer(), t()}
  def replies(%__MODULE__{link: nil} = seat, _max), do: {:ok, [], 0, seat}

  def replies(%__MODULE__{} = seat, max) do
    case InMemoryRing.drain(seat.link.responses, max) do
      :empty -> {:ok, [], 0, seat}
      {:ok, taken} -> take_in(taken, seat, [], 0)
    end
  end

  defp take_in([], seat, replies, stray), do: {:ok, Enum.reverse(replies), stray, seat}

  defp take_in([{index, bytes} | rest], seat, replies, stray) do
    with {:ok, response} <- Envelope.check_response(bytes, index, seat.link.terms),
         {:ok, payload} <- take_payload(seat.link, response) do
      case Map.pop(seat.in_flight, response.job_id) do
        {nil, _same} ->
          take_in(rest, seat, replies, stray + 1)

        {_index, in_flight} ->
          reply = {response.job_id, response, verified(response, payload)}
          take_in(rest, %{seat | in_flight: in_flight}, [reply | replies], stray)
      end
    else
      _fault ->
        Process.exit(seat.pid, :kill)
        {:distrusted, Enum.reverse(replies), stray, %{seat | distrusted?: true}}
    end
  end

  defp take_payload(link, %{payload_offset: offset, payload_bytes: bytes}) do
    with {:ok, payload} <- PayloadTable.fetch(link.response_payloads, offset, bytes),
         :ok <- PayloadTable.release(link.response_payloads, offset, bytes),
         do: {:ok, payload}
  end

  defp verified(response, payload) do
    if BeamWorkerLoop.payload_sound?(response, payload), do: payload
  end

  @doc """
  The loop has ended. Returns the jobs that were under way, from the oldest to the newest, each with
  whether it may have been begun, and when to start again.
  """
  @spec bury(t()) ::
          {[{job_id :: non_neg_integer(), begun? :: boolean()}],
           {:restart, non_neg_integer()} | :quarantine, t()}
  def bury(%__MODULE__{} = seat) do
    marker = MemoryLink.begun_marker(seat.link)

    left =
      seat.in_flight
      |> Enum.sort_by(fn {_id, index} -> index end)
      |> Enum.map(fn {id, index} -> {id, seat.distrusted? or index < marker} end)

    MemoryLink.delete(seat.link)
    uptime_ns = BeamJob.now_ns() - seat.started_ns
    seat = %{seat | link: nil, pid: nil, in_flight: %{}, restarts: seat.restarts + 1}

    case Backoff.died(seat.backoff, uptime_ns) do
      {:restart, wait_ns, backoff} ->
        {left, {:restart, wait_ns}, %{seat | state: :empty, backoff: backoff}}

      {:quarantine, backoff} ->
        {left, :quarantine, %{seat | state: :quarantined, backoff: backoff}}
    end
  end
end
