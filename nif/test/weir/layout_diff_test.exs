defmodule Weir.LayoutDiffTest do
  use ExUnit.Case, async: true

  alias Weir.{LayoutDiff, LayoutDigest, LayoutText, TestVectors}

  defp layouts do
    Map.new(TestVectors.texts!("layout.txt"), fn {name, text} ->
      assert {^name, {:ok, layout}} = {name, LayoutText.parse(text)}
      {name, layout}
    end)
  end

  test "has the digests that the shared file says" do
    texts = TestVectors.texts!("layout.txt")
    digests = for {"layout", fields, _} <- TestVectors.read!("layout.txt"), do: fields
    assert length(digests) >= 30
    assert length(digests) == map_size(texts)

    for %{"name" => name, "digest" => digest} <- digests do
      assert {name, Base.encode16(LayoutDigest.of(texts[name]), case: :lower)} == {name, digest}
    end
  end

  test "relates layouts as the shared file says" do
    layouts = layouts()

    relations =
      for {"diff", fields, line} <- TestVectors.read!("layout.txt") do
        diff =
          LayoutDiff.compare(
            Map.fetch!(layouts, fields["from"]),
            Map.fetch!(layouts, fields["to"])
          )

        raise_minor = if diff.raise_minor, do: "1", else: "0"

        assert {line, fields["name"], to_string(diff.relation), LayoutDiff.first(diff) || "",
                raise_minor} ==
                 {line, fields["name"], fields["relation"], fields["first"],
                  fields["raise_minor"]}

        diff.relation
      end

    counts = Enum.frequencies(relations)
    assert counts.identical >= 2
    assert counts.compatible >= 8
    assert counts.breaking >= 25
  end

  # `printf '%s' TEXT | b2sum -l 256`
  test "digests texts of any length as b2sum does" do
    for {text, digest} <- [
          {"", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
          {"abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"}
        ] do
      assert Base.encode16(LayoutDigest.of(text), case: :lower) == digest
    end
  end

  test "says what is wrong with a text and where" do
    base = TestVectors.texts!("layout.txt")["base"]

    for {from, to, words} <- [
          {"canonical = true", "canonical = false", "does not begin"},
          {"value = 16", "value = 0x10", "not the canonical form"},
          {"value = 16", "value = 123456789012345678901", "number is too long"},
          {"offset = 4", "offset = 8", "would lie at 4"},
          {"size = 16", "size = 20", "end at 16 and not at 20"},
          {"u32[3]", "wheel[3]", "wheel is not defined"},
          {"\"reserved\"", "\"x\"", "comes twice"},
          {"[[constant]]", "[[constnat]]", "no definition"}
        ] do
      assert {^from, {:error, sentence}} =
               {from, base |> String.replace(from, to) |> LayoutText.parse()}

      assert sentence =~ words
    end

    [_head, definitions] = String.split(base, "\n\n", parts: 2)
    assert {:error, sentence} = LayoutText.parse(base <> "\n" <> definitions)
    assert sentence =~ "comes twice"
    assert {:error, sentence} = LayoutText.parse(String.duplicate("x", 262_145))
    assert sentence =~ "longer than 262144"
  end

  test "refuses every beginning of a text" do
    base = TestVectors.texts!("layout.txt")["nested"]

    for bytes <- 0..(byte_size(base) - 1), text = binary_part(base, 0, bytes) do
      case LayoutText.parse(text) do
        {:error, _} -> :ok
        # Cut between two definitions it is a layout, though another one.
        {:ok, layout} -> assert {bytes, layout} != {bytes, elem(LayoutText.parse(base), 1)}
      end
    end
  end
end
