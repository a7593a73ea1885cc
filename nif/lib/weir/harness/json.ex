defmodule Weir.Harness.Json do
  @moduledoc """
  Writes JSON (RFC 8259), as there is no library for it in OTP 25.

  A keyword list becomes an object in its own order, so that reports read from the verdict on; so
  does a map, in the order of its keys. Other atoms become strings.
  """

  @doc "The text of a term, indented by two spaces, with a line feed at its end."
  @spec encode(term()) :: iodata()
  def encode(term), do: [value(term, "\n"), ?\n]

  @doc "Writes the file by renaming a complete one, so that a reader never meets half of it."
  @spec write(Path.t(), term()) :: :ok | {:error, String.t()}
  def write(path, term) do
    partial = "#{path}.#{System.pid()}.partial"

    with :ok <- File.write(partial, encode(term)),
         :ok <- File.rename(partial, path) do
      :ok
    else
      {:error, reason} ->
        File.rm(partial)
        {:error, "#{path} cannot be written: #{:file.format_error(reason)}"}
    end
  end

  defp value(nil, _), do: "null"
  defp value(term, _) when is_boolean(term), do: Atom.to_string(term)
  defp value(term, _) when is_atom(term), do: string(Atom.to_string(term))
  defp value(term, _) when is_integer(term), do: Integer.to_string(term)
  defp value(term, _) when is_float(term), do: :erlang.float_to_binary(term, [:short])
  defp value(term, _) when is_binary(term), do: string(term)
  defp value(map, line) when is_map(map), do: object(Enum.sort(map), line)
  defp value([], _), do: "[]"
  defp value([{key, _} | _] = list, line) when is_atom(key), do: object(list, line)

  defp value(list, line) do
    inner = line <> "  "
    [?[, list |> Enum.map(&[inner, value(&1, inner)]) |> Enum.intersperse(?,), line, ?]]
  end

  defp object([], _), do: "{}"

  defp object(pairs, line) do
    inner = line <> "  "

    members =
      Enum.map(pairs, fn {key, item} -> [inner, string("#{key}"), ": ", value(item, inner)] end)

    [?{, Enum.intersperse(members, ?,), line, ?}]
  end

  defp string(text) do
    text = if String.valid?(text), do: text, else: inspect(text)
    [?", for(<<char::utf8 <- text>>, do: escape(char)), ?"]
  end

  defp escape(?"), do: "\\\""
  defp escape(?\\), do: "\\\\"
  defp escape(?\n), do: "\\n"
  defp escape(char) when char < 0x20, do: :io_lib.format("\\u~4.16.0b", [char])
  defp escape(char), do: <<char::utf8>>
end
