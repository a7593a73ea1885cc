defmodule Weir.Harness.Resources do
  @moduledoc """
  What the virtual machine holds: descriptors, Weir's mappings, processes below it, files.

  One list is read before a run and one after it; whatever is in the second and not in the first was
  left behind, and is named.
  """

  @kinds [:descriptor, :mapping, :process, :file]

  @type t :: MapSet.t({kind :: atom(), name :: String.t()})

  @doc "The kinds of resources."
  @spec kinds() :: [atom()]
  def kinds, do: @kinds

  @doc "The list as it is now, or what keeps it from being read."
  @spec read() :: {:ok, t()} | {:error, String.t()}
  def read do
    with {:ok, descriptors} <- descriptors(),
         {:ok, maps} <- File.read("/proc/self/maps") do
      all =
        descriptors ++
          mappings(maps) ++ processes() ++ files("/dev/shm", "weir-") ++ files(directory(), "")

      {:ok, MapSet.new(all)}
    else
      {:error, _} ->
        {:error,
         "cannot list what this process holds, so nothing could be said of leftovers; mount /proc"}
    end
  end

  @doc """
  What is in `now/0` and not in `before`, after waiting for what is about to be collected: the
  virtual machine frees resources of dead processes a little later.
  """
  @spec left(t(), pos_integer()) :: [{atom(), String.t()}]
  def left(before, patience_ms \\ 5_000) do
    deadline = System.monotonic_time(:millisecond) + patience_ms
    wait(before, deadline)
  end

  defp wait(before, deadline) do
    for pid <- Process.list(), do: :erlang.garbage_collect(pid)
    {:ok, now} = read()
    left = now |> MapSet.difference(before) |> Enum.sort()

    if left == [] or System.monotonic_time(:millisecond) >= deadline do
      left
    else
      Process.sleep(50)
      wait(before, deadline)
    end
  end

  defp descriptors do
    with {:ok, names} <- File.ls("/proc/self/fd"),
         {:ok, sockets} <- File.read("/proc/net/unix") do
      found =
        for name <- names,
            {:ok, target} <- [File.read_link("/proc/self/fd/#{name}")],
            # The listing's own, and pipes and files of code that happens to be loaded.
            not String.starts_with?(target, "/"),
            not elsewhere?(target, sockets),
            do: {:descriptor, "#{name} -> #{target}"}

      {:ok, found}
    end
  end

  # Connections between Erlang nodes come and go as they like; Weir's sockets are local ones.
  defp elsewhere?(target, local) do
    case Regex.run(~r/^socket:\[(\d+)\]$/, target) do
      [_, inode] -> not (local =~ " #{inode}")
      nil -> false
    end
  end

  defp mappings(maps) do
    for line <- String.split(maps, "\n"),
        line =~ ~r"/memfd:weir-|/dev/shm/weir-",
        [range | rest] = String.split(line, " ", trim: true),
        do: {:mapping, "#{range} #{Enum.at(rest, 4)}"}
  end

  # Workers hang below launchers, which hang below the VM's own helper.
  defp processes do
    parents =
      for name <- File.ls!("/proc"),
          name =~ ~r/^\d+$/,
          {:ok, stat} <- [File.read("/proc/#{name}/stat")],
          [_, rest] = String.split(stat, ") ", parts: 2),
          [_state, parent | _] = String.split(rest, " "),
          do: {String.to_integer(name), String.to_integer(parent), stat}

    children = Enum.group_by(parents, fn {_, parent, _} -> parent end)
    below(children, String.to_integer(System.pid()))
  end

  defp below(children, parent) do
    for {pid, _, stat} <- Map.get(children, parent, []),
        one <- [{:process, "#{pid} #{command(stat)}"} | below(children, pid)],
        do: one
  end

  defp command(stat), do: Regex.run(~r/\((.*)\)/, stat) |> List.last()

  # Of the runtime directory only what carries this process's id, because others may run there.
  defp files(directory, prefix) do
    own = ~r/(?<!\d)#{System.pid()}(?!\d)/

    case File.ls(directory) do
      {:ok, names} ->
        for name <- names,
            String.starts_with?(name, prefix),
            name =~ own,
            do: {:file, Path.join(directory, name)}

      {:error, _} ->
        []
    end
  end

  @doc "Where managers keep their files."
  @spec directory() :: Path.t()
  def directory do
    case {System.get_env("WEIR_RUNTIME_DIR", ""), System.get_env("XDG_RUNTIME_DIR", "")} do
      {"", ""} -> "/tmp/weir-#{user()}"
      {"", session} -> Path.join(session, "weir")
      {own, _} -> own
    end
  end

  defp user do
    [_, ids] = Regex.run(~r/^Uid:\s+\d+\s+(\d+)/m, File.read!("/proc/self/status"))
    ids
  end
end
