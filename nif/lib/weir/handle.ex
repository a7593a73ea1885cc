defmodule Weir.Handle do
  @moduledoc """
  What a caller needs of a running instance, kept in `:persistent_term` under `{Weir, name}`.

  Reading it copies nothing and asks no process. It is replaced only when the instance is started
  or stopped.
  """

  @enforce_keys [:name, :manager, :key, :pools, :default_pool, :timeout_ns]
  defstruct [:name, :manager, :key, :pools, :default_pool, :timeout_ns]

  @typedoc """
  A pool as the dispatcher sees it: its number in libweir, the numbers of its opcodes, and what to
  do where libweir has no say.
  """
  @type pool :: %{
          id: non_neg_integer(),
          name: atom(),
          opcodes: %{atom() => pos_integer()},
          waits: boolean(),
          fallback: nil | :beam,
          beam: atom(),
          trusted: boolean(),
          workers: pos_integer(),
          in_flight: pos_integer(),
          slots: [{slot_bytes :: pos_integer(), count :: pos_integer()}]
        }

  @type t :: %__MODULE__{
          name: atom(),
          manager: reference(),
          key: atom(),
          pools: %{atom() => pool()},
          default_pool: pool(),
          timeout_ns: non_neg_integer() | :infinity
        }

  @doc "The handle of a running instance; raises `ArgumentError` when there is none."
  @spec fetch!(atom()) :: t()
  def fetch!(name) do
    case :persistent_term.get({Weir, name}, nil) do
      nil -> raise ArgumentError, no_instance(name)
      handle -> handle
    end
  end

  @doc "The handle of a running instance, or nil."
  @spec get(atom()) :: t() | nil
  def get(name), do: :persistent_term.get({Weir, name}, nil)

  @doc "Makes the handle known."
  @spec put(t()) :: :ok
  def put(%__MODULE__{name: name} = handle), do: :persistent_term.put({Weir, name}, handle)

  @doc "Forgets it."
  @spec erase(atom()) :: boolean()
  def erase(name), do: :persistent_term.erase({Weir, name})

  @doc "Names of the instances that run in this VM."
  @spec names() :: [atom()]
  def names do
    for {{Weir, name}, %__MODULE__{}} <- :persistent_term.get(), do: name
  end

  @doc "One of the instance's pools, the first one for nil; raises `ArgumentError` for others."
  @spec pool!(t(), atom() | nil) :: pool()
  def pool!(handle, nil), do: handle.default_pool

  def pool!(handle, name) do
    case handle.pools do
      %{^name => pool} -> pool
      pools -> raise ArgumentError, no_pool(handle.name, name, Map.keys(pools))
    end
  end

  defp no_instance(name) do
    "no instance of Weir has the name #{inspect(name)}; add {Weir, name: #{inspect(name)}, " <>
      "pools: [...]} to a supervision tree, before those who use it"
  end

  defp no_pool(instance, name, known) do
    "#{inspect(instance)} has no pool #{inspect(name)}; there are " <>
      Enum.map_join(known, ", ", &inspect/1)
  end
end
