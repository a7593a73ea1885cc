defmodule Weir.Native do
  @moduledoc """
  The functions of `weir_nif.so`, as they are: thin, checked, none of them waits.

  Applications use `Weir`; this module is for the processes behind it and for tests.

  Each function raises `ArgumentError` for a wrong type or range, and answers `{:error, status, sentence}` when
  something was refused at run time; `status` is one of libweir's (`:full`, `:timeout`, `:closed`, ...) and the
  sentence names the cause and the fix. References that these functions return are resources: what they stand for is
  given back when they are closed, when their owner process ends, or when they are collected.

  The library is found in the application's `priv` folder: `priv/weir_nif.current` holds the name of the installed
  file, which changes with every build, so that a hot upgrade loads a new file beside the mapped one.
  """

  @on_load :load

  @typedoc "Why something was refused, and what to do about it."
  @type refusal :: {:error, status :: atom, sentence :: binary}

  @typedoc "An open file descriptor, held by the NIF."
  @opaque descriptor :: reference

  @doc """
  Loads the library; runs by itself when the module is loaded. Where no library is installed yet (while the project is
  being compiled for the first time) the module stays without it, and each function raises.
  """
  @spec load :: :ok | {:error, term}
  def load do
    case path() do
      nil -> :ok
      path -> :erlang.load_nif(path, 0)
    end
  end

  @doc """
  Where the library is, without `.so`: what the environment variable `WEIR_NIF` names, else the file named by
  `priv/weir_nif.current`; `nil` when there is none.
  """
  @spec path :: charlist | nil
  def path do
    case System.get_env("WEIR_NIF") do
      nil -> installed()
      file -> file |> Path.rootname(".so") |> to_charlist()
    end
  end

  defp installed do
    with priv when is_list(priv) <- :code.priv_dir(:weir),
         {:ok, name} <- File.read(Path.join(priv, "weir_nif.current")) do
      priv |> Path.join(String.trim(name)) |> to_charlist()
    else
      _missing -> nil
    end
  end

  # --- The library itself ---

  @doc "The library's version."
  @spec version :: binary
  def version, do: missing()

  @doc """
  Which callbacks ran since the library was first loaded or `trace_clear/0`: `{event, what, library}` in order, the
  latest 256. Events are `:load`, `:upgrade`, `:unload` of the `:library`, `:down` and `:stop` of a kind of resource;
  `library` counts loads and upgrades from 1.
  """
  @spec trace :: [{event :: atom, what :: atom, library :: pos_integer}]
  def trace, do: missing()

  @doc "Forgets the trace."
  @spec trace_clear :: :ok
  def trace_clear, do: missing()

  @doc "How many resources of each kind are alive."
  @spec resources :: %{atom => non_neg_integer}
  def resources, do: missing()

  @doc """
  Thread CPU time of the calls so far, per function: `{name, arity, dirty?, calls, longest_ns, total_ns}`. Empty unless
  the library was built with WEIR_NIF_TIMES (every preset but release).
  """
  @spec call_times :: [{atom, arity, boolean, pos_integer, non_neg_integer, non_neg_integer}]
  def call_times, do: missing()

  # --- Descriptors ---

  @doc "A new eventfd, owned by the calling process."
  @spec eventfd_create :: {:ok, descriptor} | refusal
  def eventfd_create, do: missing()

  @doc "Closes a descriptor; once."
  @spec descriptor_close(descriptor) :: :ok | refusal
  def descriptor_close(_descriptor), do: missing()

  @doc "Whether the descriptor is open."
  @spec descriptor_is_open(descriptor) :: boolean
  def descriptor_is_open(_descriptor), do: missing()

  defp missing do
    :erlang.nif_error("weir_nif.so is not loaded; run mix compile, which builds and installs it")
  end
end
