defmodule Weir.BeamWorker.Loop do
  @moduledoc """
  Takes jobs from shared memory and answers each of them once.

  `Weir.Native.worker_next/1` gives a job that is checked and marked as begun; the routine runs in a
  process of its own (`Weir.BeamJob`); `worker_reply/3` answers. When there is nothing to do the loop
  parks, and looks again every 250 ms whether woken or not.
  """

  alias Weir.{BeamJob, Native}

  @look_ms 250

  # As long as a worker in C waits for a reply slot when the job has no deadline.
  @slot_wait_ns 1_000_000_000

  @doc """
  Starts the loop, linked to the caller. It ends as `:normal` when it was told to leave, else with
  `{:weir_fault, status, sentence}`.
  """
  @spec start(Native.worker(), Weir.BeamWorkerLoop.routines()) :: pid()
  def start(worker, routines) do
    parent = self()

    :proc_lib.spawn_link(fn ->
      Process.flag(:trap_exit, true)
      serve(%{worker: worker, routines: routines, parent: parent, leave: false})
    end)
  end

  defp serve(state) do
    case Native.worker_next(state.worker) do
      :large -> handle(Native.worker_next_large(state.worker), state)
      answer -> handle(answer, state)
    end
  end

  defp handle({:job, opcode, payload, id, deadline_ns}, state) do
    send(state.parent, {:weir_busy, self()})
    {status, reply} = execute(opcode, payload, id, deadline_ns, state)
    until_ns = if deadline_ns != 0, do: deadline_ns, else: BeamJob.now_ns() + @slot_wait_ns

    case reply(status, reply, until_ns, state) do
      :ok -> serve(state)
      {:error, status, sentence} -> exit({:weir_fault, status, sentence})
    end
  end

  defp handle(:more, state), do: serve(state)

  defp handle(:full, state) do
    Process.sleep(1)
    serve(state)
  end

  defp handle(:shutdown, _state), do: :ok
  defp handle(idle, %{leave: true}) when idle in [:empty, :drained], do: :ok
  defp handle(idle, state) when idle in [:empty, :drained], do: park(state)
  defp handle({:error, status, sentence}, _state), do: exit({:weir_fault, status, sentence})

  defp execute(opcode, payload, id, deadline_ns, state) do
    routine = Map.fetch!(state.routines, opcode)

    case BeamJob.run(routine, payload, deadline_ns, id, state.parent) do
      {:ok, reply} -> {:ok, reply}
      {:failed, sentence} -> {:failed, sentence}
      # Its deadline has passed, which is what the manager makes of a reply without a slot.
      stopped when stopped in [:expired, :abandoned] -> {:no_slot, ""}
    end
  end

  defp reply(status, payload, until_ns, state) do
    case send_reply(state.worker, status, payload) do
      :full ->
        Process.sleep(1)
        status = if BeamJob.now_ns() >= until_ns, do: :no_slot, else: status
        reply(status, payload, until_ns, state)

      {:error, :oversize, _sentence} ->
        reply(:oversize, "", until_ns, state)

      answer ->
        answer
    end
  end

  defp send_reply(worker, status, payload) do
    with :large <- Native.worker_reply(worker, status, payload),
         do: Native.worker_reply_large(worker, status, payload)
  end

  defp park(state) do
    case Native.worker_park(state.worker) do
      {:error, status, sentence} -> exit({:weir_fault, status, sentence})
      :busy -> serve(state)
      :parked -> state |> sleep() |> serve()
    end
  end

  defp sleep(%{worker: worker, parent: parent} = state) do
    receive do
      {:weir_ready, ^worker} -> state
      :weir_look -> state
      :weir_leave -> %{state | leave: true}
      {:EXIT, ^parent, reason} -> exit(reason)
    after
      @look_ms -> state
    end
  end
end
