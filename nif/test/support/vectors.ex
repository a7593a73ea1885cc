defmodule Weir.TestVectors do
  @moduledoc """
  Reads the test vectors that C and Elixir share (docs/vectors).

  The last line of a file counts its cases, so that a file that lost some of them fails the test
  instead of testing less.
  """

  @folder Path.expand("../../../docs/vectors", __DIR__)

  @type vector :: {word :: String.t(), %{String.t() => String.t()}, line :: pos_integer()}

  @doc "All cases of a file of that folder (or of any other, by its whole path), in order."
  @spec read!(String.t()) :: [vector()]
  def read!(name) do
    lines =
      name
      |> path()
      |> File.read!()
      |> String.split("\n")
      |> Enum.with_index(1)
      |> drop_texts()
      |> Enum.reject(fn {line, _} -> line == "" or String.starts_with?(line, "#") end)
      |> Enum.map(&split/1)

    {cases, ending} = Enum.split_while(lines, fn {word, _, _} -> word != "end" end)

    counted =
      case ending do
        [{"end", %{"cases" => counted}, _} | _] -> counted
        [] -> raise "#{name} ends without a line `end cases=N`"
      end

    if cases == [] or length(cases) != String.to_integer(counted),
      do: raise("#{name} has #{length(cases)} cases, its last line says #{counted}")

    cases
  end

  @doc "The texts between `layout name=…` and `end_layout`, by name."
  @spec texts!(String.t()) :: %{String.t() => String.t()}
  def texts!(name) do
    ~r/^layout name=(\S+) \S+\n(.*?)^end_layout\n/ms
    |> Regex.scan(File.read!(path(name)))
    |> Map.new(fn [_, text_name, text] -> {text_name, text} end)
  end

  @doc "A field as a number."
  @spec number(map(), String.t()) :: non_neg_integer()
  def number(fields, key), do: fields |> Map.fetch!(key) |> String.to_integer()

  defp path(name), do: Path.expand(name, @folder)

  defp drop_texts(lines) do
    {kept, _inside} =
      Enum.flat_map_reduce(lines, false, fn {line, _} = numbered, inside ->
        cond do
          line == "end_layout" -> {[], false}
          inside -> {[], true}
          true -> {[numbered], String.starts_with?(line, "layout ")}
        end
      end)

    kept
  end

  # `first=` is a sentence and takes the rest of its line.
  defp split({line, number}) do
    {line, sentence} =
      case String.split(line, " first=", parts: 2) do
        [line, sentence] -> {line, %{"first" => sentence}}
        [line] -> {line, %{}}
      end

    [word | fields] = String.split(line, " ")

    fields =
      Map.new(fields, fn field ->
        [key, value] = String.split(field, "=", parts: 2)
        {key, value}
      end)

    {word, Map.merge(fields, sentence), number}
  end
end
