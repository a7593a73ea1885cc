defmodule Weir.Harness.Bench.Port do
  @moduledoc """
  An Erlang port to `weir-port-echo` behind one owner process, as one would write it with care.

  The owner takes all requests that wait in its mailbox at once, and gives replies to the callers in
  their order. On the wire there are always `{packet, 4}` packets; who makes them differs:

    * `:packet` - the emulator: the port is opened with `{packet, 4}`, one command per request; this
      is what limits are held against
    * `:stream` - the owner: one command for all requests that wait, many replies per message; shown
      for small jobs beside it
  """

  # Requests taken from the mailbox at once.
  @bulk 256

  @type t :: pid()

  @doc "Opens it, linked to the caller; `pipe_bytes` nil leaves the pipes as they are."
  @spec open(Path.t(), :packet | :stream, pos_integer() | nil) :: t()
  def open(program, framing, pipe_bytes) do
    spawn_link(fn -> own(program, framing, pipe_bytes) end)
  end

  @doc "Closes it and waits for that."
  @spec close(t()) :: :ok
  def close(owner) do
    monitor = Process.monitor(owner)
    send(owner, :close)

    receive do
      {:DOWN, ^monitor, _, _, _} -> :ok
    end
  end

  @doc "One request, waited for."
  @spec run(t(), binary()) :: binary()
  def run(owner, payload) do
    tag = make_ref()
    send(owner, {:job, self(), tag, payload})

    receive do
      {^tag, reply} -> reply
    end
  end

  defp own(program, framing, pipe_bytes) do
    mode = if framing == :packet, do: [packet: 4], else: [:stream]
    arguments = if pipe_bytes, do: [Integer.to_string(pipe_bytes)], else: []
    port = Port.open({:spawn_executable, program}, [:binary, {:args, arguments} | mode])
    loop(%{port: port, framing: framing, waiting: :queue.new(), rest: [], rest_bytes: 0})
  end

  defp loop(%{port: port} = state) do
    receive do
      {^port, {:data, data}} -> state |> data(data) |> loop()
      {:job, caller, tag, payload} -> state |> submit([{caller, tag, payload}], 1) |> loop()
      :close -> Port.close(port)
    end
  end

  defp submit(state, jobs, count) when count < @bulk do
    receive do
      {:job, caller, tag, payload} -> submit(state, [{caller, tag, payload} | jobs], count + 1)
    after
      0 -> command(state, Enum.reverse(jobs))
    end
  end

  defp submit(state, jobs, _count), do: command(state, Enum.reverse(jobs))

  defp command(state, jobs) do
    case state.framing do
      :packet -> for {_, _, payload} <- jobs, do: Port.command(state.port, payload)
      :stream -> Port.command(state.port, for({_, _, p} <- jobs, do: [<<byte_size(p)::32>>, p]))
    end

    waiting =
      Enum.reduce(jobs, state.waiting, fn {caller, tag, _}, queue ->
        :queue.in({caller, tag}, queue)
      end)

    %{state | waiting: waiting}
  end

  defp data(%{framing: :packet} = state, packet), do: answer(state, packet)

  # Pieces are joined only when a packet is complete.
  defp data(state, data) do
    bytes = state.rest_bytes + byte_size(data)
    state = %{state | rest: [data | state.rest], rest_bytes: bytes}

    if bytes >= wanted(state.rest) do
      whole = state.rest |> Enum.reverse() |> IO.iodata_to_binary()
      split(%{state | rest: [], rest_bytes: 0}, whole)
    else
      state
    end
  end

  defp wanted(pieces) do
    case List.last(pieces) do
      <<size::32, _::binary>> -> size + 4
      _ -> 4
    end
  end

  defp split(state, <<size::32, packet::binary-size(size), rest::binary>>),
    do: state |> answer(packet) |> split(rest)

  defp split(state, <<>>), do: state
  defp split(state, rest), do: %{state | rest: [rest], rest_bytes: byte_size(rest)}

  defp answer(state, packet) do
    {{:value, {caller, tag}}, waiting} = :queue.out(state.waiting)
    send(caller, {tag, packet})
    %{state | waiting: waiting}
  end
end
