defmodule Weir.Harness.Nodes do
  @moduledoc """
  Connects to the nodes of a campaign and checks that they run the same code.

  Erlang finds nodes through `epmd`, a small program of its own, which a node that becomes
  distributed later does not start by itself; so it is started here if there is none.
  """

  alias Weir.Layout.Generated, as: Layout

  @epmd_tries 50
  @epmd_pause_ms 50

  @doc "Connects to all nodes, or says which one cannot join and why."
  @spec connect(map(), (String.t() -> term())) :: :ok | {:error, String.t()}
  def connect(settings, note) do
    with :ok <- start_epmd(note),
         :ok <- become_distributed(settings.nodes) do
      if settings.cookie, do: Node.set_cookie(settings.cookie)
      mine = identity()
      Enum.reduce_while(settings.nodes, :ok, fn node, :ok -> join(node, mine, note) end)
    end
  end

  defp join(node, mine, note) do
    if Node.connect(node) == true do
      case check(node, mine) do
        :ok ->
          note.("#{node} joins")
          {:cont, :ok}

        {:error, why} ->
          {:halt, {:error, "#{node} cannot join: #{why}"}}
      end
    else
      {:halt,
       {:error,
        "#{node} cannot be reached; start it with: elixir #{kind(node)} #{short(node)} --cookie " <>
          "COOKIE -S mix run --no-halt, and give the same cookie to --cookie"}}
    end
  end

  defp kind(node), do: if(long?(node), do: "--name", else: "--sname")
  defp short(node), do: if(long?(node), do: "#{node}", else: hd(String.split("#{node}", "@")))

  @doc "Whether a node has this build and this layout."
  @spec check(node(), map()) :: :ok | {:error, String.t()}
  def check(node, mine) do
    differences(mine, :erpc.call(node, __MODULE__, :identity, [], 15_000))
  catch
    :error, {:exception, :undef, _} ->
      {:error, "Weir's code is not loaded there; start it in this project with mix run --no-halt"}

    kind, reason ->
      {:error, Exception.format_banner(kind, reason)}
  end

  @doc "What is said of two identities that differ."
  @spec differences(map(), map()) :: :ok | {:error, String.t()}
  def differences(mine, theirs) do
    cond do
      mine.layout != theirs.layout ->
        {:error,
         "its layout has the digest #{short_digest(theirs.layout)}, this one " <>
           "#{short_digest(mine.layout)}; build both from the same source"}

      mine.build != theirs.build ->
        {:error,
         "its build has the digest #{short_digest(theirs.build)}, this one " <>
           "#{short_digest(mine.build)}; build both from the same source and start it again"}

      true ->
        :ok
    end
  end

  defp short_digest(digest), do: digest |> binary_part(0, 6) |> Base.encode16(case: :lower)

  @doc "Digests of this node's layout and of its build: all modules, and the NIF."
  @spec identity() :: %{layout: binary(), build: binary()}
  def identity do
    # On a node where the application was not started, this finds it on the code path.
    _ = Application.load(:weir)
    {:ok, modules} = :application.get_key(:weir, :modules)
    digests = for module <- Enum.sort(modules), do: module.module_info(:md5)
    %{layout: Layout.digest(), build: :erlang.md5([native() | digests])}
  end

  # The library that is loaded; its name carries the digest of its contents.
  defp native do
    with path when path != nil <- Weir.Native.path(),
         {:ok, library} <- File.read("#{path}.so") do
      :erlang.md5(library)
    else
      _ -> "none"
    end
  end

  defp become_distributed(nodes) do
    cond do
      Node.alive?() and long?(node()) != long?(hd(nodes)) ->
        {:error, "this node is #{node()}, and Erlang connects only names of one kind"}

      Node.alive?() ->
        :ok

      true ->
        start_node(nodes)
    end
  end

  defp start_node([first | _]) do
    name = :"weir-harness-#{System.pid()}"

    {name, kind} =
      if long?(first),
        do: {:"#{name}@#{own_address(first)}", :longnames},
        else: {name, :shortnames}

    case Node.start(name, kind) do
      {:ok, _} ->
        :ok

      {:error, reason} ->
        {:error, "this node cannot become #{name}: #{inspect(reason)}; is epmd reachable?"}
    end
  end

  # The name by which others reach this host: that of the first node's network.
  defp own_address(node) do
    [_, host] = String.split("#{node}", "@")

    case :inet.getaddr(String.to_charlist(host), :inet) do
      {:ok, {127, _, _, _}} -> "127.0.0.1"
      _ -> own_host()
    end
  end

  defp own_host do
    {:ok, name} = :inet.gethostname()

    case :inet.gethostbyname(name) do
      {:ok, {:hostent, full, _, _, _, _}} -> to_string(full)
      _ -> to_string(name)
    end
  end

  defp long?(node), do: "#{node}" =~ ~r/@.*\./

  # --- epmd ---

  defp start_epmd(note) do
    cond do
      epmd?() -> :ok
      program = find_epmd() -> start_epmd(program, note)
      true -> {:error, "epmd does not run and is not installed; it comes with erlang-base"}
    end
  end

  defp start_epmd(program, note) do
    {_, _} = System.cmd(program, ["-daemon"])
    note.("epmd did not run, so it was started; it stays (epmd -kill ends it)")
    await_epmd(@epmd_tries)
  end

  defp await_epmd(0), do: {:error, "epmd was started but does not answer"}

  defp await_epmd(tries) do
    unless epmd?() do
      Process.sleep(@epmd_pause_ms)
      await_epmd(tries - 1)
    else
      :ok
    end
  end

  defp epmd?, do: match?({:ok, _}, :erl_epmd.names('localhost'))

  defp find_epmd do
    root = to_string(:code.root_dir())
    own = Path.join([root, "erts-#{:erlang.system_info(:version)}", "bin", "epmd"])
    if File.exists?(own), do: own, else: System.find_executable("epmd")
  end
end
