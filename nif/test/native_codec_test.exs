defmodule Weir.NativeCodecTest do
  @moduledoc "Envelopes, checksums and layouts through the NIF, beside what Elixir makes of them itself."
  use ExUnit.Case

  import Bitwise
  alias Weir.Envelope
  alias Weir.Layout.Generated, as: Layout
  alias Weir.Native

  @layout Path.expand("../../core/layout/07-layout.toml", __DIR__)

  setup_all do
    :rand.seed(:exsss, {ExUnit.configuration()[:seed] || 0, 3, 5})
    :ok
  end

  defp fields do
    %{
      version: :rand.uniform(0x10000) - 1,
      flags: :rand.uniform(16) - 1,
      opcode: :rand.uniform(0x10000) - 1,
      status: :rand.uniform(12) - 1,
      generation: :rand.uniform(0x1_0000_0000) - 1,
      job_id: :rand.uniform(0x1_0000_0000_0000_0000) - 1,
      correlation_id: :rand.uniform(0x1_0000_0000_0000_0000) - 1,
      payload_offset: :rand.uniform(0x1_0000_0000) - 1,
      payload_bytes: :rand.uniform(3) - 1,
      payload_crc: :rand.uniform(2) - 1,
      original_bytes: :rand.uniform(3) - 1,
      deadline_ns: :rand.uniform(0x1_0000_0000_0000_0000) - 1
    }
  end

  defp index, do: :rand.uniform(0x1_0000_0000_0000_0000) - 1

  test "both codecs write the same bytes and read the same fields" do
    for _ <- 1..500 do
      fields = fields()
      index = index()
      bytes = Native.envelope_encode(fields, index)
      assert bytes == Envelope.encode(struct(Envelope, fields), index)
      assert Native.envelope_decode(bytes) == fields
      assert struct(Envelope, Native.envelope_decode(bytes)) == Envelope.decode(bytes)
    end
  end

  test "both codecs judge alike, whatever is wrong" do
    verdicts =
      for _ <- 1..3_000 do
        fields = fields()
        index = index()
        bytes = fields |> Native.envelope_encode(index) |> maybe_damage()
        index = Enum.random([index, index, index, band(index + 1, 0xFFFF_FFFF_FFFF_FFFF)])

        terms = %{
          generation: Enum.random([fields.generation, fields.generation, 1]),
          version: Enum.random([fields.version, fields.version, 1]),
          capabilities: :rand.uniform(8) - 1
        }

        kind = Enum.random([:request, :response])

        native =
          case Native.envelope_check(bytes, index, kind, terms) do
            {:ok, fields} -> {:ok, struct(Envelope, fields)}
            {:bad, reason} -> {:error, reason}
          end

        check =
          if kind == :request, do: &Envelope.check_request/3, else: &Envelope.check_response/3

        assert native == check.(bytes, index, terms)
        elem(native, if(elem(native, 0) == :ok, do: 0, else: 1))
      end

    # The comparison is worth something only if each verdict came up.
    for verdict <- [
          :ok,
          :magic,
          :header_crc,
          :sequence,
          :version,
          :generation,
          :flags,
          :payload_range,
          :reply_status
        ],
        do: assert(verdict in verdicts, "#{verdict} never came up")
  end

  # Half stay whole; of the others some get a right checksum again.
  defp maybe_damage(bytes) do
    case :rand.uniform(6) do
      1 -> flip(bytes, :rand.uniform(512) - 1)
      2 -> bytes |> flip(:rand.uniform(32) - 1) |> repair()
      3 -> bytes |> flip(48 + :rand.uniform(16) - 1) |> repair()
      _ -> bytes
    end
  end

  defp flip(bytes, bit) do
    <<before::binary-size(div(bit, 8)), byte, rest::binary>> = bytes
    <<before::binary, bxor(byte, 1 <<< rem(bit, 8)), rest::binary>>
  end

  defp repair(<<head::binary-60, _::binary>>),
    do: <<head::binary, Native.crc32c(head)::little-32>>

  test "checksums are CRC32C at every length" do
    # The check value of CRC-32C (RFC 3720, B.4 has more).
    assert Native.crc32c("123456789") == 0xE3069283
    assert Native.crc32c("") == 0
    assert Native.crc32c(<<0::size(256)>>) == 0x8A9136AA

    for bytes <- [1, 2, 7, 8, 63, 64, 65, 4096, 262_144] do
      data = :rand.bytes(bytes)
      assert Native.crc32c(data) == Native.crc32c_large(data)
      if bytes < 5000, do: assert(Native.crc32c(data) == Weir.Crc32c.of(data))
    end

    assert is_integer(Native.crc32c_large(:binary.copy("x", 300_000)))
  end

  describe "layouts" do
    test "the built-in one is that of the generated module" do
      {:ok, layout} = Native.layout_load_builtin()
      assert layout.version == Layout.version()
      assert layout.digest == Layout.digest()
      assert layout.constants["ENVELOPE_BYTES"] == Layout.constant(:ENVELOPE_BYTES)

      for {name, struct} <- layout.structs, field <- struct.fields do
        place = {field.offset, field.bytes}
        name = String.to_existing_atom(name)
        {_type, _count, offset, bytes} = Layout.field(name, String.to_existing_atom(field.name))
        assert place == {offset, bytes}
      end
    end

    test "the file gives the same, and comparisons tell" do
      text = File.read!(@layout)
      {:ok, built_in} = Native.layout_load_builtin()
      {:ok, from_file} = Native.layout_load(text, "07-layout.toml")
      assert from_file.structs == built_in.structs
      assert from_file.digest == built_in.digest
      assert Native.layout_diff(text, text) == {:ok, :identical, ""}

      other = String.replace(text, ~s("job_id"), ~s("work_id"))
      assert other != text
      assert {:ok, :breaking, difference} = Native.layout_diff(text, other)
      assert difference =~ "job_id"
    end

    test "what is wrong is told with its place" do
      assert {:error, :invalid, "mine.toml:2:1: " <> _} =
               Native.layout_load("# a layout\nunknown = 1\n", "mine.toml")

      assert {:error, :invalid, "old:1:" <> _} = Native.layout_diff("= 1", "= 1")
    end

    test "no text ends the virtual machine" do
      text = File.read!(@layout)

      for _ <- 1..60 do
        at = :rand.uniform(byte_size(text)) - 1
        <<before::binary-size(at), _, rest::binary>> = text
        damaged = before <> <<:rand.uniform(256) - 1>> <> rest
        result = Native.layout_load(damaged, "damaged.toml")
        assert match?({:ok, _}, result) or match?({:error, :invalid, _}, result)
      end

      for text <- ["[\x03", String.duplicate("[a.", 50_000), :rand.bytes(10_000), <<0>>],
          do: assert({:error, :invalid, _} = Native.layout_load(text, "odd.toml"))
    end
  end
end
