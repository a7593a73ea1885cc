defmodule Weir.LayoutText do
  @moduledoc """
  Reads a layout's canonical text without native code.

  The canonical form has one order of keys, one definition per line, decimal numbers and no
  comments, so that a few patterns read all of it. TOML as people write it goes through the NIF
  (`Weir.LayoutLoader`), which also turns it into this form.

  A text may come from a peer: it is bounded, every line must have its form, names are never turned
  into atoms, and the places of all fields are derived again from their types.
  """

  @bytes_max 262_144

  @scalars %{
    "u8" => 1,
    "u16" => 2,
    "u32" => 4,
    "u64" => 8,
    "i8" => 1,
    "i16" => 2,
    "i32" => 4,
    "i64" => 8,
    "f32" => 4,
    "f64" => 8
  }

  @type value :: %{
          name: String.t(),
          value: non_neg_integer(),
          request: {non_neg_integer(), non_neg_integer()} | nil,
          region: {writer :: String.t(), holds :: String.t(), count :: String.t()} | nil
        }

  @type field :: %{
          name: String.t(),
          type: String.t(),
          offset: non_neg_integer(),
          bytes: non_neg_integer(),
          atomic: boolean(),
          writer: String.t() | nil
        }

  @type t :: %{
          name: String.t(),
          major: non_neg_integer(),
          minor: non_neg_integer(),
          line_bytes: pos_integer(),
          region_align_bytes: pos_integer(),
          constants: [%{name: String.t(), type: String.t(), value: non_neg_integer()}],
          enums: [%{name: String.t(), type: String.t(), kind: String.t(), values: [value()]}],
          structs: [
            %{
              name: String.t(),
              align: pos_integer(),
              size: pos_integer(),
              writer: String.t() | nil,
              fields: [field()]
            }
          ]
        }

  @head ~r/\A\[layout\]\ncanonical = true\nname = "([a-z][a-z0-9_]*)"\nmajor = (\d+)\nminor = (\d+)\nendian = "little"\nline_bytes = (\d+)\nregion_align_bytes = (\d+)\n\z/
  @constant ~r/\A\[\[constant\]\]\nname = "([A-Z][A-Z0-9_]*)"\ntype = "(u8|u16|u32|u64)"\nvalue = (\d+)\n\z/
  @enum ~r/\A\[\[enum\]\]\nname = "([a-z][a-z0-9_]*)"\ntype = "(u8|u16|u32|u64)"\nkind = "(values|flags)"\nvalues = \[\n((?:  \{ .* \},\n)*)\]\n\z/
  @value ~r/\A  \{ name = "([a-z][a-z0-9_]*)", value = (\d+)(?:, request_min = (\d+), request_max = (\d+))?(?:, writer = "(manager|worker)", holds = "([a-z0-9_]+)", count = "([a-z_]+)")? \},\z/
  @struct_ ~r/\A\[\[struct\]\]\nname = "([a-z][a-z0-9_]*)"\nalign = (\d+)\nsize = (\d+)\n(?:writer = "(manager|worker)"\n)?fields = \[\n((?:  \{ .* \},\n)*)\]\n\z/
  @field ~r/\A  \{ name = "([a-z][a-z0-9_]*)", type = "([a-z][a-z0-9_]*)(?:\[(\d+)\])?", offset = (\d+)(, atomic = true)?(?:, writer = "(manager|worker)")? \},\z/

  @doc "Reads a text; a fault is told with the paragraph that it is in."
  @spec parse(binary()) :: {:ok, t()} | {:error, String.t()}
  def parse(text) when byte_size(text) > @bytes_max,
    do: {:error, "the layout is longer than #{@bytes_max} bytes"}

  def parse(text) do
    [head | definitions] = paragraphs(text)

    case Regex.run(@head, head, capture: :all_but_first) do
      [name, major, minor, line, region] ->
        layout = %{
          name: name,
          major: number(major),
          minor: number(minor),
          line_bytes: number(line),
          region_align_bytes: number(region),
          constants: [],
          enums: [],
          structs: []
        }

        {:ok, definitions |> Enum.reduce(layout, &define/2) |> in_order()}

      nil ->
        {:error, "the layout does not begin with the canonical [layout] table"}
    end
  catch
    {:fault, sentence} -> {:error, sentence}
  end

  # Definitions are divided by empty lines, and each ends with a line break.
  defp paragraphs(text) do
    case String.split(text, "\n\n") do
      [only] -> [only]
      several -> Enum.map(Enum.drop(several, -1), &(&1 <> "\n")) ++ [List.last(several)]
    end
  end

  defp in_order(layout) do
    for key <- [:constants, :enums, :structs], reduce: layout do
      layout -> Map.update!(layout, key, &Enum.reverse/1)
    end
  end

  defp define("[[constant]]\n" <> _ = text, layout) do
    [name, type, value] = match(@constant, text)
    unique(layout.constants, name, text)
    put(layout, :constants, %{name: name, type: type, value: number(value)})
  end

  defp define("[[enum]]\n" <> _ = text, layout) do
    [name, type, kind, values] = match(@enum, text)
    unique(layout.enums, name, text)
    values = values |> lines() |> Enum.map(&value/1)
    if Enum.uniq_by(values, & &1.name) != values, do: fault("a value comes twice", text)
    put(layout, :enums, %{name: name, type: type, kind: kind, values: values})
  end

  defp define("[[struct]]\n" <> _ = text, layout) do
    [name, align, size, writer, fields] = match(@struct_, text)
    unique(layout.structs, name, text)
    writer = if writer != "", do: writer
    {fields, stop} = fields |> lines() |> Enum.map_reduce(0, &field(&1, &2, writer, layout))
    size = number(size)
    if Enum.uniq_by(fields, & &1.name) != fields, do: fault("a field comes twice", text)
    if stop != size, do: fault("the fields end at #{stop} and not at #{size}", text)

    put(layout, :structs, %{
      name: name,
      align: number(align),
      size: size,
      writer: writer,
      fields: fields
    })
  end

  defp define(text, _layout), do: fault("this is no definition", text)

  defp value(line) do
    [name, value | rest] = match(@value, line)
    [least, most, writer, holds, count] = rest ++ List.duplicate("", 5 - length(rest))

    %{
      name: name,
      value: number(value),
      request: if(least != "", do: {number(least), number(most)}),
      region: if(writer != "", do: {writer, holds, count})
    }
  end

  # Fields stand one behind the other; each is written by its own writer, else by the struct's, else
  # by that of the struct that it is made of.
  defp field(line, at, struct_writer, layout) do
    [name, base, count, offset | rest] = match(@field, line)
    [atomic, writer] = rest ++ List.duplicate("", 2 - length(rest))
    {element, inner_writer} = element(base, layout, line)
    bytes = element * if(count == "", do: 1, else: number(count))
    if number(offset) != at, do: fault("this field would lie at #{at}", line)

    {%{
       name: name,
       type: if(count == "", do: base, else: "#{base}[#{count}]"),
       offset: at,
       bytes: bytes,
       atomic: atomic != "",
       writer: if(writer != "", do: writer, else: struct_writer || inner_writer)
     }, at + bytes}
  end

  defp element(base, layout, line) do
    case {@scalars, Enum.find(layout.structs, &(&1.name == base))} do
      {%{^base => bytes}, _} -> {bytes, nil}
      {_, %{size: size, writer: writer}} -> {size, writer}
      {_, nil} -> fault("the type #{base} is not defined above", line)
    end
  end

  defp put(layout, key, definition), do: Map.update!(layout, key, &[definition | &1])

  defp unique(definitions, name, text) do
    if Enum.any?(definitions, &(&1.name == name)), do: fault("#{name} comes twice", text)
  end

  defp lines(text), do: String.split(text, "\n", trim: true)

  defp match(pattern, text) do
    Regex.run(pattern, text, capture: :all_but_first) ||
      fault("this is not the canonical form", text)
  end

  # 20 digits hold any 64-bit number; more are no layout.
  defp number(digits) when byte_size(digits) <= 20, do: String.to_integer(digits)
  defp number(digits), do: fault("this number is too long", digits)

  @spec fault(String.t(), String.t()) :: no_return()
  defp fault(what, text),
    do: throw({:fault, "#{what}: #{text |> String.slice(0, 80) |> inspect()}"})
end
