defmodule Weir.Inspect.Remote do
  @moduledoc """
  Takes a picture on another Erlang node.

  This node joins as a hidden one that nobody can connect to, so it registers with no epmd; the
  other node is found through its own.
  """

  @patience_ms 10_000

  @doc """
  What `Weir.Inspect.snapshot/1` answers on `node`. `:unsupported` means that the node cannot be
  asked: it is unreachable, has another cookie, or does not have this module.
  """
  @spec snapshot(String.t(), String.t() | nil, keyword()) ::
          {:ok, Weir.Inspect.snapshot()} | {:error, atom(), String.t()}
  def snapshot(node, cookie, options) do
    with {:ok, node} <- full_name(node),
         :ok <- join(node),
         :ok <- connect(node, cookie) do
      ask(node, options)
    end
  end

  # The name comes from the person at the keyboard, once: an atom more is no harm.
  defp full_name(name) do
    case String.split(name, "@") do
      [short] when short != "" -> {:ok, String.to_atom(short <> "@" <> host())}
      [short, host] when short != "" and host != "" -> {:ok, String.to_atom(name)}
      _ -> {:error, :invalid, "--node #{name} is no node's name; write NAME or NAME@HOST"}
    end
  end

  defp host do
    {:ok, host} = :inet.gethostname()
    host |> to_string() |> String.split(".") |> hd()
  end

  defp join(node) do
    domain =
      if node |> Atom.to_string() |> String.contains?("."), do: :longnames, else: :shortnames

    own = :"weir-inspect-#{System.pid()}-#{System.unique_integer([:positive])}"
    own = if domain == :longnames, do: :"#{own}@127.0.0.1", else: own

    if Node.alive?() do
      :ok
    else
      case :net_kernel.start(own, %{name_domain: domain, hidden: true, dist_listen: false}) do
        {:ok, _pid} ->
          :ok

        {:error, reason} ->
          {:error, :unsupported, "this node cannot join any other: #{inspect(reason)}"}
      end
    end
  end

  defp connect(node, cookie) do
    if cookie, do: Node.set_cookie(node, String.to_atom(cookie))

    if Node.connect(node) == true do
      :ok
    else
      {:error, :unsupported,
       "node #{node} cannot be reached; check that it runs, its name, and --cookie"}
    end
  end

  defp ask(node, options) do
    :erpc.call(node, Weir.Inspect, :snapshot, [options], @patience_ms)
  catch
    :error, {:exception, :undef, _stack} ->
      {:error, :unsupported,
       "node #{node} does not have Weir.Inspect; it runs no Weir of this version"}

    :error, reason ->
      {:error, :unsupported, "node #{node} gave no picture: #{inspect(reason)}"}
  end
end
