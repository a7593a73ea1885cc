defmodule Weir.TestSupport.NativeHolders do
  @moduledoc "Processes of another emulator that hold a resource until they are killed."

  alias Weir.Native

  @doc "Holds a descriptor that is in the poll set."
  @spec descriptor() :: no_return
  def descriptor do
    {:ok, descriptor} = Native.eventfd_create()
    :ok = Native.descriptor_select(descriptor)
    keep(descriptor)
  end

  @doc "Holds an arena of the manager's side."
  @spec arena() :: no_return
  def arena do
    {:ok, arena} = Native.arena_create(Weir.TestSupport.NativeCalls.small_arena(), 1)
    keep(arena)
  end

  @doc "What the process holds, once it does."
  @spec held() :: reference | nil
  def held, do: :persistent_term.get(__MODULE__, nil)

  defp keep(resource) do
    :persistent_term.put(__MODULE__, resource)
    Process.sleep(:infinity)
  end
end
