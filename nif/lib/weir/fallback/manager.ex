defmodule Weir.Fallback.Manager do
  @moduledoc """
  The process behind `Weir.Fallback`: accepts jobs, sends them, takes replies in, ends each job once.
  """

  use GenServer

  alias Weir.{Backoff, BeamRoutines, Envelope, SchemaGuard}
  alias Weir.Fallback.{Jobs, Seat}
  alias Weir.Layout.Generated, as: Layout

  # Replies taken in per turn, so that submissions and deadlines come in between.
  @turn 64

  # A begun job may have crashed its loop, so it gets this many more tries and no more.
  @begun_resends_max 2

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)
    routines = options[:routines] || BeamRoutines.loopback()
    options = Keyword.put(options, :routines, routines)
    capabilities = if options[:payload_crc], do: Layout.capability(:payload_crc), else: 0
    {_major, minor} = Layout.version()

    state = %{
      options: options,
      routines: routines,
      terms: %{generation: 0, version: minor, capabilities: capabilities},
      generation: 0,
      seats: %{},
      jobs: Jobs.new(),
      deferred: :queue.new(),
      stray: 0,
      is_closed: false,
      drainers: []
    }

    workers = options[:workers] || System.schedulers_online()

    {:ok,
     Enum.reduce(0..(workers - 1), state, fn number, state ->
       seat = %Seat{number: number, backoff: Backoff.new(options[:backoff]), options: options}
       start_seat(seat, state)
     end)}
  end

  @impl true
  def handle_cast({:submit, caller, tag, opcode, payload, timeout_ns, flags}, state) do
    {job, jobs} = Jobs.add(state.jobs, caller, tag, opcode, payload, timeout_ns, flags)
    state = %{state | jobs: jobs}

    {:noreply,
     case refusal(job, state) do
       nil -> place(job, state)
       outcome -> finish(job, outcome, nil, state)
     end}
  end

  def handle_cast({:cancel, caller, tag}, state) do
    {:noreply,
     state.jobs |> Jobs.of(caller, tag) |> Enum.reduce(state, &give_up(&1, :cancelled, &2))}
  end

  @impl true
  def handle_call({:serves?, opcode}, _from, state),
    do: {:reply, is_map_key(state.routines, opcode), state}

  def handle_call(:stats, _from, state) do
    seats = Map.values(state.seats)

    {:reply,
     Map.merge(Jobs.counts(state.jobs), %{
       stray: state.stray,
       deferred: :queue.len(state.deferred),
       in_flight: seats |> Enum.map(&map_size(&1.in_flight)) |> Enum.sum(),
       restarts: seats |> Enum.map(& &1.restarts) |> Enum.sum(),
       workers: for(seat <- seats, do: {seat.number, seat.state, seat.pid})
     }), state}
  end

  def handle_call(:drain, from, state),
    do: {:noreply, tell_drainers(%{state | is_closed: true, drainers: [from | state.drainers]})}

  @impl true
  def handle_info({:weir_replies, generation}, state) do
    case Enum.find(Map.values(state.seats), &(&1.link && &1.link.terms.generation == generation)) do
      nil -> {:noreply, state}
      seat -> {:noreply, seat |> ingest(@turn, state) |> pump()}
    end
  end

  def handle_info({:deadline, id}, state) do
    case Jobs.find(state.jobs, id) do
      nil -> {:noreply, state}
      job -> {:noreply, give_up(job, :timeout, state)}
    end
  end

  def handle_info({:start, number}, state) do
    {:noreply, state.seats |> Map.fetch!(number) |> start_seat(state) |> pump()}
  end

  def handle_info({:DOWN, _monitor, :process, caller, _reason}, state) do
    {:noreply, state.jobs |> Jobs.of(caller) |> Enum.reduce(state, &give_up(&1, :cancelled, &2))}
  end

  def handle_info({:EXIT, pid, reason}, state) do
    case Enum.find(Map.values(state.seats), &(&1.pid == pid)) do
      nil when reason in [:normal, :shutdown] -> {:noreply, state}
      nil -> {:stop, reason, state}
      seat -> {:noreply, seat |> lose(state) |> pump()}
    end
  end

  def handle_info(_stranger, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state) do
    # What is still here when the instance stops is cancelled; the loops are linked and end too.
    for job <- Jobs.all(state.jobs), do: Jobs.tell(job, :cancelled, nil)
    :ok
  end

  # --- What the manager decides ---

  defp refusal(job, state) do
    with false <- state.is_closed,
         :ok <- SchemaGuard.check_request(job.opcode, byte_size(job.payload)),
         true <- is_map_key(state.routines, job.opcode),
         true <- byte_size(job.payload) <= state.options[:slot_bytes] do
      nil
    else
      true -> :cancelled
      {:error, outcome, _sentence} -> outcome
      false -> if is_map_key(state.routines, job.opcode), do: :oversize, else: :unsupported
    end
  end

  defp place(job, state) do
    cond do
      seat = :queue.is_empty(state.deferred) && roomiest(state) ->
        send_to(seat, job, state)

      state.options[:no_room] == :defer and
          :queue.len(state.deferred) < state.options[:deferred_max] ->
        %{state | deferred: :queue.in(job.id, state.deferred)}

      true ->
        finish(job, :rejected, nil, state)
    end
  end

  defp roomiest(state) do
    state.seats
    |> Map.values()
    |> Enum.filter(&Seat.room?/1)
    |> Enum.min_by(&map_size(&1.in_flight), fn -> nil end)
  end

  defp send_to(seat, job, state) do
    envelope = %Envelope{
      opcode: job.opcode,
      flags: job.flags,
      job_id: job.id,
      deadline_ns: job.deadline_ns
    }

    # A slot is given back with its reply, so there is one for whoever has room in the ring.
    {:ok, seat} = Seat.send_job(seat, envelope, job.payload)
    put_seat(%{state | jobs: Jobs.sent(state.jobs, job, seat.number)}, seat)
  end

  defp ingest(seat, max, state) do
    {believed, replies, stray, seat} = Seat.replies(seat, max)
    state = put_seat(%{state | stray: state.stray + stray}, seat)
    state = Enum.reduce(replies, state, &take_reply/2)

    # As many as were wanted: there may be more, after whatever else waits for a turn.
    if believed == :ok and length(replies) + stray == max,
      do: send(self(), {:weir_replies, seat.link.terms.generation})

    state
  end

  defp take_reply({id, response, payload}, state) do
    case Jobs.find(state.jobs, id) do
      # It timed out or was cancelled: its reply is late.
      nil -> %{state | stray: state.stray + 1}
      %{opcode: opcode} when opcode != response.opcode -> %{state | stray: state.stray + 1}
      job -> finish(job, outcome(response, payload), payload, state)
    end
  end

  defp outcome(_response, nil), do: :corrupt

  defp outcome(response, _payload) do
    case Layout.reply_status_name(response.status) do
      :expired -> :timeout
      :no_slot -> if response.deadline_ns != 0, do: :timeout, else: :failed
      name -> name
    end
  end

  # The loop is gone: what it has published is taken in first, then its jobs are decided.
  defp lose(seat, state) do
    state = if seat.distrusted?, do: state, else: ingest_rest(seat, state)
    seat = Map.fetch!(state.seats, seat.number)
    {left, next, seat} = Seat.bury(seat)

    case next do
      {:restart, wait_ns} ->
        Process.send_after(self(), {:start, seat.number}, div(wait_ns + 999_999, 1_000_000))

      :quarantine ->
        :ok
    end

    # From the newest to the oldest, each to the front of the queue: the order stays.
    left
    |> Enum.reverse()
    |> Enum.reduce(put_seat(state, seat), &recover/2)
    |> give_up_without_seats()
  end

  defp ingest_rest(seat, state) do
    case Seat.replies(seat, @turn) do
      {:ok, [], 0, seat} ->
        put_seat(state, seat)

      {believed, replies, stray, seat} ->
        state = put_seat(%{state | stray: state.stray + stray}, seat)
        state = Enum.reduce(replies, state, &take_reply/2)
        if believed == :ok, do: ingest_rest(seat, state), else: state
    end
  end

  defp recover({id, begun?}, state) do
    case Jobs.find(state.jobs, id) do
      nil ->
        state

      job ->
        begun_count = job.begun_count + if(begun?, do: 1, else: 0)

        if not begun? or (Jobs.idempotent?(job) and begun_count <= @begun_resends_max) do
          jobs = Jobs.put(state.jobs, %{job | begun_count: begun_count, seat: nil})
          %{state | jobs: jobs, deferred: :queue.in_r(id, state.deferred)}
        else
          finish(job, :worker_lost, nil, state)
        end
    end
  end

  # Nobody will ever serve what is deferred.
  defp give_up_without_seats(state) do
    if Enum.all?(Map.values(state.seats), &(&1.state == :quarantined)) do
      state.deferred
      |> :queue.to_list()
      |> Enum.map(&Jobs.find(state.jobs, &1))
      |> Enum.reject(&is_nil/1)
      |> Enum.reduce(%{state | deferred: :queue.new()}, fn job, state ->
        finish(job, if(job.sent_count > 0, do: :worker_lost, else: :rejected), nil, state)
      end)
    else
      state
    end
  end

  defp pump(state) do
    case :queue.out(state.deferred) do
      {:empty, _} -> state
      {{:value, id}, rest} -> pump(Jobs.find(state.jobs, id), roomiest(state), rest, state)
    end
  end

  # It timed out or was cancelled while it waited.
  defp pump(nil, _seat, rest, state), do: pump(%{state | deferred: rest})
  defp pump(_job, nil, _rest, state), do: state
  defp pump(job, seat, rest, state), do: pump(send_to(seat, job, %{state | deferred: rest}))

  defp give_up(job, outcome, state) do
    if job.seat, do: Seat.abandon(Map.fetch!(state.seats, job.seat), job.id)
    finish(job, outcome, nil, state)
  end

  defp finish(job, outcome, payload, state) do
    Jobs.tell(job, outcome, if(outcome in [:ok, :failed], do: payload))
    tell_drainers(%{state | jobs: Jobs.finish(state.jobs, job, outcome)})
  end

  defp start_seat(%Seat{state: :empty} = seat, state) do
    generation = state.generation + 1
    put_seat(%{state | generation: generation}, Seat.start(seat, generation, state.terms))
  end

  defp put_seat(state, seat), do: %{state | seats: Map.put(state.seats, seat.number, seat)}

  defp tell_drainers(%{drainers: []} = state), do: state

  defp tell_drainers(state) do
    if Jobs.none?(state.jobs) do
      for drainer <- state.drainers, do: GenServer.reply(drainer, :ok)
      %{state | drainers: []}
    else
      state
    end
  end
end
