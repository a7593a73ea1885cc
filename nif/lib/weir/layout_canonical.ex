defmodule Weir.LayoutCanonical do
  @moduledoc """
  The canonical text of the layout that this project was compiled with.

  It is read from the generated C source while this module compiles, where it stands as the text
  that libweir is built with; a text with another digest than `Weir.Layout.Generated` stops the
  compiler. What the generated module leaves out (writers, atomic fields, regions) is in it.
  """

  alias Weir.{LayoutDigest, LayoutText}

  @source Path.expand("../../../core/layout/generated/weir_layout_data.c", __DIR__)
  @external_resource @source

  [_before, literals] =
    @source
    |> File.read!()
    |> String.split("const char weir_layout_canonical_text[] =\n", parts: 2)

  [literals, _behind] = String.split(literals, ";\n", parts: 2)

  @text ~r/^\s*"(.*)\\n"$/m
        |> Regex.scan(literals, capture: :all_but_first)
        |> Enum.map_join(fn [line] -> String.replace(line, ~S(\"), ~S(")) <> "\n" end)

  if LayoutDigest.of(@text) != Weir.Layout.Generated.digest(),
    do: raise("#{@source} and the generated module are of different layouts; generate both again")

  case LayoutText.parse(@text) do
    {:ok, layout} -> @layout layout
    {:error, sentence} -> raise(sentence)
  end

  @doc "The text."
  @spec text() :: String.t()
  def text, do: @text

  @doc "The text, read."
  @spec layout() :: LayoutText.t()
  def layout, do: @layout
end
