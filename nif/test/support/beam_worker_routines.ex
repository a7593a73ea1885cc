defmodule Weir.TestSupport.BeamWorkerRoutines do
  @moduledoc "Routines of the workers in Elixir that tests start as processes of their own."

  @doc "By opcode, as `Weir.BeamWorker.command/1` wants them."
  @spec routines() :: Weir.BeamWorkerLoop.routines()
  def routines do
    Map.merge(Weir.BeamRoutines.loopback(), %{
      0x1000 => fn _payload -> raise "the wheel broke" end,
      0x1001 => fn _payload -> Process.sleep(:infinity) end,
      0x1002 => fn _payload -> {:ok, System.pid()} end,
      0x1003 => fn payload -> {:ok, :binary.copy("x", String.to_integer(payload))} end,
      0x1004 => fn _payload -> {:ok, inspect(System.get_env("WEIR_TOKEN"))} end,
      0x1005 => fn payload ->
        Process.sleep(String.to_integer(payload))
        {:ok, "slept"}
      end,
      # Leaves a file behind that says that it was begun.
      0x1006 => fn path ->
        File.write!(path, "")
        Process.sleep(:infinity)
      end
    })
  end
end
