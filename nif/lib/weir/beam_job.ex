defmodule Weir.BeamJob do
  @moduledoc """
  One routine in a process of its own.

  A routine may crash, exit, or run too long: the process takes the damage, and the caller gets
  exactly one answer. The process is linked to the caller, which must trap exits; when the caller is
  killed the routine ends with it.
  """

  @type answer :: {:ok, binary()} | {:failed, String.t()} | :expired | :abandoned

  # What a worker in C keeps of a sentence.
  @sentence_bytes 255

  @doc """
  Runs the routine until its deadline (`:os.perf_counter(:nanosecond)`, 0 for none).

  The messages `{:weir_abandon, id}` with this id, and `{:EXIT, parent, _}` of the caller's parent,
  end it early; the latter stays in the mailbox.
  """
  @spec run(Weir.BeamRoutines.routine(), binary(), non_neg_integer(), term(), pid()) :: answer()
  def run(routine, payload, deadline_ns, id, parent) do
    answer_to = {self(), make_ref()}
    pid = spawn_link(fn -> answer(answer_to, routine, payload) end)
    wait(pid, elem(answer_to, 1), deadline_ns, id, parent)
  end

  @doc "Nanoseconds of CLOCK_MONOTONIC, as libweir counts them."
  @spec now_ns() :: non_neg_integer()
  def now_ns, do: :os.perf_counter(:nanosecond)

  defp answer({caller, ref}, routine, payload) do
    answer =
      try do
        case routine.(payload) do
          {:ok, reply} -> {:ok, IO.iodata_to_binary(reply)}
          {:error, sentence} -> {:failed, cut(to_string(sentence))}
          other -> {:failed, cut("the routine returned #{inspect(other, limit: 5)}")}
        end
      catch
        kind, reason ->
          {:failed, cut(Exception.format_banner(kind, reason, __STACKTRACE__))}
      end

    send(caller, {ref, answer})
  end

  defp wait(pid, ref, deadline_ns, id, parent) do
    receive do
      {^ref, answer} ->
        forget(pid)
        answer

      {:EXIT, ^pid, reason} ->
        # The answer was sent before the end, if there was one.
        receive do
          {^ref, answer} -> answer
        after
          0 -> {:failed, cut("the routine was ended: " <> Exception.format_exit(reason))}
        end

      {:weir_abandon, ^id} ->
        stop(pid, ref)
        :abandoned

      {:EXIT, ^parent, reason} ->
        stop(pid, ref)
        send(self(), {:EXIT, parent, reason})
        :abandoned
    after
      left_ms(deadline_ns) ->
        stop(pid, ref)
        :expired
    end
  end

  defp left_ms(0), do: :infinity

  # Rounded up, so that nothing is called late before it is.
  defp left_ms(deadline_ns),
    do: min(max(div(deadline_ns - now_ns() + 999_999, 1_000_000), 0), 0xFFFFFFFF)

  defp stop(pid, ref) do
    Process.exit(pid, :kill)
    forget(pid)

    receive do
      {^ref, _late} -> :ok
    after
      0 -> :ok
    end
  end

  defp forget(pid) do
    receive do
      {:EXIT, ^pid, _reason} -> :ok
    end
  end

  defp cut(sentence) when byte_size(sentence) <= @sentence_bytes, do: sentence

  defp cut(sentence) do
    # Not in the middle of a character.
    sentence |> binary_part(0, @sentence_bytes) |> whole_characters()
  end

  defp whole_characters(text) do
    case :unicode.characters_to_binary(text) do
      whole when is_binary(whole) -> whole
      {_incomplete, whole, _rest} -> whole
    end
  end
end
