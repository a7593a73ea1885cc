defmodule Weir.Telemetry do
  @moduledoc """
  Tells whoever listens what happens.

  Where the application `:telemetry` is loaded its handlers are called, otherwise those attached
  here; both take the same functions. Durations and times are in native units.

  | event | measurements | metadata |
  |---|---|---|
  | `[:weir, :job, :start]` | `system_time`, `monotonic_time`, `payload_bytes` | `instance`, `pool`, `opcode` |
  | `[:weir, :job, :stop]` | `duration`, `monotonic_time`, `payload_bytes` of the reply | also `sent_count` |
  | `[:weir, :job, :exception]` | `duration`, `monotonic_time` | also `kind` (`:error`), `reason` (`Weir.Error`), `stacktrace` (`[]`) |
  | `[:weir, :batch, :start]` | `system_time`, `monotonic_time`, `jobs`, `payload_bytes` | `instance`, `pool`, `opcode` |
  | `[:weir, :batch, :stop]` | `duration`, `monotonic_time`, `jobs`, `failed` | the same |
  | `[:weir, :worker, :start]` | `system_time`, `monotonic_time` | `instance`, `pool`, `worker`, `generation`, `pid` |
  | `[:weir, :worker, :stop]` | `duration`, `monotonic_time` | also `text` |
  | `[:weir, :worker, :exception]` | the same | also `kind` (`:exit`), `reason` (a sentence), `stacktrace` (`[]`) |
  | `[:weir, :instance, :start]` | `system_time`, `monotonic_time` | `instance` |
  | `[:weir, :instance, :stop]` | `duration`, `monotonic_time` | `instance` |

  A job that did not end well is an `:exception`, whatever its outcome. The job events cost nothing
  while nobody has attached a handler here and `:telemetry` is not loaded.
  """

  require Logger

  @key __MODULE__

  @type event :: [atom(), ...]
  @type handler :: (event(), map(), map(), term() -> term())

  @doc """
  Calls `function.(event, measurements, metadata, config)` at each of the events. The id names the
  handler for `detach/1`.
  """
  @spec attach(term(), event() | [event()], handler(), term()) :: :ok | {:error, :already_exists}
  def attach(id, events, function, config \\ nil) when is_function(function, 4) do
    events = if is_atom(hd(events)), do: [events], else: events

    case library() do
      nil -> locked(fn -> attach_here(id, events, function, config) end)
      library -> library.attach_many(id, events, function, config)
    end
  end

  @doc "Takes a handler away."
  @spec detach(term()) :: :ok | {:error, :not_found}
  def detach(id) do
    case library() do
      nil -> locked(fn -> detach_here(id) end)
      library -> library.detach(id)
    end
  end

  @doc "Whether an event would reach anybody."
  @spec active?() :: boolean()
  def active?, do: :persistent_term.get(@key, nil) != nil

  @doc "Tells an event."
  @spec execute(event(), map(), map()) :: :ok
  def execute(event, measurements, metadata) do
    case :persistent_term.get(@key, nil) do
      nil -> :ok
      {:library, library} -> library.execute(event, measurements, metadata)
      handlers -> call(Map.get(handlers, event, []), event, measurements, metadata)
    end
  end

  @doc "Looks whether `:telemetry` is there; an instance does so when it starts."
  @spec refresh() :: :ok
  def refresh do
    locked(fn ->
      case {loaded?(), :persistent_term.get(@key, %{})} do
        {true, handlers} when is_map(handlers) ->
          :persistent_term.put(@key, {:library, library = library()})

          # Handlers attached before it was loaded move over.
          for {event, list} <- handlers, {id, function, config} <- list do
            library.attach({id, event}, event, function, config)
          end

          :ok

        _ ->
          :ok
      end
    end)
  end

  # By a variable, because the module is not there when this is compiled.
  defp library do
    case :persistent_term.get(@key, nil) do
      {:library, library} -> library
      _ -> if loaded?(), do: :telemetry
    end
  end

  defp loaded? do
    Code.ensure_loaded?(:telemetry) and function_exported?(:telemetry, :execute, 3)
  end

  defp attach_here(id, events, function, config) do
    handlers = :persistent_term.get(@key, %{}) || %{}
    known = Enum.any?(handlers, fn {_, list} -> List.keymember?(list, id, 0) end)

    if known do
      {:error, :already_exists}
    else
      new = {id, function, config}
      put(Enum.reduce(events, handlers, &Map.update(&2, &1, [new], fn list -> [new | list] end)))
    end
  end

  defp detach_here(id) do
    handlers = :persistent_term.get(@key, %{})

    without =
      for {event, list} <- handlers,
          list = List.keydelete(list, id, 0),
          list != [],
          into: %{},
          do: {event, list}

    if without == handlers, do: {:error, :not_found}, else: put(without)
  end

  defp put(handlers) when handlers == %{} do
    :persistent_term.erase(@key)
    :ok
  end

  defp put(handlers), do: :persistent_term.put(@key, handlers)

  defp locked(function), do: :global.trans({@key, self()}, function, [node()])

  defp call(handlers, event, measurements, metadata) do
    for {id, function, config} <- handlers do
      try do
        function.(event, measurements, metadata, config)
      catch
        kind, reason ->
          # As :telemetry does: whoever fails once is not asked again, and no job is harmed.
          detach(id)

          Logger.error(
            "a telemetry handler of Weir failed and was detached: " <>
              Exception.format(kind, reason, __STACKTRACE__)
          )
      end
    end

    :ok
  end
end
