defmodule Weir.Inspect.Json do
  @moduledoc """
  Writes plain data as JSON in one line: maps (keys in order), lists, texts, numbers, atoms.

  Small on purpose: Hex is not needed for looking at a manager.
  """

  @doc "The text, without a line end."
  @spec encode(term()) :: String.t()
  def encode(data), do: data |> value() |> IO.iodata_to_binary()

  defp value(nil), do: "null"
  defp value(flag) when is_boolean(flag), do: Atom.to_string(flag)
  defp value(name) when is_atom(name), do: text(Atom.to_string(name))
  defp value(number) when is_integer(number), do: Integer.to_string(number)
  defp value(number) when is_float(number), do: Float.to_string(number)
  defp value(text) when is_binary(text), do: text(text)

  defp value(list) when is_list(list),
    do: [?[, list |> Enum.map(&value/1) |> Enum.intersperse(", "), ?]]

  defp value(map) when is_map(map) do
    members = for {key, item} <- Enum.sort(map), do: [text(to_string(key)), ": ", value(item)]
    [?{, Enum.intersperse(members, ", "), ?}]
  end

  defp text(text), do: [?", for(<<char::utf8 <- valid(text)>>, do: escaped(char)), ?"]

  # Texts of status pages are valid; others are shown as far as they are.
  defp valid(text), do: if(String.valid?(text), do: text, else: inspect(text))

  defp escaped(?"), do: "\\\""
  defp escaped(?\\), do: "\\\\"
  defp escaped(?\n), do: "\\n"
  defp escaped(?\r), do: "\\r"
  defp escaped(?\t), do: "\\t"

  defp escaped(char) when char < 0x20 or char in 0x7F..0x9F,
    do: ["\\u", char |> Integer.to_string(16) |> String.pad_leading(4, "0")]

  defp escaped(char), do: <<char::utf8>>
end
