defmodule Weir.LayoutLoader do
  @moduledoc """
  Where every field lies, looked up at run time.

  `load/1` reads a layout description (TOML) through the NIF, whose loader derives and checks all
  offsets, and keeps the places in `:persistent_term`; `load/0` keeps those of the layout that the
  library was built with. Where no NIF is loaded, both keep what `Weir.Layout.Generated` says, and
  `source/0` says so. Looking up loads by itself when nothing was loaded.

  A layout that differs from the generated one is refused, with what differs first: the code of
  this project reads and writes envelopes by the generated one.
  """

  alias Weir.Layout.Generated
  alias Weir.{LayoutCanonical, Native}

  @key {__MODULE__, :layout}

  @type place :: {offset :: non_neg_integer(), bytes :: pos_integer(), type :: String.t()}

  @doc "Loads the built-in layout."
  @spec load() :: :ok | {:error, String.t()}
  def load, do: keep(native(fn -> Native.layout_load_builtin() end))

  @doc "Loads a layout description; a fault is told as `file:line:column: what; what to do`."
  @spec load(Path.t()) :: :ok | {:error, String.t()}
  def load(path) do
    case File.read(path) do
      {:ok, text} ->
        keep(native(fn -> Native.layout_load(text, Path.basename(path)) end), text)

      {:error, reason} ->
        {:error, "#{path} cannot be read: #{:file.format_error(reason)}"}
    end
  end

  @doc "Whether the places come from the NIF's loader or from the generated module."
  @spec source() :: :native | :generated
  def source, do: layout().source

  @doc "The layout's digest."
  @spec digest() :: <<_::256>>
  def digest, do: layout().digest

  @doc "The layout's version."
  @spec version() :: {non_neg_integer(), non_neg_integer()}
  def version, do: layout().version

  @doc "Offset of a struct's field; raises `KeyError` for unknown names."
  @spec offset(atom() | String.t(), atom() | String.t()) :: non_neg_integer()
  def offset(struct, field), do: elem(place(struct, field), 0)

  @doc "Offset, length and type of a struct's field."
  @spec place(atom() | String.t(), atom() | String.t()) :: place()
  def place(struct, field),
    do: Map.fetch!(layout().places, {to_string(struct), to_string(field)})

  @doc "Size of a struct."
  @spec size(atom() | String.t()) :: pos_integer()
  def size(struct), do: Map.fetch!(layout().sizes, to_string(struct))

  @doc "Forgets what was loaded, for tests; each process pays for that with a garbage collection."
  @spec forget() :: :ok
  def forget do
    :persistent_term.erase(@key)
    :ok
  end

  defp layout do
    case :persistent_term.get(@key, nil) do
      nil ->
        :ok = load()
        :persistent_term.get(@key)

      layout ->
        layout
    end
  end

  # A module without its library raises in every function.
  defp native(load) do
    load.()
  rescue
    ErlangError -> :no_native
    UndefinedFunctionError -> :no_native
  end

  defp keep(answer, text \\ nil)

  defp keep({:ok, loaded}, text) do
    if loaded.digest == Generated.digest(), do: put(from_native(loaded)), else: refuse(text)
  end

  defp keep({:error, _status, sentence}, _text), do: {:error, sentence}
  defp keep(:no_native, _text), do: put(from_generated())

  # Putting the same again would cost every process a garbage collection.
  defp put(layout) do
    if :persistent_term.get(@key, nil) != layout, do: :persistent_term.put(@key, layout)
    :ok
  end

  defp refuse(nil),
    do: {:error, "weir_nif.so was built from another layout than this project; run mix compile"}

  defp refuse(text) do
    {:ok, relation, difference} = Native.layout_diff(LayoutCanonical.text(), text)
    first = if difference == "", do: "the order of its definitions", else: difference

    {:error,
     "the layout is not the one that this project was compiled with (#{relation}): #{first}; " <>
       "run `weir layout gen --lang elixir` and mix compile"}
  end

  defp from_native(loaded) do
    %{
      source: :native,
      digest: loaded.digest,
      version: loaded.version,
      sizes: Map.new(loaded.structs, fn {name, struct} -> {name, struct.bytes} end),
      places:
        for({name, struct} <- loaded.structs, field <- struct.fields, into: %{}) do
          {{name, field.name}, {field.offset, field.bytes, field.type}}
        end
    }
  end

  defp from_generated do
    %{
      source: :generated,
      digest: Generated.digest(),
      version: Generated.version(),
      sizes: Map.new(Generated.structs(), &{to_string(&1), Generated.size(&1)}),
      places:
        for(name <- Generated.structs(), field <- Generated.fields(name), into: %{}) do
          {type, count, offset, bytes} = Generated.field(name, field)
          type = if count, do: "#{type}[#{count}]", else: to_string(type)
          {{to_string(name), to_string(field)}, {offset, bytes, type}}
        end
    }
  end
end
