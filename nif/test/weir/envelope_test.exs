defmodule Weir.EnvelopeTest do
  use ExUnit.Case, async: true

  import Weir.TestVectors, only: [number: 2]
  alias Weir.{Envelope, Property, TestVectors}

  @reasons ~w(none magic header_crc sequence version generation flags payload_range reply_status opcode)
  @fields [
    :version,
    :flags,
    :opcode,
    :status,
    :generation,
    :job_id,
    :correlation_id,
    :payload_offset,
    :payload_bytes,
    :payload_crc,
    :original_bytes,
    :deadline_ns
  ]

  defp cases(word),
    do: for({^word, fields, line} <- TestVectors.read!("envelope.txt"), do: {fields, line})

  defp envelope(fields),
    do: struct!(Envelope, for(key <- @fields, do: {key, number(fields, to_string(key))}))

  test "is encoded byte for byte as the shared file says, and read back" do
    cases = cases("encode")
    assert length(cases) >= 5

    for {fields, line} <- cases do
      bytes = Base.decode16!(fields["bytes"], case: :lower)
      envelope = envelope(fields)
      assert {line, Envelope.encode(envelope, number(fields, "index"))} == {line, bytes}
      assert {line, Envelope.decode(bytes)} == {line, envelope}
    end
  end

  test "is refused for the reason that the shared file says" do
    cases = cases("check")

    assert cases |> Enum.map(fn {fields, _} -> fields["reason"] end) |> Enum.uniq() |> Enum.sort() ==
             Enum.sort(@reasons)

    for {fields, line} <- cases do
      bytes = Base.decode16!(fields["bytes"], case: :lower)

      terms =
        Map.new([:generation, :version, :capabilities], &{&1, number(fields, to_string(&1))})

      answer =
        case fields["as"] do
          "request" -> Envelope.check_request(bytes, number(fields, "index"), terms)
          "response" -> Envelope.check_response(bytes, number(fields, "index"), terms)
        end

      wanted =
        case fields["reason"] do
          "none" -> {:ok, Envelope.decode(bytes)}
          reason -> {:error, String.to_existing_atom(reason)}
        end

      assert {line, fields["name"], answer} == {line, fields["name"], wanted}
    end
  end

  test "notices every single flipped bit" do
    terms = %{generation: 7, version: 0, capabilities: 4}
    bytes = Envelope.encode(%Envelope{opcode: 1, generation: 7, job_id: 99}, 3)
    assert {:ok, %Envelope{job_id: 99}} = Envelope.check_request(bytes, 3, terms)

    for bit <- 0..511 do
      <<head::bitstring-size(bit), one::1, rest::bitstring>> = bytes
      flipped = <<head::bitstring, 1 - one::1, rest::bitstring>>
      wanted = if bit < 32, do: :magic, else: :header_crc
      assert Envelope.check_request(flipped, 3, terms) == {:error, wanted}
      assert Envelope.check_response(flipped, 3, terms) == {:error, wanted}
    end
  end

  test "of another length is no envelope" do
    assert Envelope.decode(<<>>) == nil
    assert Envelope.decode(:binary.copy(<<0>>, 63)) == nil
    assert Envelope.decode(:binary.copy(<<0>>, 65)) == nil
  end

  test "comes back as it was encoded, whatever its fields are (property)" do
    word = fn bits -> :proper_types.integer(0, Bitwise.bsl(1, bits) - 1) end
    bits = [16, 16, 16, 16, 32, 64, 64, 32, 32, 32, 32, 64]
    generator = {:proper_types.fixed_list(Enum.map(bits, word)), word.(64)}

    Property.check(
      "an envelope comes back as it was encoded",
      300,
      Property.forall(generator, fn {values, index} ->
        envelope = struct!(Envelope, Enum.zip(@fields, values))
        bytes = Envelope.encode(envelope, index)

        byte_size(bytes) == Envelope.bytes() and Envelope.decode(bytes) == envelope and
          binary_part(bytes, 56, 4) == <<Envelope.sequence(index)::little-32>>
      end)
    )
  end

  test "that is made of random bytes is always answered with a reason (property)" do
    generator = {:proper_types.binary(64), :proper_types.integer(0, 0xFFFFFFFF)}
    terms = %{generation: 7, version: 0, capabilities: 7}

    Property.check(
      "random bytes are refused",
      300,
      Property.forall(generator, fn {bytes, index} ->
        match?({:error, _}, Envelope.check_request(bytes, index, terms)) and
          match?({:error, _}, Envelope.check_response(bytes, index, terms))
      end)
    )
  end
end
