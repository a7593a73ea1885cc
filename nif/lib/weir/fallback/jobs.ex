defmodule Weir.Fallback.Jobs do
  @moduledoc """
  The jobs of `Weir.Fallback` that have not ended, by id and by caller, and what became of the
  others.

  A job is told its end by `tell/3` and leaves by `finish/3`; whoever looks for it afterwards finds
  nothing, and so no job ends twice.
  """

  import Bitwise

  alias Weir.BeamJob
  alias Weir.Layout.Generated, as: Layout

  @idempotent Layout.envelope_flag(:idempotent)

  defstruct last_id: 0, by_id: %{}, callers: %{}, submitted: 0, outcomes: %{}

  @type job :: %{
          id: pos_integer(),
          caller: pid(),
          tag: term(),
          opcode: 0..0xFFFF,
          payload: binary(),
          flags: non_neg_integer(),
          deadline_ns: non_neg_integer(),
          submitted_ns: non_neg_integer(),
          timer: reference() | nil,
          seat: non_neg_integer() | nil,
          sent_count: non_neg_integer(),
          begun_count: non_neg_integer()
        }

  @type t :: %__MODULE__{
          last_id: non_neg_integer(),
          by_id: %{pos_integer() => job()},
          callers: %{pid() => {monitor :: reference(), MapSet.t(pos_integer())}},
          submitted: non_neg_integer(),
          outcomes: %{atom() => pos_integer()}
        }

  @spec new() :: t()
  def new, do: %__MODULE__{}

  @doc "Accepts a job; its caller is monitored, `{:deadline, id}` comes at its deadline."
  @spec add(t(), pid(), term(), 0..0xFFFF, binary(), pos_integer() | :infinity, integer()) ::
          {job(), t()}
  def add(jobs, caller, tag, opcode, payload, timeout_ns, flags) do
    id = jobs.last_id + 1
    now_ns = BeamJob.now_ns()

    job = %{
      id: id,
      caller: caller,
      tag: tag,
      opcode: opcode,
      payload: payload,
      flags: flags &&& @idempotent,
      deadline_ns: if(timeout_ns == :infinity, do: 0, else: now_ns + timeout_ns),
      submitted_ns: now_ns,
      timer: timer(id, timeout_ns),
      seat: nil,
      sent_count: 0,
      begun_count: 0
    }

    {monitor, ids} =
      Map.get_lazy(jobs.callers, caller, fn -> {Process.monitor(caller), MapSet.new()} end)

    callers = Map.put(jobs.callers, caller, {monitor, MapSet.put(ids, id)})
    jobs = %{jobs | last_id: id, submitted: jobs.submitted + 1, callers: callers}
    {job, put(jobs, job)}
  end

  # Rounded up: nothing times out before its time.
  defp timer(_id, :infinity), do: nil

  defp timer(id, timeout_ns) do
    ms = min(div(timeout_ns + 999_999, 1_000_000), 0xFFFFFFFF)
    Process.send_after(self(), {:deadline, id}, ms)
  end

  @spec put(t(), job()) :: t()
  def put(jobs, job), do: %{jobs | by_id: Map.put(jobs.by_id, job.id, job)}

  @doc "Notes that the job was sent to a seat."
  @spec sent(t(), job(), non_neg_integer()) :: t()
  def sent(jobs, job, seat), do: put(jobs, %{job | seat: seat, sent_count: job.sent_count + 1})

  @spec find(t(), pos_integer()) :: job() | nil
  def find(jobs, id), do: Map.get(jobs.by_id, id)

  @spec all(t()) :: [job()]
  def all(jobs), do: Map.values(jobs.by_id)

  @doc "A caller's jobs, or those with this tag."
  @spec of(t(), pid()) :: [job()]
  def of(jobs, caller) do
    {_monitor, ids} = Map.get(jobs.callers, caller, {nil, []})
    for id <- ids, do: Map.fetch!(jobs.by_id, id)
  end

  @spec of(t(), pid(), term()) :: [job()]
  def of(jobs, caller, tag), do: Enum.filter(of(jobs, caller), &(&1.tag == tag))

  @spec none?(t()) :: boolean()
  def none?(jobs), do: jobs.by_id == %{}

  @spec idempotent?(job()) :: boolean()
  def idempotent?(job), do: (job.flags &&& @idempotent) != 0

  @doc "Tells the caller."
  @spec tell(job(), atom(), binary() | nil) :: :ok
  def tell(job, outcome, payload) do
    elapsed_ns = BeamJob.now_ns() - job.submitted_ns
    send(job.caller, {job.tag, :done, outcome, payload, job.sent_count, elapsed_ns})
    :ok
  end

  @doc "The job has ended: forgets it, counts its outcome, lets go of a caller without others."
  @spec finish(t(), job(), atom()) :: t()
  def finish(jobs, job, outcome) do
    if job.timer, do: Process.cancel_timer(job.timer)
    {monitor, ids} = Map.fetch!(jobs.callers, job.caller)
    ids = MapSet.delete(ids, job.id)

    callers =
      if MapSet.size(ids) == 0 do
        Process.demonitor(monitor, [:flush])
        Map.delete(jobs.callers, job.caller)
      else
        Map.put(jobs.callers, job.caller, {monitor, ids})
      end

    %{
      jobs
      | by_id: Map.delete(jobs.by_id, job.id),
        callers: callers,
        outcomes: Map.update(jobs.outcomes, outcome, 1, &(&1 + 1))
    }
  end

  @doc "Submitted, ended by outcome, and not yet ended."
  @spec counts(t()) :: %{submitted: integer(), outcomes: map(), outstanding: integer()}
  def counts(jobs) do
    %{
      submitted: jobs.submitted,
      outcomes: jobs.outcomes,
      outstanding: map_size(jobs.by_id)
    }
  end
end
