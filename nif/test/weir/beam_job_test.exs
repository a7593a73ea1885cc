defmodule Weir.BeamJobTest do
  use ExUnit.Case, async: true

  alias Weir.BeamJob

  setup do
    Process.flag(:trap_exit, true)
    :ok
  end

  defp run(routine, options \\ []) do
    deadline_ns = if ms = options[:within_ms], do: BeamJob.now_ns() + ms * 1_000_000, else: 0
    BeamJob.run(routine, Keyword.get(options, :payload, "p"), deadline_ns, 7, self_parent())
  end

  # Some process that does not end.
  defp self_parent, do: Process.group_leader()

  test "answers with the reply, which may be iodata" do
    assert run(fn payload -> {:ok, [payload, [?q | "r"]]} end) == {:ok, "pqr"}
  end

  test "answers with the routine's sentence" do
    assert run(fn _ -> {:error, "the river is dry"} end) == {:failed, "the river is dry"}
  end

  test "turns a crash, a throw, an exit and nonsense into a failure with its reason" do
    assert {:failed, "** (RuntimeError) boom"} = run(fn _ -> raise "boom" end)
    assert {:failed, "** (throw) :ball"} = run(fn _ -> throw(:ball) end)
    assert {:failed, "** (exit) :door"} = run(fn _ -> exit(:door) end)
    assert {:failed, "the routine returned :nonsense"} = run(fn _ -> :nonsense end)
    assert {:failed, "** (" <> _} = run(fn _ -> {:ok, :no_iodata} end)
  end

  test "survives a routine that is killed, and says so" do
    assert {:failed, "the routine was ended: killed"} =
             run(fn _ -> Process.exit(self(), :kill) end)
  end

  test "kills a routine at its deadline and leaves no message behind" do
    me = self()

    routine = fn _ ->
      send(me, {:here, self()})
      Process.sleep(:infinity)
    end

    assert run(routine, within_ms: 30) == :expired
    assert_received {:here, pid}
    refute Process.alive?(pid)
    assert Process.info(self(), :message_queue_len) == {:message_queue_len, 0}
  end

  test "is abandoned when nobody waits for it any more" do
    send(self(), {:weir_abandon, 6})
    send(self(), {:weir_abandon, 7})
    assert run(fn _ -> Process.sleep(:infinity) end) == :abandoned
    assert_received {:weir_abandon, 6}
  end

  test "ends with its parent, whose message stays" do
    parent = spawn(fn -> Process.sleep(:infinity) end)
    send(self(), {:EXIT, parent, :shutdown})
    assert BeamJob.run(fn _ -> Process.sleep(:infinity) end, "", 0, 1, parent) == :abandoned
    assert_received {:EXIT, ^parent, :shutdown}
  end

  test "cuts a long sentence to what a reply holds, between characters" do
    assert {:failed, sentence} = run(fn _ -> {:error, String.duplicate("ü", 300)} end)
    assert byte_size(sentence) == 254
    assert String.valid?(sentence)
  end
end
