defmodule Weir.BeamRoutines do
  @moduledoc """
  The routines that a worker in Elixir serves: those of the loopback worker that need no number
  crunching.

  A routine is a function of the request's payload that returns `{:ok, reply}` or
  `{:error, sentence}`; the reply is iodata. It runs in a process of its own, so it may crash, and
  it may be killed at the job's deadline. `pathfind`, `worldgen` and `analytics` are left to native
  workers; a job for them ends as `unsupported` here.
  """

  alias Weir.Crc32c
  alias Weir.Layout.Generated, as: Layout

  @type routine :: (binary() -> {:ok, iodata()} | {:error, String.t()})

  @doc "By opcode; the numbers are those of the layout."
  @spec loopback() :: %{pos_integer() => routine()}
  def loopback do
    %{
      Layout.opcode(:echo) => &echo/1,
      Layout.opcode(:crc) => &crc/1,
      Layout.opcode(:simulate) => &Weir.BeamRoutines.Simulate.run/1
    }
  end

  @doc "The reply is the request."
  @spec echo(binary()) :: {:ok, binary()}
  def echo(payload), do: {:ok, payload}

  @doc "Length and CRC32C of the request, as the struct `crc_reply`."
  @spec crc(binary()) :: {:ok, binary()}
  def crc(payload),
    do: {:ok, <<byte_size(payload)::little-64, Crc32c.of(payload)::little-32, 0::32>>}
end
