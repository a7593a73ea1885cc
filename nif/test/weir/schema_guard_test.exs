defmodule Weir.SchemaGuardTest do
  use ExUnit.Case, async: true

  alias Weir.{LayoutCanonical, LayoutDigest, SchemaGuard}
  alias Weir.Layout.Generated, as: Layout

  @extra "\n[[constant]]\nname = \"EXTRA\"\ntype = \"u32\"\nvalue = 1\n"
  @analytics "  { name = \"analytics\", value = 19, request_min = 80, request_max = 1073741824 },\n"

  @minor elem(Layout.version(), 1)
  @own "minor = #{@minor}\n"
  @newer "minor = #{@minor + 3}\n"

  # A peer: the own text with a part replaced and something added.
  defp peer(what, with_it, more \\ "") do
    text = LayoutCanonical.text()
    assert String.contains?(text, what)

    [head | rest] =
      String.split(String.replace(text, what, with_it, global: false), "\n\n", parts: 2)

    text = head <> "\n" <> more <> "\n" <> hd(rest)
    {:ok, layout} = Weir.LayoutText.parse(text)
    {%{major: layout.major, minor: layout.minor, digest: LayoutDigest.of(text)}, text}
  end

  defp judge({claim, text}) do
    case SchemaGuard.judge_claim(claim) do
      :text_needed -> SchemaGuard.judge_text(claim, text)
      verdict -> verdict
    end
  end

  test "knows its own layout by the digest, and by the text" do
    {major, minor} = Layout.version()
    claim = %{major: major, minor: minor, digest: Layout.digest()}
    verdict = {:ok, %{relation: :identical, major: major, minor: minor, difference: nil}}
    assert SchemaGuard.judge_claim(claim) == verdict
    assert SchemaGuard.judge_text(claim, LayoutCanonical.text()) == verdict
  end

  test "accepts more and less at the same minor version, and records the agreed one" do
    assert {:ok, %{relation: :compatible, minor: @minor, difference: more}} =
             judge(peer(@own, @own, @extra))

    assert more =~ "EXTRA"

    assert {:ok, %{relation: :compatible, minor: @minor, difference: less}} =
             judge(peer(@analytics, ""))

    assert less =~ "analytics"

    assert {:ok, %{relation: :compatible, major: 1, minor: @minor}} = judge(peer(@own, @newer))
  end

  test "refuses a breaking layout with the field and the command" do
    moved =
      peer(
        "{ name = \"opcode\", type = \"u16\", offset = 8 },\n  { name = \"status\", type = \"u16\", offset = 10 }",
        "{ name = \"status\", type = \"u16\", offset = 8 },\n  { name = \"opcode\", type = \"u16\", offset = 10 }"
      )

    assert {:error, :incompatible, sentence} = judge(moved)
    assert sentence =~ "struct envelope, field opcode: offset 8 became 10"
    assert sentence =~ "`weir layout diff OLD NEW`"
    assert byte_size(sentence) < 256
  end

  test "refuses another major version, and the same digest with another minor version" do
    claim = %{major: 2, minor: @minor, digest: Layout.digest()}
    assert {:error, :incompatible, sentence} = SchemaGuard.judge_claim(claim)
    assert sentence =~ "major version 2 instead of 1"

    assert {:error, :incompatible, sentence} =
             SchemaGuard.judge_claim(%{claim | major: 1, minor: @minor + 4})

    assert sentence =~ "same digest, but minor version #{@minor + 4} instead of #{@minor}"
  end

  test "believes no claim that the text does not bear out" do
    {claim, text} = peer(@own, @newer)

    assert {:error, :protocol, sentence} =
             SchemaGuard.judge_text(%{claim | minor: @minor + 2}, text)

    assert sentence =~ "version 1.#{@minor + 3} and its HELLO said 1.#{@minor + 2}"

    assert {:error, :protocol, sentence} =
             SchemaGuard.judge_text(%{claim | digest: <<1::256>>}, text)

    assert sentence =~ "another digest"

    for bytes <- [0, 1, 100, 1000, byte_size(text) - 1] do
      assert {:error, :protocol, _} = SchemaGuard.judge_text(claim, binary_part(text, 0, bytes))
    end
  end

  # The cases of core/manager/schema_guard_test.c.
  test "bounds requests by the schema of their opcode" do
    for {bytes, opcode, wanted} <- [
          {0, 1, :ok},
          {1_073_741_824, 1, :ok},
          {1_073_741_825, 1, :incompatible},
          {23, 16, :incompatible},
          {24, 16, :ok},
          {63, 18, :incompatible},
          {64, 18, :ok},
          {65, 18, :incompatible},
          {79, 19, :incompatible},
          {0xFFFFFFFFFFFFFFFF, 19, :incompatible},
          {0, 0, :unsupported},
          {0, 3, :unsupported},
          {0, 0x0FFF, :unsupported},
          {0xFFFFFFFFFFFFFFFF, 0x1000, :ok},
          {0, 0xFFFF, :ok}
        ] do
      answer =
        case SchemaGuard.check_request(opcode, bytes) do
          :ok -> :ok
          {:error, outcome, _sentence} -> outcome
        end

      assert {opcode, bytes, answer} == {opcode, bytes, wanted}
    end

    assert {:error, :incompatible, "a worldgen request has 65 bytes; it must have 64 to 64"} =
             SchemaGuard.check_request(18, 65)
  end

  test "validates the structs of requests and replies" do
    assert SchemaGuard.validate_request(1, "anything") == :ok
    assert SchemaGuard.validate_request(0x1000, "") == :ok
    assert SchemaGuard.validate_request(16, <<0::size(24)-unit(8), 1, 2, 3>>) == :ok

    assert {:error, :incompatible, "the field reserved of simulate_request must be zero"} =
             SchemaGuard.validate_request(16, <<0::size(20)-unit(8), 1::little-32>>)

    assert {:error, :incompatible, "a simulate request has 3 bytes" <> _} =
             SchemaGuard.validate_request(16, "abc")

    {:ok, reply} = Weir.BeamRoutines.crc("weir")
    assert SchemaGuard.validate_response(2, reply) == :ok
    assert {:error, :incompatible, sentence} = SchemaGuard.validate_response(2, "short")
    assert sentence =~ "at least 16 bytes; it has 5"

    assert {:error, :incompatible, _} =
             SchemaGuard.validate_response(2, binary_part(reply, 0, 12) <> <<1, 0, 0, 0>>)
  end
end
