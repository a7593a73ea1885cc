defmodule Weir.LayoutDiff do
  @moduledoc """
  What changed from one layout to another, and whether an old peer can live with it.

  As `core/layout/layout_diff.c`; both suites read `docs/vectors/layout.txt`. Compatible is: the
  same name, major version and lines, a minor version that is not smaller, and nothing but added
  constants, enums, values and structs, and fields taken from `reserved` ones of the same writer.
  Everything else is breaking.
  """

  alias Weir.LayoutText

  @type relation :: :identical | :compatible | :breaking

  @type t :: %{
          relation: relation(),
          raise_minor: boolean(),
          differences: [{breaking :: boolean(), String.t()}]
        }

  @doc "Compares the older layout with the newer."
  @spec compare(LayoutText.t(), LayoutText.t()) :: t()
  def compare(from, to) do
    found =
      List.flatten([
        header(from, to),
        constants(from, to),
        enums(from, to),
        structs(from, to),
        # Last, so that what made the version grow is told first.
        if(to.minor != from.minor,
          do: {to.minor < from.minor, "layout minor #{from.minor} became #{to.minor}"},
          else: []
        )
      ])

    relation =
      cond do
        found == [] -> :identical
        Enum.any?(found, &elem(&1, 0)) -> :breaking
        true -> :compatible
      end

    %{
      relation: relation,
      raise_minor: relation == :compatible and from.minor == to.minor,
      differences: found
    }
  end

  @doc "The difference to tell first: the first breaking one, else the first; nil when there is none."
  @spec first(t()) :: String.t() | nil
  def first(%{differences: differences}) do
    case Enum.find(differences, List.first(differences), &elem(&1, 0)) do
      {_breaking, text} -> text
      nil -> nil
    end
  end

  defp header(from, to) do
    for key <- [:name, :major, :line_bytes, :region_align_bytes], from[key] != to[key] do
      {true, "layout #{key} #{from[key]} became #{to[key]}"}
    end
  end

  # What each list has in common is told in the order of the old one, then what was added.
  defp pairwise(old, new, what, compare) do
    kept =
      for item <- old do
        case find(new, item.name) do
          nil -> {true, "#{what} #{item.name} was removed"}
          now -> compare.(item, now)
        end
      end

    added = for item <- new, !find(old, item.name), do: {false, "#{what} #{item.name} was added"}
    [kept, added]
  end

  defp constants(from, to) do
    pairwise(from.constants, to.constants, "constant", fn old, new ->
      at = "constant #{old.name}"
      [changed("#{at}: type", old.type, new.type), changed("#{at}: value", old.value, new.value)]
    end)
  end

  defp enums(from, to) do
    pairwise(from.enums, to.enums, "enum", fn old, new ->
      at = "enum #{old.name}"

      [
        changed("#{at}: type", old.type, new.type),
        changed("#{at}: kind", old.kind, new.kind),
        for value <- old.values do
          case find(new.values, value.name) do
            nil -> {true, "#{at}: value #{value.name} was removed"}
            now -> value("#{at}, value #{value.name}:", value, now)
          end
        end,
        for value <- new.values, !find(old.values, value.name) do
          {false, "#{at}: value #{value.name} = #{value.value} was added"}
        end
      ]
    end)
  end

  defp value(at, old, new) do
    {old_min, old_max} = old.request || {0, 0}
    {new_min, new_max} = new.request || {0, 0}

    [
      changed(at, old.value, new.value),
      if(old.request == nil != (new.request == nil),
        do:
          {true, "#{at} its request limits were #{if new.request, do: "added", else: "removed"}"},
        else: []
      ),
      changed("#{at} request_min", old_min, new_min),
      changed("#{at} request_max", old_max, new_max),
      if(old.region != new.region, do: {true, "#{at} its region changed"}, else: [])
    ]
  end

  defp structs(from, to) do
    pairwise(from.structs, to.structs, "struct", fn old, new ->
      at = "struct #{old.name}"

      [
        changed("#{at}: align", old.align, new.align),
        changed("#{at}: size", old.size, new.size),
        for field <- old.fields, not reserved?(field) do
          case find(new.fields, field.name) do
            nil -> {true, "#{at}: field #{field.name} was removed"}
            now -> field(at, field, now)
          end
        end,
        for(field <- new.fields, do: new_field(at, old, field))
      ]
    end)
  end

  defp field(struct_at, old, new) do
    at = "#{struct_at}, field #{old.name}:"

    [
      changed("#{at} offset", old.offset, new.offset),
      changed("#{at} type", old.type, new.type),
      if(old.atomic != new.atomic,
        do: {true, "#{at} became #{if new.atomic, do: "atomic", else: "not atomic"}"},
        else: []
      ),
      changed("#{at} writer", old.writer || "none", new.writer || "none")
    ]
  end

  defp new_field(at, old, field) do
    before = find(old.fields, field.name)

    cond do
      # Bytes that are free now must have been free before; what was taken away is told above.
      reserved?(field) ->
        if before != nil and before.writer != field.writer, do: field(at, before, field), else: []

      before != nil ->
        []

      from_reserved?(old, field) ->
        {false, "#{at}: field #{field.name} was added from reserved bytes"}

      true ->
        {true, "#{at}: field #{field.name} was added outside the reserved bytes"}
    end
  end

  defp from_reserved?(old, new) do
    touched =
      Enum.filter(old.fields, fn field ->
        field.offset < new.offset + new.bytes and new.offset < field.offset + field.bytes
      end)

    touched != [] and new.offset + new.bytes <= old.size and
      Enum.all?(touched, &(reserved?(&1) and &1.writer == new.writer))
  end

  defp reserved?(field), do: String.starts_with?(field.name, "reserved")

  defp find(definitions, name), do: Enum.find(definitions, &(&1.name == name))

  defp changed(_what, same, same), do: []
  defp changed(what, old, new), do: {true, "#{what} #{old} became #{new}"}
end
